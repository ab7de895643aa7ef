//! What a disk quota leaves to the caller, as the kernel counts it.
//!
//! By quotactl_fd (Linux 5.14), else by quotactl and the device that mountinfo names. A user may ask for the own quota alone,
//! in a user namespace too. What a server keeps for itself (NFS, Lustre) is not known here; of project quotas statvfs tells.

#![allow(unsafe_code, reason = "rustix has no quotactl")]

use rustix::fs::{Mode, OFlags};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// The same number on every architecture.
const QUOTACTL_FD: libc::c_long = 443;

/// `USRQUOTA`, `GRPQUOTA`.
const KINDS: [libc::c_int; 2] = [0, 1];

/// Limits are counted in these.
const BLOCK: u64 = 1024;

/// Bytes that the caller may still write where `dir` is, by the quotas of user and group; `None`: there are none.
pub fn left(dir: &Path) -> Option<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, Mode::empty()).ok()?;
    KINDS.iter().filter_map(|kind| of_kind(&fd, *kind)).min()
}

fn of_kind(fd: &OwnedFd, kind: libc::c_int) -> Option<u64> {
    let id = match kind {
        0 => rustix::process::geteuid().as_raw(),
        _ => rustix::process::getegid().as_raw(),
    };
    let command = (libc::Q_GETQUOTA << 8) | kind;
    // SAFETY: plain numbers, for which zero is a value.
    let mut answer: libc::dqblk = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one dqblk into the one that it is given.
    let done = unsafe { libc::syscall(QUOTACTL_FD, fd.as_raw_fd(), command, id, &raw mut answer) };
    let known = match std::io::Error::last_os_error().raw_os_error() {
        _ if done == 0 => true,
        Some(libc::ENOSYS) => {
            let device = CString::new(super::mountinfo::kind_and_source(fd)?.1).ok()?;
            let id = libc::c_int::try_from(id).ok()?;
            // SAFETY: the path ends with NUL, and the kernel writes one dqblk into the one that it is given.
            unsafe { libc::quotactl(command, device.as_ptr(), id, (&raw mut answer).cast()) == 0 }
        }
        _ => false,
    };
    let limits = [answer.dqb_bhardlimit, answer.dqb_bsoftlimit];
    // The soft one may be passed for a while.
    let limit = limits.into_iter().find(|limit| *limit > 0).filter(|_| known)?;
    Some(limit.saturating_mul(BLOCK).saturating_sub(answer.dqb_curspace))
}
