//! A container's root file system: layers below an upper directory, by the driver that its record names.
//!
//! Runs inside the store's user namespace, and mounts in the caller's mount namespace: what is mounted here is gone with
//! the monitor. Paths are relative to the store's directory, and layers go by their short links, because mount(2) takes
//! one page of options; where the kernel has fsconfig's `lowerdir+`, each layer is a call of its own.

mod above;
pub mod fuse;
mod merge;
pub mod overlay;
pub mod squash;
mod trees;
mod vfs;

pub use merge::Merge;

pub use vfs::{Owners, copy_out, copy_tree};

use super::{Store, open_dir};
use crate::error::{Context, Error, Result};
use crate::id::Sha256;
use crate::ondisk::container::{Container, Driver, Rootfs};
use crate::ondisk::layer::{Ownership, Stated, Whiteouts};
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A mounted root file system.
#[derive(Debug)]
pub struct Mounted {
    /// For config.json's root.path.
    pub path: PathBuf,
    /// The FUSE server's pidfd: it becomes readable when the server ends.
    pub server: Option<OwnedFd>,
    /// Something is to be unmounted.
    pub mounted: bool,
    /// The image's own mount below it.
    pub below: Option<PathBuf>,
    /// The image's mount below it that others use as well.
    pub lower: Option<Lower>,
    /// The server is not ours to end: others use its mount as well.
    pub shared: bool,
    /// Locks that are held as long as it is mounted.
    pub held: Vec<OwnedFd>,
    /// The container's changes of a directory of the host's (`above`).
    pub above: Option<Box<Self>>,
}

impl Mounted {
    /// A tree at `path`, with its FUSE server, if it has one.
    pub fn new(path: PathBuf, server: Option<OwnedFd>, mounted: bool) -> Self {
        Self { path, server, mounted, below: None, lower: None, shared: false, held: Vec::new(), above: None }
    }
}

/// An image's mount in the caller's mount namespace that others use as well.
#[derive(Debug)]
pub struct Lower {
    pub path: PathBuf,
    /// squashfuse.
    pub server: OwnedFd,
    /// The shared lock on it.
    pub users: OwnedFd,
}

/// The directory of a layer's tree, in the store `data`. For messages: `layer_tree` opens it.
pub fn layer_diff_path(data: &Path, diff_id: &str) -> PathBuf {
    data.join(diff_name(diff_id))
}

fn diff_name(diff_id: &str) -> String {
    format!("layers/sha256/{diff_id}/diff")
}

/// Opens a layer's tree in the store `data`. No link in it is followed: it may be another user's.
pub fn layer_tree(data: &Path, diff_id: &str) -> crate::sys::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let store = rustix::fs::open(data, flags, Mode::empty()).call(|| format!("open({data:?}, O_PATH)"))?;
    open_dir(&store, &diff_name(diff_id))
}

/// The layers of a container, and the directory of the store that has them.
pub fn layers_of<'a>(dirs: &'a Dirs, rootfs: &'a Rootfs) -> Option<(&'a [String], &'a Path)> {
    let Rootfs::Layers { layers, store, .. } = rootfs else { return None };
    Some((layers, store.as_deref().map_or(&dirs.data, Path::new)))
}

/// Makes the directories of a container's rootfs, or the copy that vfs is. Does nothing when they are there.
pub fn prepare(dirs: &Dirs, c: &Container) -> Result<()> {
    let Rootfs::Layers { driver, layers, id_map, store: at, .. } = &c.rootfs else { return Ok(()) };
    let store = Store::open(dirs)?;
    let other = at.as_deref().map(|path| Store::read_only(Path::new(path))).transpose()?;
    let from = other.as_ref().unwrap_or(&store);
    let base = open_dir(store.data(), &format!("containers/{}", c.id))
        .what(|| format!("cannot open container {}", c.name))?;
    if *driver == Driver::Vfs {
        return vfs::copy_layers(from, &base, layers, id_map.as_ref())
            .what(|| format!("cannot make the rootfs of {}", c.name));
    }
    for (name, mode) in [("work", 0o700), ("merged", 0o755), ("upper", 0o700)] {
        match rustix::fs::mkdirat(&base, name, Mode::from(mode)) {
            Ok(()) if name == "upper" => like_the_image(from, &base, layers)?,
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => {
                return Err(e)
                    .call(|| format!("mkdirat({name})"))
                    .what(|| format!("cannot make the rootfs of {}", c.name));
            }
        }
    }
    Ok(())
}

