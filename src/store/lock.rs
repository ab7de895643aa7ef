//! Lock files of the store: `locks/<name>`, held by flock. The order of taking them is in `store`'s header.

use super::Store;
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A held lock; free when dropped, and when the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    _fd: OwnedFd,
}

/// How a lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    Shared,
    Exclusive,
}

impl Store {
    /// Waits for the lock `name`.
    pub fn lock(&self, name: &str, mode: Share) -> Result<Lock> {
        let dir = self.dir("locks")?;
        let operation = match mode {
            Share::Shared => FlockOperation::LockShared,
            Share::Exclusive => FlockOperation::LockExclusive,
        };
        loop {
            if let Some(lock) = take(dir.as_fd(), name, operation).what(|| format!("cannot lock {name}"))? {
                return Ok(lock);
            }
        }
    }

    /// Takes the lock `name` if nobody holds it.
    pub fn try_lock(&self, name: &str, mode: Share) -> Result<Option<Lock>> {
        let dir = self.dir("locks")?;
        let operation = match mode {
            Share::Shared => FlockOperation::NonBlockingLockShared,
            Share::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        loop {
            match take(dir.as_fd(), name, operation) {
                Ok(Some(lock)) => return Ok(Some(lock)),
                Ok(None) => {}
                Err(e) if e.raw_os_error() == libc::EWOULDBLOCK => return Ok(None),
                Err(e) => return Err(Error::from(e).wrap(format_args!("cannot lock {name}"))),
            }
        }
    }

    /// Removes the file of a lock that the caller holds exclusively.
    pub fn remove_lock(&self, name: &str, held: Lock) -> Result<()> {
        let dir = self.dir("locks")?;
        let removed = rustix::fs::unlinkat(&dir, name, AtFlags::empty());
        drop(held);
        match removed {
            Err(e) if e != rustix::io::Errno::NOENT => Ok(Err(e).call(|| format!("unlinkat({name:?})"))?),
            _ => Ok(()),
        }
    }
}

/// Opens and flocks; `None` when the file was removed meanwhile: another waiter would lock another file.
fn take(dir: BorrowedFd<'_>, name: &str, operation: FlockOperation) -> crate::sys::Result<Option<Lock>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::from(0o600))
        .call(|| format!("openat(locks, {name:?})"))?;
    loop {
        match rustix::fs::flock(&fd, operation) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other.call(|| format!("flock({name:?})"))?,
        }
    }
    let linked = rustix::fs::fstat(&fd).call(|| format!("fstat({name:?})"))?.st_nlink > 0;
    Ok(linked.then_some(Lock { _fd: fd }))
}

/// Whether nobody holds the lock file `name` of `dir` (a missing one is free).
pub fn is_free(dir: impl AsFd, name: &str) -> bool {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty()).map_or_else(
        |e| e == rustix::io::Errno::NOENT,
        |fd| rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive).is_ok(),
    )
}
