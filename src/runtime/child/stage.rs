//! The stage: a short-lived process that joins namespaces and clones the child as its own sibling.
//!
//! Needed where joining is wanted before the clone (pid, user), see `plan::namespaces`. The child is the runtime's child
//! (CLONE_PARENT), so that it is inherited by the caller's subreaper, not by us.

use super::{Inherited, give_up, namespaces};
use crate::runtime::handshake::{self, Message};
use crate::runtime::step::{Fail, OrFail, Step};
use crate::sys::process::{clone_child, exit_now};
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Joins, clones, reports the pid, ends. `child` runs in the clone.
pub fn run(
    joined: &[(u64, OwnedFd)],
    create: u64,
    cgroup: Option<BorrowedFd<'_>>,
    inherited: &Inherited<'_>,
    child: impl Fn(),
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
    child: impl Fn(),
) -> Result<(), Fail> {
    let flags = namespaces::left_to_create(create, joined) | libc::CLONE_PARENT as u64;
    let cloned = match clone_child(flags, cgroup, &child) {
        // It waits for `Go` anyway, and is moved before that.
        Err(e) if cgroup.is_some() && not_born_there(e) => clone_child(flags, None, &child),
        other => other,
    }
    .or_fail(Step::Stage, 0)?;
    handshake::send(inherited.socket, Message::Cloned(cloned.pid)).or_fail(Step::Handshake, 0)
}

/// No clone3 here, or not allowed to be born in that cgroup (the common ancestor is not ours, or it may hold no processes).
pub fn not_born_there(e: Errno) -> bool {
    matches!(e, Errno::NOSYS | Errno::ACCESS | Errno::PERM | Errno::OPNOTSUPP | Errno::BUSY)
}
