//! Removing a container: its claim of a name, its anonymous volumes, its directories. Inside the store's user namespace,
//! because files below upper/ belong to ids that exist only there.
//!
//! A removal has one moment: `containers/<id>` is renamed to a name that no command takes for a container. Before it there
//! is a whole container, after it there is none, whatever is left. The rest is done in an order in which each step can be
//! done again: first what needs the record (name, volumes), then the runtime directory, the tree last. Whoever lists
//! containers and finds such a name, and nobody at work on it (an flock on the directory itself), finishes it.

use super::lock::Lifetime;
use super::records;
use crate::error::{Error, Kind, Result};
use crate::id::ContainerId;
use crate::ondisk::above;
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::store::{self, remove_tree};
use crate::sys::CallContext;
use crate::userns;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Files of the runtime directory that belong to one run of the payload.
const OF_ONE_RUN: [&str; 6] = ["oci", "ctl", "pid", "console", "slirp4netns.sock", super::owners::SOCKET];

/// What is being removed is called this and its id; a leading dot keeps it out of every listing.
const GOING: &str = ".removed-";

/// The same where its anonymous volumes go too.
const GOING_WITH_VOLUMES: &str = ".removed-volumes-";

/// Removes a container that does not run, waiting for its lifetime lock for up to `patience`. Its anonymous volumes go too
/// when `volumes` is set. `Kind::InUse`: it runs, or somebody starts it.
pub fn remove(dirs: &Dirs, container: &Container, volumes: bool, patience: Duration) -> Result<()> {
    let lock = match make_run(dirs, &container.id) {
        Ok(run) => Lifetime::acquire(run.as_fd(), patience)?,
        Err(e) if e.kind() == Kind::NotFound => return Err(Error::not_found("the container was removed")),
        Err(e) => return Err(e),
    };
    let _lock = lock.ok_or_else(|| Error::in_use("it is running, or another command works on it"))?;
    remove_locked(dirs, container, volumes)
}

/// The same for who holds the lifetime lock.
pub(super) fn remove_locked(dirs: &Dirs, container: &Container, volumes: bool) -> Result<()> {
    forget(dirs, container, volumes)?.map_or(Ok(()), Remains::clear)
}

/// The same up to the tree: nobody finds the container any more, and its name is free. Who holds the remains is at work
/// on them. `None`: another one was faster.
pub(super) fn forget(dirs: &Dirs, container: &Container, volumes: bool) -> Result<Option<Remains>> {
    let id = container.id.as_str();
    // Where the monitor was killed, its guard has the rootfs mounted still.
    for name in ["merged", above::MERGED] {
        let merged = dirs.container(&container.id).join(name);
        let _ = rustix::mount::unmount(&merged, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
    let containers = open_dir(&dirs.data.join("containers"))?;
    let going = Going { id: container.id.clone(), volumes };
    let Some(tree) = records::lock_in(&containers, id, FlockOperation::LockExclusive)? else {
        // Another one was faster; the runtime directory was made for its lock.
        return clear_run(dirs, &container.id).map(|()| None);
    };
    rustix::fs::renameat(&containers, id, &containers, going.name())
        .call(|| format!("renameat(containers/{id}, {})", going.name()))?;
    let forgotten = going.forget(dirs, Some(container));
    Ok(Some(Remains { containers, name: going.name(), _lock: tree, forgotten }))
}

/// The tree of a container that is no more.
pub(super) struct Remains {
    containers: OwnedFd,
    name: String,
    _lock: OwnedFd,
    forgotten: Result<()>,
}

impl Remains {
    /// Removes it. Reports what went wrong before, too.
    pub(super) fn clear(self) -> Result<()> {
        self.forgotten.and(remove_tree(self.containers.as_fd(), &self.name))
    }
}

/// Finishes removals that were killed. Where nothing is left this costs nothing: `names` is a listing of `containers/`.
/// A failure shows in `system check`; it is no concern of who lists containers.
pub fn finish_left<'a>(dirs: &Dirs, names: impl Iterator<Item = &'a str>) {
    for going in names.filter_map(Going::parse) {
        let finished = || -> Result<()> {
            let containers = open_dir(&dirs.data.join("containers"))?;
            let name = going.name();
            let Some(tree) = records::lock_in(&containers, &name, FlockOperation::NonBlockingLockExclusive)?
            else {
                return Ok(());
            };
            if userns::inside_store() {
                return going.finish(dirs, &containers, &tree);
            }
            drop(tree);
            in_store(dirs, &going.id)
        };
        let _ = finished();
    }
}

/// The ids of half-removed containers in a listing of `containers/`, but for those that somebody is at work on.
pub fn left<'a>(dirs: &Dirs, names: impl Iterator<Item = &'a str>) -> Result<Vec<ContainerId>> {
    let mut left = Vec::new();
    for going in names.filter_map(Going::parse) {
        let containers = open_dir(&dirs.data.join("containers"))?;
        if records::lock_in(&containers, &going.name(), FlockOperation::NonBlockingLockExclusive)?.is_some() {
            left.push(going.id);
        }
    }
    Ok(left)
}

/// A container between the rename and its end.
struct Going {
    id: ContainerId,
    volumes: bool,
}

