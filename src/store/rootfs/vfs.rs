//! The vfs driver: every container has its own copy, shared by reflink where the file system can. Works anywhere.
//!
//! Layers are copied one over the other, bottom first; whiteouts remove what is there. Made beside and renamed, so that a
//! copy that was broken off is never taken for whole. With a shifted map (keep-id) the copy's owners are the shifted ones.

use crate::error::{Context, Error, Result};
use crate::id::Sha256;
use crate::ondisk::layer::{Ownership, Stated};
use crate::store::{Store, list_dir, open_dir, remove::remove_name, remove_tree};
use crate::sys::{self, CallContext};
use crate::userns::{IdMaps, IdRange, idmap};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Copies the layers (top first) to `merged` in the container's directory, unless that is there. With `id_map`, owners are
/// mapped.
pub(super) fn copy_layers(
    store: &Store,
    base: &OwnedFd,
    layers: &[String],
    id_map: Option<&IdMaps>,
) -> Result<()> {
    if rustix::fs::statat(base, "merged", AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Ok(());
    }
    remove_tree(base.as_fd(), "merged.new")?;
    rustix::fs::mkdirat(base, "merged.new", Mode::from(0o755)).call(|| "mkdirat(merged.new)")?;
    let target = open_dir(base, "merged.new")?;
    for text in layers.iter().rev() {
        let diff_id = Sha256::parse(text)?;
        let record =
            store.layer(&diff_id)?.ok_or_else(|| super::missing_layer(text, &"no such directory"))?;
        if record.opaque_root {
            clear(&target)?;
        }
        let diff = open_dir(store.data(), &format!("layers/sha256/{text}/diff"))?;
        let owners = id_map.map_or(Owners::Kept, Owners::Mapped);
        let mut copy = Copy::new(&target, owners, Devices::Refused);
        copy.stated = record.ownership == Ownership::Stated;
        copy.directory(&diff, &target).what(|| format!("cannot copy layer {text}"))?;
    }
    rustix::fs::syncfs(base).call(|| "syncfs()")?;
    rustix::fs::renameat(base, "merged.new", base, "merged").call(|| "renameat(merged.new, merged)")?;
    Ok(())
}

/// Copies a tree that is whole (no layer) into a directory; what is there already is written over.
pub fn copy_tree(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    Copy::new(to, Owners::Kept, Devices::Refused).directory(from, to)
}

/// The same for the files of an image on their way out of the store. Device nodes, which a SIF file may have, stay behind:
/// the runtime makes those of a container. Returns how many files could not get their owner, as on a file server, which gives
/// none to subordinate ids.
pub fn copy_out(from: &OwnedFd, to: &OwnedFd, owners: Owners<'_>) -> Result<u64> {
    let mut copy = Copy::new(to, owners, Devices::LeftOut);
    copy.directory(from, to)?;
    Ok(copy.without_owner.get())
}

/// What becomes of owners in a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners<'a> {
    Kept,
    Mapped(&'a IdMaps),
    /// All is the caller's.
    Mine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Devices {
    Refused,
    LeftOut,
}

/// One layer's copy.
struct Copy<'a> {
    /// Inode in the layer → path in the copy, for files with several names.
    links: HashMap<u64, Vec<u8>>,
    root: &'a OwnedFd,
    owners: Owners<'a>,
    devices: Devices,
    /// Whose files are is in their attributes, and all others are root's.
    stated: bool,
    without_owner: Cell<u64>,
}

impl<'a> Copy<'a> {
    fn new(root: &'a OwnedFd, owners: Owners<'a>, devices: Devices) -> Self {
        Self { links: HashMap::new(), root, owners, devices, stated: false, without_owner: Cell::new(0) }
    }

    /// Without recursion: layers may be deeper than a stack.
    fn directory(&mut self, from: &OwnedFd, to: &OwnedFd) -> Result<()> {
        let mut todo: Vec<Vec<u8>> = vec![Vec::new()];
        while let Some(path) = todo.pop() {
            let (from, to) = (below(from, &path)?, below(to, &path)?);
            for name in list_dir(&from)? {
                let full = if path.is_empty() {
                    name.as_bytes().to_vec()
                } else {
                    [&path, &b"/"[..], name.as_bytes()].concat()
                };
                let st = rustix::fs::statat(&from, &name, AtFlags::SYMLINK_NOFOLLOW)
                    .call(|| format!("fstatat({name:?})"))?;
                if self.entry(&from, &to, &name, &st, &full)? {
                    todo.push(full);
                }
            }
            // After its files: they change the time.
            self.attributes(&from, &to)?;
        }
        // Once more for times, now that all below is written. The root's are enough for what anybody looks at.
        Ok(self.attributes(from, to)?)
    }

