//! Bringing the payload up: create, network, record, start; once for the CLI that waits, and again for each restart.

use super::attach::{Client, Clients, Role};
use super::ctr_stdio::{self, CtrStdio};
use super::events::{Monitor, Payload, is_through_fd};
use super::exec::Execs;
use super::protocol::{Launch, event};
use super::role::Prepared;
use super::{control, ctr_log, recover};
use crate::error::{Context, Error, Kind, Result};
use crate::external::runtime::{Birth, FIRST_FD, Run, Runtime, create_args, plain_args};
use crate::network::slirp4netns;
use crate::ondisk::container::{NetworkMode, State, Status};
use crate::ondisk::{Durability, atomic, atomic::Room};
use crate::sys::{CallContext, socket};
use rustix::event::{PollFd, PollFlags};
use rustix::net::SocketType;
use rustix::process::{PidfdFlags, Signal};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// The name of the console socket in the runtime directory.
const CONSOLE: &str = "console";

/// More than any state.json of a running container has.
const ROOM_OF_STATE: u64 = 4 << 10;

impl Monitor {
    pub(super) fn new(prepared: Prepared) -> Result<Self> {
        let me = rustix::process::getpid();
        let _ = rustix::thread::set_name(c"coracle-monitor");
        rustix::process::set_child_subreaper(Some(me)).call(|| "prctl(PR_SET_CHILD_SUBREAPER)")?;
        let Prepared {
            dirs,
            id,
            container,
            mut state,
            bundle,
            run,
            lock,
            signals,
            rootfs,
            cgroup,
            callers_stdio,
            preserved,
            launch,
        } = prepared;
        let run_path = dirs.container_run(&id);
        let runtime = Runtime::open(container.runtime.as_deref(), run_path.join("oci"), cgroup.is_some())?;
        let log = ctr_log::Log::open(&container, &bundle)?;
        let listener = socket::listen_at(run.as_fd(), control::SOCKET, SocketType::SEQPACKET)?;
        state.monitor_pid = Some(me.as_raw_nonzero().get());
        state.pid_start = None;
        state.boot_id = Some(recover::boot_id());
        state.cgroup = launch.cgroup;
        state.restarts = 0;
        state.stop_requested = false;
        Ok(Self {
            dirs,
            container,
            state,
            bundle,
            run,
            run_path,
            lock,
            runtime,
            signals,
            cgroup,
            network: None,
            leaving: None,
            rootfs,
            payload: None,
            ended: None,
            stdio: CtrStdio::default(),
            callers_stdio,
            preserved,
            log,
            clients: Clients::default(),
            execs: Execs::default(),
            recorder: None,
            listener,
            kill_at: None,
        })
    }

    /// create, network, record, start. With `sync`: gives up when the CLI dies before the commit.
    ///
    /// Where nothing has to happen between create and start, the runtime does both in one go (it is started once less). Then
    /// the record comes after: killed before it, both of us, the next command finds the container by the runtime's own.
    pub(super) fn bring_up(&mut self, sync: Option<&OwnedFd>, size: Option<(u16, u16)>) -> Result<()> {
        self.try_bring_up(sync, size).map_err(|error| self.explain_start(error))
    }

