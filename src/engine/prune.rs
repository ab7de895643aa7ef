//! Removing what nothing needs, and how much space things take.
//!
//! Removals need the store's namespace. Failures are collected beside what went well.

use super::ps::{self, Filter};
use super::rm::{self, RemoveOptions};
use super::{lookup, volume as volumes};
use crate::config::pattern;
use crate::error::{Error, Result};
use crate::id::Sha256;
use crate::ondisk::container::{Container, Rootfs, Status};
use crate::ondisk::volume::VolumeRecord;
use crate::paths::Dirs;
use crate::store::{self, Image, Store};
use jiff::Timestamp;

/// One `--filter` of images, parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageFilter {
    /// Name or pattern with `*`.
    Reference(String),
    Id(String),
    Label(String, Option<String>),
    NotLabel(String, Option<String>),
    Before(Timestamp),
    Since(Timestamp),
    /// Without a name, or with one.
    Dangling(bool),
    /// Used by a container, or by none.
    Containers(bool),
    Digest(String),
    /// Of a store that is only read, or of one's own.
    ReadOnly(bool),
    /// Kinds of images that coracle does not have.
    Never(bool),
}

/// Whether an image is chosen: all filters must hold, of several references one.
pub fn matches_image(filters: &[ImageFilter], image: &Image, users: usize) -> bool {
    let label = |key: &str, value: &Option<String>| {
        image.config.labels.get(key).is_some_and(|have| value.as_ref().is_none_or(|want| want == have))
    };
    let created = || image.record.created.parse::<Timestamp>().ok();
    let reference = |wanted: &str| image.names.iter().any(|name| is_reference(name, wanted));
    let references: Vec<&str> = filters
        .iter()
        .filter_map(|f| if let ImageFilter::Reference(r) = f { Some(r.as_str()) } else { None })
        .collect();
    let named = references.is_empty()
        || references.into_iter().any(|r| reference(r) || image.id.as_str().starts_with(r));
    named
        && filters.iter().all(|filter| match filter {
            ImageFilter::Reference(_) => true,
            ImageFilter::Id(prefix) => image.id.as_str().starts_with(prefix.trim_start_matches("sha256:")),
            ImageFilter::Label(key, value) => label(key, value),
            ImageFilter::NotLabel(key, value) => !label(key, value),
            ImageFilter::Before(time) => created().is_some_and(|t| t < *time),
            ImageFilter::Since(time) => created().is_some_and(|t| t > *time),
            ImageFilter::Dangling(wanted) => image.names.is_empty() == *wanted,
            ImageFilter::Containers(wanted) => (users > 0) == *wanted,
            ImageFilter::Digest(wanted) => {
                let hex = wanted.trim_start_matches("sha256:");
                image.record.manifest.as_str().starts_with(hex)
                    || image.digests.iter().any(|d| d.ends_with(wanted.as_str()))
            }
            ImageFilter::ReadOnly(wanted) => image.store.is_some() == *wanted,
            ImageFilter::Never(wanted) => !*wanted,
        })
}

/// Whether a full name answers to a short one: the registry, the path before the last name and the tag may be left out,
/// `*` stands for any text.
pub fn is_reference(name: &str, wanted: &str) -> bool {
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let untagged = match name.get(slash..).and_then(|last| last.rfind(':')) {
        Some(colon) => name.get(..slash + colon).unwrap_or(name),
        None => name,
    };
    let tails = |full: &str| -> Vec<String> {
        let mut tails = vec![full.to_owned()];
        let mut rest = full;
        while let Some((_, after)) = rest.split_once('/') {
            tails.push(after.to_owned());
            rest = after;
        }
        tails
    };
    tails(name).iter().chain(&tails(untagged)).any(|tail| pattern::matches(wanted, tail))
}

/// Containers that are not running.
pub fn containers(dirs: &Dirs, filters: &[Filter]) -> Result<(Vec<Container>, Vec<Error>)> {
    let (all, mut failed) = lookup::list(dirs)?;
    let mut removed = Vec::new();
    for (c, state) in all {
        let ended = matches!(state.status, Status::Created | Status::Exited);
        if !ended || !ps::matches(filters, &c, &state) {
            continue;
        }
        match rm::remove(dirs, &c, RemoveOptions { force: false, timeout: None, volumes: true }) {
            Ok(()) => removed.push(c),
            Err(e) => failed.push(e),
        }
    }
    Ok((removed, failed))
}

