//! Trees to and from a tar stream (`cp -`, `export`).

use super::tree;
use super::{Meta, Recorded, names, open_dir, open_file};
use crate::error::{Context, Error, Result};
use crate::store::owners::NO_ID;
use crate::sys::CallContext;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Writes `from/name` as `shown` and everything below it.
pub fn pack<W: Write>(
    from: BorrowedFd<'_>,
    name: &CStr,
    shown: &Path,
    owners: &Recorded,
    tar: &mut tar::Builder<W>,
) -> Result<()> {
    let meta = owners.stat(from, name)?;
    match meta.kind {
        FileType::Directory => {
            let dir = open_dir(from, name)?;
            append(tar, &meta, tar::EntryType::Directory, shown, std::io::empty())?;
            pack_contents(dir.as_fd(), shown, owners, tar)
        }
        FileType::RegularFile => {
            let fd = open_file(from, name)?;
            // A file that grows or shrinks meanwhile must not break the archive: exactly the size in the header.
            let data = File::from(fd).take(meta.size).chain(std::io::repeat(0)).take(meta.size);
            append(tar, &meta, tar::EntryType::Regular, shown, data)
        }
        FileType::Symlink => {
            let target =
                rustix::fs::readlinkat(from, name, Vec::new()).call(|| format!("readlinkat({name:?})"))?;
            let mut header = header(&meta, tar::EntryType::Symlink);
            header.set_size(0);
            let target = Path::new(OsStr::from_bytes(target.as_bytes()));
            tar.append_link(&mut header, shown, target).call(|| format!("write({})", shown.display()))?;
            Ok(())
        }
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
            let kind = match meta.kind {
                FileType::CharacterDevice => tar::EntryType::Char,
                FileType::BlockDevice => tar::EntryType::Block,
                _ => tar::EntryType::Fifo,
            };
            append(tar, &meta, kind, shown, std::io::empty())
        }
        FileType::Socket | FileType::Unknown => Ok(()),
    }
}

/// Writes an entry without what is in it: a directory, or what is mounted over something.
///
/// The root of a mount may have an owner that has no number here (/proc of another namespace): then root's.
pub fn pack_empty<W: Write>(
    from: BorrowedFd<'_>,
    name: &CStr,
    shown: &Path,
    owners: &Recorded,
    tar: &mut tar::Builder<W>,
) -> Result<()> {
    let mut meta = Meta { size: 0, ..owners.stat(from, name)? };
    if meta.uid == NO_ID && meta.gid == NO_ID {
        (meta.uid, meta.gid) = (0, 0);
    }
    let kind = match meta.kind {
        FileType::Directory => tar::EntryType::Directory,
        _ => tar::EntryType::Regular,
    };
    append(tar, &meta, kind, shown, std::io::empty())
}

/// Writes what is in `dir`, below `shown`.
pub fn pack_contents<W: Write>(
    dir: BorrowedFd<'_>,
    shown: &Path,
    owners: &Recorded,
    tar: &mut tar::Builder<W>,
) -> Result<()> {
    for name in names(dir)? {
        pack(dir, &name, &shown.join(OsStr::from_bytes(name.as_bytes())), owners, tar)?;
    }
    Ok(())
}

fn header(meta: &Meta, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(meta.mode);
    header.set_uid(u64::from(meta.uid));
    header.set_gid(u64::from(meta.gid));
    header.set_mtime(u64::try_from(meta.mtime).unwrap_or(0));
    if matches!(meta.kind, FileType::CharacterDevice | FileType::BlockDevice) {
        // Both exist in a GNU header.
        let _ = header.set_device_major(rustix::fs::major(meta.rdev));
        let _ = header.set_device_minor(rustix::fs::minor(meta.rdev));
    }
    header
}

fn append<W: Write, R: Read>(
    tar: &mut tar::Builder<W>,
    meta: &Meta,
    kind: tar::EntryType,
    shown: &Path,
    data: R,
) -> Result<()> {
    let mut header = header(meta, kind);
    header.set_size(if kind.is_file() { meta.size } else { 0 });
    // Names of directories end in a slash in archives.
    let name = if kind.is_dir() { shown.join("") } else { shown.to_owned() };
    tar.append_data(&mut header, name, data).call(|| format!("write({})", shown.display()))?;
    Ok(())
}

