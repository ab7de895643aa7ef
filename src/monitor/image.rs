//! A container's image as one file: how its monitor gets to the mount that all containers of the image share.
//!
//! The command line finds or makes the mount (`store::squash`) and passes the holder's namespaces, squashfuse's pidfd and
//! the shared lock; the monitor then lives in the holder's user namespace instead of one of its own.

use crate::error::{Error, Result};
use crate::store::rootfs::Lower;
use crate::store::squash::{Shared, mount};
use crate::sys::spawn::inherited_fd;
use crate::userns::{USERNS_FD, await_go, join_store};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

const MOUNTS_FD: RawFd = USERNS_FD + 1;
const USERS_FD: RawFd = USERNS_FD + 2;
const SERVER_FD: RawFd = USERNS_FD + 3;
/// The last number that a monitor finds a fd at.
pub(super) const LAST_FD: RawFd = SERVER_FD;

/// The fds for a monitor, each with its number.
pub(super) fn fds(shared: &Shared) -> [(BorrowedFd<'_>, RawFd); 4] {
    [
        (shared.user_namespace.as_fd(), USERNS_FD),
        (shared.mount_namespace.as_fd(), MOUNTS_FD),
        (shared.users.as_fd(), USERS_FD),
        (shared.server.as_fd(), SERVER_FD),
    ]
}

/// In the monitor: joins the holder's user namespace, and has its mount at `path` in a mount namespace of our own.
pub(super) fn join(sync: BorrowedFd<'_>, path: PathBuf) -> Result<Lower> {
    let take = |number| -> Result<OwnedFd> {
        inherited_fd(number).ok_or_else(|| Error::internal("a monitor without the fds of its image"))
    };
    let (users_of, mounts) = (take(USERNS_FD)?, take(MOUNTS_FD)?);
    let (users, server) = (take(USERS_FD)?, take(SERVER_FD)?);
    // The container's records are made meanwhile.
    await_go(sync)?;
    join_store(users_of.as_fd())?;
    mount::clone_from(mounts.as_fd(), &path)?;
    Ok(Lower { path, server, users })
}
