//! The monitor's state while a container runs, and its one poll loop.

use super::attach::{Clients, Role};
use super::control;
use super::ctr_log::{Log, Stream};
use super::ctr_stdio::CtrStdio;
use super::exec::Execs;
use super::lock::Lifetime;
use super::owners::Recorder;
use super::protocol::{CHUNK, event};
use crate::error::{Error, Result};
use crate::external::runtime::{Runtime, exit_code};
use crate::network::slirp4netns;
use crate::ondisk::container::{Container, State};
use crate::ondisk::{Durability, publish};
use crate::paths::Dirs;
use crate::store::rootfs::Mounted;
use crate::sys::signal::SignalFd;
use crate::sys::{self, CallContext};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, WaitOptions};
use rustix::time::Timespec;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest path of a socket (unix(7), sun_path).
const MAX_SOCKET_PATH: usize = 107;

/// With nothing to do for so long, the monitor makes itself small.
const CALM: Duration = Duration::from_millis(300);

/// Everything about one container while its monitor lives.
#[derive(Debug)]
pub(super) struct Monitor {
    pub dirs: Dirs,
    pub container: Container,
    pub state: State,
    /// `<data>/containers/<id>`.
    pub bundle: OwnedFd,
    /// `<run>/<id>`.
    pub run: OwnedFd,
    pub run_path: PathBuf,
    pub lock: Lifetime,
    pub runtime: Runtime,
    pub signals: SignalFd,
    pub cgroup: Option<OwnedFd>,
    pub network: Option<slirp4netns::Helper>,
    /// A network helper that was killed and need not be waited for.
    pub leaving: Option<rustix::process::Pid>,
    pub rootfs: Mounted,
    pub payload: Option<Payload>,
    /// The exit code of init, once it has ended.
    pub ended: Option<i32>,
    pub stdio: CtrStdio,
    /// The caller's own stdio, for `--log-driver passthrough`.
    pub callers_stdio: Option<[OwnedFd; 3]>,
    /// `--preserve-fds`, until the first start.
    pub preserved: Vec<OwnedFd>,
    pub log: Log,
    pub clients: Clients,
    pub execs: Execs,
    /// Who answers for the owners of files, where they are recorded.
    pub recorder: Option<Recorder>,
    pub listener: OwnedFd,
    /// `--timeout`, or the end of patience after SIGTERM.
    pub kill_at: Option<Instant>,
}

/// The payload's init.
#[derive(Debug)]
pub(super) struct Payload {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

/// What a polled fd belongs to.
#[derive(Debug, Clone, Copy)]
enum Source {
    Signals,
    Listener,
    Output(Stream),
    Stdin,
    RootfsServer,
    Client(usize),
    ExecClient(usize),
    ExecMaster(usize),
}

impl Monitor {
    /// Serves until init has ended, or until `until` has come. Returns init's exit code.
    pub(super) fn serve(&mut self, until: Option<Instant>) -> Result<Option<i32>> {
        loop {
            self.reap();
            if let Some(code) = self.ended.take() {
                return Ok(Some(self.blame_server(code)));
            }
            let now = Instant::now();
            if until.is_some_and(|until| now >= until || self.state.stop_requested) {
                return Ok(None);
            }
            if self.kill_at.is_some_and(|at| now >= at) {
                self.kill_at = None;
                if !self.state.stop_requested {
                    self.state.error =
                        Some(format!("the time limit of {} s is over", self.container.timeout));
                }
                self.kill_payload();
            }
            self.clients.sweep();
            for (source, events) in self.wait(until)? {
                self.handle(source, events);
            }
        }
    }

