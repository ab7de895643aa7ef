//! Paths below a root that somebody else may have filled: resolved once, by fd, with openat2.
//!
//! Safe after clone: bare errnos, no allocation.

pub use super::resolve::Make;
use super::resolve::{self, openat2};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatVfs};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Bytes of a file system that the caller may still write. One that counts none (ramfs) has no end.
pub fn free_bytes(fs: &StatVfs) -> u64 {
    if fs.f_blocks == 0 { u64::MAX } else { fs.f_bavail.saturating_mul(fs.f_frsize) }
}

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
            Ok(_) => return open_again(root, path, flags | OFlags::CLOEXEC),
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// What must never be done: a second look, by name.
#[cfg(feature = "unsafe-paths")]
fn open_again(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd> {
    let absolute = path.to_bytes_with_nul().iter().take_while(|byte| **byte == b'/').count();
    let below = path.to_bytes_with_nul().get(absolute..).unwrap_or_default();
    let below = CStr::from_bytes_with_nul(below).unwrap_or(c".");
    rustix::fs::openat(root, if below.is_empty() { c"." } else { below }, flags, Mode::empty())
}

/// Opens `path` below `root` as an O_PATH fd, and makes what is missing of it.
pub fn make_below(root: BorrowedFd<'_>, path: &CStr, end: Make, symlinks: Symlinks) -> Result<OwnedFd> {
    let mut flags = ResolveFlags::NO_MAGICLINKS;
    flags.set(ResolveFlags::NO_SYMLINKS, symlinks == Symlinks::Refused);
    #[cfg(feature = "unsafe-paths")]
    return make_again(root, path).or_else(|_| resolve::make(root, path, end, flags));
    #[cfg(not(feature = "unsafe-paths"))]
    resolve::make(root, path, end, flags)
}

/// The same for directories that are missing: each is made by its whole name.
#[cfg(feature = "unsafe-paths")]
fn make_again(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let path = path.to_bytes();
    let below = path.get(path.iter().take_while(|byte| **byte == b'/').count()..).unwrap_or_default();
    let ends = below.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for end in ends {
        let _ = rustix::fs::mkdirat(root, below.get(..end).unwrap_or_default(), Mode::from(0o755));
    }
    Err(Errno::NOENT)
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
