//! The layers' trees of a store of others, at places where nobody but us can exchange them.
//!
//! The drivers take layers as paths. Whoever may write into such a store can put a symlink on a path, also between our look
//! and the driver's, and the container would show what it leads to: files that only its user may read. So each tree is
//! opened without following a link, and bound by that fd, read-only, into a directory in memory of the caller's own mount
//! namespace.

use super::squash::mount_memory;
use crate::error::Result;
use crate::store::open_dir;
use crate::sys::mount::{ATTR_RDONLY, MountAttr};
use crate::sys::tree::{self, Tree};
use crate::sys::{self, CallContext};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Unmounted when dropped, unless somebody took it over (`keep`).
#[derive(Debug)]
pub(super) struct Trees {
    directory: OwnedFd,
    path: Option<PathBuf>,
    /// Relative to the user's own store.
    name: String,
    count: usize,
}

impl Trees {
    /// None yet: below `base`, a directory of the store `data`, whose path is `root`.
    pub(super) fn below(data: BorrowedFd<'_>, root: &Path, base: &str) -> Result<Self> {
        let name = format!("{base}/layers");
        match rustix::fs::mkdirat(data, &name, Mode::from(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Ok(Err(e).call(|| format!("mkdirat({name:?})"))?),
        }
        let path = root.join(&name);
        mount_memory(&path)?;
        tree::decide();
        match open(rustix::fs::CWD, &path) {
            Ok(directory) => Ok(Self { directory, path: Some(path), name, count: 0 }),
            Err(e) => {
                crate::store::squash::mount::unmount(&path);
                Err(e.into())
            }
        }
    }

    /// Adds the tree at `path` of the store `data`. Returns where it is now, relative to the user's own store.
    pub(super) fn add(&mut self, data: BorrowedFd<'_>, path: &str) -> Result<String> {
        let source = open_dir(data, path)?;
        let number = self.count.to_string();
        rustix::fs::mkdirat(&self.directory, &number, Mode::from(0o700)).call(|| "mkdirat(layer)")?;
        let target = open(&self.directory, Path::new(&number))?;
        let read_only = MountAttr { set: ATTR_RDONLY, ..MountAttr::default() };
        let mut copy = Tree::copy_of(&source, c"", false).call(|| format!("open_tree({path:?})"))?;
        copy.set_attr(&read_only, false).call(|| "mount_setattr(MOUNT_ATTR_RDONLY)")?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let again = || rustix::fs::openat(&self.directory, &number, flags, Mode::empty());
        copy.attach(target.as_fd(), again).call(|| "move_mount(layer)")?;
        self.count += 1;
        Ok(format!("{}/{number}", self.name))
    }

    /// What is to be unmounted by the caller from now on.
    pub(super) fn keep(mut self) -> Option<PathBuf> {
        self.path.take()
    }
}

impl Drop for Trees {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            crate::store::squash::mount::unmount(path);
        }
    }
}

fn open(dir: impl AsFd, path: &Path) -> sys::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, path, flags, Mode::empty()).call(|| format!("openat({path:?})"))
}