    /// Waits for the next events.
    fn wait(&self, until: Option<Instant>) -> Result<Vec<(Source, PollFlags)>> {
        let mut sources = Vec::with_capacity(8);
        let mut fds = Vec::with_capacity(8);
        {
            let mut add = |source, fd, events| {
                sources.push(source);
                fds.push(PollFd::from_borrowed_fd(fd, events));
            };
            add(Source::Signals, self.signals.as_fd(), PollFlags::IN);
            add(Source::Listener, self.listener.as_fd(), PollFlags::IN);
            if !self.clients.is_full() {
                // Taken up backwards: stdout first, as most programs write when they write to both.
                for (stream, fd) in
                    [(Stream::Stderr, &self.stdio.stderr), (Stream::Stdout, &self.stdio.stdout)]
                {
                    if let Some(fd) = fd {
                        add(Source::Output(stream), fd.as_fd(), PollFlags::IN);
                    }
                }
            }
            let input_waits = !self.stdio.waiting.is_empty();
            if let (true, Some(fd)) = (input_waits, &self.stdio.stdin) {
                add(Source::Stdin, fd.as_fd(), PollFlags::OUT);
            }
            if let Some(server) = &self.rootfs.server {
                add(Source::RootfsServer, server.as_fd(), PollFlags::IN);
            }
            for (index, client) in self.clients.0.iter().enumerate() {
                let mut events = PollFlags::empty();
                events.set(PollFlags::IN, !input_waits || client.role == Role::New);
                events.set(PollFlags::OUT, client.is_waiting());
                add(Source::Client(index), client.socket.as_fd(), events);
            }
            for (index, exec) in self.execs.all.iter().enumerate() {
                if let Some(client) = &exec.client {
                    add(Source::ExecClient(index), client.as_fd(), PollFlags::IN);
                } else if let (true, Some(master)) = (exec.drains(), &exec.master) {
                    add(Source::ExecMaster(index), master.as_fd(), PollFlags::IN);
                }
            }
        }
        let deadline = [until, self.kill_at, self.clients.deadline()].into_iter().flatten().min();
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left().is_none_or(|left| left > CALM) && calm(&mut fds)? {
            sys::fork::forget_code();
        }
        let timeout = left().map(timespec);
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e).call(|| "poll()").map_err(Error::from),
        }
        // Backwards, so that an event that removes its client leaves the indices of those before it.
        let ready = sources.into_iter().zip(fds.iter().map(PollFd::revents));
        Ok(ready.filter(|(_, events)| !events.is_empty()).rev().collect())
    }

    fn handle(&mut self, source: Source, events: PollFlags) {
        match source {
            Source::Signals => self.handle_signals(),
            Source::Listener => control::accept(self),
            Source::Output(stream) => drop(self.relay(stream)),
            Source::Stdin => self.stdio.flush(),
            Source::RootfsServer => {
                self.rootfs.server = None;
                self.state.error = Some(super::blame::SERVER_DIED.to_owned());
                self.kill_payload();
            }
            Source::Client(index) => {
                let Some(client) = self.clients.0.get_mut(index) else { return };
                if events.contains(PollFlags::OUT) {
                    client.flush();
                }
                if events.contains(PollFlags::IN) {
                    control::receive(self, index);
                } else if events.intersects(PollFlags::HUP | PollFlags::ERR) {
                    client.closed = true;
                }
            }
            Source::ExecClient(index) => {
                self.execs.all.get_mut(index).into_iter().for_each(super::exec::Exec::client_left);
            }
            Source::ExecMaster(index) => {
                self.execs.all.get_mut(index).into_iter().for_each(super::exec::Exec::drain);
            }
        }
    }

    /// One chunk of output: to the log, then to the clients. False: there was none.
    pub(super) fn relay(&mut self, stream: Stream) -> bool {
        // On the heap: so much stack would stay with this process for ever.
        let mut buf = vec![0u8; CHUNK];
        let read = self.stdio.read(stream, &mut buf);
        let Some(chunk) = buf.get(..read).filter(|chunk| !chunk.is_empty()) else { return false };
        self.log.write(stream, chunk);
        let tag = if stream == Stream::Stdout { event::STDOUT } else { event::STDERR };
        self.clients.output(tag, chunk);
        true
    }

    fn handle_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            // SIGCHLD needs no more than the wakeup: `reap` asks for every child.
            if signal == libc::SIGTERM || signal == libc::SIGINT {
                let patience = Duration::from_secs(u64::from(self.container.stop_timeout));
                self.kill_at = Some(Instant::now() + patience);
                let _ = self.signal(self.container.stop_signal, true);
            }
        }
    }

    /// Collects every child that has ended. Runtimes first: their pid files say what the others were.
    pub(super) fn reap(&mut self) {
        let mut ended = Vec::new();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            ended.push((pid, exit_code(status)));
        }
        ended.retain(|(pid, code)| !self.exec_runtime_ended(*pid, *code));
        for (pid, code) in ended {
            if self.payload.as_ref().is_some_and(|payload| payload.pid == pid.as_raw_nonzero().get()) {
                self.ended = Some(code);
            } else if !self.recorder_ended(pid) {
                self.exec_ended(pid, code);
            }
        }
    }

    /// SIGKILL for everything of the payload.
    pub(super) fn kill_payload(&self) {
        if let Some(cgroup) = &self.cgroup {
            super::cgroup::kill(cgroup.as_fd(), super::cgroup::PAYLOAD);
        }
        if let Some(payload) = &self.payload {
            let _ = sys::signal::send(payload.pidfd.as_fd(), libc::SIGKILL);
        }
    }

    /// Writes state.json for everybody to see; it need not survive a power cut yet.
    pub(super) fn publish(&self) -> Result<()> {
        publish(&self.bundle, "state.json", &self.state, Durability::Volatile)
    }

    /// The pid that a runtime wrote into a file of the runtime directory.
    pub(super) fn read_pid(&self, file: &str) -> Result<Pid> {
        let fd = rustix::fs::openat(&self.run, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .call(|| format!("openat({file:?})"))?;
        let mut buf = [0u8; 16];
        let read = rustix::io::read(&fd, &mut buf).call(|| format!("read({file:?})"))?;
        let text = std::str::from_utf8(buf.get(..read).unwrap_or_default()).unwrap_or_default();
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| Error::internal(format_args!("the OCI runtime wrote no pid into {file}")))
    }

    /// How the runtime finds a socket of the runtime directory: by its path, or, where that is too long for a socket,
    /// through the directory as its fd `number`.
    pub(super) fn console_path(&self, name: &str, number: i32) -> String {
        let path = self.run_path.join(name).to_string_lossy().into_owned();
        if path.len() > MAX_SOCKET_PATH { format!("/proc/self/fd/{number}/{name}") } else { path }
    }
}

/// Nothing has happened for a while: most monitors wait for weeks, and then need none of the code of the start.
fn calm(fds: &mut [PollFd<'_>]) -> Result<bool> {
    match rustix::event::poll(fds, Some(&timespec(CALM))) {
        Ok(ready) => Ok(ready == 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(e) => Err(e).call(|| "poll()").map_err(Error::from),
    }
}

/// Whether `console_path` needs the directory's fd. Only then the runtime gets it.
pub(super) fn is_through_fd(path: &str) -> bool {
    path.starts_with("/proc/self/fd/")
}

/// A duration as the kernel wants it.
pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
