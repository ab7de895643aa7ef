//! A process in the foreground: its signals, its terminal, its end.
//!
//! Without a terminal the process has our own stdio; we pass signals on and wait. With one, bytes go to and fro between
//! our stdio and the terminal's other side, our own terminal is raw meanwhile, and its size follows.

use super::notify::Notify;
use super::shield::Shield;
use super::spawn::{Child, kill_and_reap};
use crate::error::{Error, Kind, Result};
use crate::sys::{self, CallContext, pidfd};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions};
use rustix::termios::{OptionalActions, OutputModes, Termios};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The stops of job control.
const STOPS: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

/// Signals caught from now on; from before the clone, so that none is lost.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    in_its_place: bool,
}

impl Signals {
    /// Blocks them and reads them from an fd instead. The child unblocks everything before execve.
    pub fn catch() -> Result<Self> {
        Self::of(SigSet::all(), false)
    }

    /// The same for who stands in the place of a `coracle`: the stops of job control are its own, and nobody is to hear
    /// `nohup`'s SIGHUP (signalfd(2) would report an ignored signal as well).
    fn catch_in_its_place() -> Result<Self> {
        let mut set = SigSet::all();
        STOPS.into_iter().for_each(|stop| set.remove(stop));
        if sys::signal::is_ignored(libc::SIGHUP) {
            set.remove(Signal::SIGHUP);
        }
        Self::of(set, true)
    }

    /// Which of them, where somebody waits.
    pub fn wanted(detach: bool, in_its_place: bool) -> Result<Option<Self>> {
        match (detach, in_its_place) {
            (true, _) => Ok(None),
            (false, true) => Self::catch_in_its_place().map(Some),
            (false, false) => Self::catch().map(Some),
        }
    }

    fn of(set: SigSet, in_its_place: bool) -> Result<Self> {
        let io = |e: nix::errno::Errno| Error::from(sys::Error::new("signalfd()", e as i32));
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&set), None).map_err(io)?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(io)?;
        Ok(Self { fd, in_its_place })
    }
}

/// What a payload leaves behind. Where it is in no cgroup and no pid namespace of its own, its orphans are ours from `adopt` on,
/// and end with it.
#[derive(Debug)]
pub struct Orphans {
    /// Who was there before, and the server of the root, which others use too.
    spare: Vec<Pid>,
}

impl Orphans {
    /// Before the clone.
    pub fn adopt(server: Option<&OwnedFd>) -> Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .call(|| "prctl(PR_SET_CHILD_SUBREAPER)")?;
        let server = server.and_then(|server| pidfd::pid_of(server.as_fd()).ok()).and_then(Pid::from_raw);
        Ok(Self { spare: sys::reap::children().into_iter().chain(server).collect() })
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        // A child that the caller has left us may leave its own, too.
        sys::reap::kill_children(|pid| self.spare.contains(&pid) || sys::reap::is_a_stranger(pid));
    }
}

/// What is attended to beside the process and its signals.
#[derive(Debug, Default)]
pub struct Beside<'a> {
    /// The other side of its terminal.
    pub terminal: Option<OwnedFd>,
    pub notify: Option<&'a Notify>,
    /// The pidfd of a process without which it has no root file system.
    pub server: Option<&'a OwnedFd>,
    pub shield: Shield,
    pub orphans: Option<Orphans>,
}

/// Waits for the end of `child`. Returns its exit code, 128+n for a signal.
pub fn follow(child: &Child, signals: &Signals, mut beside: Beside<'_>) -> Result<i32> {
    let relay = beside.terminal.take().map(Relay::begin).transpose()?;
    let code = attend(child, signals, relay.as_ref(), &mut beside);
    // Before the last output: they could write for ever.
    drop(beside.orphans.take());
    if let Some(relay) = &relay {
        relay.drain();
    }
    beside.shield.drain(!matches!(code, Ok(..128)));
    code
}

/// Shows what a container that never began has written: the words of a failed hook.
pub fn last_output(terminal: OwnedFd) {
    if let Ok(relay) = Relay::begin(terminal) {
        relay.drain();
    }
}

fn attend(child: &Child, signals: &Signals, relay: Option<&Relay>, beside: &mut Beside<'_>) -> Result<i32> {
    // Until it has said that it is ready.
    let mut notify = beside.notify;
    let stdin = rustix::stdio::stdin();
    let mut stdin_open = relay.is_some();
    // Its death is a signal, too.
    let end = if pidfd::is_pollable(child.pidfd.as_fd()) { child.pidfd.as_fd() } else { signals.fd.as_fd() };
    loop {
        let mut fds = vec![
            PollFd::from_borrowed_fd(end, PollFlags::IN),
            PollFd::from_borrowed_fd(signals.fd.as_fd(), PollFlags::IN),
        ];
        if let Some(relay) = relay {
            fds.push(PollFd::new(&relay.terminal, PollFlags::IN));
            if stdin_open {
                fds.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
            }
        }
        let at_notify = fds.len();
        fds.extend(notify.map(|notify| PollFd::from_borrowed_fd(notify.fd(), PollFlags::IN)));
        let at_server = fds.len();
        fds.extend(beside.server.map(|server| PollFd::new(server, PollFlags::IN)));
        let at_shield = fds.len();
        fds.extend(beside.shield.fds());
        match rustix::event::poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other.call(|| "poll()")?,
        };
        let all: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let ready = |at: usize| all.get(at) == Some(&true);
        drop(fds);
        beside.shield.copy(all.get(at_shield..).unwrap_or_default());
        if let Some(socket) = notify.filter(|_| ready(at_notify))
            && socket.hear(None)?
        {
            notify = None;
        }
        if ready(1) {
            pass_signals_on(child, signals, relay);
            if beside.orphans.is_some() {
                sys::reap::reap_others(child.pid);
            }
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
        if ready(at_server) && beside.server.is_some() {
            kill_and_reap(child);
            return Err(Error::new(Kind::External, "the container's root file system is gone")
                .cause("the process that served it has ended")
                .hint("It may have been killed for want of memory, or by hand: see `journalctl -k`. Then start it again."));
        }
    }
}

/// Runtimes, and podman, give a signal to a container's first process alone. Who stands in the place of a command does so only
/// with one that was sent to itself: a key of the terminal (or its loss) is for the whole foreground, which the payload would
/// be had it no session of its own. A shell or `make` that is told alone waits for what it has started, which goes on.
fn pass_signals_on(child: &Child, signals: &Signals, relay: Option<&Relay>) {
    while let Ok(Some(info)) = signals.fd.read_signal() {
        let signal = info.ssi_signo as i32;
        if is_ours(signal) {
            continue;
        }
        if signal == libc::SIGWINCH
            && let Some(relay) = relay
        {
            relay.follow_size();
        } else if signals.in_its_place && info.ssi_code == libc::SI_KERNEL {
            // It is not reaped yet: the group is its own.
            let _ = sys::process::signal(-child.pid, signal);
        } else {
            let _ = pidfd::signal(child.pidfd.as_fd(), signal);
        }
    }
}

/// Not the container's.
fn is_ours(signal: i32) -> bool {
    matches!(signal, libc::SIGCHLD | libc::SIGPIPE | libc::SIGURG)
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

/// What a pipe takes without making anybody wait, once poll(2) has said that it takes something (PIPE_BUF).
pub(super) const AT_ONCE: usize = 4096;

/// One buffer. False at the end of the source, or where nobody takes it.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    let mut buffer = [0u8; AT_ONCE];
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
