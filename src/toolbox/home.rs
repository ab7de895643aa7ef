//! What a box has changed above the host's home (`ondisk::above`): listed, and made the host's own.
//!
//! The box's programs made the upper tree, and the host's files may have changed since: both trees are walked by fd, and no
//! symbolic link of either is ever followed. Runs in the store's namespace, with the box stopped when it writes.
//!
//! Deleted files are marked by character devices 0:0, or by names `.wh.NAME`; a directory that hides what is below it by an
//! extended attribute, or by a file `.wh..wh..opq`. Both ways are overlay's and fuse-overlayfs's.

use crate::engine::names::subdir;
use crate::error::{Context, Error, Result};
use crate::ondisk::above::UPPER;
use crate::ondisk::container::Container;
use crate::ondisk::toolbox::Home as Kind;
use crate::paths::Dirs;
use crate::sys::{self, CallContext};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";
const OPAQUE_ATTRIBUTES: [&str; 2] = ["user.overlay.opaque", "user.fuseoverlayfs.opaque"];
/// What is being written in the host's home, under a name of its own until it is whole.
const PARTIAL: &str = ".coracle-commit";

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Added,
    Changed,
    Deleted,
}

/// One path, from the home on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub what: What,
    /// Any bytes: a box's programs gave the names.
    pub path: PathBuf,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letter = match self.what {
            What::Added => 'A',
            What::Changed => 'C',
            What::Deleted => 'D',
        };
        write!(f, "{letter} {}", self.path.display())
    }
}

/// The two trees.
#[derive(Debug)]
pub struct Home {
    of_box: String,
    path: String,
    upper: OwnedFd,
    lower: OwnedFd,
}

/// Opens both trees of a box that has them.
pub fn open(dirs: &Dirs, c: &Container) -> Result<Home> {
    if super::record(dirs, c)?.is_none_or(|toolbox| toolbox.home != Kind::Overlay) {
        return Err(Error::usage(format_args!("box {} has no changes of the host's home", c.name))
            .cause("it was not made with --home overlay")
            .hint("Make one: `coracle toolbox create --home overlay --image IMAGE NAME`."));
    }
    let path = dirs.home.as_ref().and_then(|home| home.to_str()).unwrap_or("/").to_owned();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let upper = dirs.container(&c.id).join(UPPER);
    let open = |path: &Path| rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({path:?})"));
    Ok(Home { of_box: c.name.to_string(), upper: open(&upper)?, lower: open(Path::new(&path))?, path })
}

impl Change {
    /// The directories that it is in, and its name.
    fn parts(&self) -> (&Path, &OsStr) {
        (self.path.parent().unwrap_or(Path::new("")), self.path.file_name().unwrap_or_default())
    }
}

impl Home {
    /// Everything, parents before what is in them.
    pub fn changes(&self) -> Result<Vec<Change>> {
        let mut found = Vec::new();
        walk(&self.upper, Some(&self.lower), Path::new(""), &mut found)
            .what(|| format!("cannot read what box {} has changed", self.of_box))?;
        Ok(found)
    }

    /// Those at and below these paths.
    pub fn chosen(&self, paths: &[String]) -> Result<Vec<Change>> {
        let mut all = self.changes()?;
        if paths.is_empty() {
            return Ok(all);
        }
        let wanted: Vec<&Path> = paths
            .iter()
            .map(|path| Path::new(path).strip_prefix(&self.path).unwrap_or(Path::new(path)))
            .collect();
        for (path, text) in wanted.iter().zip(paths) {
            if !all.iter().any(|change| change.path.starts_with(path)) {
                return Err(Error::not_found(format_args!("box {} has not changed {text}", self.of_box))
                    .hint(format_args!(
                        "See what it has with `coracle toolbox home diff {}`; paths begin at the home.",
                        self.of_box
                    )));
            }
        }
        all.retain(|change| wanted.iter().any(|path| change.path.starts_with(path)));
        Ok(all)
    }

    /// Makes one the host's. `false`: it is of a kind that cannot be.
    pub fn commit(&self, change: &Change) -> Result<bool> {
        let what = || format!("cannot commit {}/{}", self.path, change.path.display());
        let (parents, name) = change.parts();
        let (mut upper, mut lower) = (clone(&self.upper)?, clone(&self.lower)?);
        for parent in parents {
            upper = rustix::fs::openat(&upper, parent, DIRECTORY, Mode::empty())
                .call(|| format!("openat({parent:?})"))
                .what(what)?;
            lower = directory(&lower, parent, &upper).what(what)?;
        }
        match change.what {
            What::Deleted => remove_tree(&lower, name).map(|()| true),
            What::Added | What::Changed => bring(&upper, &lower, name),
        }
        .what(what)
    }