/// The root directory's owner and mode come from the upper one: they must be the image's.
fn like_the_image(from: &Store, base: &OwnedFd, layers: &[String]) -> Result<()> {
    let upper = open_dir(base, "upper")?;
    let st = match layers.first() {
        Some(top) => {
            let diff = open_dir(from.data(), &diff_name(top)).map_err(|e| missing_layer(top, &e))?;
            let st = rustix::fs::fstat(&diff).call(|| "fstat(diff)")?;
            Stated::of(&diff).unwrap_or(Stated { uid: st.st_uid, gid: st.st_gid, mode: st.st_mode & 0o7777 })
        }
        None => Stated { uid: 0, gid: 0, mode: 0o755 },
    };
    // Refused where one id is mapped: then all is the user's anyway.
    match rustix::fs::fchown(&upper, Some(Uid::from_raw(st.uid)), Some(Gid::from_raw(st.gid))) {
        Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
        Err(e) => return Ok(Err(e).call(|| "fchown(upper)")?),
    }
    rustix::fs::fchmod(&upper, Mode::from_raw_mode(st.mode)).call(|| "fchmod(upper)")?;
    Ok(())
}

/// Mounts a container's rootfs at `containers/<id>/merged` in the caller's mount namespace.
pub fn mount(dirs: &Dirs, c: &Container) -> Result<Mounted> {
    mount_as(dirs, c, false, None)
}

/// The same for the payload: what a container with `--rm` writes is never synced, for nobody will see it again.
/// `lower`: its image, where that is a file.
pub fn mount_for_payload(dirs: &Dirs, c: &Container, lower: Option<Lower>) -> Result<Mounted> {
    let mut mounted = mount_as(dirs, c, c.auto_remove, lower)?;
    match above::mount(dirs, c) {
        Ok(above) => mounted.above = above.map(Box::new),
        Err(e) => {
            let _ = mounted.umount();
            return Err(e);
        }
    }
    Ok(mounted)
}

fn mount_as(dirs: &Dirs, c: &Container, volatile: bool, lower: Option<Lower>) -> Result<Mounted> {
    if let Rootfs::Squash { .. } = &c.rootfs {
        return squash::mount(dirs, c, volatile, lower);
    }
    let Rootfs::Layers { driver, layers, id_map, store: at, .. } = &c.rootfs else {
        let path = match &c.rootfs {
            Rootfs::Directory { path } => PathBuf::from(path),
            _ => dirs.container(&c.id).join("rootfs"),
        };
        return Ok(Mounted::new(path, None, false));
    };
    prepare(dirs, c)?;
    let path = dirs.container(&c.id).join("merged");
    if *driver == Driver::Vfs {
        return Ok(Mounted::new(path, None, false));
    }
    let store = Store::open(dirs)?;
    let other = at.as_deref().map(|path| Store::read_only(Path::new(path))).transpose()?;
    let from = other.as_ref().unwrap_or(&store);
    let lowers = lowers(&store, from, layers, *driver, &format!("containers/{}", c.id))?;
    let plan = overlay::Plan {
        lowers: &lowers.paths,
        upper: &format!("containers/{}/upper", c.id),
        work: &format!("containers/{}/work", c.id),
        merged: &format!("containers/{}/merged", c.id),
        volatile,
    };
    let what = || format!("cannot mount the rootfs of {}", c.name);
    let server = match driver {
        Driver::Overlay => {
            overlay::mount(store.data(), &plan).what(what)?;
            None
        }
        _ => {
            let shown = fuse::Shown { id_map: id_map.as_ref(), stated: lowers.stated };
            Some(fuse::mount(dirs, &plan, shown).what(what)?)
        }
    };
    Ok(Mounted { below: lowers.keep(), ..Mounted::new(path, server, true) })
}

/// The layers' trees, top first, down to one whose root is opaque.
struct Lowers {
    /// Relative to the user's own store.
    paths: Vec<String>,
    /// Whether they are shown by what is stated of them.
    stated: bool,
    /// Where they are of a store of others.
    trees: Option<trees::Trees>,
}

