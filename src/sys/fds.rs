//! System calls: letting go of file descriptors by range, with a way for kernels and seccomp filters without close_range.
//!
//! What a careless caller left open must reach nobody (`inherited`, `cloexec_from`), and what the runtime itself has open
//! must be gone before any path is looked up that a container has a say in (`close_from`): `/proc/self/fd/N` of an open
//! directory of the host leads out of every root (CVE-2024-21626). The last one runs after clone: no allocation.

#![allow(unsafe_code, reason = "close_range and close of a number have no safe face: nothing owns such a fd")]

use super::{CallContext, Result};
use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;
use std::ffi::{CStr, c_uint};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// linux/close_range.h; Linux 5.11.
const CLOSE_RANGE_CLOEXEC: c_uint = 4;

/// A copy, closed on exec, whose number is `from` or above. Where the process may have no such number, the kernel says EINVAL;
/// here that is EMFILE, as everywhere.
pub fn copy_above(fd: impl AsFd, from: RawFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, from)
        .map_err(|e| if e == Errno::INVAL { Errno::MFILE } else { e })
        .call(|| format!("fcntl(F_DUPFD_CLOEXEC, {from})"))
}

/// What becomes of a fd.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Closed,
    CloseOnExec,
}

/// Closes every fd from `first` on: what a careless caller left open without its CLOEXEC flag.
pub fn close_inherited(first: RawFd) -> Result<()> {
    with_own_list(first, Fate::Closed).call(|| format!("close_range({first}, ~0)"))
}

/// Marks all fds from `first` on close-on-exec.
pub fn cloexec_from(first: u32) -> Result<()> {
    let first = RawFd::try_from(first).unwrap_or(RawFd::MAX);
    with_own_list(first, Fate::CloseOnExec).call(|| format!("close_range({first}, ~0, CLOSE_RANGE_CLOEXEC)"))
}

fn with_own_list(first: RawFd, fate: Fate) -> rustix::io::Result<()> {
    match range(first, RawFd::MAX, fate) {
        Err(e) if is_missing(e) => each(rustix::fs::CWD, c"/proc/self/fd", first, &[], fate),
        other => other,
    }
}

/// Closes every fd from `first` on but `keep`, for a process that ends in execve or `_exit` and uses no other fd before.
/// `proc` is a proc file system, asked where the kernel has no close_range; it is closed like the rest.
pub fn close_from(first: RawFd, keep: &[RawFd], proc: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let mut from = first;
    loop {
        let next = keep.iter().copied().filter(|fd| *fd >= from).min();
        let last = next.map_or(RawFd::MAX, |fd| fd - 1);
        if from <= last {
            match range(from, last, Fate::Closed) {
                Err(e) if is_missing(e) => return each(proc, c"self/fd", first, keep, Fate::Closed),
                other => other?,
            }
        }
        match next {
            Some(fd) => from = fd + 1,
            None => return Ok(()),
        }
    }
}

/// Closes one; a number that is not open is no error.
pub fn close_one(number: RawFd) {
    // SAFETY: as in `close_from`, for one fd.
    unsafe { libc::close(number) };
}

/// Whether the fd `number` is open, and would stay so over execve: what a caller passes on purpose.
pub fn is_passed_on(number: RawFd) -> bool {
    // SAFETY: only asks; a number that is not open gives EBADF.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// No such call here, or a filter around us that does not know it (as old container engines say it).
fn is_missing(e: Errno) -> bool {
    matches!(e, Errno::NOSYS | Errno::PERM | Errno::INVAL)
}

fn range(first: RawFd, last: RawFd, fate: Fate) -> rustix::io::Result<()> {
    let flags = if fate == Fate::Closed { 0 } else { CLOSE_RANGE_CLOEXEC };
    // SAFETY: marking closes nothing. Closing: the callers say that no value of theirs in the range is used again.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if done == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

/// One by one, as the kernel lists them.
fn each(
    dir: impl std::os::fd::AsFd,
    list: &CStr,
    first: RawFd,
    keep: &[RawFd],
    fate: Fate,
) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let list = rustix::fs::openat(dir, list, flags, Mode::empty())?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); 1024];
    let mut entries = RawDir::new(&list, &mut buffer);
    while let Some(entry) = entries.next() {
        let Some(fd) = number(entry?.file_name()) else { continue };
        if fd < first || keep.contains(&fd) || fd == list.as_raw_fd() {
            continue;
        }
        // SAFETY: as in `range`.
        unsafe {
            match fate {
                Fate::Closed => libc::close(fd),
                Fate::CloseOnExec => libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC),
            }
        };
    }
    Ok(())
}

fn number(name: &CStr) -> Option<RawFd> {
    let digit = |n: RawFd, byte: &u8| match byte {
        b'0'..=b'9' => n.checked_mul(10)?.checked_add(RawFd::from(byte - b'0')),
        _ => None,
    };
    name.to_bytes().iter().try_fold(0, digit)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn names_of_descriptors_are_numbers() {
        assert_eq!(number(c"0"), Some(0));
        assert_eq!(number(c"1048576"), Some(1_048_576));
        assert_eq!(number(c".."), None);
        assert_eq!(number(c"99999999999"), None);
    }
}
