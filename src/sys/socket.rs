//! System calls: message sockets (SOCK_SEQPACKET) with fds on board, and path sockets below a directory fd.
//!
//! A socket's path may have 107 bytes at most (unix(7)); a run directory below a long `--runroot` has more. So both ends
//! name it through `/proc/self/fd/<dir>/name`, which is always short.

use super::{CallContext, Result};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Most fds that one message of ours carries.
pub const MAX_FDS: usize = 64;

/// Sends `head` and `body` as one message, with `fds`. Never blocks longer than `flags` say, never raises SIGPIPE.
pub fn send(
    socket: BorrowedFd<'_>,
    head: &[u8],
    body: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOMANYREFS);
    }
    let parts = [IoSlice::new(head), IoSlice::new(body)];
    loop {
        match rustix::net::sendmsg(socket, &parts, &mut control, flags | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Receives one message into `buf` and the fds that came with it. 0 bytes: the other end is closed.
/// A message that did not fit is an error (EMSGSIZE): none of ours is cut.
pub fn recv(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    flags: RecvFlags,
) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut reset = false;
    let message = loop {
        let mut parts = [IoSliceMut::new(buf)];
        match rustix::net::recvmsg(socket, &mut parts, &mut control, flags | RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            // The other end closed with packets of ours unread. What it sent before comes after the error, once.
            Err(Errno::CONNRESET) if !reset => reset = true,
            other => break other?,
        }
    };
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            fds.extend(received);
        }
    }
    if message.flags.contains(rustix::net::ReturnFlags::TRUNC) {
        return Err(Errno::MSGSIZE);
    }
    Ok(message.bytes)
}

/// Makes the path socket `name` (mode 0600) in `dir`, replacing one that a dead process left, and listens on it.
pub fn listen_at(dir: BorrowedFd<'_>, name: &str, kind: SocketType) -> Result<OwnedFd> {
    let socket = new_socket(kind)?;
    match rustix::fs::unlinkat(dir, name, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(e).call(|| format!("unlinkat({name:?})")),
    }
    rustix::net::bind(&socket, &address(dir, name)?).call(|| format!("bind({name:?})"))?;
    // Before listen(): nobody can have connected yet.
    rustix::fs::chmodat(dir, name, rustix::fs::Mode::from(0o600), rustix::fs::AtFlags::empty())
        .call(|| format!("chmodat({name:?}, 0600)"))?;
    rustix::net::listen(&socket, 64).call(|| format!("listen({name:?})"))?;
    Ok(socket)
}

/// Connects to the path socket `name` in `dir`.
pub fn connect_at(dir: BorrowedFd<'_>, name: &str, kind: SocketType) -> Result<OwnedFd> {
    let socket = new_socket(kind)?;
    rustix::net::connect(&socket, &address(dir, name)?).call(|| format!("connect({name:?})"))?;
    Ok(socket)
}

/// Accepts one connection, CLOEXEC; the caller polls first.
pub fn accept(listener: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC)
}

/// The uid of the process that made the other end, as this user namespace sees it.
pub fn peer_uid(socket: BorrowedFd<'_>) -> rustix::io::Result<u32> {
    sockopt::socket_peercred(socket).map(|cred| cred.uid.as_raw())
}

/// pid and uid of the process that made the other end, as these namespaces see them.
pub fn peer(socket: BorrowedFd<'_>) -> rustix::io::Result<(i32, u32)> {
    let cred = sockopt::socket_peercred(socket)?;
    Ok((cred.pid.as_raw_nonzero().get(), cred.uid.as_raw()))
}

fn new_socket(kind: SocketType) -> Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).call(|| "socket(AF_UNIX)")
}

fn address(dir: BorrowedFd<'_>, name: &str) -> Result<SocketAddrUnix> {
    let path = format!("/proc/self/fd/{}/{name}", dir.as_fd().as_raw_fd());
    SocketAddrUnix::new(path.as_bytes()).call(|| format!("socket address {path:?}"))
}