impl Lowers {
    /// What is to be unmounted when they are used no more.
    fn keep(self) -> Option<PathBuf> {
        self.trees.and_then(trees::Trees::keep)
    }
}

fn lowers(store: &Store, from: &Store, layers: &[String], driver: Driver, base: &str) -> Result<Lowers> {
    let mut paths = Vec::with_capacity(layers.len());
    let mut stated = false;
    let others = from.is_read_only().then(|| trees::Trees::below(store.data(), &store.dirs.data, base));
    let mut trees = others.transpose()?;
    for text in layers {
        let diff_id = Sha256::parse(text)?;
        let record = from.layer(&diff_id)?.ok_or_else(|| missing_layer(text, &"no such directory"))?;
        stated |= record.ownership == Ownership::Stated;
        if driver == Driver::Overlay && record.whiteouts == Whiteouts::Names {
            return Err(Error::host(format_args!("the kernel's overlay cannot show layer {text}"))
                .cause("it was unpacked where deleted files could only be marked by names")
                .hint("Install fuse-overlayfs, remove the image with `coracle rmi` and pull it again."));
        }
        paths.push(match &mut trees {
            Some(trees) => trees.add(from.data(), &diff_name(text)).map_err(|e| missing_layer(text, &e))?,
            None => from.layer_link(&diff_id)?,
        });
        if record.opaque_root {
            break;
        }
    }
    if paths.is_empty() {
        let empty = format!("{base}/empty");
        match rustix::fs::mkdirat(store.data(), &empty, Mode::from(0o755)) {
            Ok(()) | Err(Errno::EXIST) => paths.push(empty),
            Err(e) => return Ok(Err(e).call(|| format!("mkdirat({empty:?})"))?),
        }
    }
    Ok(Lowers { paths, stated, trees })
}

fn missing_layer(diff_id: &str, why: &dyn std::fmt::Display) -> Error {
    Error::corrupt(format_args!("layer {diff_id} is missing from the store"))
        .cause(why)
        .hint("Pull the image again, and check the store with `coracle system check`.")
}

impl Mounted {
    /// Unmounts, then ends the server. The payload is gone by now.
    pub fn umount(self) -> Result<()> {
        if let Some(above) = self.above {
            above.umount()?;
        }
        if self.mounted {
            // Lazy: a server that is stopped must not stop us. rustix has no AT_EMPTY_PATH for umount; the path is ours.
            match rustix::mount::unmount(
                &self.path,
                rustix::mount::UnmountFlags::DETACH | rustix::mount::UnmountFlags::NOFOLLOW,
            ) {
                Ok(()) | Err(Errno::INVAL) => {}
                Err(e) => return Ok(Err(e).call(|| format!("umount2({:?}, MNT_DETACH)", self.path))?),
            }
        }
        if let Some(below) = &self.below {
            super::squash::mount::unmount(below);
        }
        let ended = match self.server {
            Some(server) if !self.shared => fuse::end(server.as_fd()),
            _ => Ok(()),
        };
        if let Some(lower) = self.lower {
            super::squash::let_go(lower.users, lower.server.as_fd(), &lower.path);
        }
        ended
    }
}

/// The bytes that a container wrote.
pub fn upper_size(dirs: &Dirs, c: &Container) -> Result<u64> {
    let store = Store::open(dirs)?;
    let upper = match open_dir(store.data(), &format!("containers/{}/upper", c.id)) {
        Ok(fd) => fd,
        Err(e) if e.raw_os_error() == libc::ENOENT => return Ok(0),
        Err(e) => return Err(e.into()),
    };
    let mut total = 0;
    let mut todo = vec![upper];
    while let Some(dir) = todo.pop() {
        for name in super::list_dir(&dir)? {
            let Ok(st) = rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            match rustix::fs::FileType::from_raw_mode(st.st_mode) {
                rustix::fs::FileType::Directory => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    todo.extend(rustix::fs::openat(&dir, &name, flags, Mode::empty()).ok());
                }
                _ => total += u64::try_from(st.st_size).unwrap_or(0),
            }
        }
    }
    Ok(total)
}