    fn try_bring_up(&mut self, sync: Option<&OwnedFd>, size: Option<(u16, u16)>) -> Result<()> {
        let birth = self.birth();
        self.start_recorder()?;
        // The payload may fill the disk before its start is on record.
        let bundle = self.bundle.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
        let room = Room::take(bundle.as_fd(), "state.json", ROOM_OF_STATE)?;
        self.create(birth, sync, size).map_err(|error| self.recorders_error().unwrap_or(error))?;
        let pid = self.read_pid("pid")?;
        let pidfd =
            rustix::process::pidfd_open(pid, PidfdFlags::empty()).call(|| format!("pidfd_open({pid:?})"))?;
        let pid = pid.as_raw_nonzero().get();
        self.payload = Some(Payload { pid, pidfd });
        self.start_network(pid)?;
        self.write_pid_file(pid)?;
        if sync.is_some_and(is_hung_up) {
            return Err(Error::internal("the command that starts the container ended too early"));
        }

        self.state.status = Status::Running;
        self.state.pid = Some(pid);
        self.state.pid_start = recover::start_time(pid);
        self.state.started = Some(ctr_log::now());
        (self.state.finished, self.state.exit_code, self.state.error, self.state.oom_killed) =
            (None, None, None, false);
        room.publish(&self.state)?;
        if birth == Birth::Create {
            self.runtime.run(&plain_args("start", self.container.id.as_str()))?;
        }
        if self.container.timeout > 0 {
            self.kill_at = Some(Instant::now() + Duration::from_secs(u64::from(self.container.timeout)));
        }
        Ok(())
    }

    /// A pid file is there before the payload looks for it.
    fn birth(&self) -> Birth {
        let helped = !matches!(self.container.network.mode, NetworkMode::None | NetworkMode::Host);
        if helped || self.container.pid_file.is_some() { Birth::Create } else { Birth::Run }
    }

    fn create(&mut self, birth: Birth, sync: Option<&OwnedFd>, size: Option<(u16, u16)>) -> Result<()> {
        let console =
            self.container.tty.then(|| ctr_stdio::listen_console(self.run.as_fd(), CONSOLE)).transpose()?;
        let console_path = console.is_some().then(|| self.console_path(CONSOLE, FIRST_FD));
        let bundle = self.dirs.container(&self.container.id);
        let pid_file = self.run_path.join("pid");
        // The payload's from now on. A copy here would keep a pipe of the caller's open; a restart gets none.
        let preserved = std::mem::take(&mut self.preserved);
        let id = self.container.id.as_str();
        let args = create_args(birth, id, &bundle, &pid_file, console_path.as_deref(), preserved.len());
        let through_fd = console_path.is_some_and(|path| is_through_fd(&path));
        let passed = if through_fd { vec![self.run.as_fd()] } else { Vec::new() };

        let (mut ours, theirs) = self.make_stdio()?;
        let [stdin, stdout, stderr] = &theirs;
        let stdio = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let run = self.runtime.start(&args, stdio, &preserved, &self.with_recorder(passed))?;
        drop((theirs, preserved));
        let code = wait_or_give_up(&run, sync)?;
        if code != 0 {
            let mut words = [0u8; 4096];
            let read = ours.read(ctr_log::Stream::Stderr, &mut words);
            return Err(run.failure(code, words.get(..read).unwrap_or_default()));
        }
        self.stdio = match console {
            Some(console) => {
                let _ = rustix::fs::unlinkat(&self.run, CONSOLE, rustix::fs::AtFlags::empty());
                CtrStdio::terminal(ctr_stdio::receive_master(console.as_fd())?, size)?
            }
            None => ours,
        };
        Ok(())
    }

