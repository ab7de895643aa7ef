//! The caller's terminal stays the caller's (R15): where a stream of ours is one, the payload gets a pipe, and we copy.
//!
//! Who has a terminal open can read what is typed on it, whatever it was opened for, and change how it works. For commands
//! in whose place we are (`alone`, `rank`); a plain `run` or `exec` passes on what its caller has given, as runc does.
//!
//! The payload inherits our streams, so they are exchanged before its clone and put back after it.

use super::foreground::{AT_ONCE, copy};
use crate::error::Result;
use crate::sys::CallContext;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The streams between us and the payload.
#[derive(Debug, Default)]
pub struct Shield {
    stdin: Option<Stream>,
    outputs: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    number: i32,
    terminal: OwnedFd,
    pipe: OwnedFd,
    /// The terminal, opened again: writing to it makes nobody wait. Where that cannot be had it is `terminal` that is written to.
    patient: Option<OwnedFd>,
    /// What was written and is not shown yet.
    rest: Vec<u8>,
    /// Something was typed, and the payload has not read what was typed before; or the terminal takes no more for now.
    waits: bool,
}

impl Shield {
    /// Puts pipes in the places of terminals, where that is `wanted`.
    pub fn raise(wanted: bool) -> Result<Self> {
        let mut shield = Self::default();
        if !wanted {
            return Ok(shield);
        }
        let standard = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        for (fd, number) in standard.into_iter().zip(0..) {
            if !rustix::termios::isatty(fd) {
                continue;
            }
            let terminal = rustix::io::fcntl_dupfd_cloexec(fd, 3).call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
            let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).call(|| "pipe2(O_CLOEXEC)")?;
            let (theirs, pipe) = if number == 0 { (read, write) } else { (write, read) };
            let again = format!("/proc/self/fd/{}", terminal.as_raw_fd());
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let patient = rustix::fs::open(again, flags, Mode::empty()).ok().filter(|_| number != 0);
            let stream = Stream { number, terminal, pipe, patient, rest: Vec::new(), waits: false };
            put(theirs.as_fd(), number).call(|| "dup2(pipe)")?;
            match number {
                0 => shield.stdin = Some(stream),
                _ => shield.outputs.push(stream),
            }
        }
        Ok(shield)
    }

    /// Our own streams are terminals again, and the pipes end with the payload. After the clone, whatever became of it.
    pub fn lower(&self) {
        for stream in self.stdin.iter().chain(&self.outputs) {
            let _ = put(stream.terminal.as_fd(), stream.number);
        }
    }

    /// What is waited for.
    pub fn fds(&self) -> Vec<PollFd<'_>> {
        let stdin = self.stdin.iter().map(|stream| match stream.waits {
            true => PollFd::new(&stream.pipe, PollFlags::OUT),
            false => PollFd::new(&stream.terminal, PollFlags::IN),
        });
        let outputs = self.outputs.iter().map(|stream| match stream.waits {
            true => PollFd::new(&stream.terminal, PollFlags::OUT),
            false => PollFd::new(&stream.pipe, PollFlags::IN),
        });
        stdin.chain(outputs).collect()
    }

    /// Copies where something is ready, in the order of `fds`.
    pub fn copy(&mut self, ready: &[bool]) {
        let mut ready = ready.iter().copied();
        if let Some(stream) = &mut self.stdin
            && ready.next() == Some(true)
            && !stream.take_in()
        {
            self.stdin = None;
        }
        self.outputs.retain_mut(|stream| ready.next() != Some(true) || stream.give_out());
    }

    /// What the payload has written last: what is in the pipes now. Others that it has left behind may write for ever. A terminal
    /// that takes nothing is waited for only if nobody has `ended` the payload.
    pub fn drain(&mut self, ended: bool) {
        for stream in &mut self.outputs {
            let mut rounds = rustix::io::ioctl_fionread(&stream.pipe).unwrap_or(0).div_ceil(AT_ONCE as u64);
            while stream.waits || rounds > 0 && is_ready(stream.pipe.as_fd(), PollFlags::IN) {
                if stream.waits {
                    if ended {
                        break;
                    }
                    let _ = rustix::event::poll(&mut [PollFd::new(&stream.terminal, PollFlags::OUT)], None);
                } else {
                    rounds -= 1;
                }
                if !stream.give_out() {
                    break;
                }
            }
        }
    }
}

impl Stream {
    /// One line of the terminal. False at its end.
    fn take_in(&mut self) -> bool {
        if self.waits {
            // Room, or nobody who reads.
            self.waits = false;
            return true;
        }
        if !is_ready(self.pipe.as_fd(), PollFlags::OUT) {
            self.waits = true;
            return true;
        }
        copy(self.terminal.as_fd(), self.pipe.as_fd())
    }

    /// What was written, as much as the terminal takes. False at its end, or where nobody takes it.
    fn give_out(&mut self) -> bool {
        if self.rest.is_empty() {
            let mut buffer = [0u8; AT_ONCE];
            match rustix::io::read(&self.pipe, &mut buffer) {
                Err(Errno::INTR | Errno::AGAIN) => return true,
                Ok(0) | Err(_) => return false,
                Ok(read) => self.rest.extend_from_slice(buffer.get(..read).unwrap_or_default()),
            }
        }
        match rustix::io::write(self.patient.as_ref().unwrap_or(&self.terminal), &self.rest) {
            Ok(written) => drop(self.rest.drain(..written)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return false,
        }
        self.waits = !self.rest.is_empty();
        true
    }
}

fn put(fd: BorrowedFd<'_>, number: i32) -> rustix::io::Result<()> {
    match number {
        0 => rustix::stdio::dup2_stdin(fd),
        1 => rustix::stdio::dup2_stdout(fd),
        _ => rustix::stdio::dup2_stderr(fd),
    }
}

fn is_ready(fd: BorrowedFd<'_>, what: PollFlags) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, what)], Some(&now)) == Ok(1)
}
