//! The directories of images' mounts, `<run>/squash/<key>` (see the parent module): their locks, and how they go.
//!
//! A directory goes with its last holder; what killed ones have left goes when the next holder is started, of whatever image.
//! Whoever removes one has its lock and unlinks that first: who has waited for it finds a file without a name, and begins
//! again.

use crate::error::{Error, Result};
use crate::store::lock;
use crate::sys::{self, CallContext};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";

/// `<run>/squash/<key>`.
pub(super) fn directory(run: &Path, key: &str) -> PathBuf {
    run.join("squash").join(key)
}

pub(super) fn open_directory(dir: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(dir, flags, Mode::empty()).call(|| format!("open({dir:?})"))?)
}

pub(super) fn flock(dir: BorrowedFd<'_>, name: &str, operation: FlockOperation) -> sys::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        rustix::fs::openat(dir, name, flags, Mode::from(0o600)).call(|| format!("openat({name:?})"))?;
    loop {
        match rustix::fs::flock(&file, operation) {
            Err(Errno::INTR) => {}
            other => return other.call(|| format!("flock({name:?})")).map(|()| file),
        }
    }
}

/// Says that the mount of this `users` file was used now, for its holder to see.
pub(super) fn mark_use(users: &OwnedFd) {
    let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let _ = rustix::fs::futimens(users, &Timestamps { last_access: now, last_modification: now });
}

/// When it was last used, as something to compare.
pub(super) fn last_use(users: &OwnedFd) -> Option<(i64, u64)> {
    let st = rustix::fs::fstat(users).ok()?;
    Some((st.st_mtime, st.st_mtime_nsec))
}

/// A directory whose lock is ours.
#[derive(Debug)]
pub(super) struct Locked {
    pub handle: OwnedFd,
    pub lock: OwnedFd,
}

impl Locked {
    /// Waits for the lock of a directory that is made where there is none.
    pub fn made(run: &Path, dir: &Path) -> Result<Self> {
        loop {
            for path in [&run.join("squash"), dir] {
                match rustix::fs::mkdir(path, Mode::from(0o700)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e).call(|| format!("mkdir({path:?})")).map_err(Error::from),
                }
            }
            if let Some(locked) = Self::of(dir, FlockOperation::LockExclusive)? {
                return Ok(locked);
            }
        }
    }

    /// None: the directory has been removed meanwhile.
    fn of(dir: &Path, operation: FlockOperation) -> Result<Option<Self>> {
        let missing = |e: &Error| e.errno() == Some(libc::ENOENT);
        let taken = open_directory(dir).and_then(|handle| {
            let lock = flock(handle.as_fd(), LOCK, operation)?;
            Ok(is_linked(&lock)?.then_some(Self { handle, lock }))
        });
        taken.or_else(|e| if missing(&e) { Ok(None) } else { Err(e) })
    }

    /// Takes the directory away, unless a mount's files are in it.
    fn vacate(self, dir: &Path) {
        vacate(self.handle.as_fd(), dir);
    }
}

/// Waits for the lock of a directory in which files of ours are, so that it is not removed.
pub(super) fn lock(handle: BorrowedFd<'_>) -> Result<OwnedFd> {
    loop {
        let lock = flock(handle, LOCK, FlockOperation::LockExclusive)?;
        if is_linked(&lock)? {
            return Ok(lock);
        }
    }
}

fn is_linked(lock: &OwnedFd) -> Result<bool> {
    Ok(rustix::fs::fstat(lock).call(|| "fstat(lock)")?.st_nlink > 0)
}

/// The same for who has the lock.
pub(super) fn vacate(handle: BorrowedFd<'_>, dir: &Path) {
    let names = crate::store::list_dir(handle).unwrap_or_default();
    if names.iter().any(|name| name != LOCK && name != "holder") {
        return;
    }
    let _ = rustix::fs::unlinkat(handle, "holder", AtFlags::empty());
    let _ = rustix::fs::unlinkat(handle, LOCK, AtFlags::empty());
    // Who comes now has made another lock: then it stays.
    let _ = rustix::fs::rmdir(dir);
}

/// What killed holders of other mounts have left, of sessions and jobs that nobody goes back to.
pub(super) fn sweep_others(run: &Path, key: &str) {
    let names = open_directory(&run.join("squash")).map(crate::store::list_dir);
    for name in names.into_iter().flatten().flatten().filter(|name| name != key) {
        let dir = run.join("squash").join(name);
        if let Ok(Some(locked)) = Locked::of(&dir, FlockOperation::NonBlockingLockExclusive) {
            sweep(locked.handle.as_fd());
            locked.vacate(&dir);
        }
    }
}

/// Removes what killed holders left and nobody uses any more. A user may outlive its holder: its files stay.
pub(super) fn sweep(handle: BorrowedFd<'_>) {
    let names = crate::store::list_dir(handle).unwrap_or_default();
    for generation in names.iter().filter_map(|name| name.to_str()?.strip_prefix("users-")) {
        let alive = !lock::is_free(handle, &format!("alive-{generation}"));
        if !alive && lock::is_free(handle, &format!("users-{generation}")) {
            remove(handle, generation);
        }
    }
}

pub(super) fn remove(handle: BorrowedFd<'_>, generation: &str) {
    let _ = rustix::fs::unlinkat(handle, format!("mnt-{generation}"), AtFlags::REMOVEDIR);
    let _ = rustix::fs::unlinkat(handle, format!("alive-{generation}"), AtFlags::empty());
    let _ = rustix::fs::unlinkat(handle, format!("users-{generation}"), AtFlags::empty());
}
