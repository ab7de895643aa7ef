//! Removing a tree by fd. Never follows a symlink, never leaves the file system's own tree, needs no path.
//!
//! Depth first with an explicit stack of open directories, so a tree that is 4000 deep costs fds, not stack: beyond
//! `MAX_OPEN` levels the deeper tree is first renamed up, next to the top, and then removed from there.

use crate::error::{Context, Result};
use crate::sys::{self, CallContext};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Directories held open at once.
const MAX_OPEN: usize = 64;

/// Removes `name` of `dir` and all below it. What is already gone is no error.
pub fn remove_tree(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    let Ok(name) = CString::new(name) else { return Ok(()) };
    remove_name(dir, &name).what(|| format!("cannot remove {}", name.to_string_lossy()))
}

/// The same for a name that need not be text.
pub(super) fn remove_name(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e).call(|| format!("unlinkat({name:?})")),
    }
    let mut moved = 0u32;
    let mut stack: Vec<(OwnedFd, CString)> = Vec::new();
    let Some(top) = open_child(dir, name)? else { return Ok(()) };
    stack.push((top, name.to_owned()));
    while let Some((current, current_name)) = stack.pop() {
        match empty(&current)? {
            None => {
                let parent = stack.last().map_or(dir, |(fd, _)| fd.as_fd());
                match rustix::fs::unlinkat(parent, &current_name, AtFlags::REMOVEDIR) {
                    // Filled again by somebody meanwhile: go round once more.
                    Err(Errno::NOTEMPTY) => stack.push((current, current_name)),
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(e) => return Err(e).call(|| format!("unlinkat({current_name:?}, AT_REMOVEDIR)")),
                }
            }
            Some(child) if stack.len() >= MAX_OPEN => {
                moved += 1;
                let up = CString::new(format!(".coracle-rm-{moved}")).unwrap_or_default();
                let root = stack.first().map_or(current.as_fd(), |(fd, _)| fd.as_fd());
                rustix::fs::renameat(&current, &child, root, &up)
                    .call(|| format!("renameat({child:?}, {up:?})"))?;
                stack.push((current, current_name));
            }
            Some(child) => {
                let below = open_child(current.as_fd(), &child)?;
                stack.push((current, current_name));
                stack.extend(below.map(|fd| (fd, child)));
            }
        }
    }
    Ok(())
}

/// Removes what is no directory from `dir`, up to the first directory, which it returns: so a pass never looks twice at
/// many directories side by side.
fn empty(dir: &OwnedFd) -> sys::Result<Option<CString>> {
    for entry in rustix::fs::Dir::read_from(dir).call(|| "getdents64()")? {
        let entry = entry.call(|| "getdents64()")?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            return Ok(Some(name.to_owned()));
        }
        match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            // Where getdents knows no types.
            Err(Errno::ISDIR) => return Ok(Some(name.to_owned())),
            Err(e) => return Err(e).call(|| format!("unlinkat({name:?})")),
        }
    }
    Ok(None)
}

fn open_child(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::ACCESS) => {
            // A directory without permissions, of ours, outside the namespace.
            let path_fd = rustix::fs::openat(
                dir,
                name,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .call(|| format!("openat({name:?}, O_PATH)"))?;
            let proc_path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&path_fd));
            rustix::fs::chmod(&proc_path, Mode::from(0o700)).call(|| format!("chmod({name:?}, 0700)"))?;
            rustix::fs::openat(dir, name, flags, Mode::empty())
                .map(Some)
                .call(|| format!("openat({name:?}, O_DIRECTORY)"))
        }
        Err(e) => Err(e).call(|| format!("openat({name:?}, O_DIRECTORY|O_NOFOLLOW)")),
    }
}
