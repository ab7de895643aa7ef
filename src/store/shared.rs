//! Stores of others: one that an administrator fills for all users, and how everybody's images are found in it.
//!
//! # Theory of operation
//!
//! A store is for all users once `share` has marked it (`ondisk::layer::SHARED`): what a pull then puts into it may be read
//! by everybody, and the owner of each file is stated in an attribute of the file. Owners themselves would be of no use:
//! the ids that the administrator's user namespace maps are nobody's in every other user's.
//!
//! Such a store is opened by `Store::read_only`. Nothing in it is written or locked, so it may be on a disk that is mounted
//! read-only or that belongs to somebody else. What is found there is shown by fuse-overlayfs, which reads the attribute,
//! or copied where that cannot be had; the kernel's overlay would show files of nobody. An own store may be added as well
//! (a second disk): there owners are real, and layers are shown as those of any own image.
//!
//! # What must stay true
//!
//! - An image is whole in one store. The user's own store is asked first.
//! - Only own stores are ever changed: removing, naming, pruning and collecting never see another one.
//! - Who may write into a store decides what runs from it. One that everybody may write is refused.

use super::{Image, Store, open_dir};
use crate::error::{Context, Error, Result};
use crate::id::Sha256;
use crate::ondisk::layer::{Ownership, SHARED, SharedRecord};
use crate::ondisk::{self, Durability, Readers};
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What everybody may read in a store that is for all. The rest (containers, volumes, locks) stays its owner's.
const FOR_ALL: [&str; 7] = ["layers", "layers/sha256", "l", "blobs", "blobs/sha256", "images", "refs"];

