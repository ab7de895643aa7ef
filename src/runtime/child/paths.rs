//! Targets below the rootfs: opened, and made when they are missing. Every lookup starts at the root fd again, so that
//! absolute symlinks stay inside, and a rename by somebody else cannot lead out.

use crate::runtime::plan::target::Target;
pub use crate::sys::fs::Make;
use crate::sys::fs::{Symlinks, make_below, path_below};
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
