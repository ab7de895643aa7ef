//! One tree into another, both by directory fds.

use super::{Meta, names, open_dir, open_file, stat};
use crate::error::{Context, Error, Result};
use crate::sys::{self, CallContext};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::BorrowedFd;

/// Deepest nesting: more is an attack, not a tree.
const MAX_DEPTH: u32 = 1024;

/// Copies `from/name` to `to/new_name`. A directory that exists is merged into; a file is replaced.
pub fn copy(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    new_name: &CStr,
    archive: bool,
) -> Result<()> {
    copy_at(from, name, to, new_name, archive, 0)
}

/// Copies what is in the directory `from` into the directory `to`.
pub fn copy_contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>, archive: bool) -> Result<()> {
    for name in names(from)? {
        copy_at(from, &name, to, &name, archive, 1)?;
    }
    Ok(())
}

fn copy_at(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    new_name: &CStr,
    archive: bool,
    depth: u32,
) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::corrupt(format_args!("directories are nested more than {MAX_DEPTH} deep")));
    }
    let meta = stat(from, name)?;
    match meta.kind {
        FileType::Directory => {
            let source = open_dir(from, name)?;
            let target = make_dir(to, new_name)?;
            for child in names(&source)? {
                use std::os::fd::AsFd;
                copy_at(source.as_fd(), &child, target.as_fd(), &child, archive, depth + 1)?;
            }
            Ok(meta.put_on(&target, archive)?)
        }
        FileType::RegularFile => copy_file(from, name, to, new_name, &meta, archive),
        FileType::Symlink => copy_symlink(from, name, to, new_name, &meta, archive),
        _ => copy_special(to, new_name, &meta)
            .what(|| format!("cannot copy the special file {}", name.to_string_lossy())),
    }
}

/// Opens or makes a directory; what else stands there is an error.
fn make_dir(to: BorrowedFd<'_>, name: &CStr) -> Result<std::os::fd::OwnedFd> {
    match rustix::fs::mkdirat(to, name, Mode::from(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => Err(e).call(|| format!("mkdirat({name:?})"))?,
    }
    Ok(open_dir(to, name)?)
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
        rustix::fs::chownat(to, new_name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .call(|| format!("fchownat({new_name:?})"))?;
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
