//! The root file system of a container whose image is one file: its mount below an upper directory.
//!
//! The image's mount is one that others use too (`store::squash`), or, where a stopped container is only looked at, one of
//! our own. Above it stands what the storage directory can have: the kernel's overlay or fuse-overlayfs with the
//! container's own upper directory, or an overlay with one in memory, which is gone with the run.

use super::overlay::Plan;
use super::{Lower, Mounted, fuse, overlay};
use crate::error::{Context, Error, Result};
use crate::ondisk::container::{Container, Driver, Rootfs};
use crate::paths::Dirs;
use crate::store::squash::{SquashFile, mount as image};
use crate::store::{Store, open_dir};
use crate::sys::CallContext;
use rustix::fs::{FlockOperation, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Directories of an upper layer, made when missing.
const DIRECTORIES: [&str; 2] = ["upper", "work"];

/// Mounts it at `containers/<id>/merged`.
pub(super) fn mount(dirs: &Dirs, c: &Container, volatile: bool, lower: Option<Lower>) -> Result<Mounted> {
    let Rootfs::Squash { file, stamp, driver, overlay, .. } = &c.rootfs else {
        return Err(Error::internal("no image file"));
    };
    let what = || format!("cannot mount the rootfs of {}", c.name);
    let base = dirs.container(&c.id);
    let store = Store::open(dirs)?;
    let handle = open_dir(store.data(), &format!("containers/{}", c.id)).what(what)?;
    for name in ["merged", "lower"] {
        make(&handle, name, 0o755)?;
    }
    let mut mounted = Mounted::new(base.join("merged"), None, true);
    let (lower, server) = match lower {
        Some(lower) => {
            mounted.shared = *driver != Driver::FuseOverlayfs;
            mounted.held.push(lower.users);
            (lower.path, lower.server)
        }
        None => {
            let at = base.join("lower");
            mounted.below = Some(at.clone());
            let server = own_mount(file, stamp, &at).what(what)?;
            (at, server)
        }
    };
    // An own mount has moved us to another mount namespace: what was opened before is of the old one.
    let store = Store::open(dirs)?;
    let above = match overlay {
        Some(dir) => {
            mounted.held.push(persistent(dir).what(what)?);
            PathBuf::from(dir)
        }
        None if *driver == Driver::Vfs => in_memory(&handle, &base).what(what)?,
        None => base,
    };
    prepare_upper(&above, &lower).what(what)?;
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let plan = Plan {
        lowers: &[text(lower)],
        upper: &text(above.join("upper")),
        work: &text(above.join("work")),
        merged: &format!("containers/{}/merged", c.id),
        volatile: volatile && overlay.is_none(),
    };
    mounted.server = Some(match driver {
        Driver::Overlay | Driver::Vfs => {
            overlay::mount(store.data(), &plan).what(what)?;
            server
        }
        // The one that shows the files is the one whose end is noticed; it notices the other's.
        Driver::FuseOverlayfs => fuse::mount(dirs, &plan, None).what(what)?,
    });
    Ok(mounted)
}

/// Somebody else's file under the name of the container's image must not appear below what the container wrote.
fn own_mount(file: &str, stamp: &str, at: &Path) -> Result<OwnedFd> {
    let image = SquashFile::open(file)?;
    image.check_stamp(stamp)?;
    Ok(image::mount(image.fd(), image.offset, at)?.pidfd)
}

/// `--overlay DIR`: one container at a time.
fn persistent(dir: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(dir, flags, Mode::empty())
        .call(|| format!("open({dir:?})"))
        .what(|| format!("cannot use the overlay directory {dir}"))?;
    match rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(handle),
        Err(Errno::WOULDBLOCK) => Err(Error::in_use(format_args!("the overlay directory {dir} is in use"))
            .cause("another running container writes to it")
            .hint("Give each container a directory of its own, or stop the other one.")),
        Err(e) => Ok(Err(e).call(|| format!("flock({dir:?})"))?),
    }
}

fn in_memory(handle: &OwnedFd, base: &Path) -> Result<PathBuf> {
    make(handle, "memory", 0o700)?;
    let at = base.join("memory");
    rustix::mount::mount("tmpfs", &at, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=700")
        .call(|| format!("mount(tmpfs, {at:?})"))?;
    Ok(at)
}

fn make(dir: &OwnedFd, name: &str, mode: u32) -> Result<()> {
    match rustix::fs::mkdirat(dir, name, Mode::from(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Ok(Err(e).call(|| format!("mkdirat({name})"))?),
    }
}

/// Upper and work directory; a new upper one is like the image's root.
fn prepare_upper(above: &Path, lower: &Path) -> Result<()> {
    for name in DIRECTORIES {
        let path = above.join(name);
        match rustix::fs::mkdir(&path, Mode::from(0o700)) {
            Ok(()) if name == "upper" => {
                let st = rustix::fs::stat(lower).call(|| format!("stat({lower:?})"))?;
                // Refused where one id is mapped: then all is the user's anyway.
                match rustix::fs::chown(&path, Some(Uid::from_raw(st.st_uid)), Some(Gid::from_raw(st.st_gid)))
                {
                    Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
                    Err(e) => return Ok(Err(e).call(|| format!("chown({path:?})"))?),
                }
                rustix::fs::chmod(&path, Mode::from_raw_mode(st.st_mode & 0o7777))
                    .call(|| format!("chmod({path:?})"))?;
            }
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Ok(Err(e).call(|| format!("mkdir({path:?})"))?),
        }
    }
    Ok(())
}
