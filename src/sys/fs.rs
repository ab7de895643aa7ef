//! Paths below a root that somebody else may have filled: resolved once, by fd, with openat2.
//!
//! Safe after clone: bare errnos, no allocation.

pub use super::resolve::Make;
use super::resolve::{self, openat2};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

/// How symlinks below the root are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symlinks {
    /// Followed, as if the root were `/`.
    InRoot,
    /// Refused with ELOOP.
    Refused,
}

/// Opens `path` below `root`; nothing above `root` is ever reached, magic links are refused.
pub fn open_below(root: BorrowedFd<'_>, path: &CStr, flags: OFlags, symlinks: Symlinks) -> Result<OwnedFd> {
    let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    resolve.set(ResolveFlags::NO_SYMLINKS, symlinks == Symlinks::Refused);
    let path = if path.is_empty() { c"." } else { path };
    // EAGAIN: a rename somewhere made the kernel unsure about `..`; ask again, but not for ever.
    for _ in 0..128 {
        match openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            #[cfg(feature = "unsafe-paths")]
            Ok(_) => return rustix::fs::openat(root, path, flags | OFlags::CLOEXEC, Mode::empty()),
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// Opens `path` below `root` as an O_PATH fd, and makes what is missing of it.
pub fn make_below(root: BorrowedFd<'_>, path: &CStr, end: Make, symlinks: Symlinks) -> Result<OwnedFd> {
    let mut flags = ResolveFlags::NO_MAGICLINKS;
    flags.set(ResolveFlags::NO_SYMLINKS, symlinks == Symlinks::Refused);
    resolve::make(root, path, end, flags)
}

/// Opens `path` below `root` as an O_PATH fd.
pub fn path_below(root: BorrowedFd<'_>, path: &CStr, symlinks: Symlinks) -> Result<OwnedFd> {
    open_below(root, path, OFlags::PATH, symlinks)
}

/// Whether the caller may do that to the file at `path`, by its effective ids (faccessat2). Filters that do not know the call
/// say EPERM: then the answer is for the real ids, which are the same in everything of ours.
pub fn may(path: &CStr, access: Access) -> Result<()> {
    match rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS) {
        Err(Errno::PERM) => rustix::fs::accessat(CWD, path, access, AtFlags::empty()),
        other => other,
    }
}

/// The type of what `fd` refers to, without permission bits.
pub fn file_type(fd: BorrowedFd<'_>) -> Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}