    /// Takes what was committed out of the box's changes. A mark that hides the host's files goes first where it has none
    /// left to hide: under it, what is taken out would be missing.
    pub fn settle(&self, committed: &[Change]) -> Result<()> {
        let what = || format!("cannot take what was committed out of the changes of box {}", self.of_box);
        unmark(&self.upper, &self.lower).what(what)?;
        committed.iter().try_for_each(|change| self.take_out(change)).what(what)?;
        sweep(&self.upper, &self.lower).what(what)
    }

    fn take_out(&self, change: &Change) -> Result<()> {
        let (parents, name) = change.parts();
        let (mut upper, deep) = (clone(&self.upper)?, !parents.as_os_str().is_empty());
        for parent in parents {
            upper = rustix::fs::openat(&upper, parent, DIRECTORY, Mode::empty())
                .call(|| format!("openat({parent:?})"))?;
        }
        if deep && is_opaque(&upper, &list(&upper)?) {
            return Ok(());
        }
        let mut hiding = OsString::from(WHITEOUT);
        hiding.push(name);
        for mark in [name, &hiding] {
            match rustix::fs::unlinkat(&upper, mark, AtFlags::empty()) {
                // Directories go when nothing is left in them (`sweep`).
                Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
                Err(e) => Err(e).call(|| format!("unlinkat({mark:?})"))?,
            }
        }
        Ok(())
    }
}

/// Removes the marks of directories that hide nothing of the host's any more.
fn unmark(upper: &OwnedFd, lower: &OwnedFd) -> Result<()> {
    for name in list(upper)? {
        let open = |dir: &OwnedFd| rustix::fs::openat(dir, &name, DIRECTORY, Mode::empty());
        let (Ok(ours), Ok(below)) = (open(upper), open(lower)) else { continue };
        unmark(&ours, &below)?;
        let names = list(&ours)?;
        if list(&below)?.iter().all(|name| names.contains(name)) {
            for attribute in OPAQUE_ATTRIBUTES {
                match rustix::fs::fremovexattr(&ours, attribute) {
                    Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
                    Err(e) => Err(e).call(|| format!("fremovexattr({attribute})"))?,
                }
            }
            remove_tree(&ours, OsStr::new(OPAQUE))?;
        }
    }
    Ok(())
}

fn clone(fd: &OwnedFd) -> Result<OwnedFd> {
    Ok(fd.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?)
}

/// Names in a directory, sorted.
fn list(dir: &OwnedFd) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir).call(|| "getdents64()")? {
        let entry = entry.call(|| "getdents64()")?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn look(dir: &OwnedFd, name: &OsStr) -> Option<Stat> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()
}

fn kind(st: &Stat) -> FileType {
    FileType::from_raw_mode(st.st_mode)
}

fn walk(upper: &OwnedFd, lower: Option<&OwnedFd>, at: &Path, found: &mut Vec<Change>) -> Result<()> {
    let add = |found: &mut Vec<Change>, what, name: &OsStr| {
        let path = at.join(name);
        found.push(Change { what, path: path.clone() });
        path
    };
    let names = list(upper)?;
    let is_there = |name: &OsStr| lower.and_then(|lower| look(lower, name));
    if let Some(lower) = lower.filter(|_| !at.as_os_str().is_empty() && is_opaque(upper, &names)) {
        for name in list(lower)?.iter().filter(|name| !names.contains(name)) {
            add(found, What::Deleted, name);
        }
    }
    for name in &names {
        let Some(st) = look(upper, name) else { continue };
        let hidden = name.as_bytes().strip_prefix(WHITEOUT.as_bytes()).map(OsStr::from_bytes);
        if name == OPAQUE {
            continue;
        }
        if hidden.is_some() || kind(&st) == FileType::CharacterDevice && st.st_rdev == 0 {
            let name = hidden.unwrap_or(name);
            if is_there(name).is_some() {
                add(found, What::Deleted, name);
            }
            continue;
        }
        let below = is_there(name);
        if kind(&st) != FileType::Directory {
            let what = if below.is_some() { What::Changed } else { What::Added };
            add(found, what, name);
            continue;
        }
        let sub =
            rustix::fs::openat(upper, name, DIRECTORY, Mode::empty()).call(|| format!("openat({name:?})"))?;
        let lower = lower.and_then(|lower| rustix::fs::openat(lower, name, DIRECTORY, Mode::empty()).ok());
        let path = match (&lower, &below) {
            (Some(_), _) => at.join(name),
            (None, None) => add(found, What::Added, name),
            (None, Some(_)) => add(found, What::Changed, name),
        };
        walk(&sub, lower.as_ref(), &path, found)?;
    }
    Ok(())
}

