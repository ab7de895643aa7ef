//! Removing a container: its claim of a name, its directories, its anonymous volumes. Inside the store's user namespace,
//! because files below upper/ belong to ids that exist only there. The caller holds the lifetime lock.

use crate::error::Result;
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Removes all of it, as far as it goes: what is left is found again by `system check`.
///
/// The name goes first, so that it is free as soon as the container is no more; the record goes with its directory.
pub fn remove_all(dirs: &Dirs, container: &Container) {
    let _ = release_name(dirs, container);
    for (parent, name) in
        [(dirs.data.join("containers"), container.id.as_str()), (dirs.run.clone(), container.id.as_str())]
    {
        if let Ok(parent) = open_dir(&parent) {
            let _ = remove_tree(parent.as_fd(), name);
        }
    }
}

/// Unlinks `<data>/names/<name>` if it is this container's.
fn release_name(dirs: &Dirs, container: &Container) -> Result<()> {
    let names = open_dir(&dirs.data.join("names"))?;
    let name = container.name.as_str();
    let fd =
        rustix::fs::openat(&names, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .call(|| format!("openat({name:?})"))?;
    let mut claim = [0u8; 80];
    let read = rustix::io::read(&fd, &mut claim).call(|| format!("read({name:?})"))?;
    if claim.get(..read).unwrap_or_default().trim_ascii() == container.id.as_str().as_bytes() {
        rustix::fs::unlinkat(&names, name, AtFlags::empty()).call(|| format!("unlinkat({name:?})"))?;
    }
    Ok(())
}

/// Empties a runtime directory but for the lock: others may be about to take it.
pub(super) fn clean_run_dir(run: &OwnedFd) {
    for name in ["oci", "ctl", "pid", "console", "slirp4netns.sock"] {
        let _ = remove_tree(run.as_fd(), name);
    }
}

fn open_dir(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({path:?})"))?)
}

/// Removes `name` of `dir` and everything below it, by fd, never through a symlink.
fn remove_tree(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    use rustix::io::Errno;
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e).call(|| format!("unlinkat({name:?})")).map_err(Into::into),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = rustix::fs::openat(dir, name, flags, Mode::empty()).call(|| format!("openat({name:?})"))?;
    let entries = rustix::fs::Dir::read_from(&inner).call(|| format!("getdents({name:?})"))?;
    for entry in entries.flatten() {
        let entry = entry.file_name();
        if !matches!(entry.to_bytes(), b"." | b"..") {
            remove_tree(inner.as_fd(), &entry.to_string_lossy())?;
        }
    }
    rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
        .call(|| format!("unlinkat({name:?}, AT_REMOVEDIR)"))?;
    Ok(())
}

/// The role `remove DATA RUN ID`: removes one container from inside the store's user namespace.
pub fn role_main(args: Vec<std::ffi::OsString>) -> std::process::ExitCode {
    let removed = || -> Result<()> {
        let (dirs, id) = super::role::parse_args(&args)?;
        let sync = crate::sys::spawn::inherited_fd(crate::userns::SYNC_FD)
            .ok_or_else(|| crate::error::Error::internal("a role process without a sync socket"))?;
        crate::userns::enter_store(sync.as_fd())?;
        let bundle = open_dir(&dirs.container(&id))?;
        let container: Container = crate::ondisk::read(&bundle, "container.json")?;
        let run = open_dir(&dirs.container_run(&id))?;
        if let Some(_lock) = super::lock::Lifetime::try_acquire(run.as_fd())? {
            remove_all(&dirs, &container);
        }
        Ok(())
    };
    if removed().is_ok() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
