//! One tree into another, both by directory fds.

use super::{Meta, names, open_dir, open_file, stat};
use crate::error::{Context, Error, Result};
use crate::store::owners::NO_ID;
use crate::sys::{self, CallContext};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Deepest nesting: more is an attack, not a tree.
const MAX_DEPTH: u32 = 1024;

/// How to copy.
#[derive(Debug)]
pub struct How {
    /// Keep owners; else all is ours.
    pub owners: bool,
    /// It comes from the host, where ids are that have no number here: what has such an owner becomes ours (podman).
    pub of_the_host: bool,
    /// A file may take the place of a directory, and a directory that of a file.
    pub overwrite: bool,
    /// What is copied, for errors.
    pub path: PathBuf,
}

/// Copies `from/name` to `to/new_name`. A directory that exists is merged into; a file is replaced.
pub fn copy(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    new_name: &CStr,
    mut how: How,
) -> Result<()> {
    how.copy_at(from, name, to, new_name, 0)
}

/// Copies what is in the directory `from` into the directory `to`.
pub fn copy_contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>, mut how: How) -> Result<()> {
    how.copy_below(from, to, 0)
}

impl How {
    fn copy_at(
        &mut self,
        from: BorrowedFd<'_>,
        name: &CStr,
        to: BorrowedFd<'_>,
        new_name: &CStr,
        depth: u32,
    ) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::corrupt(format_args!("directories are nested more than {MAX_DEPTH} deep")));
        }
        let meta = self.stat(from, name).what(|| self.cannot())?;
        if meta.kind == FileType::Directory {
            let source = open_dir(from, name).what(|| self.cannot())?;
            let target = self.make_dir(to, new_name).what(|| self.cannot())?;
            self.copy_below(source.as_fd(), target.as_fd(), depth)?;
            return meta.put_on(&target, self.owners).what(|| self.cannot());
        }
        self.make_room(to, new_name)
            .and_then(|()| match meta.kind {
                FileType::RegularFile => copy_file(from, name, to, new_name, &meta, self.owners),
                FileType::Symlink => copy_symlink(from, name, to, new_name, &meta, self.owners),
                _ => copy_special(to, new_name, &meta),
            })
            .what(|| self.cannot())
    }

    /// Opens or makes a directory.
    fn make_dir(&self, to: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
        for again in [self.overwrite, false] {
            match rustix::fs::mkdirat(to, name, Mode::from(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => Err(e).call(|| format!("mkdirat({name:?})"))?,
            }
            match open_dir(to, name) {
                Err(e) if again && matches!(e.raw_os_error(), libc::ENOTDIR | libc::ELOOP) => {
                    remove_old(to, name)?;
                }
                other => return Ok(other?),
            }
        }
        Err(Error::in_use(format_args!("{} changed while it was copied", name.to_string_lossy())))
    }

    /// Removes the directory that a file is to replace.
    fn make_room(&self, to: BorrowedFd<'_>, name: &CStr) -> Result<()> {
        match self.overwrite && stat(to, name).is_ok_and(|old| old.kind == FileType::Directory) {
            true => crate::store::remove_tree(to, &name.to_string_lossy()),
            false => Ok(()),
        }
    }

    fn copy_below(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: u32) -> Result<()> {
        for name in names(from).what(|| self.cannot())? {
            self.path.push(OsStr::from_bytes(name.to_bytes()));
            self.copy_at(from, &name, to, &name, depth + 1)?;
            self.path.pop();
        }
        Ok(())
    }

    fn stat(&self, from: BorrowedFd<'_>, name: &CStr) -> Result<Meta> {
        let mut meta = stat(from, name)?;
        for id in [&mut meta.uid, &mut meta.gid] {
            if self.of_the_host && *id == NO_ID {
                *id = 0;
            }
        }
        Ok(meta)
    }

    fn cannot(&self) -> String {
        format!("cannot copy {}", self.path.display())
    }
}

fn copy_file(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    new_name: &CStr,
    meta: &Meta,
    archive: bool,
) -> Result<()> {
    let source = open_file(from, name)?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&source).call(|| "fstat()")?.st_mode);
    if kind != FileType::RegularFile {
        return Err(Error::corrupt(format_args!("{} changed while it was copied", name.to_string_lossy())));
    }
    let target = create(to, new_name)?;
    let mut target = File::from(target);
    sys::sparse::copy(&mut File::from(source), &mut target).call(|| format!("copy_file_range({name:?})"))?;
    Ok(meta.put_on(&target, archive)?)
}

/// A new, empty file. An old one of the name goes first: it may be a symlink, or shared by a hard link.
pub fn create(to: BorrowedFd<'_>, name: &CStr) -> Result<std::os::fd::OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    remove_old(to, name)?;
    Ok(rustix::fs::openat(to, name, flags, Mode::from(0o600))
        .call(|| format!("openat({name:?}, O_CREAT|O_EXCL)"))?)
}

fn copy_symlink(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    new_name: &CStr,
    meta: &Meta,
    archive: bool,
) -> Result<()> {
    let target = rustix::fs::readlinkat(from, name, Vec::new()).call(|| format!("readlinkat({name:?})"))?;
    symlink(&target, to, new_name)?;
    if archive {
        let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
        match rustix::fs::chownat(to, new_name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
            // As in `put_on`.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(e) => Err(e).call(|| format!("fchownat({new_name:?})"))?,
        }
    }
    Ok(())
}

/// A symlink in the place of what was there.
pub fn symlink(target: &CStr, to: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    remove_old(to, name)?;
    Ok(rustix::fs::symlinkat(target, to, name).call(|| format!("symlinkat({name:?})"))?)
}

fn copy_special(to: BorrowedFd<'_>, name: &CStr, meta: &Meta) -> Result<()> {
    if meta.kind == FileType::Socket {
        return Ok(()); // a socket without its listener is nothing
    }
    remove_old(to, name)?;
    rustix::fs::mknodat(to, name, meta.kind, Mode::from(meta.mode), meta.rdev)
        .call(|| format!("mknodat({name:?})"))?;
    Ok(())
}

fn remove_old(to: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    match rustix::fs::unlinkat(to, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Err(Error::in_use(format_args!(
            "cannot overwrite the directory {} with a file",
            name.to_string_lossy()
        ))),
        Err(e) => Ok(Err(e).call(|| format!("unlinkat({name:?})"))?),
    }
}
