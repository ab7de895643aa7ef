//! The role `monitor`: the start of a container, in order. See `monitor` for the whole.

use super::events::Monitor;
use super::lock::{LOOKERS, Lifetime};
use super::protocol::{self, Launch, MAX_PACKET, event};
use super::{cgroup, guard, image};
use crate::error::{Error, Kind, Result};
use crate::id::ContainerId;
use crate::ondisk::container::{Container, Driver, LogDriver, Rootfs, State};
use crate::ondisk::{read, read_opt};
use crate::paths::Dirs;
use crate::store::fill::fill;
use crate::store::{rootfs, seed};
use crate::sys::fork::{Side, fork};
use crate::sys::signal::SignalFd;
use crate::sys::{self, CallContext, null, socket};
use crate::userns::{SYNC_FD, enter_store};
use rustix::fs::{Mode, OFlags};
use rustix::net::RecvFlags;
use std::cell::Cell;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Signals that the monitor takes as events.
const SIGNALS: [i32; 5] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// How long systemd may take for the request of a CLI that was killed.
const KILLED_CLI: Duration = Duration::from_secs(1);

/// What is known before the process splits.
pub(super) struct Prepared {
    pub dirs: Dirs,
    pub id: ContainerId,
    pub container: Container,
    pub state: State,
    pub bundle: OwnedFd,
    pub run: OwnedFd,
    pub lock: Lifetime,
    pub signals: SignalFd,
    pub rootfs: rootfs::Mounted,
    pub cgroup: Option<OwnedFd>,
    pub callers_stdio: Option<[OwnedFd; 3]>,
    /// `--preserve-fds`.
    pub preserved: Vec<OwnedFd>,
    pub launch: Launch,
}

impl Prepared {
    /// What the guard keeps. All fds are closed: an flock is held by whoever has the open file.
    fn into_ward(self) -> guard::Ward {
        guard::Ward { dirs: self.dirs, id: self.id, cgroup: self.launch.cgroup }
    }
}

/// `coracle --role monitor DATA RUN ID [image]`. `image`: the root file system stands on a mount that others use as well.
pub fn role_main(mut args: Vec<OsString>) -> ExitCode {
    let has_image = args.pop_if(|last| *last == *image::AWAITED).is_some();
    if sys::fds::close_inherited(SYNC_FD + 1).is_err() {
        return ExitCode::FAILURE;
    }
    let Some(sync) = sys::spawn::inherited_fd(SYNC_FD) else { return ExitCode::FAILURE };
    let answered = Cell::new(false);
    let split = prepare(&sync, &args, has_image, &answered).and_then(|prepared| {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .call(|| "prctl(PR_SET_CHILD_SUBREAPER)")?;
        Ok((fork()?, prepared))
    });
    match split {
        Ok((Side::Parent(monitor), prepared)) => {
            let ward = prepared.into_ward();
            drop(sync);
            guard::watch(monitor, &ward)
        }
        Ok((Side::Child, prepared)) => {
            live(sync, prepared);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = protocol::send(sync.as_fd(), event::ERROR, &protocol::encode_error(&error));
            if !answered.get() {
                await_scope(&sync, &args);
            }
            ExitCode::FAILURE
        }
    }
}

/// Stays until the CLI, which has asked for a scope, has its answer from systemd. A scope whose only process dies before it is in it is forgotten by
/// systemd, and its empty cgroup stays for ever. If the CLI was killed, nobody tells: then a second is enough. Whoever reads
/// the CLI's output to its end does not wait for that.
fn await_scope(sync: &OwnedFd, args: &[OsString]) {
    let _ = leave_stdio(false);
    let mut packet = vec![0u8; MAX_PACKET];
    let received = socket::recv(sync.as_fd(), &mut packet, &mut Vec::new(), RecvFlags::empty());
    let (Ok(0) | Err(_), Ok((_, id))) = (received, parse_args(args)) else { return };
    let scope = format!("/coracle-{id}.scope");
    let until = Instant::now() + KILLED_CLI;
    while Instant::now() < until && !cgroup::is_own(&scope) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `DATA RUN ID`.
pub(super) fn parse_args(args: &[OsString]) -> Result<(Dirs, ContainerId)> {
    let [data, run, id] = args else { return Err(Error::internal("a role wants DATA RUN ID")) };
    let id = ContainerId::parse(&id.to_string_lossy())?;
    let dirs = Dirs::only(data.into(), run.into());
    Ok((dirs, id))
}

fn prepare(sync: &OwnedFd, args: &[OsString], has_image: bool, answered: &Cell<bool>) -> Result<Prepared> {
    let (dirs, id) = parse_args(args)?;
    let signals = SignalFd::new(&SIGNALS)?;
    let _ = rustix::process::setsid();
    let lower = if has_image {
        Some(image::join(sync.as_fd(), answered)?)
    } else {
        enter_store(sync.as_fd()).map(|()| None)?
    };
    rustix::process::umask(Mode::from(0o022));
    rustix::process::chdir("/").call(|| "chdir(\"/\")")?;

    let run = open_run(&dirs, &id)?;
    let lock = Lifetime::try_acquire(run.as_fd())?
        .ok_or_else(|| Error::in_use("it is running already, or another command works on it"))?;
    // Only now: whoever removes a container has the lock.
    let (bundle, container) = open_bundle(&dirs, &id)?;
    let callers_stdio = leave_stdio(container.log.driver == LogDriver::Passthrough)?;
    let state = read_opt(&bundle, "state.json")?.unwrap_or_else(State::created);

    let made = mount_and_enter(sync, answered, &dirs, &container, lower);
    if made.is_err() && container.auto_remove {
        let _ = super::remove::remove_locked(&dirs, &container, true);
    }
    let ((launch, preserved), rootfs, cgroup) = made?;
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
        preserved,
        launch,
    })
}

