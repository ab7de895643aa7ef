//! One fd to whoever listens on a socket of the caller's choice: the seccomp agent, the receiver of a pidfd.

use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Connects to `path` and sends `text` with `fd`. An empty text would look like an end of file. `cannot` says what for.
pub fn fd(path: &Path, text: &[u8], fd: BorrowedFd<'_>, cannot: &str) -> Result<()> {
    let what = || format!("{cannot} {}", path.display());
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .call(|| "socket(AF_UNIX)")?;
    let address = SocketAddrUnix::new(path).call(|| "sun_path").what(what)?;
    rustix::net::connect(&socket, &address).call(|| format!("connect({path:?})")).what(what)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Error::internal("no room for one fd"));
    }
    rustix::net::sendmsg(&socket, &[IoSlice::new(text)], &mut ancillary, SendFlags::NOSIGNAL)
        .call(|| format!("sendmsg({path:?})"))
        .what(what)?;
    Ok(())
}
