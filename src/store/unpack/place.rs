//! Names within a layer: taken apart, resolved, looked at and cleared, by fd and through no symlink.

use crate::error::{Error, Result};
use crate::store::unpack::tar::show;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Longest path of an entry.
pub(super) const MAX_PATH: usize = 4096;

/// A name in an open directory.
pub(super) type At<'a> = (BorrowedFd<'a>, &'a [u8]);

/// The path's parts, joined by single slashes; empty for the root.
pub(super) fn clean(path: &[u8]) -> Result<Vec<u8>> {
    if path.len() > MAX_PATH {
        return Err(refused("a path of more than 4096 bytes"));
    }
    let mut out = Vec::with_capacity(path.len());
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(refused("a path with `..`")),
            part => {
                if !out.is_empty() {
                    out.push(b'/');
                }
                out.extend_from_slice(part);
            }
        }
    }
    Ok(out)
}

/// Directory and last part; none for the root.
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => Some((path.get(..slash)?, path.get(slash + 1..)?)),
        None => Some((b"", path)),
    }
}

/// A directory below the layer's root, reached through no symlink.
pub(super) fn resolve(root: BorrowedFd<'_>, dir: &[u8]) -> rustix::io::Result<OwnedFd> {
    let dir = if dir.is_empty() { b"." } else { dir };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    crate::sys::resolve::openat2(root, dir, flags, Mode::empty(), resolve)
}

pub(super) fn stat(at: At<'_>) -> crate::sys::Result<Option<rustix::fs::Stat>> {
    match rustix::fs::statat(at.0, at.1, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(st) => Ok(Some(st)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e).call(|| format!("fstatat({})", show(at.1))),
    }
}

pub(super) fn is_directory(at: At<'_>) -> crate::sys::Result<bool> {
    Ok(stat(at)?.is_some_and(|st| FileType::from_raw_mode(st.st_mode).is_dir()))
}

pub(super) fn is_whiteout(at: At<'_>) -> crate::sys::Result<bool> {
    Ok(stat(at)?.is_some_and(|st| FileType::from_raw_mode(st.st_mode).is_char_device() && st.st_rdev == 0))
}

/// Removes what an earlier entry made under this name.
pub(super) fn clear(at: At<'_>) -> crate::sys::Result<()> {
    match rustix::fs::unlinkat(at.0, at.1, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {
            let name = std::ffi::CString::new(at.1).unwrap_or_default();
            crate::store::remove::remove_name(at.0, &name)
        }
        Err(e) => Err(e).call(|| format!("unlinkat({})", show(at.1))),
    }
}

pub(super) fn refused(why: &str) -> Error {
    Error::corrupt("the layer is refused").cause(why)
}

pub(super) fn through_symlink(dir: &[u8]) -> Error {
    refused(&format!("its path leads through a symlink or a file of the same layer ({})", show(dir)))
}
