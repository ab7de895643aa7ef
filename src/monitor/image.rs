//! A container's image as one file: how its monitor gets to the mount that all containers of the image share.
//!
//! The command line finds or makes the mount (`store::squash`) while the monitor starts; then it lets the monitor go on with
//! the mount's place, the holder's namespaces, squashfuse's pidfd and the shared lock. The monitor lives in the holder's
//! user namespace instead of one of its own.

use super::protocol::MAX_PACKET;
use crate::error::{Error, Result};
use crate::store::rootfs::Lower;
use crate::store::squash::{Shared, mount};
use crate::sys::{CallContext, socket};
use crate::userns::join_store;
use rustix::net::{RecvFlags, SendFlags};
use std::cell::Cell;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The last argument of a monitor that waits for an image's mount.
pub(super) const AWAITED: &str = "image";

/// The first byte of the packet that lets it go on. No `event::ERROR`, which says that there is no mount.
const GO: u8 = b'G';

/// Lets the monitor at the other end of `sync` go on.
pub(super) fn let_go(sync: BorrowedFd<'_>, shared: &Shared) -> Result<()> {
    let fds = [&shared.user_namespace, &shared.mount_namespace, &shared.users, &shared.server];
    let path = shared.path.as_os_str().as_bytes();
    socket::send(sync, &[GO], path, &fds.map(AsFd::as_fd), SendFlags::empty()).call(|| "sendmsg(sync)")?;
    Ok(())
}

/// In the monitor: waits for the mount, joins the holder's user namespace, and has the mount in a mount namespace of our own.
/// `answered`: the other end has said that there is none.
pub(super) fn join(sync: BorrowedFd<'_>, answered: &Cell<bool>) -> Result<Lower> {
    let (mut packet, mut fds) = (vec![0u8; MAX_PACKET], Vec::new());
    let received = socket::recv(sync, &mut packet, &mut fds, RecvFlags::empty()).call(|| "recvmsg(sync)")?;
    let packet = packet.get(..received).unwrap_or_default();
    let (Some((&GO, path)), Ok([users_of, mounts, users, server])) =
        (packet.split_first(), <[OwnedFd; 4]>::try_from(fds))
    else {
        answered.set(received > 0);
        return Err(Error::internal("the parent gave up before the image was mounted"));
    };
    let path = PathBuf::from(OsStr::from_bytes(path));
    join_store(users_of.as_fd())?;
    mount::clone_from(mounts.as_fd(), &path)?;
    Ok(Lower { path, server, users })
}
