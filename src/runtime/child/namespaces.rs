//! Namespaces: joining those that exist, making those that the clone could not.

use crate::runtime::plan::Plan;
use crate::runtime::plan::namespaces::NEWUSER;
use crate::runtime::step::{Fail, OrFail, Step, fail};
use crate::sys;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Joins what the child may join itself.
pub fn join(plan: &Plan) -> Result<(), Fail> {
    for (index, (_, fd)) in plan.joined.iter().enumerate() {
        enter(fd).or_fail(Step::Join, index)?;
    }
    Ok(())
}

/// Joins, in a stage, whatever is to be joined. Namespaces may belong to the user namespace that we are in or to the
/// one that is joined: each is tried before, and again after that.
pub fn join_in_stage(joined: &[(u64, OwnedFd)]) -> Result<(), Fail> {
    let mut done = 0u64;
    for (kind, fd) in joined.iter().filter(|(kind, _)| *kind != NEWUSER) {
        if enter(fd).is_ok() {
            done |= kind;
        }
    }
    for (index, (kind, fd)) in joined.iter().enumerate().filter(|(_, (kind, _))| *kind == NEWUSER) {
        match enter(fd) {
            Ok(()) => done |= kind,
            // Joining the user namespace that one is in already is EINVAL.
            Err(Errno::INVAL) if joined.len() > 1 => done |= kind,
            Err(e) => return Err(fail(Step::Join, index, e)),
        }
    }
    for (index, (kind, fd)) in joined.iter().enumerate() {
        if done & kind == 0 {
            enter(fd).or_fail(Step::Join, index)?;
        }
    }
    Ok(())
}

fn enter(fd: &OwnedFd) -> rustix::io::Result<()> {
    rustix::thread::move_into_link_name_space(fd.as_fd(), None)
}

/// A new cgroup namespace. Its root is the cgroup that we are in by now.
pub fn unshare_cgroup(plan: &Plan) -> Result<(), Fail> {
    if plan.namespaces.new_cgroup {
        sys::ns::unshare(UnshareFlags::NEWCGROUP).or_fail(Step::CgroupNamespace, 0)?;
    }
    Ok(())
}

/// A new time namespace. While we are dumpable: the file of the offsets belongs to root otherwise.
pub fn unshare_time(plan: &Plan, proc: BorrowedFd<'_>) -> Result<(), Fail> {
    match &plan.namespaces.new_time {
        Some(offsets) => new_time(offsets, proc).or_fail(Step::TimeNamespace, 0),
        None => Ok(()),
    }
}

/// Offsets can be written only while nobody is inside, so: make, write, enter.
fn new_time(offsets: &[u8], proc: BorrowedFd<'_>) -> rustix::io::Result<()> {
    sys::ns::unshare(UnshareFlags::NEWTIME)?;
    if !offsets.is_empty() {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(proc, c"self/timens_offsets", flags, Mode::empty())?;
        rustix::io::write(&file, offsets)?;
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let ns = rustix::fs::openat(proc, c"self/ns/time_for_children", flags, Mode::empty())?;
    rustix::thread::move_into_link_name_space(ns.as_fd(), Some(LinkNameSpaceType::Time))
}

/// Flags that a stage's clone still has to make.
pub fn left_to_create(create: u64, joined: &[(u64, OwnedFd)]) -> u64 {
    let by_path = joined.iter().fold(0, |all, (kind, _)| all | kind);

    create & !by_path
}
