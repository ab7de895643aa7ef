//! Where a container's terminal goes: the caller's console socket, or a pair of our own for a foreground run.

use crate::error::{Context, Error, Result};
use crate::sys::{self, CallContext};
use rustix::fs::{Mode, OFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// Which way the terminal goes.
#[derive(Debug)]
pub enum Console {
    None,
    /// The caller's socket, connected.
    Socket(OwnedFd),
    /// The child's end and ours.
    Pair(OwnedFd, OwnedFd),
}

impl Console {
    /// The child's end, and ours when there is one.
    pub fn into_parts(self) -> (Option<OwnedFd>, Option<OwnedFd>) {
        match self {
            Self::None => (None, None),
            Self::Socket(fd) => (Some(fd), None),
            Self::Pair(theirs, ours) => (Some(theirs), Some(ours)),
        }
    }
}

/// Decides and connects. The two refusals are runc's, which callers know.
pub fn connect(terminal: bool, detached: bool, socket: Option<&Path>) -> Result<Console> {
    match (terminal, detached, socket) {
        (true, true, None) => {
            Err(Error::usage("cannot allocate tty if runc will detach without setting console socket"))
        }
        (true, true, Some(path)) => connect_to(path).map(Console::Socket),
        (_, _, Some(_)) => {
            Err(Error::usage("cannot use console socket if runc will not detach or allocate tty"))
        }
        (true, false, None) => {
            let (theirs, ours) =
                rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                    .call(|| "socketpair(SOCK_STREAM)")?;
            Ok(Console::Pair(theirs, ours))
        }
        (false, _, None) => Ok(Console::None),
    }
}

/// `--pidfd-socket`: hands out a pidfd, with a name as payload, as with a terminal.
pub fn send_pidfd(path: Option<&Path>, pidfd: &OwnedFd) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let socket = connect_to(path)?;
    sys::socket::send(socket.as_fd(), b"pidfd", b"", &[pidfd.as_fd()], SendFlags::empty())
        .call(|| format!("sendmsg({path:?}, SCM_RIGHTS)"))
        .what(|| format!("cannot send the pidfd to {}", path.display()))
}

fn connect_to(path: &Path) -> Result<OwnedFd> {
    let cannot = || format!("cannot connect to the socket {}", path.display());
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .call(|| "socket(AF_UNIX)")?;
    let Ok(address) = SocketAddrUnix::new(path) else {
        // Longer than sun_path: by an fd of the socket's own.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let fd =
            rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({path:?})")).what(cannot)?;
        let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).call(|| "sun_path")?;
        rustix::net::connect(&socket, &address).call(|| format!("connect({path:?})")).what(cannot)?;
        return Ok(socket);
    };
    rustix::net::connect(&socket, &address).call(|| format!("connect({path:?})")).what(cannot)?;
    Ok(socket)
}

/// Takes the terminal that the child sent over our pair.
pub fn receive(socket: &OwnedFd) -> Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0u8; 64];
    rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        .call(|| "recvmsg(console)")?;
    ancillary
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        })
        .ok_or_else(|| Error::internal("the container sent no terminal"))
}
