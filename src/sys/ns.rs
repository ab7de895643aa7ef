//! Namespaces. Joining is rustix's own safe `setns`; leaving, and telling their types, is here.

#![allow(unsafe_code)] // unshare is an unsafe function of rustix, and the ioctl has none

use rustix::io::{Errno, Result};
use rustix::thread::UnshareFlags;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Moves the caller into new namespaces. Never unshares the fd table.
pub fn unshare(flags: UnshareFlags) -> Result<()> {
    // SAFETY: the obligation concerns CLONE_FILES only, which is taken out.
    unsafe { rustix::thread::unshare_unsafe(flags.difference(UnshareFlags::FILES)) }
}

/// The CLONE_NEW* flag of a namespace (ioctl_ns(2), NS_GET_NSTYPE). ENOTTY where the file is none.
pub fn kind(namespace: BorrowedFd<'_>) -> Result<u64> {
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: the request has no argument, and its result is a number.
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE as libc::Ioctl) };
    u64::try_from(kind).map_err(|_| {
        Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    })
}
