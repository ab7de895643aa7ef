//! The lifetime lock: `<run>/<id>/lock`, flocked for as long as the container's monitor lives.
//!
//! An flock belongs to the open file, so whoever inherits the fd keeps the lock: it is CLOEXEC, and the guard closes its
//! copy first of all. The kernel frees it on any death. Removing a container unlinks the file while holding it; so a lock
//! counts only when its file still has a name.

use crate::error::{Error, Result};
use crate::sys::CallContext;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

const FILE: &str = "lock";

/// Somebody who only looks (`is_held`) holds a shared lock for microseconds; taking the lock waits that long.
pub const LOOKERS: Duration = Duration::from_millis(50);

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct Lifetime {
    _file: OwnedFd,
}

impl Lifetime {
    /// Takes the lock in the container's runtime directory. `None`: a monitor lives (or somebody recovers right now).
    pub fn try_acquire(run: BorrowedFd<'_>) -> Result<Option<Self>> {
        Self::acquire(run, LOOKERS)
    }

    /// The same, waiting for up to `patience`.
    pub fn acquire(run: BorrowedFd<'_>, patience: Duration) -> Result<Option<Self>> {
        let begin = Instant::now();
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(run, FILE, flags, Mode::from(0o600)).call(|| "openat(\"lock\")")?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    let st = rustix::fs::fstat(&file).call(|| "fstat(\"lock\")")?;
                    if st.st_nlink == 0 {
                        return Err(Error::not_found("the container was removed"));
                    }
                    return Ok(Some(Self { _file: file }));
                }
                Err(Errno::WOULDBLOCK) if begin.elapsed() < patience => nap(),
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e).call(|| "flock(\"lock\")").map_err(Error::from),
            }
        }
    }
}

/// flock(2) has no timeout: the alternative is a signal, which a library must not own.
fn nap() {
    let time = rustix::time::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    let _ = rustix::thread::nanosleep(&time);
}

/// Whether somebody holds the lock of this runtime directory.
pub fn is_held(run: impl AsFd) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(&run, FILE, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(false),
        Err(e) => return Err(e).call(|| "openat(\"lock\")").map_err(Error::from),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(e) => Err(e).call(|| "flock(\"lock\", LOCK_SH)").map_err(Error::from),
    }
}
