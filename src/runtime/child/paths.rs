//! Targets below the rootfs: opened, and made when they are missing. Every lookup starts at the root fd again, so that
//! absolute symlinks stay inside, and a rename by somebody else cannot lead out.

use crate::runtime::plan::target::Target;
pub use crate::sys::fs::Make;
use crate::sys::fs::{Symlinks, make_below, path_below};
use crate::sys::spawn::fs_ids;
use rustix::fs::Mode;
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Opens `target` as an O_PATH fd, with what is missing on the way made.
pub fn ensure(root: BorrowedFd<'_>, target: &Target, make: Make, symlinks: Symlinks) -> Result<OwnedFd> {
    match path_below(root, &target.path, symlinks) {
        Err(Errno::NOENT) => make_below(root, &target.path, make, symlinks),
        other => other,
    }
}

/// The same where root may be refused and `user` (uid, gid), as whom the process will run, may be not: a file server knows
/// nothing of root's capabilities in this namespace, and the user's home is closed to everybody else.
pub fn ensure_for(
    user: (u32, u32),
    root: BorrowedFd<'_>,
    target: &Target,
    make: Make,
    symlinks: Symlinks,
) -> Result<OwnedFd> {
    let us = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    match ensure(root, target, make, symlinks) {
        Err(Errno::ACCESS) if user.0 != us.0 => {
            fs_ids(user.0, user.1)?;
            let opened = ensure(root, target, make, symlinks);
            fs_ids(us.0, us.1)?;
            opened
        }
        other => other,
    }
}

/// The directory that holds `target`, made when it is missing.
pub fn ensure_parent(root: BorrowedFd<'_>, target: &Target, symlinks: Symlinks) -> Result<OwnedFd> {
    let mut at: Option<OwnedFd> = None;
    let depth = target.steps.len().saturating_sub(1);
    for step in target.steps.iter().take(depth) {
        at = Some(match path_below(root, &step.path, symlinks) {
            Err(Errno::NOENT) => {
                let dir = at.as_ref().map_or(root, AsFd::as_fd);
                match rustix::fs::mkdirat(dir, step.name.as_c_str(), Mode::from(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e),
                }
                path_below(root, &step.path, symlinks)?
            }
            other => other?,
        });
    }
    match at {
        Some(fd) => Ok(fd),
        None => path_below(root, c"", symlinks),
    }
}
