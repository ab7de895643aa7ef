//! The owners that a container's files have by its own record and its image's, where the kernel could not write them down.

use super::{Meta, stat};
use crate::error::Result;
use crate::ondisk::container::Container;
use crate::ondisk::owners::{Key, Node, Owners};
use crate::paths::Dirs;
use crate::store::owners::{ImageOwners, Shown, Sources};
use crate::sys::{self, CallContext};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// What is written down, and what the image says.
#[derive(Debug, Default)]
pub struct Recorded(Option<Known>);

#[derive(Debug)]
struct Known {
    owners: Owners,
    image: ImageOwners,
    /// What the container has changed of its image, where that is a directory of its own.
    upper: Option<OwnedFd>,
    /// Of the container's root: its device and mount, and its path as we see it.
    device: u64,
    mount: u64,
    path: Vec<u8>,
}

impl Recorded {
    /// The record of `container`, whose root directory is `root`.
    pub fn of(dirs: &Dirs, container: &Container, root: BorrowedFd<'_>) -> Result<Self> {
        let path = dirs.container(&container.id);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})"))?;
        let owners = if container.records_owners { Owners::read(&dir)? } else { None }.unwrap_or_default();
        let image = ImageOwners::of_container(dirs, container)?;
        if owners.is_empty() && image.is_empty() {
            return Ok(Self::default());
        }
        let upper = rustix::fs::openat(&dir, "upper", flags, Mode::empty()).ok();
        let found =
            rustix::fs::statx(root, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).call(|| "statx(/)")?;
        let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
        Ok(Self(Some(Known { owners, image, upper, device, mount: found.stx_mnt_id, path: path_of(root)? })))
    }

    /// What an entry is and has, as programs in the container see it.
    pub fn stat(&self, parent: BorrowedFd<'_>, name: &CStr) -> sys::Result<Meta> {
        let mut meta = stat(parent, name)?;
        let Some(known) = &self.0 else { return Ok(meta) };
        let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
        let found = rustix::fs::statx(parent, name, AtFlags::SYMLINK_NOFOLLOW, mask)
            .call(|| format!("statx({name:?})"))?;
        let told = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
        let birth = told.then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec));
        let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
        let key = Key::new(found.stx_ino, birth, device, known.device);
        let shown = Shown { uid: found.stx_uid, gid: found.stx_gid, mode: found.stx_mode.into() };
        let path = || match found.stx_mnt_id == known.mount {
            true => known.path_in_root(parent, name),
            false => Ok(None),
        };
        let Some(said) = known.sources().of(&key, &shown, path)? else { return Ok(meta) };
        (meta.uid, meta.gid) = (said.owner.uid, said.owner.gid);
        if let Some(Node { block, major, minor }) = said.owner.node {
            meta.kind = if block { FileType::BlockDevice } else { FileType::CharacterDevice };
            (meta.rdev, meta.size) = (rustix::fs::makedev(major, minor), 0);
        }
        meta.mode = said.mode.unwrap_or(meta.mode);
        Ok(meta)
    }
}

impl Known {
    fn sources(&self) -> Sources<'_> {
        Sources { record: &self.owners, image: &self.image, upper: self.upper.as_ref() }
    }

    fn path_in_root(&self, parent: BorrowedFd<'_>, name: &CStr) -> sys::Result<Option<Vec<u8>>> {
        let parent = path_of(parent)?;
        let below = parent.strip_prefix(self.path.as_slice());
        Ok(below.map(|below| {
            let below = below.strip_prefix(b"/").unwrap_or(below);
            let name = if name == c"." { &[] } else { name.to_bytes() };
            let parts = [below, name];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b'/')
        }))
    }
}

/// As the kernel calls an open directory; no slash at its end.
fn path_of(dir: BorrowedFd<'_>) -> sys::Result<Vec<u8>> {
    let name = format!("/proc/self/fd/{}", dir.as_raw_fd());
    let path = rustix::fs::readlink(&name, Vec::new()).call(|| format!("readlink({name:?})"))?.into_bytes();
    Ok(path.strip_suffix(b"/").map(<[u8]>::to_vec).unwrap_or(path))
}