/// Images without a name, or (`all`) every image that no container uses.
pub fn images(dirs: &Dirs, all: bool, filters: &[ImageFilter]) -> Result<(Vec<String>, Vec<Error>)> {
    let store = Store::open(dirs)?;
    let (images, mut failed) = store.images()?;
    let mut removed = Vec::new();
    for image in images {
        let users = store.image_users(&image.id)?.len();
        let unneeded = users == 0 && (all || image.names.is_empty());
        if !unneeded || !matches_image(filters, &image, users) {
            continue;
        }
        match store.remove_image(image.id.as_str(), true) {
            Ok(_) => removed.push(image.id.to_string()),
            Err(e) => failed.push(e),
        }
    }
    store.collect()?;
    Ok((removed, failed))
}

/// What `system prune` removed.
#[derive(Debug, Default)]
pub struct Pruned {
    pub containers: Vec<String>,
    pub images: Vec<String>,
    pub volumes: Vec<VolumeRecord>,
    /// Bytes that are free again.
    pub bytes: u64,
    pub failed: Vec<Error>,
}

/// What `system prune` is to look at.
#[derive(Debug, Clone, Copy)]
pub struct PruneOptions {
    /// Also images with names.
    pub all: bool,
    pub volumes: bool,
}

/// Containers, then the images they no longer hold, then volumes.
pub fn everything(
    dirs: &Dirs,
    options: PruneOptions,
    filters: &[Filter],
    image_filters: &[ImageFilter],
    volume_filters: &[volumes::Filter],
) -> Result<Pruned> {
    let before = store_bytes(dirs);
    let (gone, mut failed) = containers(dirs, filters)?;
    let (images, more) = images(dirs, options.all, image_filters)?;
    failed.extend(more);
    let mut pruned = Pruned {
        containers: gone.into_iter().map(|c| c.id.to_string()).collect(),
        images,
        failed,
        ..Pruned::default()
    };
    if options.volumes {
        let (volumes, more) = volumes::prune(dirs, volume_filters)?;
        pruned.volumes = volumes;
        pruned.failed.extend(more);
    }
    pruned.bytes = before.saturating_sub(store_bytes(dirs));
    Ok(pruned)
}

/// Bytes that a container wrote; 0 where that cannot be told.
pub fn written(dirs: &Dirs, c: &Container) -> u64 {
    store::rootfs::upper_size(dirs, c).unwrap_or(0)
}

/// Bytes of the layers below what a container wrote.
pub fn layers_size(dirs: &Dirs, c: &Container) -> u64 {
    let Rootfs::Layers { layers, store: at, .. } = &c.rootfs else { return 0 };
    let Ok(store) = Store::with_layers(dirs, at.as_deref()) else { return 0 };
    let size = |layer: &String| Some(store.layer(&Sha256::parse(layer).ok()?).ok()??.size);
    layers.iter().filter_map(size).sum()
}

/// Bytes of regular files below the store.
pub fn store_bytes(dirs: &Dirs) -> u64 {
    tree_bytes(&dirs.data)
}

/// Bytes of regular files below a directory, without following symlinks; what cannot be read counts nothing. A file with
/// several names counts for each of them.
pub fn tree_bytes(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => tree_bytes(&entry.path()),
            Ok(meta) if meta.is_file() => meta.len(),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_and_patterns() {
        let name = "docker.io/library/debian:13";
        for wanted in ["debian", "debian:13", "library/debian", name, "deb*", "*:13", "docker.io/*/debian*"] {
            assert!(is_reference(name, wanted), "{wanted}");
        }
        for wanted in ["ebian", "debian:12", "de*x", "library"] {
            assert!(!is_reference(name, wanted), "{wanted}");
        }
        assert!(is_reference("127.0.0.1:5000/a/b:c", "a/b"));
        assert!(pattern::matches("a*b*c", "a1b2c") && !pattern::matches("a*b*c", "acb"));
    }
}