    /// Our ends and the runtime's. With a terminal only the runtime's words come through them.
    fn make_stdio(&self) -> Result<(CtrStdio, [OwnedFd; 3])> {
        match &self.callers_stdio {
            Some([stdin, stdout, stderr]) => {
                let copy = |fd: &OwnedFd| fd.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)");
                Ok((CtrStdio::default(), [copy(stdin)?, copy(stdout)?, copy(stderr)?]))
            }
            None => ctr_stdio::pipes(self.container.interactive && !self.container.tty),
        }
    }

    fn start_network(&mut self, pid: i32) -> Result<()> {
        let network = &self.container.network;
        match &network.mode {
            NetworkMode::Slirp4netns { options } => {
                self.network = Some(slirp4netns::start(self.run.as_fd(), pid, options, &network.ports)?);
                Ok(())
            }
            NetworkMode::Pasta { .. } => {
                Err(Error::host("network mode pasta does not work yet").hint("Use `--network slirp4netns`."))
            }
            NetworkMode::None | NetworkMode::Host => Ok(()),
        }
    }

    /// `--pidfile`.
    fn write_pid_file(&self, pid: i32) -> Result<()> {
        let Some(path) = &self.container.pid_file else { return Ok(()) };
        let (dir, name) = ctr_log::split(path.as_ref()).what(|| "cannot write the pid file")?;
        atomic::publish_bytes(dir.as_fd(), &name, pid.to_string().as_bytes(), Durability::Volatile)
            .what(|| format!("cannot write the pid file {path}"))
    }

    /// Tells the CLI that it runs; the CLI stays as a client or goes.
    pub(super) fn greet(&mut self, sync: OwnedFd, launch: &Launch) {
        let mut client = Client::new(sync, Role::Owner);
        let pid = self.state.pid.unwrap_or(0);
        client.send(event::STARTED, &pid.to_le_bytes());
        if launch.attach {
            self.clients.0.push(client);
        }
    }

    /// Serves until the last end: restarts are in here.
    pub(super) fn run_to_the_end(&mut self) -> i32 {
        loop {
            let begin = Instant::now();
            let code = match self.serve(None) {
                Ok(code) => code.unwrap_or(0),
                Err(error) => {
                    self.state.error = Some(error.to_string());
                    self.kill_payload();
                    255
                }
            };
            self.bring_down(code);
            let Some(pause) = self.restart_after(code, begin.elapsed()) else { return code };
            // A foreground client saw one run of the payload.
            let last_word = self.last_word(code);
            std::mem::take(&mut self.clients).finish(event::EXITED, &last_word);
            let _ = self.publish();
            if !matches!(self.serve(Some(Instant::now() + pause)), Ok(None)) || self.state.stop_requested {
                return code;
            }
            self.state.restarts += 1;
            if let Err(error) = self.bring_up(None, None) {
                self.state.error = Some(error.to_string());
                self.bring_down(i32::from(error.exit_code()));
                return i32::from(error.exit_code());
            }
            let _ = self.publish();
        }
    }

    /// A start that failed leaves nothing but the container as it was created (nothing at all with `--rm`).
    pub(super) fn undo_start(mut self, error: &Error) {
        self.kill_payload();
        self.bring_down(i32::from(error.exit_code()));
        self.state = State { error: Some(error.to_string()), ..State::created() };
        if !self.container.auto_remove {
            let _ = self.publish();
        }
        // What is mounted cannot be removed.
        let _ = self.rootfs.umount();
        if self.container.auto_remove {
            let _ = super::remove::remove_locked(&self.dirs, &self.container, true);
        } else {
            super::remove::clean_run_dir(&self.run);
        }
    }
}

/// Waits for `create`; kills it when the CLI is gone, whom nobody could tell that the container runs.
fn wait_or_give_up(run: &Run, sync: Option<&OwnedFd>) -> Result<i32> {
    let Some(sync) = sync else { return run.wait() };
    let pidfd = rustix::process::pidfd_open(run.pid, PidfdFlags::empty()).call(|| "pidfd_open(runtime)")?;
    loop {
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN), PollFd::new(sync, PollFlags::RDHUP)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e).call(|| "poll(runtime)").map_err(Error::from),
        }
        let [ended, hung_up] = fds.map(|fd| !fd.revents().is_empty());
        if ended {
            return run.wait();
        }
        if hung_up {
            let _ = rustix::process::kill_process(run.pid, Signal::KILL);
            let _ = run.wait();
            return Err(Error::new(Kind::Internal, "the command that starts the container ended too early"));
        }
    }
}

fn is_hung_up(sync: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(sync, PollFlags::RDHUP)];
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    let polled = rustix::event::poll(&mut fds, Some(&now));
    polled.is_ok_and(|ready| ready > 0)
}
