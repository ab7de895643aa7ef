//! Staying with a container: its output to our stdout and stderr, our stdin and signals to it, until it ends.
//!
//! One poll loop, and no write in it that can block for ever: while our stdout is full nothing is taken from the monitor
//! (so the payload feels it), while the monitor takes no input none is read, and signals are served all the time.
//! The terminal's mode is put back by `Drop`, and before a deadly signal is given its effect.

use super::{LaunchOptions, Outcome, outcome_from_record};
use crate::error::{Error, Result};
use crate::monitor::protocol::{self, CHUNK, MAX_PACKET, event, input};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::sys::signal::{self, SignalFd};
use crate::sys::tty::{self, RawMode};
use crate::sys::{CallContext, socket};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Signals that would kill us in raw mode.
const DEADLY: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Exit code of a process that SIGPIPE killed: our reader has gone.
const BROKEN_PIPE: i32 = 128 + libc::SIGPIPE;

/// Bytes that a full pipe or terminal takes at once without blocking (PIPE_BUF).
const PIECE: usize = 4096;

/// The signals that the relay serves.
#[derive(Debug)]
pub(super) struct Signals {
    fd: SignalFd,
    taken: Vec<i32>,
    terminal: bool,
}

impl Signals {
    /// Blocks them from now on. What our caller had ignored does not end us; it is passed on (podman: a script starts its
    /// background jobs with SIGINT ignored), but for `nohup`'s SIGHUP, which nobody is to hear.
    pub(super) fn take(terminal: bool, proxy: bool) -> Result<Self> {
        let wanted: &[i32] = match (terminal, proxy) {
            (true, _) => &DEADLY,
            (false, true) => &signal::PASSED_ON,
            (false, false) => &[],
        };
        let kept = |signal: &i32| !(terminal || *signal == libc::SIGHUP) || !signal::is_ignored(*signal);
        let mut taken: Vec<i32> = wanted.iter().copied().filter(kept).collect();
        if terminal {
            taken.push(libc::SIGWINCH);
        }
        Ok(Self { fd: SignalFd::new(&taken)?, taken, terminal })
    }

    /// Before the payload runs: a deadly signal kills us. Returns when `sync` has something.
    pub(super) fn die_or_wait(&self, sync: &OwnedFd) -> Result<()> {
        loop {
            let mut fds = [PollFd::new(&self.fd, PollFlags::IN), PollFd::new(sync, PollFlags::IN)];
            poll(&mut fds)?;
            let [signalled, answered] = fds.map(|fd| !fd.revents().is_empty());
            if signalled && let Some(signal) = self.fd.next() {
                self.die(signal);
            }
            if answered {
                return Ok(());
            }
        }
    }

    /// With a terminal: a new size is passed on, a deadly signal gets its effect after the mode is put back.
    pub(super) fn serve_terminal<T>(&self, raw: &mut Option<RawMode>, resize: impl Fn() -> T) {
        while let Some(signal) = self.fd.next() {
            if signal == libc::SIGWINCH {
                resize();
            } else {
                *raw = None;
                self.die(signal);
            }
        }
    }

    /// Gives a signal the effect that it has without us.
    fn die(&self, signal: i32) {
        if !DEADLY.contains(&signal) || signal::is_ignored(signal) {
            return;
        }
        signal::unblock(&self.taken);
        if let Some(signal) = rustix::process::Signal::from_named_raw(signal) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        signal::unblock(&self.taken);
    }
}

/// Relays on a connection that has just been made: the first answer is still to come.
pub(super) fn relay(
    connection: OwnedFd,
    dirs: &Dirs,
    container: &Container,
    options: &LaunchOptions,
) -> Result<Outcome> {
    let signals = Signals::take(container.tty, options.sig_proxy)?;
    relay_started(connection, dirs, container, options, signals)
}

