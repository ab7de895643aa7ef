//! Writing entries into a layer's directory, by fd.
//!
//! Every path is taken apart here: `..` is refused, empty parts and `.` and a leading slash are dropped. The parent is
//! resolved once, with openat2 below the layer's root and without any symlink, and from then on only `*at(parent, leaf)`
//! calls that follow nothing are made. So no entry, whatever came before it, reaches anything outside of the layer.
//! An entry replaces what an earlier one of the same name made; only a directory over a directory is merged.
//!
//! Deleted names become character devices 0:0, which any user may make and which both the kernel's overlay and
//! fuse-overlayfs read, and opaque directories get `user.overlay.opaque`. Attributes that speak to an overlay are never
//! taken from an archive: they could point a file at another one of a lower layer. Owners, mode, attributes and times are
//! set by fd and in this order, because chown drops setuid bits and capabilities.

use super::place::{
    At, MAX_PATH, clean, clear, is_directory, is_whiteout, refused, resolve, split, through_symlink,
};
use super::tar::{Entry, EntryKind, TarReader, show};
use super::xattr;
use crate::error::{Context, Error, Result};
use crate::ondisk::layer::{Ownership, Stated, Whiteouts};
use crate::sys::CallContext;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::io::{BufRead, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most entries of a layer.
const MAX_ENTRIES: u64 = 2_000_000;
/// Bytes of directory names that are remembered to set their times at the end.
const MAX_REMEMBERED: usize = 16 << 20;

/// A layer's directory that entries are written to.
#[derive(Debug)]
pub struct Sink {
    root: OwnedFd,
    /// The directory of the last entry: archives go through a tree one directory at a time.
    parent: Option<(Vec<u8>, OwnedFd)>,
    owners: Owners,
    /// Bytes that may still be written.
    room: u64,
    directories: Vec<(Vec<u8>, Timespec)>,
    remembered: usize,
    report: Report,
}

/// What becomes of owners.
#[derive(Debug)]
pub enum Owners {
    /// chown.
    Real,
    /// One id only: they go into the file `owners`.
    Recorded(std::io::BufWriter<std::fs::File>),
    /// The store is for all users: owner and mode go into an attribute of the file, which everybody may read.
    Stated,
}

/// What was written, and what could not be.
#[derive(Debug, Clone)]
pub struct Report {
    pub entries: u64,
    /// Bytes of files.
    pub size: u64,
    pub whiteouts: Whiteouts,
    pub opaque_root: bool,
    pub skipped_devices: u64,
    pub skipped_xattrs: u64,
    pub ownership: Ownership,
}

impl Sink {
    /// Writes into `root`, at most `room` bytes of file data.
    pub fn new(root: OwnedFd, owners: Owners, room: u64) -> Self {
        let ownership = match owners {
            Owners::Real => Ownership::Real,
            Owners::Recorded(_) => Ownership::Recorded,
            Owners::Stated => Ownership::Stated,
        };
        Self {
            root,
            parent: None,
            owners,
            room,
            directories: Vec::new(),
            remembered: 0,
            report: Report {
                entries: 0,
                size: 0,
                whiteouts: Whiteouts::Devices,
                opaque_root: false,
                skipped_devices: 0,
                skipped_xattrs: 0,
                ownership,
            },
        }
    }

    /// Writes every entry of `tar`.
    pub fn unpack<R: BufRead>(mut self, tar: &mut TarReader<R>) -> Result<Report> {
        let root = self.root.as_fd().try_clone_to_owned().call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
        self.state(root.as_fd(), ROOTS).hint(|| {
            "A store for all users needs a file system with extended attributes. On others, share images as files: \
             `coracle image squash IMAGE FILE`.".to_owned()
        })?;
        while let Some(entry) = tar.next_entry()? {
            self.report.entries += 1;
            if self.report.entries > MAX_ENTRIES {
                return Err(Error::corrupt("the layer has too many files")
                    .cause(format_args!("more than {MAX_ENTRIES}")));
            }
            self.entry(&entry, tar)
                .what(|| format!("cannot unpack {}", show(&entry.path)))
                .map_err(explain)?;
        }
        self.finish()
    }

    fn entry<R: BufRead>(&mut self, entry: &Entry, tar: &mut TarReader<R>) -> Result<()> {
        let path = clean(&entry.path)?;
        let Some((dir, name)) = split(&path) else {
            return self.root_entry(entry);
        };
        let parent = self.open_parent(dir)?;
        let result = self.place(entry, (parent.as_fd(), name), &path, tar);
        self.parent = Some((dir.to_owned(), parent));
        result
    }

    /// `.` and `/`: the layer's root may be described, never replaced (CVE-2021-29136).
    fn root_entry(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != EntryKind::Directory {
            return Err(refused("the layer's root can only be a directory"));
        }
        let root = self.root.as_fd().try_clone_to_owned().call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
        self.attributes(&root, entry, b".")?;
        self.remember(b".", entry);
        Ok(())
    }

    fn place<R: BufRead>(
        &mut self,
        entry: &Entry,
        at: At<'_>,
        path: &[u8],
        tar: &mut TarReader<R>,
    ) -> Result<()> {
        if let Some(hidden) = at.1.strip_prefix(b".wh.") {
            return self.whiteout(at.0, path, hidden);
        }
        match entry.kind {
            EntryKind::Directory => self.directory(entry, at, path),
            EntryKind::File => self.file(entry, at, path, tar),
            EntryKind::Symlink => self.symlink(entry, at, path),
            EntryKind::HardLink => self.hard_link(entry, at),
            EntryKind::Fifo => {
                clear(at)?;
                rustix::fs::mkfifoat(at.0, at.1, Mode::from(0o600))
                    .call(|| format!("mkfifoat({})", show(at.1)))?;
                self.nameless_attributes(entry, at, path)
            }
            // Nobody may make devices in a user namespace, and 0:0 would be a whiteout in disguise.
            EntryKind::CharDevice | EntryKind::BlockDevice => {
                self.report.skipped_devices += 1;
                Ok(())
            }
        }
    }

    fn directory(&mut self, entry: &Entry, at: At<'_>, path: &[u8]) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::mkdirat(at.0, at.1, Mode::from(0o700)) {
            Err(Errno::EXIST) if !is_directory(at)? => {
                // What was deleted below and made anew here must not show the old content.
                let opaque = is_whiteout(at)?;
                clear(at)?;
                rustix::fs::mkdirat(at.0, at.1, Mode::from(0o700))
                    .call(|| format!("mkdirat({})", show(at.1)))?;
                if opaque {
                    let fd = rustix::fs::openat(at.0, at.1, flags, Mode::empty())
                        .call(|| format!("openat({})", show(at.1)))?;
                    self.opaque(&fd)?;
                }
            }
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Ok(Err(e).call(|| format!("mkdirat({})", show(at.1)))?),
        }
        let fd = rustix::fs::openat(at.0, at.1, flags, Mode::empty())
            .call(|| format!("openat({}, O_DIRECTORY|O_NOFOLLOW)", show(at.1)))?;
        self.attributes(&fd, entry, path)?;
        self.remember(path, entry);
        Ok(())
    }

    fn file<R: BufRead>(
        &mut self,
        entry: &Entry,
        at: At<'_>,
        path: &[u8],
        tar: &mut TarReader<R>,
    ) -> Result<()> {
        let real = entry.sparse.as_ref().map_or(entry.size, |(_, real)| *real);
        self.room = self.room.checked_sub(real).ok_or_else(|| {
            Error::host("there is not enough free space in the store")
                .cause(format_args!("the file has {real} bytes, {} may still be written", self.room))
                .hint(crate::error::DISK_FULL)
        })?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || rustix::fs::openat(at.0, at.1, flags, Mode::from(0o600));
        let fd = match create() {
            Err(Errno::EXIST) => {
                clear(at)?;
                create()
            }
            other => other,
        }
        .call(|| format!("openat({}, O_CREAT|O_EXCL)", show(at.1)))?;
        match &entry.sparse {
            None => copy(&fd, tar, None)?,
            Some((pieces, real)) => {
                for (offset, length) in pieces {
                    rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(*offset)).call(|| "lseek()")?;
                    copy(&fd, tar, Some(*length))?;
                }
                rustix::fs::ftruncate(&fd, *real).call(|| "ftruncate()")?;
            }
        }
        self.report.size += real;
        self.attributes(&fd, entry, path)?;
        rustix::fs::futimens(&fd, &times(entry)).call(|| "futimens()")?;
        Ok(())
    }

    fn symlink(&mut self, entry: &Entry, at: At<'_>, path: &[u8]) -> Result<()> {
        if entry.link.is_empty() || entry.link.len() > MAX_PATH {
            return Err(refused("a symlink without a target, or with one that is too long"));
        }
        clear(at)?;
        rustix::fs::symlinkat(&*entry.link, at.0, at.1).call(|| format!("symlinkat({})", show(at.1)))?;
        self.nameless_attributes(entry, at, path)
    }

    /// A second name of a file of this layer; a symlink is linked itself, never followed.
    fn hard_link(&mut self, entry: &Entry, at: At<'_>) -> Result<()> {
        let target = clean(&entry.link)?;
        let Some((dir, name)) = split(&target) else {
            return Err(refused("a hard link to the layer's root"));
        };
        if name.starts_with(b".wh.") {
            return Err(refused("a hard link to a whiteout"));
        }
        let missing = |e: crate::sys::Error| {
            Error::corrupt("the hard link's target is not in this layer")
                .cause(format_args!("{}: {e}", show(&entry.link)))
        };
        let parent =
            resolve(self.root.as_fd(), dir).call(|| format!("openat2({})", show(dir))).map_err(missing)?;
        let st = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .call(|| format!("fstatat({})", show(name)))
            .map_err(missing)?;
        let here = rustix::fs::statat(at.0, at.1, AtFlags::SYMLINK_NOFOLLOW).ok();
        if here.is_some_and(|here| here.st_ino == st.st_ino && here.st_dev == st.st_dev) {
            return Ok(());
        }
        clear(at)?;
        rustix::fs::linkat(&parent, name, at.0, at.1, AtFlags::empty())
            .call(|| format!("linkat({}, {})", show(name), show(at.1)))?;
        Ok(())
    }

    /// `.wh..wh..opq` hides all that is below this directory, `.wh.<name>` one name of lower layers.
    fn whiteout(&mut self, parent: BorrowedFd<'_>, path: &[u8], hidden: &[u8]) -> Result<()> {
        if hidden == b".wh..opq" {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(parent, ".", flags, Mode::empty()).call(|| "openat(\".\")")?;
            // At the root the kernel does not look for the attribute: the record says it instead.
            self.report.opaque_root |= !path.contains(&b'/');
            return self.opaque(&fd);
        }
        if hidden.starts_with(b".wh.") {
            // Bookkeeping of a former union file system.
            return Ok(());
        }
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err(refused("a whiteout of no name"));
        }
        let at = (parent, hidden);
        match rustix::fs::mknodat(parent, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) => Ok(()),
            // The name is made anew by this layer: a directory must not show what was below it.
            Err(Errno::EXIST) if is_directory(at)? => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fd = rustix::fs::openat(parent, hidden, flags, Mode::empty())
                    .call(|| format!("openat({})", show(hidden)))?;
                self.opaque(&fd)
            }
            Err(Errno::EXIST) => Ok(()),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL | Errno::ACCESS) => {
                let name = [b".wh.", hidden].concat();
                self.mark(parent, &name)
            }
            Err(e) => Ok(Err(e).call(|| format!("mknodat({}, S_IFCHR, 0:0)", show(hidden)))?),
        }
    }

    fn opaque(&mut self, dir: &OwnedFd) -> Result<()> {
        match rustix::fs::fsetxattr(dir, "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::PERM) => self.mark(dir.as_fd(), b".wh..wh..opq"),
            Err(e) => Ok(Err(e).call(|| "fsetxattr(\"user.overlay.opaque\")")?),
        }
    }

    /// A whiteout as a file, where the file system has no other.
    fn mark(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.report.whiteouts = Whiteouts::Names;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, name, flags, Mode::from(0o600))
            .call(|| format!("openat({}, O_CREAT)", show(name)))?;
        self.state(fd.as_fd(), ROOTS)
    }

    /// Owner, mode, attributes, in this order.
    fn attributes(&mut self, fd: &OwnedFd, entry: &Entry, path: &[u8]) -> Result<()> {
        if let Some((uid, gid)) = self.owner(entry, path)? {
            rustix::fs::fchown(fd, Some(uid), Some(gid))
                .call(|| format!("fchown({}, {})", uid.as_raw(), gid.as_raw()))?;
        }
        let mode = match self.owners {
            Owners::Real => entry.mode,
            Owners::Recorded(_) => reachable(entry.mode, entry.kind == EntryKind::Directory),
            Owners::Stated => readable(entry),
        };
        rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)).call(|| format!("fchmod({mode:04o})"))?;
        let (uid, gid) = ids(entry)?;
        self.state(fd.as_fd(), Stated { uid, gid, mode: entry.mode & 0o7777 })?;
        // Capabilities and access lists speak of ids, which are others for everybody else.
        let for_all = |name: &[u8]| !matches!(self.owners, Owners::Stated) || name.starts_with(b"user.");
        self.report.skipped_xattrs += xattr::set(fd.as_fd(), &entry.xattrs, &for_all)?;
        Ok(())
    }

    /// States whose a file is, where that is how owners are kept.
    fn state(&self, file: BorrowedFd<'_>, stated: Stated) -> Result<()> {
        if matches!(self.owners, Owners::Stated) {
            stated.set(file).call(|| "fsetxattr(\"user.containers.override_stat\")")?;
        }
        Ok(())
    }

    /// The same for what cannot be opened: symlinks and fifos.
    fn nameless_attributes(&mut self, entry: &Entry, at: At<'_>, path: &[u8]) -> Result<()> {
        if let Some((uid, gid)) = self.owner(entry, path)? {
            rustix::fs::chownat(at.0, at.1, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .call(|| format!("fchownat({}, {}, {})", show(at.1), uid.as_raw(), gid.as_raw()))?;
        }
        if entry.kind == EntryKind::Fifo {
            // Just made by us, in a directory that nobody else can enter.
            let mode = if matches!(self.owners, Owners::Stated) { readable(entry) } else { entry.mode };
            rustix::fs::chmodat(at.0, at.1, Mode::from_raw_mode(mode), AtFlags::empty())
                .call(|| "fchmodat()")?;
        }
        rustix::fs::utimensat(at.0, at.1, &times(entry), AtFlags::SYMLINK_NOFOLLOW).call(|| "utimensat()")?;
        Ok(())
    }

    /// The owner to set; none where owners are written down instead.
    fn owner(&mut self, entry: &Entry, path: &[u8]) -> Result<Option<(Uid, Gid)>> {
        let (uid, gid) = ids(entry)?;
        let file = match &mut self.owners {
            Owners::Real => return Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid)))),
            Owners::Stated => return Ok(None),
            Owners::Recorded(file) => file,
        };
        if (uid, gid) != (0, 0) || reachable(entry.mode, entry.kind == EntryKind::Directory) != entry.mode {
            let mut line = format!("{uid} {gid} {:o} ", entry.mode).into_bytes();
            for byte in path {
                match byte {
                    b'\n' => line.extend(b"%0A"),
                    b'%' => line.extend(b"%25"),
                    other => line.push(*other),
                }
            }
            line.push(b'\n');
            file.write_all(&line).call(|| "write(owners)")?;
        }
        Ok(None)
    }

    /// The parent directory; what is missing of it is made, as root's with mode 0755.
    fn open_parent(&mut self, dir: &[u8]) -> Result<OwnedFd> {
        if let Some((_, fd)) = self.parent.take().filter(|(last, _)| last == dir) {
            return Ok(fd);
        }
        match resolve(self.root.as_fd(), dir) {
            Err(Errno::NOENT) => {}
            Err(Errno::LOOP) => return Err(through_symlink(dir)),
            Err(Errno::NOTDIR) => return self.replace_parent(dir),
            other => return Ok(other.call(|| format!("openat2({})", show(dir)))?),
        }
        self.replace_parent(dir)
    }

    /// Makes the directories of `dir` one by one; a file that is in the way is replaced, as other engines do.
    fn replace_parent(&mut self, dir: &[u8]) -> Result<OwnedFd> {
        let mut current = self.root.as_fd().try_clone_to_owned().call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for part in dir.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
            let at = (current.as_fd(), part);
            let mut made = true;
            match rustix::fs::mkdirat(at.0, part, Mode::from(0o755)) {
                Ok(()) => {
                    rustix::fs::chmodat(at.0, part, Mode::from(0o755), AtFlags::empty())
                        .call(|| "fchmodat()")?;
                }
                Err(Errno::EXIST) if is_whiteout(at)? => {
                    clear(at)?;
                    rustix::fs::mkdirat(at.0, part, Mode::from(0o755))
                        .call(|| format!("mkdirat({})", show(part)))?;
                    let fd = rustix::fs::openat(at.0, part, flags, Mode::empty())
                        .call(|| format!("openat({})", show(part)))?;
                    self.opaque(&fd)?;
                }
                Err(Errno::EXIST) => made = false,
                Err(e) => return Ok(Err(e).call(|| format!("mkdirat({})", show(part)))?),
            }
            current = match rustix::fs::openat(&current, part, flags, Mode::empty()) {
                Err(Errno::LOOP) => return Err(through_symlink(dir)),
                // O_DIRECTORY with O_NOFOLLOW says ENOTDIR of a symlink too.
                Err(Errno::NOTDIR) => return Err(through_symlink(dir)),
                other => other.call(|| format!("openat({}, O_DIRECTORY|O_NOFOLLOW)", show(part)))?,
            };
            if made {
                self.state(current.as_fd(), ROOTS)?;
            }
        }
        Ok(current)
    }

    fn remember(&mut self, path: &[u8], entry: &Entry) {
        self.remembered += path.len() + 64;
        if self.remembered <= MAX_REMEMBERED {
            self.directories.push((path.to_owned(), times(entry).last_modification));
        }
    }

    /// Times of directories, now that nothing is written into them any more.
    fn finish(mut self) -> Result<Report> {
        for (path, time) in self.directories.iter().rev() {
            let times = Timestamps { last_access: *time, last_modification: *time };
            match resolve(self.root.as_fd(), path) {
                // An O_PATH fd is no place for futimens: "." of it is.
                Ok(fd) => rustix::fs::utimensat(&fd, ".", &times, AtFlags::empty()).call(|| "utimensat()")?,
                // Replaced by a later entry.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(e) => return Ok(Err(e).call(|| format!("openat2({})", show(path)))?),
            }
        }
        if let Owners::Recorded(file) = &mut self.owners {
            file.flush().call(|| "write(owners)")?;
        }
        Ok(self.report)
    }
}

