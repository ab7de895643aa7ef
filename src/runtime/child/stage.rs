//! The stage: a short-lived process that joins namespaces and clones the child as its own sibling.
//!
//! Needed where joining is wanted before the clone (pid, user), see `plan::namespaces`. The child is the runtime's child
//! (CLONE_PARENT), so that it is inherited by the caller's subreaper, not by us.

use super::{Inherited, give_up, namespaces};
use crate::runtime::handshake::{self, Message};
use crate::runtime::step::{Fail, OrFail, Step};
use crate::sys::process::{clone_child, exit_now};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Joins, clones, reports the pid, ends. `child` runs in the clone.
pub fn run(
    joined: &[(u64, OwnedFd)],
    create: u64,
    cgroup: Option<BorrowedFd<'_>>,
    inherited: &Inherited<'_>,
    child: impl FnOnce(),
) -> ! {
    let done =
        namespaces::join_in_stage(joined).and_then(|()| finish(joined, create, cgroup, inherited, child));
    match done {
        Ok(()) => exit_now(0),
        Err(failure) => give_up(inherited, failure),
    }
}

fn finish(
    joined: &[(u64, OwnedFd)],
    create: u64,
    cgroup: Option<BorrowedFd<'_>>,
    inherited: &Inherited<'_>,
    child: impl FnOnce(),
) -> Result<(), Fail> {
    let flags = namespaces::left_to_create(create, joined) | libc::CLONE_PARENT as u64;
    let cloned = clone_child(flags, cgroup, child).or_fail(Step::Stage, 0)?;
    handshake::send(inherited.socket, Message::Cloned(cloned.pid)).or_fail(Step::Handshake, 0)
}
