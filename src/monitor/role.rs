//! The role `monitor`: the start of a container, in order. See `monitor` for the whole.

use super::attach::{Client, Clients, Role};
use super::ctr_stdio::{self, CtrStdio};
use super::events::{Monitor, Payload, is_through_fd};
use super::exec::Execs;
use super::lock::Lifetime;
use super::protocol::{self, Launch, MAX_PACKET, event};
use super::{cgroup, control, ctr_log, guard, recover};
use crate::error::{Context, Error, Kind, Result};
use crate::external::runtime::{FIRST_FD, Run, Runtime, create_args, open_null, plain_args};
use crate::id::ContainerId;
use crate::network::slirp4netns;
use crate::ondisk::container::{Container, Driver, LogDriver, NetworkMode, Rootfs, State, Status};
use crate::ondisk::{Durability, atomic, read, read_opt};
use crate::paths::Dirs;
use crate::store::rootfs;
use crate::sys::fork::{Side, fork};
use crate::sys::signal::SignalFd;
use crate::sys::{self, CallContext, socket};
use crate::userns::{SYNC_FD, enter_store};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::net::{RecvFlags, SocketType};
use rustix::process::{PidfdFlags, Signal};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The name of the console socket in the runtime directory.
const CONSOLE: &str = "console";

/// Signals that the monitor takes as events.
const SIGNALS: [i32; 5] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// What is known before the process splits.
struct Prepared {
    dirs: Dirs,
    id: ContainerId,
    container: Container,
    state: State,
    bundle: OwnedFd,
    run: OwnedFd,
    lock: Lifetime,
    signals: SignalFd,
    rootfs: rootfs::Mounted,
    cgroup: Option<OwnedFd>,
    callers_stdio: Option<[OwnedFd; 3]>,
    launch: Launch,
}

/// `coracle --role monitor DATA RUN ID`.
pub fn role_main(args: Vec<OsString>) -> ExitCode {
    let Some(sync) = sys::spawn::inherited_fd(SYNC_FD) else { return ExitCode::FAILURE };
    let split = prepare(&sync, &args).and_then(|prepared| {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .call(|| "prctl(PR_SET_CHILD_SUBREAPER)")?;
        Ok((fork()?, prepared))
    });
    match split {
        Ok((Side::Parent(monitor), prepared)) => {
            let Prepared { dirs, id, launch, .. } = prepared;
            drop(sync);
            guard::watch(monitor, &dirs, &id, launch.cgroup.as_deref())
        }
        Ok((Side::Child, prepared)) => {
            live(sync, prepared);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = protocol::send(sync.as_fd(), event::ERROR, &protocol::encode_error(&error));
            ExitCode::FAILURE
        }
    }
}

/// `DATA RUN ID`.
pub(super) fn parse_args(args: &[OsString]) -> Result<(Dirs, ContainerId)> {
    let [data, run, id] = args else { return Err(Error::internal("a role wants DATA RUN ID")) };
    let id = ContainerId::parse(&id.to_string_lossy())?;
    let dirs =
        Dirs { data: data.into(), run: run.into(), config: PathBuf::new(), home: None, run_note: None };
    Ok((dirs, id))
}

fn prepare(sync: &OwnedFd, args: &[OsString]) -> Result<Prepared> {
    let (dirs, id) = parse_args(args)?;
    let signals = SignalFd::new(&SIGNALS)?;
    let _ = rustix::process::setsid();
    enter_store(sync.as_fd())?;
    rustix::process::umask(Mode::from(0o022));
    rustix::process::chdir("/").call(|| "chdir(\"/\")")?;

    let bundle = open_dir(&dirs.container(&id))?;
    let container: Container = read(&bundle, "container.json")?;
    let callers_stdio = leave_stdio(container.log.driver == LogDriver::Passthrough)?;
    let run_dir = dirs.open_run()?;
    match rustix::fs::mkdirat(&run_dir, id.as_str(), Mode::from(0o700)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(e) => return Err(e).call(|| format!("mkdirat({:?})", id.as_str())).map_err(Error::from),
    }
    let run = open_dir(&dirs.container_run(&id))?;
    let lock = Lifetime::try_acquire(run.as_fd())?.ok_or_else(|| Error::in_use("it is running already"))?;
    let state = read_opt(&bundle, "state.json")?.unwrap_or_else(State::created);

    // The kernel's overlay is mounted while the CLI still talks to systemd. A FUSE server must be born in the scope.
    let late = matches!(container.rootfs, Rootfs::Layers { driver: Driver::FuseOverlayfs, .. });
    let early = if late { None } else { Some(rootfs::mount(&dirs, &container)?) };
    let launch = receive_launch(sync)?;
    let cgroup = launch.cgroup.as_deref().map(cgroup::open).transpose()?;
    launch.cgroup.as_deref().map_or(Ok(()), cgroup::enter_supervisor)?;
    let rootfs = match early {
        Some(mounted) => mounted,
        None => rootfs::mount(&dirs, &container)?,
    };
    Ok(Prepared {
        dirs,
        id,
        container,
        state,
        bundle,
        run,
        lock,
        signals,
        rootfs,
        cgroup,
        callers_stdio,
        launch,
    })
}

fn receive_launch(sync: &OwnedFd) -> Result<Launch> {
    let mut packet = vec![0u8; MAX_PACKET];
    let received = socket::recv(sync.as_fd(), &mut packet, &mut Vec::new(), RecvFlags::empty())
        .call(|| "recvmsg(sync)")?;
    serde_json::from_slice(packet.get(..received).unwrap_or_default())
        .map_err(|_| Error::internal("the command that starts the container ended too early"))
}

