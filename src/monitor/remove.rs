//! Removing a container: its claim of a name, its directories, its anonymous volumes. Inside the store's user namespace,
//! because files below upper/ belong to ids that exist only there.

use super::lock::Lifetime;
use crate::error::{Error, Result};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::store::{self, remove_tree};
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

/// Files of the runtime directory that belong to one run of the payload.
const OF_ONE_RUN: [&str; 5] = ["oci", "ctl", "pid", "console", "slirp4netns.sock"];

/// Removes a container that does not run. Its anonymous volumes go too when `volumes` is set.
pub fn remove(dirs: &Dirs, container: &Container, volumes: bool) -> Result<()> {
    let run = dirs.open_run()?;
    match rustix::fs::mkdirat(&run, container.id.as_str(), Mode::from(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => {
            return Err(e).call(|| format!("mkdirat({:?})", container.id.as_str())).map_err(Error::from);
        }
    }
    let run = open_dir(&dirs.container_run(&container.id))?;
    let lock = Lifetime::try_acquire(run.as_fd())?;
    let _lock = lock.ok_or_else(|| Error::in_use("it is running, or another command works on it"))?;
    remove_locked(dirs, container, volumes)
}

/// The same for who holds the lifetime lock. Goes on after a failure and reports the first one: what is left is found
/// again by `system check`. The name goes first, so that it is free as soon as the container is no more.
pub(super) fn remove_locked(dirs: &Dirs, container: &Container, volumes: bool) -> Result<()> {
    let id = container.id.as_str();
    // Where the monitor was killed, its guard has the rootfs mounted still.
    let merged = dirs.container(&container.id).join("merged");
    let _ = rustix::mount::unmount(&merged, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    let named = release_name(dirs, container);
    let data = open_dir(&dirs.data.join("containers")).and_then(|dir| remove_tree(dir.as_fd(), id));
    let volumes = if volumes { remove_volumes(dirs, container) } else { Ok(()) };
    let run = open_dir(&dirs.run).and_then(|dir| remove_tree(dir.as_fd(), id));
    named.and(data).and(volumes).and(run)
}

/// Unlinks `<data>/names/<name>` if it is this container's.
fn release_name(dirs: &Dirs, container: &Container) -> Result<()> {
    let names = open_dir(&dirs.data.join("names"))?;
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

/// After the container's record: a volume in use is refused. One that another container uses as well stays.
fn remove_volumes(dirs: &Dirs, container: &Container) -> Result<()> {
    let mut anonymous = container.volumes.iter().filter(|volume| volume.anonymous).peekable();
    if anonymous.peek().is_none() {
        return Ok(());
    }
    for volume in anonymous {
        let _ = store::volume::remove(dirs, &volume.name);
    }
    Ok(())
}

/// Empties a runtime directory but for the lock: others may be about to take it.
pub(super) fn clean_run_dir(run: &OwnedFd) {
    for name in OF_ONE_RUN {
        let _ = remove_tree(run.as_fd(), name);
    }
}

/// The role `remove DATA RUN ID`: removes one container from inside the store's user namespace.
pub fn role_main(args: Vec<OsString>) -> ExitCode {
    let removed = || -> Result<()> {
        let (dirs, id) = super::role::parse_args(&args)?;
        let sync = crate::sys::spawn::inherited_fd(crate::userns::SYNC_FD)
            .ok_or_else(|| Error::internal("a role process without a sync socket"))?;
        crate::userns::enter_store(sync.as_fd())?;
        let container: Container = crate::ondisk::read(open_dir(&dirs.container(&id))?, "container.json")?;
        remove(&dirs, &container, true)
    };
    if removed().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn open_dir(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({path:?})"))?)
}