    /// Copies one entry; true for a directory that is to be gone into.
    fn entry(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &OsString,
        st: &Stat,
        full: &[u8],
    ) -> Result<bool> {
        let kind = FileType::from_raw_mode(st.st_mode);
        let bytes = name.as_bytes();
        if kind == FileType::CharacterDevice && st.st_rdev == 0 {
            remove(to, bytes)?;
            return Ok(false);
        }
        if bytes == b".wh..wh..opq" {
            return Ok(false);
        }
        if let Some(hidden) = bytes.strip_prefix(b".wh.") {
            remove(to, hidden)?;
            return Ok(false);
        }
        if kind == FileType::Directory {
            let dir =
                rustix::fs::openat(from, name, DIR, Mode::empty()).call(|| format!("openat({name:?})"))?;
            if is_opaque(&dir) || !is_directory(to, bytes) {
                remove(to, bytes)?;
            }
            match rustix::fs::mkdirat(to, name, Mode::from(0o700)) {
                Ok(()) | Err(Errno::EXIST) => return Ok(true),
                Err(e) => return Ok(Err(e).call(|| format!("mkdirat({name:?})"))?),
            }
        }
        remove(to, bytes)?;
        if st.st_nlink > 1 {
            if let Some(first) = self.links.get(&st.st_ino) {
                // A volume may be mounted in another container already: no link of its making is followed on the way.
                let (dir, file) = match first.iter().rposition(|b| *b == b'/') {
                    Some(slash) => first.split_at(slash),
                    None => (&b""[..], first.as_slice()),
                };
                let parent = below(self.root, dir)?;
                let file = file.strip_prefix(b"/").unwrap_or(file);
                rustix::fs::linkat(&parent, file, to, name, AtFlags::empty())
                    .call(|| format!("linkat({name:?})"))?;
                return Ok(false);
            }
            self.links.insert(st.st_ino, full.to_vec());
        }
        match kind {
            FileType::RegularFile => self.file(from, to, name)?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new())
                    .call(|| format!("readlinkat({name:?})"))?;
                rustix::fs::symlinkat(target.as_c_str(), to, name).call(|| format!("symlinkat({name:?})"))?;
                self.nameless(to, name, st)?;
            }
            FileType::Fifo => {
                let mode = Mode::from_raw_mode(st.st_mode & 0o7777);
                rustix::fs::mkfifoat(to, name, mode).call(|| format!("mkfifoat({name:?})"))?;
                // Again, past the umask.
                set_fifo_mode(to, name, mode)?;
                self.nameless(to, name, st)?;
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Socket
                if self.devices == Devices::LeftOut => {}
            _ => {
                return Err(Error::corrupt(format_args!(
                    "a layer holds a file of an unexpected kind, {name:?}"
                )));
            }
        }
        Ok(false)
    }

    fn file(&self, from: &OwnedFd, to: &OwnedFd, name: &OsString) -> Result<()> {
        let source = rustix::fs::openat(
            from,
            name,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .call(|| format!("openat({name:?})"))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = rustix::fs::openat(to, name, flags, Mode::from(0o600))
            .call(|| format!("openat({name:?}, O_CREAT)"))?;
        if rustix::fs::ioctl_ficlone(&target, &source).is_err() {
            let (mut source, mut target) = (
                std::fs::File::from(source.try_clone().call(|| "dup()")?),
                std::fs::File::from(target.try_clone().call(|| "dup()")?),
            );
            sys::sparse::copy(&mut source, &mut target).call(|| format!("copy_file_range({name:?})"))?;
        }
        Ok(self.attributes(&source, &target)?)
    }

    /// Owner, mode, attributes, times.
    fn attributes(&self, from: &OwnedFd, to: &OwnedFd) -> sys::Result<()> {
        let mut st = rustix::fs::fstat(from).call(|| "fstat()")?;
        if let Some(stated) = Stated::of(from).filter(|_| self.stated) {
            (st.st_uid, st.st_gid, st.st_mode) = (stated.uid, stated.gid, stated.mode);
        }
        let (uid, gid) = self.owner(&st);
        match rustix::fs::fchown(to, Some(uid), Some(gid)) {
            Ok(()) => {}
            Err(Errno::PERM) => self.without_owner.update(|n| n + 1),
            // One id is mapped.
            Err(Errno::INVAL) if self.stated => {}
            Err(e) => return Err(e).call(|| "fchown()"),
        }
        rustix::fs::fchmod(to, Mode::from_raw_mode(st.st_mode & 0o7777)).call(|| "fchmod()")?;
        xattrs(from.as_fd(), to.as_fd())?;
        rustix::fs::futimens(to, &times(&st)).call(|| "futimens()")
    }

    fn nameless(&self, dir: &OwnedFd, name: &OsString, st: &Stat) -> Result<()> {
        let mut st = *st;
        if self.stated {
            (st.st_uid, st.st_gid) = (0, 0);
        }
        let (uid, gid) = self.owner(&st);
        match rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::PERM) => self.without_owner.update(|n| n + 1),
            Err(e) => return Ok(Err(e).call(|| format!("fchownat({name:?})"))?),
        }
        Ok(rustix::fs::utimensat(dir, name, &times(&st), AtFlags::SYMLINK_NOFOLLOW)
            .call(|| format!("utimensat({name:?})"))?)
    }

    /// The owner that the copy of such a file gets.
    fn owner(&self, st: &Stat) -> (Uid, Gid) {
        let shown = |map: &[IdRange], id| idmap::to_outside(map, id).unwrap_or(id);
        let (uid, gid) = match self.owners {
            Owners::Mapped(maps) => (shown(&maps.uids, st.st_uid), shown(&maps.gids, st.st_gid)),
            Owners::Kept => (st.st_uid, st.st_gid),
            // Root of the store's namespace is the caller.
            Owners::Mine => (0, 0),
        };
        (Uid::from_raw(uid), Gid::from_raw(gid))
    }
}

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// By an fd of the fifo itself: a container that has this volume mounted already could have put a symlink there.
fn set_fifo_mode(dir: &OwnedFd, name: &OsString, mode: Mode) -> sys::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fifo = rustix::fs::openat(dir, name, flags, Mode::empty()).call(|| format!("openat({name:?})"))?;
    let st = rustix::fs::fstat(&fifo).call(|| "fstat()")?;
    if FileType::from_raw_mode(st.st_mode) != FileType::Fifo {
        return Err(sys::Error::new(format_args!("mkfifoat({name:?})"), Errno::EXIST.raw_os_error()));
    }
    // No chmod by an O_PATH fd before Linux 6.6; this magic link is ours.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fifo));
    rustix::fs::chmod(&path, mode).call(|| format!("chmod({path:?})"))
}

