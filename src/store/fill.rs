//! The first use of a volume: what the image has at that place is copied into it, owners and modes too.
//!
//! Runs inside the store's user namespace with the root file system mounted, before the payload exists: nobody changes
//! what is read here. The copy is made in place, because another container may have the (empty) volume mounted already;
//! the file `filling` beside the data says that a copy was broken off, and the next use makes it again.

use super::lock::Share;
use super::rootfs::{Mounted, copy_tree};
use super::{Store, list_dir, open_dir, volume};
use crate::error::{Context, Error, Result};
use crate::id::VolumeName;
use crate::ondisk::container::{Container, MountRecord};
use crate::paths::Dirs;
use crate::sys::CallContext;
use crate::sys::fs::{Symlinks, open_below};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

const FILLING: &str = "filling";

/// Fills every volume of the container that was never used.
pub fn fill(dirs: &Dirs, c: &Container, rootfs: &Mounted) -> Result<()> {
    for mount in c.mounts.iter().filter(|mount| mount.kind == "volume") {
        let Some(name) = &mount.name else { continue };
        fill_one(dirs, &VolumeName::parse(name)?, mount, rootfs)
            .what(|| format!("cannot fill volume {name} with what is at {}", mount.destination))?;
    }
    Ok(())
}

fn fill_one(dirs: &Dirs, name: &VolumeName, mount: &MountRecord, rootfs: &Mounted) -> Result<()> {
    let is_new =
        || Ok::<_, crate::error::Error>(volume::get(dirs, name.as_str())?.is_some_and(|v| v.needs_copy_up));
    if !is_new()? {
        return Ok(());
    }
    let store = Store::open(dirs)?;
    let _lock = store.lock("volumes", Share::Exclusive)?;
    // Another start may have been faster.
    if !is_new()? {
        return Ok(());
    }
    let volume = open_dir(store.data(), &format!("volumes/{name}"))?;
    let data = open_dir(&volume, "_data")?;
    let broken_off = rustix::fs::statat(&volume, FILLING, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    if !broken_off && !list_dir(&data)?.is_empty() {
        return volume::set_copied_up(dirs, name);
    }
    match (mount.copy_up, open_image(rootfs, &mount.destination)?) {
        // `nocopy`: the next user may want it.
        (false, _) => return Ok(()),
        (true, Some(image)) => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&volume, FILLING, flags, Mode::from(0o600)).call(|| "openat(filling)")?;
            copy_tree(&image, &data)?;
            rustix::fs::syncfs(&data).call(|| "syncfs()")?;
            volume::set_copied_up(dirs, name)?;
            rustix::fs::unlinkat(&volume, FILLING, AtFlags::empty()).call(|| "unlinkat(filling)")?;
            return Ok(());
        }
        // Nothing there: it belongs to whom the container runs as.
        (true, None) => {
            let (uid, gid) = mount.owner;
            match rustix::fs::fchown(&data, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
                Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
                Err(e) => return Ok(Err(e).call(|| "fchown(_data)")?),
            }
        }
    }
    volume::set_copied_up(dirs, name)
}

/// The directory at that place of the root file system; symbolic links lead nowhere out of it.
fn open_image(rootfs: &Mounted, destination: &str) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::open(&rootfs.path, flags, Mode::empty()).call(|| format!("open({:?})", rootfs.path))?;
    let path = CString::new(destination).map_err(|_| Error::usage("a volume's place with a NUL byte"))?;
    match open_below(root.as_fd(), &path, flags, Symlinks::InRoot) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Ok(Err(e).call(|| format!("openat2({destination:?})"))?),
    }
}