impl Store {
    /// Opens a store that is only looked into.
    pub fn read_only(data: &Path) -> Result<Self> {
        let what = || format!("cannot use the image store {}", data.display());
        let text = data.to_str().filter(|text| !text.contains([':', ',', '\\']) && data.is_absolute());
        if text.is_none() {
            return Err(Error::usage(what()).cause(
                "its path must be absolute and have no colon, comma or backslash, which separate layers",
            ));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(data, flags, Mode::empty())
            .call(|| format!("open({data:?}, O_DIRECTORY)"))
            .what(what)?;
        let st = rustix::fs::fstat(&fd).call(|| format!("fstat({data:?})")).what(what)?;
        if st.st_mode & 0o002 != 0 {
            return Err(Error::host(what())
                .cause(format_args!("everybody may write it (mode {:04o})", st.st_mode & 0o7777))
                .hint(format_args!("Ask its owner to change that: `chmod o-w {}`.", data.display())));
        }
        for name in ["images", "refs", "blobs/sha256", "layers/sha256"] {
            open_dir(&fd, name).what(what).hint(|| hint_to_share(data))?;
        }
        let dirs = Dirs::only(data.to_owned(), PathBuf::new());
        Ok(Self { dirs, data: fd, is_shared: true, is_read_only: true, others: OnceLock::new() })
    }

    /// The other stores of this user, and what is wrong with those that cannot be used.
    pub fn others(&self) -> &(Vec<Self>, Vec<Error>) {
        self.others.get_or_init(|| {
            let (mut stores, mut lost) = (Vec::<Self>::new(), Vec::new());
            for path in &self.dirs.stores {
                match Self::read_only(path) {
                    // By two ways, or the own one.
                    Ok(store) if std::iter::once(self).chain(&stores).any(|other| other.is_same(&store)) => {}
                    Ok(store) => stores.push(store),
                    Err(e) => lost.push(e),
                }
            }
            (stores, lost)
        })
    }

    /// What is wrong with those of the others that were looked for in vain.
    pub fn lost(&self) -> &[Error] {
        self.others.get().map_or(&[], |(_, lost)| lost)
    }

    /// The store that an image was found in.
    pub fn of(&self, image: &Image) -> Result<&Self> {
        let Some(path) = &image.store else { return Ok(self) };
        let found = self.others().0.iter().find(|store| store.dirs.data == *path);
        found.ok_or_else(|| Error::internal(format_args!("no store {}", path.display())))
    }

    /// The store that has a container's layers: `at`, or the user's own.
    pub fn with_layers(dirs: &Dirs, at: Option<&str>) -> Result<Self> {
        at.map_or_else(|| Self::open(dirs), |path| Self::read_only(Path::new(path)))
    }

    /// Whether nothing may be changed here.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Whether what is made here is for all users.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Who may read the records of its images.
    pub(super) fn readers(&self) -> Readers {
        if self.is_shared { Readers::All } else { Readers::Owner }
    }

    /// Whether everybody may read this directory of the store, once it is made.
    pub(super) fn is_for_all(&self, name: &str) -> bool {
        self.is_shared && FOR_ALL.contains(&name)
    }

    /// Makes an empty store one for all users. Nothing happens to one that is.
    pub fn share(&self) -> Result<()> {
        let place = self.dirs.data.display();
        let what = || format!("cannot share the store {place}");
        if self.is_shared {
            return Ok(());
        }
        if !self.layers()?.is_empty() {
            return Err(Error::in_use(what())
                .cause("it has images already, unpacked for their owner alone")
                .hint(format_args!(
                    "Name an empty directory with --root, or remove them first: `coracle --root {place} rmi --all`."
                )));
        }
        let readable =
            |fd: &dyn AsFd| rustix::fs::fchmod(fd.as_fd(), Mode::from(0o755)).call(|| "fchmod(0755)");
        for name in FOR_ALL {
            readable(&self.dir(name)?).what(what)?;
        }
        readable(&self.data).what(what)?;
        let record = SharedRecord { version: ondisk::VERSION };
        ondisk::publish_for(Readers::All, &self.data, SHARED, &record, Durability::Durable).what(what)
    }

    /// The first directory on the way to the store that others may not enter.
    pub fn barrier(&self) -> Option<PathBuf> {
        let closed = |dir: &&Path| rustix::fs::stat(*dir).is_ok_and(|st| st.st_mode & 0o001 == 0);
        self.dirs.data.ancestors().skip(1).filter(closed).last().map(Path::to_path_buf)
    }

    /// Whether an image's layers have to be shown by what is stated of them. An error: they are for somebody else alone.
    pub fn is_stated(&self, own: &Self, layers: &[Sha256]) -> Result<bool> {
        for diff_id in layers {
            let Some(record) = self.layer(diff_id)? else { continue };
            if record.ownership == Ownership::Stated {
                return Ok(true);
            }
            if self.is_read_only && self.owner()? != own.owner()? {
                let place = self.dirs.data.display();
                return Err(Error::host(format_args!("cannot use the layers of the store {place}"))
                    .cause("they were unpacked for its owner alone, with owners that are nobody's in your user namespace")
                    .hint(hint_to_share(&self.dirs.data)));
            }
        }
        Ok(false)
    }

    fn is_same(&self, other: &Self) -> bool {
        let id = |store: &Self| rustix::fs::fstat(&store.data).map(|st| (st.st_dev, st.st_ino));
        id(self).is_ok_and(|own| id(other) == Ok(own))
    }

    fn owner(&self) -> Result<u32> {
        Ok(rustix::fs::fstat(&self.data).call(|| "fstat(store)")?.st_uid)
    }

    /// An image that is to be changed (`verb`, by `command`), which those of other stores never are. `None`: nobody has it.
    pub fn own_image(&self, verb: &str, command: &str, name: &str) -> Result<Option<Image>> {
        if let Some(image) = self.find_own_image(name)? {
            return Ok(Some(image));
        }
        let Some(Image { store: Some(store), .. }) = self.find_image(name)? else { return Ok(None) };
        let place = store.display();
        Err(Error::host(format_args!("cannot {verb} image {name}"))
            .cause(format_args!("it is in {place}, a store that is only read"))
            .hint(format_args!(
                "Whoever fills that store can: `coracle --root {place} {command} {name}`. For an image of your own, pull it: \
                 `coracle pull {name}`."
            )))
    }
}

/// Whether a store's directory has the mark of one for all.
pub(super) fn is_marked(data: impl AsFd) -> bool {
    rustix::fs::statat(data, SHARED, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

fn hint_to_share(data: &Path) -> String {
    let place = data.display();
    format!(
        "Ask whoever fills it to make it one for all users, before the first pull: `coracle --root {place} system share`."
    )
}
