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
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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
            let server = lower.server.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
            let path = lower.path.clone();
            mounted.lower = Some(lower);
            (path, server)
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
    let ways = ways_of_one(&dirs.container(&c.id));
    prepare_upper(&above, &lower, ways.is_some()).what(what)?;
    for way in ways.iter().flatten() {
        own_way(&above.join("upper"), &lower, way);
    }
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
        Driver::FuseOverlayfs => fuse::mount(dirs, &plan, fuse::Shown::default()).what(what)?,
    });
    Ok(mounted)
}

/// All of a container in memory, for one that leaves nothing behind and has one id: a tmpfs at `base`, an empty directory, in
/// a mount namespace of the caller's own; in it the copy of the image's mount and what is written above it, shown at
/// `merged`. `ways`: where its mounts go, below the root. Returns `base`, open.
pub fn in_one_place(base: &Path, image: BorrowedFd<'_>, ways: &BTreeSet<PathBuf>) -> Result<OwnedFd> {
    mount_memory(base)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(base, flags, Mode::empty()).call(|| format!("open({base:?})"))?;
    for name in ["merged", "lower", "oci"] {
        make(&handle, name, 0o755)?;
    }
    let lower = base.join("lower");
    crate::store::squash::mount::put(image, &lower)?;
    prepare_upper(base, &lower, true)?;
    ways.iter().for_each(|way| own_way(&base.join("upper"), &lower, way));
    let lowers = ["lower".to_owned()];
    let plan = Plan { lowers: &lowers, upper: "upper", work: "work", merged: "merged", volatile: false };
    overlay::mount(handle.as_fd(), &plan)?;
    Ok(handle)
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
    mount_memory(&at)?;
    Ok(at)
}

/// A directory in memory at `at`.
pub(super) fn mount_memory(at: &Path) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(rustix::mount::mount("tmpfs", at, "tmpfs", flags, c"mode=700")
        .call(|| format!("mount(tmpfs, {at:?})"))?)
}

fn make(dir: &OwnedFd, name: &str, mode: u32) -> Result<()> {
    match rustix::fs::mkdirat(dir, name, Mode::from(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Ok(Err(e).call(|| format!("mkdirat({name})"))?),
    }
}

/// Where the mounts of a container go that has one id: there the directories of others are nobody's, nothing can be made in
/// them, and a squashfs that a user has made without `-all-root` has no others. `None`: it has more ids.
fn ways_of_one(container: &Path) -> Option<BTreeSet<PathBuf>> {
    let text = std::fs::read(container.join("config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let maps = config.pointer("/linux/uidMappings")?.as_array()?;
    let size = |map: &serde_json::Value| map.get("size").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if maps.iter().map(size).sum::<u64>() > 1 {
        return None;
    }
    Some(ways(&config))
}

/// The directories that the mounts of a config.json go to, below the root.
pub fn ways(config: &serde_json::Value) -> BTreeSet<PathBuf> {
    let mounts = config.get("mounts").and_then(serde_json::Value::as_array);
    let way = |mount: &serde_json::Value| {
        let target = Path::new(mount.get("destination")?.as_str()?);
        target.parent()?.strip_prefix("/").ok().map(Path::to_path_buf)
    };
    mounts.into_iter().flatten().filter_map(way).collect()
}

/// The image's directories on this way, as ours in the upper directory, if one of them is another's: as when they are ours in
/// the image. What cannot be done is for the mount to say.
fn own_way(upper: &Path, lower: &Path, way: &Path) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let look = flags | OFlags::PATH;
    let (below, above) =
        (rustix::fs::open(lower, look, Mode::empty()), rustix::fs::open(upper, flags, Mode::empty()));
    let (Ok(mut below), Ok(mut above)) = (below, above) else { return };
    let mut modes = Vec::new();
    let mut others = false;
    for name in way {
        let Ok(next) = rustix::fs::openat(&below, name, look, Mode::empty()) else { break };
        let Ok(st) = rustix::fs::fstat(&next) else { break };
        others |= st.st_uid != 0;
        modes.push((name, Mode::from_raw_mode(st.st_mode & 0o7777)));
        below = next;
    }
    for (name, mode) in modes.into_iter().filter(|_| others) {
        let made = rustix::fs::mkdirat(&above, name, Mode::RWXU);
        let Ok(next) = rustix::fs::openat(&above, name, flags, Mode::empty()) else { return };
        if made.is_ok() && rustix::fs::fchmod(&next, mode).is_err() {
            return;
        }
        above = next;
    }
}

/// Upper and work directory; a new upper one is like the image's root, or ours.
fn prepare_upper(above: &Path, lower: &Path, ours: bool) -> Result<()> {
    for name in DIRECTORIES {
        let path = above.join(name);
        match rustix::fs::mkdir(&path, Mode::from(0o700)) {
            Ok(()) if name == "upper" => {
                let st = rustix::fs::stat(lower).call(|| format!("stat({lower:?})"))?;
                let owner = match ours {
                    true => (None, None),
                    false => (Some(Uid::from_raw(st.st_uid)), Some(Gid::from_raw(st.st_gid))),
                };
                // Refused where one id is mapped: then all is the user's anyway.
                match rustix::fs::chown(&path, owner.0, owner.1) {
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