fn copy<R: BufRead>(fd: &OwnedFd, tar: &mut TarReader<R>, length: Option<u64>) -> Result<()> {
    let mut left = length.unwrap_or(u64::MAX);
    while left > 0 {
        let data = tar.data()?;
        if data.is_empty() {
            return Ok(());
        }
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        let n = rustix::io::write(fd, data.get(..want).unwrap_or(data)).call(|| "write()")?;
        tar.consume(n);
        left -= n as u64;
    }
    Ok(())
}

fn times(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.mtime.0, tv_nsec: i64::from(entry.mtime.1) };
    Timestamps { last_access: time, last_modification: time }
}

/// A directory that no entry describes.
const ROOTS: Stated = Stated { uid: 0, gid: 0, mode: 0o755 };

fn ids(entry: &Entry) -> Result<(u32, u32)> {
    let id = |id: u64, what: &str| {
        u32::try_from(id)
            .ok()
            .filter(|id| *id != u32::MAX)
            .ok_or_else(|| refused(&format!("impossible {what} {id}")))
    };
    Ok((id(entry.uid, "uid")?, id(entry.gid, "gid")?))
}

/// Everybody must be able to read what is for all.
fn readable(entry: &Entry) -> u32 {
    if entry.kind == EntryKind::Directory || entry.mode & 0o111 != 0 { 0o755 } else { 0o644 }
}

/// Permissions where there is one id: the user must be able to read what is the user's, and no program of an image makes
/// other users of the machine the user.
pub fn reachable(mode: u32, directory: bool) -> u32 {
    if directory { mode & 0o3777 | 0o700 } else { mode & 0o777 | 0o600 }
}

/// Hints for what users meet.
fn explain(error: Error) -> Error {
    match error.errno() {
        Some(libc::EINVAL) if error.causes().iter().any(|c| c.contains("chown")) => error
            .with_kind(crate::error::Kind::Host)
            .hint("The image uses more ids than you have: ask the administrator for a larger range in /etc/subuid and /etc/subgid."),
        Some(libc::EPERM) if error.causes().iter().any(|c| c.contains("chown")) => error
            .with_kind(crate::error::Kind::Host)
            .hint("The disk of the store gives no files to your subordinate ids, as a file server's: name a directory on a disk of this machine, `coracle --root DIR`, or none."),
        _ => error,
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
