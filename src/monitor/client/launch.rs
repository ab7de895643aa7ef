//! Starting a container's monitor and waiting until it says that the payload runs.
//!
//! Until then our death undoes the start, so an interrupt may simply kill us. From then on signals belong to the payload.
//! They are blocked before the start and read from a signalfd, so that none falls between the two.

use super::relay::{self, Signals};
use super::{LaunchOptions, Outcome, outcome_from_record};
use crate::cgroup::{delegate, scope};
use crate::error::{Context, Error, Result};
use crate::id::ContainerId;
use crate::monitor::lock::Lifetime;
use crate::monitor::protocol::{self, Launch, MAX_PACKET, event};
use crate::monitor::{image, records, recover, remove};
use crate::ondisk::container::{Cgroups, Container, Rootfs};
use crate::ondisk::{self, Durability, atomic};
use crate::paths::Dirs;
use crate::store::squash::{Coming, Shared, SquashFile};
use crate::sys::{CallContext, tty};
use crate::userns::{self, IdMaps, Mapping, RoleChild, StoreMap, idmap};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A monitor on its way: a process, its id maps and its scope, none of which needs to know the container. `run` makes the
/// container's records while newuidmap and systemd work.
///
/// Dropped, it undoes itself: the monitor ends when nobody holds the sync socket, and an empty scope ends too.
#[derive(Debug)]
pub struct HeadStart {
    child: RoleChild,
    namespace: Namespace,
    scope: Option<scope::Request>,
    map: StoreMap,
}

/// The user namespace that a monitor waits for.
#[derive(Debug)]
enum Namespace {
    /// One of its own.
    Own(Mapping),
    /// That of the mount of its image.
    OfImage(Coming),
}

impl Namespace {
    /// Lets the monitor go on in it. Returns when nothing can come in between any more.
    fn finish(self, child: &RoleChild) -> Result<()> {
        match self {
            Self::Own(mapping) => mapping.finish(child),
            Self::OfImage(coming) => {
                let mounted = coming.mounted()?;
                // It may have failed already: then its error is in the socket.
                let _ = image::let_go(child.sync.as_fd(), &mounted.shared);
                mounted.served().map(drop)
            }
        }
    }
}

impl HeadStart {
    /// Begins the start of the container that has or will have this id. `file`: its image, where that is one file.
    pub fn begin(
        dirs: &Dirs,
        id: &ContainerId,
        cgroups: Cgroups,
        options: &LaunchOptions,
        file: Option<&SquashFile>,
    ) -> Result<Self> {
        dirs.open_data()?;
        dirs.open_run()?;
        let map = userns::store_map()?;
        let coming = file.map(|file| Shared::begin(dirs, file, &map, place)).transpose()?;
        let mut args: Vec<OsString> =
            vec![dirs.data.clone().into(), dirs.run.clone().into(), id.as_str().into()];
        args.extend(coming.iter().map(|_| image::AWAITED.into()));
        let child = userns::spawn_role("monitor", &args, &[])?;
        let wanted = options.scope && cgroups != Cgroups::Disabled;
        let scope = wanted.then(|| {
            scope::request(
                format!("coracle-{id}.scope"),
                child.pid,
                format!("coracle container {}", id.short()),
            )
        });
        let namespace = match coming {
            Some(coming) => Namespace::OfImage(coming),
            None => Namespace::Own(userns::start_mapping(&child, &map)?),
        };
        Ok(Self { child, namespace, scope: scope.flatten(), map })
    }
}

/// The holder of an image's mount outlives the container that it is started for, so it gets a scope of its own; without
/// systemd it stays where we are. Its server is born there, so the holder waits for the move.
fn place(key: &str, pid: i32) -> Box<dyn FnOnce()> {
    let name = format!("coracle-image-{key}-{pid}.scope");
    let request = scope::request(name, pid, "a container image's mount".to_owned());
    Box::new(|| {
        let _ = request.map(scope::Request::finish);
    })
}

/// The image of a container, where that is one file: the one that it was made from.
fn image_file(container: &Container) -> Result<Option<SquashFile>> {
    let Rootfs::Squash { file, stamp, .. } = &container.rootfs else { return Ok(None) };
    let image = SquashFile::open(file)?;
    image.check_stamp(stamp)?;
    Ok(Some(image))
}

/// Starts the container. In the foreground it returns when the container has ended, or the user has left it.
pub fn launch(dirs: &Dirs, container: &Container, options: &LaunchOptions) -> Result<Outcome> {
    let file = image_file(container)?;
    let head_start = HeadStart::begin(dirs, &container.id, container.cgroups, options, file.as_ref())?;
    launch_with(head_start, dirs, container, options)
}