fn is_opaque(dir: &OwnedFd, names: &[OsString]) -> bool {
    let marked = |name: &str| {
        let mut value = [0u8; 8];
        rustix::fs::fgetxattr(dir, name, &mut value).is_ok_and(|n| value.get(..n) == Some(b"y"))
    };
    names.iter().any(|name| name == OPAQUE) || OPAQUE_ATTRIBUTES.iter().any(|name| marked(name))
}

/// The directory in the host's home, made like the box's where there is none.
fn directory(parent: &OwnedFd, name: &OsStr, like: &OwnedFd) -> Result<OwnedFd> {
    match look(parent, name) {
        Some(st) if kind(&st) == FileType::Directory => {}
        Some(_) => {
            rustix::fs::unlinkat(parent, name, AtFlags::empty()).call(|| format!("unlinkat({name:?})"))?;
        }
        None => {}
    }
    let mode = rustix::fs::fstat(like).call(|| "fstat()")?.st_mode & 0o777;
    let there = look(parent, name).is_some();
    let fd = subdir(parent, name)?;
    if !there {
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode)).call(|| format!("fchmod({name:?})"))?;
    }
    Ok(fd)
}

fn remove_tree(parent: &OwnedFd, name: &OsStr) -> Result<()> {
    let Some(st) = look(parent, name) else { return Ok(()) };
    let mut flags = AtFlags::empty();
    if kind(&st) == FileType::Directory {
        let dir = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())
            .call(|| format!("openat({name:?})"))?;
        list(&dir)?.iter().try_for_each(|name| remove_tree(&dir, name))?;
        flags = AtFlags::REMOVEDIR;
    }
    Ok(rustix::fs::unlinkat(parent, name, flags).call(|| format!("unlinkat({name:?})"))?)
}

/// Copies one file, link or directory (without what is in it). What is in its place goes in the same step.
fn bring(from: &OwnedFd, to: &OwnedFd, name: &OsStr) -> Result<bool> {
    let st =
        rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).call(|| format!("statat({name:?})"))?;
    match kind(&st) {
        FileType::Directory => {
            let like = rustix::fs::openat(from, name, DIRECTORY, Mode::empty())
                .call(|| format!("openat({name:?})"))?;
            directory(to, name, &like)?;
            return Ok(true);
        }
        FileType::RegularFile => copy_file(from, to, name, &st)?,
        FileType::Symlink => {
            let target =
                rustix::fs::readlinkat(from, name, Vec::new()).call(|| format!("readlinkat({name:?})"))?;
            remove_tree(to, OsStr::new(PARTIAL))?;
            rustix::fs::symlinkat(&target, to, PARTIAL).call(|| format!("symlinkat({name:?})"))?;
        }
        _ => return Ok(false),
    }
    if look(to, name).is_some_and(|there| kind(&there) == FileType::Directory) {
        remove_tree(to, name)?;
    }
    rustix::fs::renameat(to, PARTIAL, to, name).call(|| format!("renameat({name:?})"))?;
    Ok(true)
}

fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &OsStr, st: &Stat) -> Result<()> {
    remove_tree(to, OsStr::new(PARTIAL))?;
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let source = rustix::fs::openat(from, name, read, Mode::empty()).call(|| format!("openat({name:?})"))?;
    let target =
        rustix::fs::openat(to, PARTIAL, write, Mode::from(0o600)).call(|| format!("openat({PARTIAL:?})"))?;
    let (mut source, mut target) = (File::from(source), File::from(target));
    sys::sparse::copy(&mut source, &mut target).call(|| format!("write({name:?})"))?;
    rustix::fs::fchmod(&target, Mode::from_raw_mode(st.st_mode & 0o777))
        .call(|| format!("fchmod({name:?})"))?;
    let times = rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
        last_modification: rustix::fs::Timespec { tv_sec: st.st_mtime, tv_nsec: st.st_mtime_nsec as _ },
    };
    rustix::fs::futimens(target.as_fd(), &times).call(|| format!("futimens({name:?})"))?;
    Ok(target.sync_all().call(|| format!("fsync({name:?})"))?)
}

/// Removes directories of the box's that the host has, too, and that change nothing of what is in the host's.
fn sweep(upper: &OwnedFd, lower: &OwnedFd) -> Result<()> {
    for name in list(upper)? {
        let open = |dir: &OwnedFd| rustix::fs::openat(dir, &name, DIRECTORY, Mode::empty());
        let (Ok(ours), Ok(below)) = (open(upper), open(lower)) else { continue };
        sweep(&ours, &below)?;
        let mut left = Vec::new();
        walk(&ours, Some(&below), Path::new("."), &mut left)?;
        if left.is_empty() {
            remove_tree(upper, &name)?;
        }
    }
    Ok(())
}