/// The container's directory and record. When it was removed meanwhile, the runtime directory made for its lock goes too.
fn open_bundle(dirs: &Dirs, id: &ContainerId) -> Result<(OwnedFd, Container)> {
    match open_dir(&dirs.container(id)) {
        Ok(bundle) => {
            let container = read(&bundle, "container.json")?;
            Ok((bundle, container))
        }
        Err(e) if e.kind() == Kind::NotFound => {
            super::remove::clear_run(dirs, id)?;
            Err(Error::not_found("the container was removed"))
        }
        Err(e) => Err(e),
    }
}

/// Opens `<run>/<id>`, made when missing.
fn open_run(dirs: &Dirs, id: &ContainerId) -> Result<OwnedFd> {
    let all = dirs.open_run()?;
    match rustix::fs::mkdirat(&all, id.as_str(), Mode::from(0o700)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => open_dir(&dirs.container_run(id)),
        Err(e) => Err(e).call(|| format!("mkdirat({:?})", id.as_str())).map_err(Error::from),
    }
}

/// What the CLI sends, with its `--preserve-fds`.
type Launched = (Launch, Vec<OwnedFd>);

/// The kernel's overlay is mounted while the CLI still talks to systemd. A FUSE server must be born in the scope.
fn mount_and_enter(
    sync: &OwnedFd,
    answered: &Cell<bool>,
    dirs: &Dirs,
    container: &Container,
    lower: Option<rootfs::Lower>,
) -> Result<(Launched, rootfs::Mounted, Option<OwnedFd>)> {
    let late = matches!(
        container.rootfs,
        Rootfs::Layers { driver: Driver::FuseOverlayfs, .. }
            | Rootfs::Squash { driver: Driver::FuseOverlayfs, .. }
    );
    let mount = || rootfs::mount_for_payload(dirs, container, lower);
    let enter = || {
        let launched = receive_launch(sync, answered)?;
        let name = launched.0.cgroup.as_deref();
        let cgroup = name.map(cgroup::open).transpose()?;
        name.map_or(Ok(()), cgroup::enter_supervisor)?;
        Ok((launched, cgroup))
    };
    let (entered, rootfs) = if late {
        (Ok(enter()?), mount()?)
    } else {
        let mounted = mount();
        (enter(), mounted?)
    };
    let filled = entered.and_then(|entered| {
        fill(dirs, container, &rootfs)?;
        seed::apply(dirs, &container.id, &rootfs).map(|()| entered)
    });
    match filled {
        Ok((launched, cgroup)) => Ok((launched, rootfs, cgroup)),
        Err(error) => {
            // What is mounted cannot be removed.
            let _ = rootfs.umount();
            Err(error)
        }
    }
}

/// `answered`: the CLI has done its part, whatever became of it. Else it was killed.
fn receive_launch(sync: &OwnedFd, answered: &Cell<bool>) -> Result<Launched> {
    let mut packet = vec![0u8; MAX_PACKET];
    let mut fds = Vec::new();
    let received =
        socket::recv(sync.as_fd(), &mut packet, &mut fds, RecvFlags::empty()).call(|| "recvmsg(sync)")?;
    answered.set(received > 0);
    serde_json::from_slice(packet.get(..received).unwrap_or_default())
        .map(|launch| (launch, fds))
        .map_err(|_| Error::internal("the command that starts the container ended too early"))
}

/// Lets go of the caller's stdio: a pipe of the caller's must end when the caller ends. Kept for passthrough.
fn leave_stdio(keep: bool) -> Result<Option<[OwnedFd; 3]>> {
    let copy = |fd| rustix::io::fcntl_dupfd_cloexec(fd, 3).call(|| "fcntl(F_DUPFD_CLOEXEC)");
    let callers = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    if keep && callers.into_iter().any(rustix::termios::isatty) {
        return Err(Error::usage("the log driver passthrough cannot pass a terminal on")
            .cause("a program in the container could type into it (TIOCSTI)")
            .hint("Redirect stdin, stdout and stderr, or use --tty with another log driver."));
    }
    let kept = if keep {
        Some([copy(rustix::stdio::stdin())?, copy(rustix::stdio::stdout())?, copy(rustix::stdio::stderr())?])
    } else {
        None
    };
    null::leave_stdio()?;
    Ok(kept)
}

fn open_dir(path: &std::path::Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({path:?})"))?)
}

/// The monitor's life, from the split to the end.
fn live(sync: OwnedFd, prepared: Prepared) {
    let size = prepared.launch.size;
    let launch = prepared.launch.clone();
    let doomed = prepared.container.auto_remove.then(|| (prepared.dirs.clone(), prepared.container.clone()));
    let begun = Monitor::new(prepared).inspect_err(|_| {
        if let Some((dirs, container)) = doomed {
            let _ = super::remove::remove(&dirs, &container, true, LOOKERS);
        }
    });
    let begun = begun.and_then(|mut monitor| match monitor.bring_up(Some(&sync), size) {
        Ok(()) => Ok(monitor),
        Err(error) => {
            monitor.undo_start(&error);
            Err(error)
        }
    });
    match begun {
        Ok(mut monitor) => {
            monitor.greet(sync, &launch);
            let code = monitor.run_to_the_end();
            monitor.finish(code);
        }
        Err(error) => {
            let _ = protocol::send(sync.as_fd(), event::ERROR, &protocol::encode_error(&error));
        }
    }
}
