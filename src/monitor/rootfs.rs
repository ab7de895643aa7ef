//! The root file system of one run: mounted in the monitor's own mount namespace, so that it vanishes with the monitor.

use crate::error::{Error, Result};
use crate::ondisk::container::{Container, Rootfs};
use crate::paths::Dirs;
use std::os::fd::OwnedFd;

/// A mounted rootfs.
#[derive(Debug)]
pub(super) struct Mounted {
    /// A FUSE server that the mount lives by: its end is the container's end.
    pub server: Option<OwnedFd>,
}

/// Mounts the container's rootfs at the place that config.json names.
pub(super) fn mount(_dirs: &Dirs, container: &Container) -> Result<Mounted> {
    match &container.rootfs {
        Rootfs::Directory { .. } | Rootfs::Host => Ok(Mounted { server: None }),
        Rootfs::Layers { .. } => Err(Error::internal("layers are not mounted in this build")),
    }
}

impl Mounted {
    /// Unmounts it, then ends its server.
    pub(super) fn umount(self) -> Result<()> {
        Ok(())
    }
}
