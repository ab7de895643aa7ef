//! The words between the runtime and its child: fixed-size messages over a SOCK_SEQPACKET pair.
//!
//! ```text
//! runtime                      child
//!   │  id maps, cgroup, devices  │
//!   │◀──── Cloned(pid) ──────────┤   only from a stage; its child waits for Go, so that this comes first
//!   ├───── Go(pid) ─────────────▶│   only when there is something to wait for
//!   │◀──── Tree, with fd ────────┤   for each mount with ids to map whose source is in the rootfs
//!   ├───── Continue ────────────▶│
//!   │◀──── AtHooks ──────────────┤   only with prestart, createRuntime or createContainer hooks
//!   ├───── Continue ────────────▶│
//!   │◀──── Listener, with fd ────┤   only with a seccomp filter that asks an agent
//!   ├───── Continue ────────────▶│
//!   │◀──── Ready ────────────────┤   everything is applied, the command was found
//!   ├───── Commit | Start ──────▶│   the record is written: now the child may outlive the runtime
//!   │◀──── Fail, or end of file ─┤   any time; end of file after Start is a successful execve
//! ```
//! An end of file at the child's side before Commit means that the runtime died: the child ends itself. So nothing that
//! is not in a record ever stays behind. Both ends are safe after clone: no allocation.

use super::step::Fail;
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Go on; with the child's pid as the runtime sees it, for the state that hooks read.
    Go(i32),
    AtHooks,
    Continue,
    Ready,
    /// Wait for `start`.
    Commit,
    /// Go on to execve.
    Start,
    Fail(Fail),
    /// From a stage: the pid of the child that it cloned.
    Cloned(i32),
    /// The same, of a child that could not be born in its cgroup.
    Waiting(i32),
    /// With the fd of a seccomp listener.
    Listener,
    /// With the tree of the mount of that index, whose ids are to be mapped.
    Tree(u32),
}

const SIZE: usize = 16;

impl Message {
    fn to_bytes(self) -> [u8; SIZE] {
        let (tag, body) = match self {
            Self::Go(pid) => (1u32, pid_body(pid)),
            Self::AtHooks => (2, [0; 12]),
            Self::Continue => (3, [0; 12]),
            Self::Ready => (4, [0; 12]),
            Self::Commit => (5, [0; 12]),
            Self::Start => (6, [0; 12]),
            Self::Fail(fail) => (7, fail.to_bytes()),
            Self::Cloned(pid) => (8, pid_body(pid)),
            Self::Waiting(pid) => (9, pid_body(pid)),
            Self::Listener => (10, [0; 12]),
            Self::Tree(index) => (11, pid_body(index.cast_signed())),
        };
        let mut bytes = [0; SIZE];
        let (head, rest) = bytes.split_at_mut(4);
        head.copy_from_slice(&tag.to_ne_bytes());
        rest.copy_from_slice(&body);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, body) = bytes.split_first_chunk::<4>()?;
        let pid = || body.first_chunk::<4>().map(|pid| i32::from_ne_bytes(*pid));
        match u32::from_ne_bytes(*tag) {
            1 => Some(Self::Go(pid()?)),
            2 => Some(Self::AtHooks),
            3 => Some(Self::Continue),
            4 => Some(Self::Ready),
            5 => Some(Self::Commit),
            6 => Some(Self::Start),
            7 => Fail::from_bytes(body).map(Self::Fail),
            8 => Some(Self::Cloned(pid()?)),
            9 => Some(Self::Waiting(pid()?)),
            10 => Some(Self::Listener),
            11 => Some(Self::Tree(pid()?.cast_unsigned())),
            _ => None,
        }
    }
}

fn pid_body(pid: i32) -> [u8; 12] {
    let mut body = [0; 12];
    if let Some(head) = body.first_chunk_mut::<4>() {
        *head = pid.to_ne_bytes();
    }
    body
}

/// The two ends.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Sends one message. EPIPE when the other side is gone.
pub fn send(socket: impl AsFd, message: Message) -> Result<()> {
    loop {
        match rustix::net::send(&socket, &message.to_bytes(), SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Sends one message with an fd.
pub fn send_fd(socket: impl AsFd, message: Message, fd: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::NOBUFS);
    }
    let bytes = message.to_bytes();
    rustix::net::sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}

/// Receives one message and the fd that may come with it; none at the end of file.
pub fn receive_fd(socket: impl AsFd) -> Result<Option<(Message, Option<OwnedFd>)>> {
    loop {
        let mut bytes = [0u8; SIZE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(&socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            // As in `receive`.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(e) => return Err(e),
            Ok(got) if got.bytes == 0 => return Ok(None),
            Ok(got) => {
                let fd = ancillary.drain().find_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                    _ => None,
                });
                let message = bytes.get(..got.bytes).and_then(Message::from_bytes);
                return message.map(|message| Some((message, fd))).ok_or(Errno::PROTO);
            }
        }
    }
}

/// Receives one message; none at the end of file.
pub fn receive(socket: impl AsFd) -> Result<Option<Message>> {
    let mut bytes = [0u8; SIZE];
    loop {
        match rustix::net::recv(&socket, bytes.as_mut_slice(), RecvFlags::empty()) {
            // The other side died with unread messages in its queue. The kernel says so once, before it hands out what
            // that side has sent: its last word still comes.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Ok((_, 0)) => return Ok(None),
            Err(e) => return Err(e),
            Ok((_, len)) => {
                let message = bytes.get(..len).and_then(Message::from_bytes);
                return message.map(Some).ok_or(Errno::PROTO);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::Step;
    use super::*;

    #[test]
    fn messages_cross_whole_and_the_end_is_seen() {
        let (ours, theirs) = pair().unwrap();
        let fail = Fail { step: Step::Exec, index: 3, errno: 2 };
        let all = [
            Message::Go(12),
            Message::AtHooks,
            Message::Continue,
            Message::Ready,
            Message::Commit,
            Message::Start,
            Message::Fail(fail),
            Message::Cloned(-5),
            Message::Waiting(6),
            Message::Listener,
            Message::Tree(7),
        ];
        for message in all {
            send(&ours, message).unwrap();
            assert_eq!(receive(&theirs).unwrap(), Some(message));
        }
        // A death with an unread message loses nothing of what the dead one said.
        send(&theirs, Message::Commit).unwrap();
        send(&ours, Message::Fail(fail)).unwrap();
        drop(ours);
        assert_eq!(receive(&theirs).unwrap(), Some(Message::Fail(fail)));
        assert_eq!(receive(&theirs).unwrap(), None);
        assert_eq!(send(&theirs, Message::Ready), Err(Errno::PIPE));
    }
}
