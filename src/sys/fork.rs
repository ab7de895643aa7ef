//! System calls: splitting the calling process in two that share their memory pages (fork).
//!
//! Exactly one caller: the monitor, for its guard. A guard that is an exec of its own would pay again for every page that
//! the loader relocates; the fork shares them with the monitor until one of the two writes.

#![allow(unsafe_code, reason = "fork has no safe face: what the child may do depends on the process")]

use super::{CallContext, Result};
use rustix::process::Pid;

/// Which of the two the caller is now.
#[derive(Debug)]
pub enum Side {
    /// The old process, with the pid of the new one.
    Parent(Pid),
    Child,
}

/// Splits the process. Refused (EINVAL) when it has a second thread: that one's locks would stay locked in the child.
pub fn fork() -> Result<Side> {
    // SAFETY: unsharing memory changes nothing in a process with one thread, and fails in one with more.
    let alone = unsafe { libc::unshare(libc::CLONE_VM) };
    check(alone).call(|| "unshare(CLONE_VM) before fork()")?;
    // SAFETY: there is no other thread at this point (just checked), so the child may go on with all of this program's
    // functions: no lock is held by anybody else.
    let pid = unsafe { libc::fork() };
    check(pid).call(|| "fork()")?;
    Ok(Pid::from_raw(pid).map_or(Side::Child, Side::Parent))
}

fn check(returned: libc::c_int) -> std::io::Result<()> {
    if returned < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
