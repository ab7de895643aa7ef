//! The lock of a container's records: an flock on its directory, `<data>/containers/<id>`. Who reads container.json or
//! config.json to write it changed holds it from the one to the other, and so does who removes the directory.
//!
//! Taken before the claims of names, never while waiting for a monitor, and freed by the kernel on any death.

use crate::error::{Error, Result};
use crate::id::ContainerId;
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Waits for the records of a container; they are the caller's until the directory is closed.
pub fn lock(dirs: &Dirs, id: &ContainerId) -> Result<OwnedFd> {
    let gone = || Error::not_found("the container was removed");
    let containers = super::remove::open_dir(&dirs.data.join("containers"))?;
    lock_in(&containers, id.as_str(), FlockOperation::LockExclusive)?.ok_or_else(gone)
}

/// Opens the directory `name` and locks it. `None`: it is gone, or somebody is at it.
pub(super) fn lock_in(containers: impl AsFd, name: &str, how: FlockOperation) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let tree = match rustix::fs::openat(&containers, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.call(|| format!("openat(containers/{name})"))?,
    };
    // A network file system may have no locks for directories: a removal bears being done by two.
    if rustix::fs::flock(&tree, how) == Err(Errno::WOULDBLOCK) {
        return Ok(None);
    }
    // Who had it before us may have renamed or removed it.
    let same = rustix::fs::statat(&containers, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|now| rustix::fs::fstat(&tree).is_ok_and(|st| st.st_ino == now.st_ino));
    Ok(same.then_some(tree))
}
