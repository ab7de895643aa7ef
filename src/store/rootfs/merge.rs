//! The layers of an image as one tree, for whoever reads all of it and writes nothing.
//!
//! Where the storage directory has a driver that mounts, nothing is copied. With `vfs` the layers are copied into
//! `staging/`, by reflink where the file system can.

use super::overlay::Plan;
use super::{Mounted, fuse, like_the_image, lowers, overlay, vfs};
use crate::error::Result;
use crate::ondisk::container::Driver;
use crate::paths::Dirs;
use crate::store::Store;
use crate::store::staging::Staging;
use crate::sys::CallContext;
use rustix::fs::{Mode, Timespec, Timestamps};
use std::path::{Path, PathBuf};

/// A mounted merge; taken down when dropped.
#[derive(Debug)]
pub struct Merge {
    mounted: Option<Mounted>,
    path: PathBuf,
    // After the mount.
    staging: Staging,
}

impl Merge {
    /// Of these layers of the store `from`, top first. The root directory, which no layer need describe, gets the time `time` (seconds).
    pub fn mount(dirs: &Dirs, from: &Store, layers: &[String], driver: Driver, time: i64) -> Result<Self> {
        let store = Store::open(dirs)?;
        let staging = Staging::new(&store)?;
        let base = format!("staging/{}", staging.name());
        let handle = crate::store::open_dir(store.data(), &base)?;
        let path = dirs.data.join(&base).join("merged");
        if driver == Driver::Vfs {
            vfs::copy_layers(from, &handle, layers, None)?;
            set_time(&path, time)?;
            return Ok(Self { mounted: None, path, staging });
        }
        for (name, mode) in [("work", 0o700), ("merged", 0o755), ("upper", 0o700)] {
            rustix::fs::mkdirat(&handle, name, Mode::from(mode)).call(|| format!("mkdirat({name})"))?;
        }
        like_the_image(from, &handle, layers)?;
        set_time(&dirs.data.join(&base).join("upper"), time)?;
        let lowers = lowers(&store, from, layers, driver, &base)?;
        let plan = Plan {
            lowers: &lowers.paths,
            upper: &format!("{base}/upper"),
            work: &format!("{base}/work"),
            merged: &format!("{base}/merged"),
            volatile: true,
        };
        let server = match driver {
            Driver::Overlay => {
                overlay::mount(store.data(), &plan)?;
                None
            }
            _ => Some(fuse::mount(dirs, &plan, fuse::Shown { id_map: None, stated: lowers.stated })?),
        };
        let mounted = Mounted { below: lowers.keep(), ..Mounted::new(path.clone(), server, true) };
        Ok(Self { mounted: Some(mounted), path, staging })
    }

    /// The tree.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory beside it, gone with it.
    pub fn scratch(&self, dirs: &Dirs) -> PathBuf {
        dirs.data.join("staging").join(self.staging.name())
    }
}

impl Drop for Merge {
    fn drop(&mut self) {
        // What stays mounted is in our own namespace, which ends with us.
        if let Some(mounted) = self.mounted.take() {
            let _ = mounted.umount();
        }
    }
}

fn set_time(path: &Path, seconds: i64) -> Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::empty())
        .call(|| format!("utimensat({path:?})"))?;
    Ok(())
}
