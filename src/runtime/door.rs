//! The door of a created container: how `exec` gets in before `start`, without root.
//!
//! The kernel lets a process join another's namespaces, or open their files in /proc, where it may ptrace it. The first
//! process is not dumpable until it executes its command, so only a capability over the runtime's own user namespace
//! opens that way, which an unprivileged caller lacks. To become dumpable while it waits would open it to everybody in
//! its namespaces (an exec before `start`, another container that shares them): by ptrace they would get the marker, the
//! fifo and a process whose filter and label are still to come (R8; CVE-2016-9962).
//!
//! So the process keeps its own namespaces open, and hands them out through a socket in the state directory. Only the
//! container's owner gets there (0700), nobody inside does, and what goes through is nothing of the host's.

use crate::error::Result;
use crate::ondisk::runtime_state::DOOR;
use crate::sys::socket;
use rustix::net::{RecvFlags, SocketType};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Makes it. To be made where `exec` would find the way by pid closed.
pub fn make(state_dir: BorrowedFd<'_>) -> Result<OwnedFd> {
    Ok(socket::listen_at(state_dir, DOOR, SocketType::SEQPACKET)?)
}

/// The namespaces of the waiting process, with their CLONE_NEW* flags, the user namespace first. None: it does not wait
/// any more, or there is no door; then the way by pid is open.
pub fn ask(state_dir: BorrowedFd<'_>) -> Option<Vec<(u64, OwnedFd)>> {
    let door = socket::connect_at(state_dir, DOOR, SocketType::SEQPACKET).ok()?;
    let (mut kinds, mut fds) = ([0u8; 8], Vec::new());
    // Closed without a word: it executed meanwhile.
    let length = socket::recv(door.as_fd(), &mut kinds, &mut fds, RecvFlags::empty()).ok()?;
    let kinds = u64::from_ne_bytes(kinds);
    let sent = super::child::door::KINDS.iter().map(|(kind, _)| *kind).filter(|kind| kinds & kind != 0);
    (length == 8).then(|| sent.zip(fds).collect())
}
