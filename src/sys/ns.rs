//! Namespaces. Joining is rustix's own safe `setns`; leaving is here.

#![allow(unsafe_code)] // unshare is an unsafe function of rustix

use rustix::io::Result;
use rustix::thread::UnshareFlags;

/// Moves the caller into new namespaces. Never unshares the fd table.
pub fn unshare(flags: UnshareFlags) -> Result<()> {
    // SAFETY: the obligation concerns CLONE_FILES only, which is taken out.
    unsafe { rustix::thread::unshare_unsafe(flags.difference(UnshareFlags::FILES)) }
}