impl Going {
    fn parse(name: &str) -> Option<Self> {
        let (id, volumes) = match name.strip_prefix(GOING_WITH_VOLUMES) {
            Some(id) => (id, true),
            None => (name.strip_prefix(GOING)?, false),
        };
        Some(Self { id: ContainerId::parse(id).ok()?, volumes })
    }

    fn name(&self) -> String {
        format!("{}{}", if self.volumes { GOING_WITH_VOLUMES } else { GOING }, self.id)
    }

    /// Everything after the rename. Goes on after a failure and reports the first one.
    fn finish(&self, dirs: &Dirs, containers: &OwnedFd, tree: &OwnedFd) -> Result<()> {
        // No record, or a damaged one: the tree's removal had begun, or nothing is known of names and volumes.
        let container = crate::ondisk::read_opt::<Container>(tree, "container.json").ok().flatten();
        self.forget(dirs, container.as_ref()).and(remove_tree(containers.as_fd(), &self.name()))
    }

    /// What needs the record, and the runtime directory.
    fn forget(&self, dirs: &Dirs, container: Option<&Container>) -> Result<()> {
        let named = container.map_or(Ok(()), |container| release_name(dirs, container));
        let volumes =
            container.filter(|_| self.volumes).map_or(Ok(()), |container| remove_volumes(dirs, container));
        named.and(volumes).and(clear_run(dirs, &self.id))
    }
}

/// Opens a container's runtime directory, made when a reboot took it: private, whatever the umask is.
pub(super) fn make_run(dirs: &Dirs, id: &ContainerId) -> Result<OwnedFd> {
    match rustix::fs::mkdirat(dirs.open_run()?, id.as_str(), Mode::from(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => Err(e).call(|| format!("mkdirat({:?})", id.as_str()))?,
    }
    open_dir(&dirs.container_run(id))
}

/// Removes a runtime directory, its lock too.
pub(super) fn clear_run(dirs: &Dirs, id: &ContainerId) -> Result<()> {
    remove_tree(open_dir(&dirs.run)?.as_fd(), id.as_str())
}

/// Unlinks `<data>/names/<name>` if it is this container's. Its container being gone, others may take it over: not between
/// our look and the unlink.
fn release_name(dirs: &Dirs, container: &Container) -> Result<()> {
    let names = open_dir(&dirs.data.join("names"))?;
    rustix::fs::flock(&names, FlockOperation::LockExclusive).call(|| "flock(names)")?;
    let name = container.name.as_str();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let claim = match rustix::fs::openat(&names, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.call(|| format!("openat({name:?})"))?,
    };
    let mut id = [0u8; 80];
    let read = rustix::io::read(&claim, &mut id).call(|| format!("read({name:?})"))?;
    if id.get(..read).unwrap_or_default().trim_ascii() == container.id.as_str().as_bytes() {
        rustix::fs::unlinkat(&names, name, AtFlags::empty()).call(|| format!("unlinkat({name:?})"))?;
    }
    Ok(())
}

/// One that another container uses as well stays (`--volumes-from`).
fn remove_volumes(dirs: &Dirs, container: &Container) -> Result<()> {
    let mut outcome = Ok(());
    for volume in container.volumes.iter().filter(|volume| volume.anonymous) {
        match store::volume::remove(dirs, &volume.name) {
            Err(e) if matches!(e.kind(), Kind::InUse | Kind::NotFound) => {}
            other => outcome = outcome.and(other),
        }
    }
    outcome
}

/// Empties a runtime directory but for the lock: others may be about to take it.
pub(super) fn clean_run_dir(run: &OwnedFd) {
    for name in OF_ONE_RUN {
        let _ = remove_tree(run.as_fd(), name);
    }
}

/// Removes one container, or the rest of it, by a process in the store's namespace, and waits for that.
pub(super) fn in_store(dirs: &Dirs, id: &ContainerId) -> Result<()> {
    let args = [dirs.data.clone().into(), dirs.run.clone().into(), id.as_str().into()];
    let child = userns::spawn_role("remove", &args, &[])?;
    userns::map_role(&child, &userns::store_map()?)?;
    let mut fds = [PollFd::new(&child.pidfd, PollFlags::IN)];
    loop {
        match rustix::event::poll(&mut fds, None) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).call(|| "poll(pidfd)").map_err(Error::from),
        }
    }
}

/// The role `remove DATA RUN ID`: removes one container that removes itself (`--rm`), or finishes what another removal left.
pub fn role_main(args: Vec<OsString>) -> ExitCode {
    let removed = || -> Result<()> {
        let (dirs, id) = super::role::parse_args(&args)?;
        let sync = crate::sys::spawn::inherited_fd(userns::SYNC_FD)
            .ok_or_else(|| Error::internal("a role process without a sync socket"))?;
        userns::enter_store(sync.as_fd())?;
        if let Ok(bundle) = open_dir(&dirs.container(&id)) {
            let container: Container = crate::ondisk::read(bundle, "container.json")?;
            return remove(&dirs, &container, true, super::lock::LOOKERS);
        }
        let both = [GOING, GOING_WITH_VOLUMES].map(|going| format!("{going}{id}"));
        finish_left(&dirs, both.iter().map(String::as_str));
        Ok(())
    };
    if removed().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

pub(super) fn open_dir(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({path:?})"))?)
}