/// Unpacks a stream into the directory `to`: files, directories and links; nothing above it is reachable.
pub fn extract<R: Read>(stream: R, to: BorrowedFd<'_>, archive: bool) -> Result<()> {
    let mut tar = tar::Archive::new(stream);
    let mut directories: Vec<(OwnedFd, Meta)> = Vec::new();
    for entry in tar.entries().call(|| "read(tar)")? {
        let mut entry = entry.call(|| "read(tar)").what(|| "the archive cannot be read")?;
        let path = plain(&entry.path_bytes())?;
        let Some(name) = path.file_name().map(c_string).transpose()? else { continue };
        let parent = open_parent(to, path.parent().unwrap_or(Path::new("")))?;
        let meta = meta_of(entry.header());
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                match rustix::fs::mkdirat(&parent, &name, Mode::from(0o700)) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                    Err(e) => Err(e).call(|| format!("mkdirat({name:?})"))?,
                }
                directories.push((open_dir(parent.as_fd(), &name)?, meta));
            }
            kind if kind.is_file() => {
                let mut file = File::from(tree::create(parent.as_fd(), &name)?);
                std::io::copy(&mut entry, &mut file).call(|| format!("write({name:?})"))?;
                meta.put_on(&file, archive)?;
            }
            tar::EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                tree::symlink(&c_string(OsStr::from_bytes(&target))?, parent.as_fd(), &name)?;
            }
            tar::EntryType::Link => {
                let target = plain(&entry.link_name_bytes().unwrap_or_default())?;
                let target_name = c_string(target.file_name().unwrap_or_default())?;
                let target_parent = open_parent(to, target.parent().unwrap_or(Path::new("")))?;
                rustix::fs::linkat(
                    &target_parent,
                    &target_name,
                    &parent,
                    &name,
                    rustix::fs::AtFlags::empty(),
                )
                .call(|| format!("linkat({target_name:?}, {name:?})"))?;
            }
            other => {
                return Err(Error::usage(format_args!(
                    "cannot unpack {}: entries of type {other:?} are not supported",
                    path.display()
                )));
            }
        }
    }
    // Modes last, deepest first: a read-only directory must not stop its own contents.
    for (dir, meta) in directories.iter().rev() {
        meta.put_on(dir, archive)?;
    }
    Ok(())
}

fn meta_of(header: &tar::Header) -> Meta {
    let id = |value: std::io::Result<u64>| value.ok().and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    Meta {
        kind: FileType::Unknown,
        mode: header.mode().unwrap_or(0o644) & 0o7777,
        uid: id(header.uid()),
        gid: id(header.gid()),
        size: header.size().unwrap_or(0),
        mtime: header.mtime().ok().and_then(|t| i64::try_from(t).ok()).unwrap_or(0),
        rdev: 0,
    }
}

/// The path without leading slashes and dots; `..` is refused.
fn plain(bytes: &[u8]) -> Result<PathBuf> {
    let path = Path::new(OsStr::from_bytes(bytes));
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(Error::corrupt(format_args!(
                    "the archive has an entry outside of its tree: {}",
                    path.display()
                )));
            }
        }
    }
    Ok(clean)
}

/// Opens the parent of an entry, made when missing; no symlink on the way.
fn open_parent(to: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    let mut at = to.try_clone_to_owned().call(|| "dup()")?;
    for component in path.components() {
        let name = c_string(component.as_os_str())?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        at = match crate::sys::resolve::openat2(&at, &name, flags, Mode::empty(), resolve) {
            Err(rustix::io::Errno::NOENT) => {
                rustix::fs::mkdirat(&at, &name, Mode::from(0o755)).call(|| format!("mkdirat({name:?})"))?;
                open_dir(at.as_fd(), &name)?
            }
            other => other.call(|| format!("openat2({name:?}, RESOLVE_NO_SYMLINKS)"))?,
        };
    }
    Ok(at)
}

fn c_string(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Error::corrupt("the archive has a name with a NUL byte"))
}
