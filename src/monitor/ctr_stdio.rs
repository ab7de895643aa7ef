//! The payload's stdin, stdout and stderr: our ends of three pipes, or the master of its pty.
//!
//! Our ends are non-blocking; theirs are other open files and are not. Input that the payload does not take waits here, and
//! nobody's further input is read until it is taken.

use super::ctr_log::Stream;
use crate::error::{Error, Result};
use crate::sys::{CallContext, null, socket, tty};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketType};
use rustix::pipe::PipeFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Ctrl-D: the end of input on a terminal.
const END_OF_TRANSMISSION: u8 = 4;

/// Our ends. All gone: the payload has closed everything, or the stdio is not ours (passthrough).
#[derive(Debug, Default)]
pub(super) struct CtrStdio {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    pub tty: bool,
    /// Input that the payload has not taken yet.
    pub waiting: Vec<u8>,
    close_after: bool,
}

/// Pipes for a payload without a terminal: our ends, and theirs. `interactive`: it gets a stdin.
pub(super) fn pipes(interactive: bool) -> Result<(CtrStdio, [OwnedFd; 3])> {
    let (stdout, their_stdout) = pipe()?;
    let (stderr, their_stderr) = pipe()?;
    let (their_stdin, stdin) = if interactive {
        let (theirs, ours) = pipe()?;
        (theirs, Some(non_blocking(ours)?))
    } else {
        (null::open()?, None)
    };
    let ours = CtrStdio {
        stdin,
        stdout: Some(non_blocking(stdout)?),
        stderr: Some(non_blocking(stderr)?),
        ..CtrStdio::default()
    };
    Ok((ours, [their_stdin, their_stdout, their_stderr]))
}

/// Takes the pty's master from the runtime, which has connected to `console` and ended.
pub(super) fn receive_master(console: BorrowedFd<'_>) -> Result<OwnedFd> {
    let missing = || Error::internal("the OCI runtime did not set up a terminal");
    rustix::fs::fcntl_setfl(console, OFlags::NONBLOCK).call(|| "fcntl(O_NONBLOCK)")?;
    let connection = socket::accept(console).map_err(|_| missing())?;
    let mut fds = Vec::new();
    let mut name = [0u8; 4096];
    socket::recv(connection.as_fd(), &mut name, &mut fds, RecvFlags::empty())
        .call(|| "recvmsg(console socket)")?;
    fds.pop().ok_or_else(missing)
}

/// The name at which the runtime delivers a pty.
pub(super) fn listen_console(run: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    Ok(socket::listen_at(run, name, SocketType::STREAM)?)
}

impl CtrStdio {
    /// The stdio of a payload with a terminal.
    pub(super) fn terminal(master: OwnedFd, size: Option<(u16, u16)>) -> Result<Self> {
        if let Some(size) = size {
            tty::set_size(&master, size)?;
        }
        let master = non_blocking(master)?;
        let stdin = Some(master.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?);
        Ok(Self { stdin, stdout: Some(master), tty: true, ..Self::default() })
    }

    /// Reads a chunk into `buf`. 0: nothing now, or that stream has ended and is closed.
    pub(super) fn read(&mut self, stream: Stream, buf: &mut [u8]) -> usize {
        let slot = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(fd) = slot else { return 0 };
        match rustix::io::read(&*fd, buf) {
            Ok(0) => *slot = None,
            Ok(read) => return read,
            Err(Errno::AGAIN | Errno::INTR) => {}
            // A pty reports the end of its last user as EIO.
            Err(_) => *slot = None,
        }
        0
    }

    /// Gives the payload input; what it does not take now waits.
    pub(super) fn write(&mut self, data: &[u8]) {
        if self.stdin.is_some() {
            self.waiting.extend_from_slice(data);
            self.flush();
        }
    }

    /// No more input: a pipe is closed, a terminal gets its end-of-file character.
    pub(super) fn end_input(&mut self) {
        if self.tty {
            self.write(&[END_OF_TRANSMISSION]);
        } else {
            self.close_after = true;
            self.flush();
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) {
        let Some(fd) = &self.stdin else { return };
        while !self.waiting.is_empty() {
            match rustix::io::write(fd, &self.waiting) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    // The payload has closed its stdin.
                    self.waiting = Vec::new();
                    self.close_after = true;
                }
            }
        }
        self.waiting.shrink_to(0);
        if self.close_after {
            self.stdin = None;
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC).call(|| "pipe2(O_CLOEXEC)")?)
}

fn non_blocking(fd: OwnedFd) -> Result<OwnedFd> {
    let flags = rustix::fs::fcntl_getfl(&fd).call(|| "fcntl(F_GETFL)")?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK).call(|| "fcntl(F_SETFL, O_NONBLOCK)")?;
    Ok(fd)
}