/// Lets go of the caller's stdio: a pipe of the caller's must end when the caller ends. Kept for passthrough.
fn leave_stdio(keep: bool) -> Result<Option<[OwnedFd; 3]>> {
    let copy = |fd| rustix::io::fcntl_dupfd_cloexec(fd, 3).call(|| "fcntl(F_DUPFD_CLOEXEC)");
    let kept = if keep {
        Some([copy(rustix::stdio::stdin())?, copy(rustix::stdio::stdout())?, copy(rustix::stdio::stderr())?])
    } else {
        None
    };
    let null = open_null()?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .call(|| "dup2(/dev/null)")?;
    Ok(kept)
}

fn open_dir(path: &std::path::Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({path:?})"))?)
}

/// The monitor's life, from the split to the end.
fn live(sync: OwnedFd, prepared: Prepared) {
    let launch = prepared.launch.clone();
    let mut monitor = match Monitor::new(prepared) {
        Ok(monitor) => monitor,
        Err(error) => {
            let _ = protocol::send(sync.as_fd(), event::ERROR, &protocol::encode_error(&error));
            return;
        }
    };
    if let Err(error) = monitor.bring_up(Some(&sync), launch.size) {
        monitor.undo_start(&error);
        let _ = protocol::send(sync.as_fd(), event::ERROR, &protocol::encode_error(&error));
        return;
    }
    monitor.greet(sync, &launch);
    let code = monitor.run_to_the_end();
    monitor.finish(code);
}

impl Monitor {
    fn new(prepared: Prepared) -> Result<Self> {
        let me = rustix::process::getpid();
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
            launch,
        } = prepared;
        let run_path = dirs.container_run(&id);
        let runtime = Runtime::open(container.runtime.as_deref(), run_path.join("oci"), cgroup.is_some())?;
        let log = ctr_log::Log::open(&container, &bundle)?;
        let listener = socket::listen_at(run.as_fd(), control::SOCKET, SocketType::SEQPACKET)?;
        state.monitor_pid = Some(me.as_raw_nonzero().get());
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
            rootfs,
            payload: None,
            ended: None,
            stdio: CtrStdio::default(),
            callers_stdio,
            log,
            clients: Clients::default(),
            execs: Execs::default(),
            listener,
            kill_at: None,
        })
    }

    /// create, network, record, start. With `sync`: gives up when the CLI dies before the commit.
    fn bring_up(&mut self, sync: Option<&OwnedFd>, size: Option<(u16, u16)>) -> Result<()> {
        self.create(sync, size)?;
        let pid = self.read_pid("pid")?;
        let pidfd =
            rustix::process::pidfd_open(pid, PidfdFlags::empty()).call(|| format!("pidfd_open({pid:?})"))?;
        let pid = pid.as_raw_nonzero().get();
        self.payload = Some(Payload { pid, pidfd });
        self.start_network(pid)?;
        self.write_pid_file(pid)?;
        if sync.is_some_and(|sync| is_hung_up(sync)) {
            return Err(Error::internal("the command that starts the container ended too early"));
        }

        self.state.status = Status::Running;
        self.state.pid = Some(pid);
        self.state.pid_start = recover::start_time(pid);
        self.state.started = Some(ctr_log::now());
        (self.state.finished, self.state.exit_code, self.state.error, self.state.oom_killed) =
            (None, None, None, false);
        self.publish()?;
        self.runtime.run(&plain_args("start", self.container.id.as_str()))?;
        if self.container.timeout > 0 {
            self.kill_at = Some(Instant::now() + Duration::from_secs(u64::from(self.container.timeout)));
        }
        Ok(())
    }

    fn create(&mut self, sync: Option<&OwnedFd>, size: Option<(u16, u16)>) -> Result<()> {
        let console =
            self.container.tty.then(|| ctr_stdio::listen_console(self.run.as_fd(), CONSOLE)).transpose()?;
        let console_path = console.is_some().then(|| self.console_path(CONSOLE, FIRST_FD));
        let bundle = self.dirs.container(&self.container.id);
        let pid_file = self.run_path.join("pid");
        let args = create_args(self.container.id.as_str(), &bundle, &pid_file, console_path.as_deref());
        let through_fd = console_path.is_some_and(|path| is_through_fd(&path));
        let passed = if through_fd { vec![self.run.as_fd()] } else { Vec::new() };

        let (mut ours, theirs) = self.make_stdio()?;
        let [stdin, stdout, stderr] = &theirs;
        let run = self.runtime.start(&args, [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()], &passed)?;
        drop(theirs);
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
            NetworkMode::None
            | NetworkMode::Host
            | NetworkMode::Container { .. }
            | NetworkMode::Ns { .. } => Ok(()),
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
    fn greet(&mut self, sync: OwnedFd, launch: &Launch) {
        let mut client = Client::new(sync, Role::Owner);
        let pid = self.state.pid.unwrap_or(0);
        client.send(event::STARTED, &pid.to_le_bytes());
        if launch.attach {
            self.clients.0.push(client);
        }
    }

    /// Serves until the last end: restarts are in here.
    fn run_to_the_end(&mut self) -> i32 {
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
            std::mem::take(&mut self.clients).finish(event::EXITED, &code.to_le_bytes());
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
    fn undo_start(&mut self, error: &Error) {
        self.kill_payload();
        self.bring_down(i32::from(error.exit_code()));
        self.state = State { error: Some(error.to_string()), ..State::created() };
        if self.container.auto_remove {
            let _ = super::remove::remove_locked(&self.dirs, &self.container, true);
        } else {
            let _ = self.publish();
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
