//! A process in the foreground: its signals, its terminal, its end.
//!
//! Without a terminal the process has our own stdio; we pass signals on and wait. With one, bytes go to and fro between
//! our stdio and the terminal's other side, our own terminal is raw meanwhile, and its size follows.

use super::notify::Notify;
use super::spawn::Child;
use crate::error::{Error, Result};
use crate::sys::{self, CallContext, pidfd};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions};
use rustix::termios::{OptionalActions, OutputModes, Termios};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Signals that are ours, not the container's.
const NOT_PASSED_ON: [Signal; 3] = [Signal::SIGCHLD, Signal::SIGPIPE, Signal::SIGURG];

/// Signals caught from now on; from before the clone, so that none is lost.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks them and reads them from an fd instead. The child unblocks everything before execve.
    pub fn catch() -> Result<Self> {
        let all = SigSet::all();
        let io = |e: nix::errno::Errno| Error::from(sys::Error::new("signalfd()", e as i32));
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), None).map_err(io)?;
        SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Self).map_err(io)
    }
}

/// Waits for the end of `child`. Returns its exit code, 128+n for a signal.
pub fn follow(
    child: &Child,
    signals: &Signals,
    terminal: Option<OwnedFd>,
    notify: Option<&Notify>,
) -> Result<i32> {
    let relay = terminal.map(Relay::begin).transpose()?;
    let code = attend(child, signals, relay.as_ref(), notify);
    if let Some(relay) = &relay {
        relay.drain();
    }
    code
}

/// Shows what a container that never began has written: the words of a failed hook.
pub fn last_output(terminal: OwnedFd) {
    if let Ok(relay) = Relay::begin(terminal) {
        relay.drain();
    }
}

fn attend(child: &Child, signals: &Signals, relay: Option<&Relay>, notify: Option<&Notify>) -> Result<i32> {
    // Until it has said that it is ready.
    let mut notify = notify;
    let stdin = rustix::stdio::stdin();
    let mut stdin_open = relay.is_some();
    // Its death is a signal, too.
    let end = if pidfd::is_pollable(child.pidfd.as_fd()) { child.pidfd.as_fd() } else { signals.0.as_fd() };
    loop {
        let mut fds = vec![
            PollFd::from_borrowed_fd(end, PollFlags::IN),
            PollFd::from_borrowed_fd(signals.0.as_fd(), PollFlags::IN),
        ];
        if let Some(relay) = relay {
            fds.push(PollFd::new(&relay.terminal, PollFlags::IN));
            if stdin_open {
                fds.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
            }
        }
        let at_notify = fds.len();
        fds.extend(notify.map(|notify| PollFd::from_borrowed_fd(notify.fd(), PollFlags::IN)));
        match rustix::event::poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other.call(|| "poll()")?,
        };
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        if let Some(socket) = notify.filter(|_| ready(at_notify))
            && socket.hear(None)?
        {
            notify = None;
        }
        if ready(1) {
            pass_signals_on(child, signals, relay);
        }
        if let Some(relay) = relay {
            if ready(2) {
                relay.copy_out();
            }
            if stdin_open && ready(3) {
                stdin_open = copy(stdin, relay.terminal.as_fd());
            }
        }
        if ready(0)
            && let Some(code) = exit_code(child)?
        {
            return Ok(code);
        }
    }
}

fn pass_signals_on(child: &Child, signals: &Signals, relay: Option<&Relay>) {
    while let Ok(Some(info)) = signals.0.read_signal() {
        let signal = info.ssi_signo as i32;
        if signal == libc::SIGWINCH
            && let Some(relay) = relay
        {
            relay.follow_size();
        } else if !NOT_PASSED_ON.iter().any(|known| *known as i32 == signal) {
            let _ = pidfd::signal(child.pidfd.as_fd(), signal);
        }
    }
}

/// The child's end, when it has come.
fn exit_code(child: &Child) -> Result<Option<i32>> {
    let Some(pid) = Pid::from_raw(child.pid) else { return Ok(None) };
    let status = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
        .call(|| "waitid()")?;
    Ok(status.and_then(|status| {
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))
    }))
}

/// The other side of the container's terminal, between our stdin and stdout.
#[derive(Debug)]
struct Relay {
    terminal: OwnedFd,
    /// Our own terminal as it was.
    before: Option<Termios>,
}

impl Relay {
    fn begin(terminal: OwnedFd) -> Result<Self> {
        let stdin = rustix::stdio::stdin();
        let before = rustix::termios::tcgetattr(stdin).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            // The container's terminal leaves the carriage returns to ours (`Terminal::plain`).
            raw.output_modes.insert(OutputModes::OPOST);
            rustix::termios::tcsetattr(stdin, OptionalActions::Now, &raw).call(|| "tcsetattr(stdin)")?;
        }
        let relay = Self { terminal, before };
        relay.follow_size();
        Ok(relay)
    }

    fn follow_size(&self) {
        if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdin()) {
            let _ = rustix::termios::tcsetwinsize(&self.terminal, size);
        }
    }

    fn copy_out(&self) -> bool {
        copy(self.terminal.as_fd(), rustix::stdio::stdout())
    }

    /// What the container wrote last. Its death closed the slave, so the end comes as EIO.
    fn drain(&self) {
        loop {
            let mut fds = [PollFd::new(&self.terminal, PollFlags::IN)];
            let none = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            if !matches!(rustix::event::poll(&mut fds, Some(&none)), Ok(1)) || !self.copy_out() {
                return;
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

/// One buffer. False at the end of the source.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    let mut buffer = [0u8; 16 << 10];
    let len = match rustix::io::read(from, &mut buffer) {
        Err(Errno::INTR | Errno::AGAIN) => return true,
        Ok(0) | Err(_) => return false,
        Ok(len) => len,
    };
    let mut rest = buffer.get(..len).unwrap_or_default();
    while !rest.is_empty() {
        match rustix::io::write(to, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return false,
        }
    }
    true
}
