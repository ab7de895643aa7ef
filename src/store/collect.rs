//! Removing images, and collecting what nothing needs any more.

use super::image::{matches, unknown_image};
use super::lock::Share;
use super::reference::Reference;
use super::{Image, Store, list_records, remove_tree};
use crate::error::{Error, Result};
use crate::id::Sha256;
use crate::ondisk;
use crate::ondisk::container::{Container, Rootfs};
use crate::ondisk::image::{ImageRecord, RefRecord};
use crate::sys::CallContext;
use std::collections::BTreeSet;
use std::os::fd::AsFd;

/// What a removal did.
#[derive(Debug, Clone, Default)]
pub struct Removed {
    /// Names that are gone.
    pub untagged: Vec<String>,
    /// The image, when it is gone.
    pub image: Option<Sha256>,
}

impl Store {
    /// Removes a name, and the image with its last name (`name` may be an id, which removes all names if there is one or
    /// `force`). In use by a container: `Kind::InUse`, exit code 2. Needs the store's namespace.
    pub fn remove_image(&self, name: &str, force: bool) -> Result<Removed> {
        let image = self.own_image("remove", "rmi", name)?;
        let image = image.ok_or_else(|| unknown_image(name).with_exit_code(1))?;
        let _lock = self.lock("images", Share::Exclusive)?;
        let named = self.resolve_name(name, &image)?;
        let mut removed = Removed::default();
        if let Some(one) = named.filter(|_| image.names.len() > 1) {
            if self.untag_locked(&one)? {
                removed.untagged.push(one);
            }
            return Ok(removed);
        }
        if image.names.len() > 1 && !force && self.resolve_name(name, &image)?.is_none() {
            return Err(Error::in_use(format_args!("cannot remove image {name} by its id"))
                .cause(format_args!("it has several names: {}", image.names.join(", ")))
                .hint("Remove one of its names, or all with `coracle rmi --force`.")
                .with_exit_code(2));
        }
        let users = self.image_users(&image.id)?;
        if !users.is_empty() {
            return Err(Error::in_use(format_args!("cannot remove image {name}"))
                .cause(format_args!("it is in use by container {}", users.join(", ")))
                .hint(format_args!(
                    "Remove the container first with `coracle rm {}`, or use `coracle rmi --force`.",
                    users.join(" ")
                ))
                .with_exit_code(2));
        }
        for record in self.names()?.0.into_iter().filter(|r| r.image == image.id) {
            self.untag_locked(&record.name)?;
            removed.untagged.push(record.name);
        }
        let dir = self.dir("images")?;
        remove_tree(dir.as_fd(), &format!("{}.json", image.id))?;
        rustix::fs::fsync(&dir).call(|| "fsync(images)")?;
        removed.image = Some(image.id);
        self.collect_locked()?;
        Ok(removed)
    }

    /// The full name that `name` is, when it is a name of `image` and no id.
    fn resolve_name(&self, name: &str, image: &Image) -> Result<Option<String>> {
        let (names, _) = self.names()?;
        let name = name.strip_prefix("docker://").unwrap_or(name);
        let Ok(reference) = Reference::parse(name) else { return Ok(None) };
        let mine: Vec<RefRecord> = names.into_iter().filter(|record| record.image == image.id).collect();
        Ok(matches(&mine, &reference).first().map(|record| record.name.clone()))
    }

    /// Names of containers that were made from an image.
    pub fn image_users(&self, image: &Sha256) -> Result<Vec<String>> {
        let containers = self.containers()?;
        Ok(containers
            .into_iter()
            .filter(|c| c.image_id.as_deref() == Some(image.as_str()))
            .map(|c| c.name.to_string())
            .collect())
    }

    /// The containers' records; a damaged one is skipped here (`ps` and `check` report it).
    pub(super) fn containers(&self) -> Result<Vec<Container>> {
        let Some(dir) = self.existing_dir("containers")? else { return Ok(Vec::new()) };
        let mut containers = Vec::new();
        for id in list_records(&dir)? {
            if let Ok(one) = super::open_dir(&dir, &id) {
                containers.extend(ondisk::read_opt::<Container>(&one, "container.json").ok().flatten());
            }
        }
        Ok(containers)
    }

    /// Removes layers and blobs that no image and no container needs and nobody has pinned. Returns how many layers went.
    pub fn collect(&self) -> Result<u32> {
        let _lock = self.lock("images", Share::Exclusive)?;
        self.collect_locked()
    }

    fn collect_locked(&self) -> Result<u32> {
        let needed = self.needed()?;
        let mut removed = 0;
        for layer in self.layers()? {
            if !needed.layers.contains(layer.as_str()) && self.remove_layer(&layer)? {
                removed += 1;
            }
        }
        if let Some(blobs) = self.existing_dir("blobs/sha256")? {
            // A pull stores its blobs before its image, under the pin of this name.
            if let Some(_alone) = self.try_lock("blobs", Share::Exclusive)? {
                for blob in list_records(&blobs)?.into_iter().filter(|blob| !needed.blobs.contains(blob)) {
                    remove_tree(blobs.as_fd(), &blob)?;
                }
            }
        }
        Ok(removed)
    }

    /// What images and containers need. A damaged image record keeps everything: nothing is collected on a guess.
    pub(super) fn needed(&self) -> Result<Needed> {
        let mut needed = Needed::default();
        if let Some(dir) = self.existing_dir("images")? {
            for file in list_records(&dir)? {
                let record: ImageRecord = match ondisk::read_opt(&dir, &file) {
                    Ok(Some(record)) => record,
                    Ok(None) => continue,
                    Err(e) => {
                        return Err(e
                            .wrap("cannot tell which layers are in use")
                            .hint("See `coracle system check --repair`."));
                    }
                };
                needed.blobs.extend([record.id.to_string(), record.manifest.to_string()]);
                needed.blobs.extend(record.index.map(String::from));
                needed.layers.extend(record.layers.into_iter().map(String::from));
            }
        }
        for container in self.containers()? {
            if let Rootfs::Layers { layers, store: None, .. } = container.rootfs {
                needed.layers.extend(layers);
            }
        }
        Ok(needed)
    }
}

/// Layers and blobs that something refers to.
#[derive(Debug, Default)]
pub(super) struct Needed {
    pub(super) layers: BTreeSet<String>,
    pub(super) blobs: BTreeSet<String>,
}