/// The same with a monitor that is on its way.
pub fn launch_with(
    head_start: HeadStart,
    dirs: &Dirs,
    container: &Container,
    options: &LaunchOptions,
) -> Result<Outcome> {
    let signals = options.attach.then(|| Signals::take(container.tty, options.sig_proxy)).transpose()?;
    let HeadStart { child, namespace, scope, map } = head_start;
    let handed =
        namespace.finish(&child).and_then(|()| hand_over(dirs, container, options, &child, scope, &map));
    if let Err(error) = handed {
        let RoleChild { pidfd, sync, .. } = child;
        // Not silence, which means that we were killed.
        let _ = protocol::send(sync.as_fd(), event::ERROR, &[]);
        drop(sync);
        // It cleans up (`--rm`), unless it was never let go: the name is free when we return.
        wait_end(&pidfd);
        if container.auto_remove {
            let _ = remove::remove(dirs, container, true, Duration::ZERO);
        }
        return Err(error);
    }
    let RoleChild { sync, .. } = child;
    if !wait_started(&sync, signals.as_ref())? {
        return no_answer(dirs, container);
    }
    match signals {
        Some(signals) => relay::relay_started(sync, dirs, container, options, signals),
        None => Ok(Outcome::Started),
    }
}

/// With `--rm`, says in the record that we are about to start it (`run` has done that already, when it made it).
pub fn announce(dirs: &Dirs, container: &Container) -> Result<()> {
    if !container.auto_remove {
        return Ok(());
    }
    // Not over the record of a monitor that another command has started.
    let run = super::open_run(dirs, &container.id)?;
    let lock = run.map_or(Ok(None), |run| Lifetime::try_acquire(run.as_fd()))?;
    if lock.is_none() && super::is_alive(dirs, &container.id)? {
        return Err(Error::in_use("it is running already, or another command works on it"));
    }
    let bundle = dirs.container(&container.id);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::open(&bundle, flags, Mode::empty()).call(|| format!("open({bundle:?})"))?;
    ondisk::publish(&dir, "state.json", &recover::starting(), Durability::Volatile)
}

/// What the monitor needs of us: its cgroup, our terminal's size.
fn hand_over(
    dirs: &Dirs,
    container: &Container,
    options: &LaunchOptions,
    child: &RoleChild,
    scope: Option<scope::Request>,
    map: &StoreMap,
) -> Result<()> {
    let cgroup = make_cgroup(container, options, scope)?;
    if let (Some(cgroup), StoreMap::Direct(maps)) = (&cgroup, map) {
        give_cgroup(cgroup, maps)?;
    }
    let size = container.tty.then(tty::own_size).flatten();
    fit_config(dirs, container, cgroup.as_deref(), size)?;
    // It may have failed already: then its error is in the socket.
    let preserved: Vec<_> = options.preserved.iter().map(AsFd::as_fd).collect();
    let launch = Launch { cgroup, attach: options.attach, size };
    let _ = protocol::send_json(child.sync.as_fd(), &launch, &preserved);
    Ok(())
}

fn wait_end(pidfd: &OwnedFd) {
    let patience = rustix::time::Timespec { tv_sec: 5, tv_nsec: 0 };
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let _ = rustix::event::poll(&mut fds, Some(&patience));
}

/// True: it runs. False: the monitor is gone without a word.
fn wait_started(sync: &OwnedFd, signals: Option<&Signals>) -> Result<bool> {
    let mut packet = vec![0u8; MAX_PACKET];
    loop {
        if let Some(signals) = signals {
            signals.die_or_wait(sync)?;
        }
        let received = super::receive(sync, &mut packet, &mut Vec::new())?;
        match received.split_first() {
            None => return Ok(false),
            Some((&event::STARTED, _)) => return Ok(true),
            Some((&event::ERROR, json)) => return Err(protocol::decode_error(json)),
            Some(_) => {}
        }
    }
}

fn no_answer(dirs: &Dirs, container: &Container) -> Result<Outcome> {
    let error = Error::internal("its monitor was killed before the payload ran");
    outcome_from_record(dirs, &container.id).map_err(|_| error)
}

/// The container's cgroup: a scope of systemd, else one below a cgroup that was delegated to us, else none.
fn make_cgroup(
    container: &Container,
    options: &LaunchOptions,
    scope: Option<scope::Request>,
) -> Result<Option<String>> {
    if container.cgroups == Cgroups::Disabled || !options.scope {
        return Ok(None);
    }
    let id = &container.id;
    let scope = scope.map_or(Ok(None), scope::Request::finish);
    let made = scope.and_then(|scope| match scope {
        Some(scope) => Ok(Some(scope)),
        None => below_own_cgroup(&format!("coracle-{id}")),
    });
    let needed = container.needs_cgroup || container.systemd;
    let what = match container.systemd {
        true => "systemd cannot run in the container: it has no cgroup of its own",
        false => "the container's limits cannot be enforced",
    };
    match made {
        Ok(Some(cgroup)) => Ok(Some(cgroup)),
        Err(error) if needed => Err(error),
        Ok(None) if needed => Err(Error::host(what)
            .cause("this user has no systemd manager and no delegated cgroup")
            .hint("See what is missing with `coracle doctor`.")),
        // Only limits and systemd need one: without it the guard still finds every process.
        Ok(None) | Err(_) => Ok(None),
    }
}

