//! Layers, images, names, volumes and rootfs drivers: what is on disk and outlives every process.
//!
//! # Theory of operation
//!
//! There is no database, no daemon and no global lock. An object is a file or a directory. It is made in
//! `staging/<random>/`, its data is synced, it is renamed into place, its parent is synced: it is there whole or not at
//! all. The formats are drawn in `ondisk/{image,layer,volume,container}.rs`.
//!
//! **Order of publishing**: blobs and layers, then the image that needs them, then names that point to it. Removal goes
//! the other way, so whatever is found by a name is complete.
//!
//! **Locks** (kernel flocks on files of `locks/`; the kernel frees them at any death):
//! - `<diff-id>.pull`, exclusive: the one process that makes this layer. Others wait and share the result. A thread that
//!   holds one waits for no other lock, so pulls cannot deadlock; it is the only lock held while a network is waited for.
//! - `<diff-id>`, shared: a *pin* of somebody who relies on the layer until its image (or container) is published.
//!   Exclusive, and only tried: whoever removes it. A pinned layer is simply kept; the next collection finds it.
//! - `staging`: for an instant, around making a staging directory with its `lock`, and around finding dead ones.
//! - `images`: around changing names and image records and collecting what they no longer need.
//!
//! **After a crash** what is left is a staging directory whose `lock` is free: the next pull removes it. A blob that was
//! not loaded to its end stays in `staging/blobs/` for a week and is gone on with. A layer without an image is collected
//! with the next removal, and reported by `check`.
//!
//! **Stores of others** are looked into for images, and never written or locked: `shared`.
//!
//! **Who may**: unpacking, mounting and removing need the store's user namespace. Reading records does not.

mod archive;
pub mod check;
pub mod collect;
pub mod driver;
pub mod fill;
pub mod image;
pub mod layer;
pub mod lock;
pub mod owners;
pub mod partial;
pub mod reference;
pub mod remove;
pub mod rootfs;
pub mod seed;
pub mod shared;
pub mod source;
pub mod squash;
pub mod staging;
pub mod unpack;
pub mod volume;

pub use driver::probe_role_main;
pub use image::Image;
pub use remove::remove_tree;
pub use rootfs::{layer_diff_path, layer_tree, layers_of};

use crate::error::{Context, Error, Result};
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

/// One user's store, opened.
#[derive(Debug)]
pub struct Store {
    pub dirs: Dirs,
    data: OwnedFd,
    is_shared: bool,
    is_read_only: bool,
    others: OnceLock<(Vec<Self>, Vec<Error>)>,
}

impl Store {
    /// Opens the store; makes its directory when there is none.
    pub fn open(dirs: &Dirs) -> Result<Self> {
        let data = dirs.open_data()?;
        let is_shared = shared::is_marked(&data);
        Ok(Self { dirs: dirs.clone(), data, is_shared, is_read_only: false, others: OnceLock::new() })
    }

    /// The store's directory.
    pub fn data(&self) -> BorrowedFd<'_> {
        self.data.as_fd()
    }

    /// Opens a directory of the store, made when missing: `layers/sha256`. For its owner alone, or for all if the store is.
    pub fn dir(&self, name: &str) -> Result<OwnedFd> {
        match open_dir(self.data(), name) {
            Err(e) if e.raw_os_error() == libc::ENOENT => {}
            other => return other.what(|| format!("cannot open the store's {name}")),
        }
        let mut below = String::new();
        for part in name.split('/') {
            below.push_str(part);
            match rustix::fs::mkdirat(self.data(), &below, Mode::from(0o700)) {
                Err(e) if e != rustix::io::Errno::EXIST => {
                    return Err(e)
                        .call(|| format!("mkdirat({below:?}, 0700)"))
                        .what(|| format!("cannot make the store's {name}"));
                }
                made => {
                    if made.is_ok() && self.is_for_all(&below) {
                        rustix::fs::chmodat(self.data(), &below, Mode::from(0o755), AtFlags::empty())
                            .call(|| format!("fchmodat({below:?}, 0755)"))?;
                    }
                    below.push('/');
                }
            }
        }
        open_dir(self.data(), name).what(|| format!("cannot open the store's {name}"))
    }

    /// The same, with `None` where it is missing.
    pub fn existing_dir(&self, name: &str) -> Result<Option<OwnedFd>> {
        match open_dir(self.data(), name) {
            Err(e) if e.raw_os_error() == libc::ENOENT => Ok(None),
            other => other.map(Some).what(|| format!("cannot open the store's {name}")),
        }
    }
}

/// Opens a directory below `parent` for reading, following no symlink.
pub fn open_dir(parent: impl AsFd, name: &str) -> crate::sys::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    crate::sys::resolve::openat2(parent, name, flags, Mode::empty(), resolve)
        .call(|| format!("openat2({name:?}, O_DIRECTORY)"))
}

/// The names in a directory, without `.` and `..`, sorted.
pub fn list_dir(dir: impl AsFd) -> crate::sys::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir).call(|| "getdents64()")? {
        let entry = entry.call(|| "getdents64()")?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_owned()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The names that are text, without those of half-written records (`.name.random`).
pub fn list_records(dir: impl AsFd) -> crate::sys::Result<Vec<String>> {
    let names = list_dir(dir)?;
    Ok(names.into_iter().filter_map(|n| n.into_string().ok()).filter(|n| !n.starts_with('.')).collect())
}

/// Now, in RFC 3339.
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}