/// Relays until the end.
pub(super) fn relay_started(
    connection: OwnedFd,
    dirs: &Dirs,
    container: &Container,
    options: &LaunchOptions,
    signals: Signals,
) -> Result<Outcome> {
    let input_is_terminal = options.stdin && rustix::termios::isatty(rustix::stdio::stdin());
    let raw =
        if container.tty && input_is_terminal { Some(RawMode::enter(rustix::stdio::stdin())?) } else { None };
    let mut relay = Relay {
        connection,
        signals,
        raw,
        keys: DetachKeys::new(if container.tty { options.detach_keys.clone() } else { Vec::new() }),
        reads_stdin: options.stdin,
        to_monitor: None,
        to_us: None,
    };
    match relay.run()? {
        Some(outcome) => Ok(outcome),
        None => {
            drop(relay);
            outcome_from_record(dirs, &container.id)
        }
    }
}

struct Relay {
    connection: OwnedFd,
    signals: Signals,
    raw: Option<RawMode>,
    keys: DetachKeys,
    reads_stdin: bool,
    /// A packet that the monitor has not taken yet.
    to_monitor: Option<(u8, Vec<u8>)>,
    /// Output that our stdout or stderr has not taken yet, and where it goes on.
    to_us: Option<(BorrowedFd<'static>, Vec<u8>, usize)>,
}

impl Relay {
    /// `None`: the monitor is gone without a word.
    fn run(&mut self) -> Result<Option<Outcome>> {
        let mut packet = vec![0u8; MAX_PACKET];
        let stdin = rustix::stdio::stdin();
        loop {
            let mut wanted = PollFlags::empty();
            wanted.set(PollFlags::IN, self.to_us.is_none());
            wanted.set(PollFlags::OUT, self.to_monitor.is_some());
            let mut fds = vec![
                PollFd::new(&self.signals.fd, PollFlags::IN),
                PollFd::from_borrowed_fd(self.connection.as_fd(), wanted),
            ];
            let writes = self.to_us.as_ref().map(|(fd, ..)| *fd);
            fds.extend(writes.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)));
            let reads = self.reads_stdin && self.to_monitor.is_none();
            fds.extend(reads.then(|| PollFd::new(&stdin, PollFlags::IN)));
            poll(&mut fds)?;
            let mut ready = fds.iter().map(PollFd::revents);
            let mut next = || ready.next().unwrap_or(PollFlags::empty());
            let (signalled, monitor) = (next(), next());
            let writable = writes.is_some() && !next().is_empty();
            let readable = reads && !next().is_empty();