/// A child of our own cgroup, where that was delegated to us (a Slurm step, a container).
fn below_own_cgroup(name: &str) -> Result<Option<String>> {
    let Some(own) = delegate::writable() else { return Ok(None) };
    let Some(path) = delegate::path_of(rustix::process::getpid().as_raw_nonzero().get()) else {
        return Ok(None);
    };
    let dir = own.join(name);
    match rustix::fs::mkdir(&dir, Mode::from(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(Some(format!("{}/{name}", path.trim_end_matches('/')))),
        Err(e) => Err(e).call(|| format!("mkdir({dir:?})")).map_err(Error::from),
    }
}

/// Real root's systemd makes a scope that is real root's; the monitor in it is the first id of a subordinate range.
fn give_cgroup(cgroup: &str, maps: &IdMaps) -> Result<()> {
    let dir = delegate::tree().and_then(|tree| delegate::dir_of(tree, cgroup));
    let ids = (idmap::to_outside(&maps.uids, 0), idmap::to_outside(&maps.gids, 0));
    let (Some(dir), (Some(uid), Some(gid))) = (dir, ids) else { return Ok(()) };
    userns::root::with_own_file_access(|| delegate::give(&dir, uid, gid))
        .what(|| "cannot give the container its cgroup")
}

/// Whether a cgroup could have a limit of processes: only the controllers that it has itself can be handed down.
fn can_limit_pids(cgroup: &str) -> bool {
    let dir = delegate::tree().and_then(|tree| delegate::dir_of(tree, cgroup));
    dir.is_some_and(|dir| delegate::controllers(&dir).iter().any(|name| name == "pids"))
}

/// Puts into config.json what is known only now: `<cgroup>/payload`, the default limit of processes where it can be kept,
/// and the size of our terminal, which the payload's has before the payload runs. Here and not
/// in the monitor, which stays small.
fn fit_config(
    dirs: &Dirs,
    container: &Container,
    cgroup: Option<&str>,
    size: Option<(u16, u16)>,
) -> Result<()> {
    const FILE: &str = "config.json";
    // Not between the reading and the writing of a `coracle update`.
    let dir = records::lock(dirs, &container.id)?;
    let text = std::fs::read(dirs.container(&container.id).join(FILE)).call(|| format!("read({FILE:?})"))?;
    let damaged = |e: serde_json::Error| Error::corrupt("the file config.json is damaged").cause(e);
    let named = text.windows(11).any(|window| window == b"cgroupsPath");
    if cgroup.is_none() && !named && !container.tty {
        return Ok(());
    }
    let mut config: Value = serde_json::from_slice(&text).map_err(damaged)?;
    let mut changed = false;
    if let Some(process) = config.get_mut("process").and_then(Value::as_object_mut) {
        changed |= set_console_size(process, size);
    }
    let linux = config.get_mut("linux").and_then(Value::as_object_mut);
    let Some(linux) = linux else { return Ok(()) };
    let wanted = cgroup.map(|cgroup| Value::from(format!("/{}/payload", cgroup.trim_matches('/'))));
    changed |= set(linux, "cgroupsPath", wanted);
    let resources = linux.get_mut("resources").and_then(Value::as_object_mut);
    if let (Some(limit), Some(resources)) = (container.default_pids_limit, resources) {
        let kept = cgroup.is_some_and(can_limit_pids);
        let default = json!({"limit": limit});
        // Another limit is one that was set after `container` was read.
        if resources.get("pids").is_none_or(|now| *now == default) {
            changed |= set(resources, "pids", kept.then_some(default));
        }
    }
    if !changed {
        return Ok(());
    }
    let text = serde_json::to_vec(&config).map_err(damaged)?;
    // It holds all that the container is; one that goes when it ends is nothing to keep.
    let durability = if container.auto_remove { Durability::Volatile } else { Durability::Whole };
    atomic::publish_bytes(dir.as_fd(), FILE, &text, durability).what(|| "cannot write config.json")
}

/// The terminal of a process has its size before the process runs: whoever asks first hears it.
pub(super) fn set_console_size(process: &mut Map<String, Value>, size: Option<(u16, u16)>) -> bool {
    let size = size.map(|(height, width)| json!({ "height": height, "width": width }));
    set(process, "consoleSize", size)
}

/// Sets or takes away a field; whether that changed anything.
fn set(object: &mut Map<String, Value>, key: &str, wanted: Option<Value>) -> bool {
    if object.get(key) == wanted.as_ref() {
        return false;
    }
    match wanted {
        Some(value) => object.insert(key.to_owned(), value),
        None => object.remove(key),
    };
    true
}