fn below(root: &OwnedFd, path: &[u8]) -> sys::Result<OwnedFd> {
    let resolve = rustix::fs::ResolveFlags::IN_ROOT
        | rustix::fs::ResolveFlags::NO_SYMLINKS
        | rustix::fs::ResolveFlags::NO_MAGICLINKS;
    let path = if path.is_empty() { b"." } else { path };
    crate::sys::resolve::openat2(root, path, DIR, Mode::empty(), resolve)
        .call(|| format!("openat2({:?})", String::from_utf8_lossy(path)))
}

fn is_directory(dir: &OwnedFd, name: &[u8]) -> bool {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|st| FileType::from_raw_mode(st.st_mode).is_dir())
}

fn is_opaque(dir: &OwnedFd) -> bool {
    let mut value = [0u8; 4];
    rustix::fs::fgetxattr(dir, "user.overlay.opaque", &mut value[..])
        .is_ok_and(|n| value.get(..n) == Some(b"y"))
        || rustix::fs::statat(dir, ".wh..wh..opq", AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

fn remove(dir: &OwnedFd, name: &[u8]) -> Result<()> {
    let name = CString::new(name).unwrap_or_default();
    Ok(remove_name(dir.as_fd(), &name)?)
}

fn clear(dir: &OwnedFd) -> Result<()> {
    for name in list_dir(dir)? {
        remove(dir, name.as_bytes())?;
    }
    Ok(())
}

fn xattrs(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> sys::Result<()> {
    let mut names = vec![0u8; 64 << 10];
    let Ok(n) = rustix::fs::flistxattr(from, &mut names[..]) else { return Ok(()) };
    let mut value = Vec::new();
    for name in names.get(..n).unwrap_or_default().split(|b| *b == 0).filter(|name| !name.is_empty()) {
        if [&b"user.overlay."[..], b"user.containers.", b"security.selinux"]
            .iter()
            .any(|p| name.starts_with(p))
        {
            continue;
        }
        value.resize(64 << 10, 0);
        let Ok(n) = rustix::fs::fgetxattr(from, name, &mut value[..]) else { continue };
        // As with unpacking: what this file system does not keep is left out.
        let _ = rustix::fs::fsetxattr(to, name, value.get(..n).unwrap_or_default(), XattrFlags::empty());
    }
    Ok(())
}

fn times(st: &Stat) -> Timestamps {
    let time = |seconds: i64, nanos| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanos).unwrap_or(0) };
    Timestamps {
        last_access: time(st.st_atime, st.st_atime_nsec),
        last_modification: time(st.st_mtime, st.st_mtime_nsec),
    }
}