            if !signalled.is_empty() {
                self.handle_signals();
            }
            if writable && !self.write_piece() {
                return Ok(Some(Outcome::Exited(BROKEN_PIPE)));
            }
            if monitor.contains(PollFlags::OUT) {
                self.flush_input();
            }
            if readable && self.read_stdin() {
                return Ok(Some(Outcome::Detached));
            }
            let gone = monitor.intersects(PollFlags::HUP | PollFlags::ERR);
            if (monitor.contains(PollFlags::IN) || gone) && self.to_us.is_none() {
                match self.receive(&mut packet)? {
                    Received::More => {}
                    Received::Exited(code) => return Ok(Some(Outcome::Exited(code))),
                    Received::Gone => return Ok(None),
                }
            }
        }
    }

    fn receive(&mut self, packet: &mut [u8]) -> Result<Received> {
        let received =
            match socket::recv(self.connection.as_fd(), packet, &mut Vec::new(), RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => return Ok(Received::More),
                Ok(0) | Err(Errno::CONNRESET) => return Ok(Received::Gone),
                other => other.call(|| "recvmsg(monitor)")?,
            };
        let Some((tag, data)) = packet.get(..received).and_then(|packet| packet.split_first()) else {
            return Ok(Received::Gone);
        };
        match *tag {
            event::STDOUT => self.output(rustix::stdio::stdout(), data),
            event::STDERR => self.output(rustix::stdio::stderr(), data),
            event::EXITED => {
                let code = protocol::number(data).unwrap_or(255);
                return match data.get(4..) {
                    Some(error) if !error.is_empty() => {
                        let code = u8::try_from(code & 0xff).unwrap_or(u8::MAX);
                        Err(protocol::decode_error(error).with_exit_code(code))
                    }
                    _ => Ok(Received::Exited(code)),
                };
            }
            event::ERROR => return Err(protocol::decode_error(data)),
            _ => {}
        }
        Ok(Received::More)
    }

    fn output(&mut self, to: BorrowedFd<'static>, data: &[u8]) {
        self.to_us = Some((to, data.to_vec(), 0));
    }

    /// Writes one piece of what waits. False: nobody reads us any more.
    fn write_piece(&mut self) -> bool {
        let Some((fd, data, at)) = &mut self.to_us else { return true };
        let rest = data.get(*at..).unwrap_or_default();
        match rustix::io::write(*fd, rest.get(..PIECE).unwrap_or(rest)) {
            Ok(written) => *at += written,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return false,
        }
        if *at >= data.len() {
            self.to_us = None;
        }
        true
    }

    fn send(&mut self, tag: u8, data: &[u8]) {
        if socket::send(self.connection.as_fd(), &[tag], data, &[], SendFlags::DONTWAIT) == Err(Errno::AGAIN)
        {
            self.to_monitor = Some((tag, data.to_vec()));
        }
    }

    fn flush_input(&mut self) {
        if let Some((tag, data)) = self.to_monitor.take() {
            self.send(tag, &data);
        }
    }

    /// True: the user typed the detach keys.
    fn read_stdin(&mut self) -> bool {
        let mut buf = [0u8; CHUNK];
        match rustix::io::read(rustix::stdio::stdin(), &mut buf) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(0) | Err(_) => {
                self.reads_stdin = false;
                self.send(input::END, &[]);
            }
            Ok(read) => {
                let (typed, detach) = self.keys.filter(buf.get(..read).unwrap_or_default());
                if detach {
                    return true;
                }
                if !typed.is_empty() {
                    self.send(input::STDIN, &typed);
                }
            }
        }
        false
    }

    fn handle_signals(&mut self) {
        while let Some(signal) = self.signals.fd.next() {
            if signal == libc::SIGWINCH {
                if let Some((rows, columns)) = tty::own_size() {
                    let [r0, r1] = rows.to_le_bytes();
                    let [c0, c1] = columns.to_le_bytes();
                    self.send(input::RESIZE, &[r0, r1, c0, c1]);
                }
            } else if self.signals.terminal {
                self.raw = None;
                self.signals.die(signal);
            } else {
                self.send(input::SIGNAL, &signal.to_le_bytes());
            }
        }
    }
}

enum Received {
    More,
    Exited(i32),
    Gone,
}

/// Looks for the detach keys in what is typed.
#[derive(Debug)]
pub(super) struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

impl DetachKeys {
    pub(super) fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// What goes on to the container, and whether the keys are complete. Keys that may become the sequence are held
    /// back until they do not.
    pub(super) fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        if self.keys.is_empty() {
            return (typed.to_vec(), false);
        }
        let mut out = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.get(self.matched) != Some(byte) {
                out.extend_from_slice(self.keys.get(..self.matched).unwrap_or_default());
                self.matched = 0;
            }
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
            } else {
                out.push(*byte);
            }
            if self.matched == self.keys.len() {
                return (out, true);
            }
        }
        (out, false)
    }
}

/// Waits until one of them is ready, or a signal came.
pub fn poll(fds: &mut [PollFd<'_>]) -> Result<()> {
    match rustix::event::poll(fds, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(e).call(|| "poll()").map_err(Error::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_are_found_across_reads_and_held_back_until_then() {
        let mut keys = DetachKeys::new(vec![16, 17]);
        assert_eq!(keys.filter(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(keys.filter(b"c"), (b"\x10c".to_vec(), false));
        assert_eq!(keys.filter(b"\x10\x10\x11"), (b"\x10".to_vec(), true));
        assert_eq!(DetachKeys::new(Vec::new()).filter(b"\x10\x11"), (b"\x10\x11".to_vec(), false));
    }
}
