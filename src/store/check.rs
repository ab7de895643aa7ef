//! The store's part of `system check [--repair]`: is everything what its name says?
//!
//! Reads all records and every blob. What the next command would put right by itself (staging of dead processes, layers
//! that nothing needs, a short link) is a note, not a problem. A repair removes what is damaged and can be pulled again;
//! it never touches what is right, a container or a volume.

use super::{Store, layer, list_records, lock::Share, remove_tree, volume};
use crate::error::{Error, Result};
use crate::id::Sha256;
use crate::ondisk::{self, container::Container, container::Rootfs, image::ImageRecord, image::RefRecord};
use rustix::fs::AtFlags;
use std::os::fd::AsFd;

/// What a check found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Wrong, and still so.
    pub problems: Vec<Error>,
    /// Wrong, and put right.
    pub repaired: Vec<String>,
    /// Left over; the next pull or removal clears it.
    pub notes: Vec<String>,
}

/// Checks the store. `repair` needs the store's namespace.
pub fn check(store: &Store, repair: bool) -> Result<Findings> {
    let mut findings = Findings::default();
    let _lock = if repair { Some(store.lock("images", Share::Exclusive)?) } else { None };
    images(store, repair, &mut findings)?;
    names(store, repair, &mut findings)?;
    layers(store, repair, &mut findings)?;
    containers(store, &mut findings)?;
    findings.problems.extend(volume::list(&store.dirs)?.1);
    if repair {
        let removed = store.clean_staging()?;
        if removed > 0 {
            findings.repaired.push(format!("removed {removed} leftovers of processes that died"));
        }
    }
    Ok(findings)
}

fn images(store: &Store, repair: bool, findings: &mut Findings) -> Result<()> {
    let Some(dir) = store.existing_dir("images")? else { return Ok(()) };
    for file in list_records(&dir)? {
        let problem = match ondisk::read_opt::<ImageRecord>(&dir, &file) {
            Ok(Some(record)) if format!("{}.json", record.id) == file => whole(store, &record).err(),
            Ok(Some(_)) => Some(Error::corrupt(format_args!("images/{file} names another image"))),
            Ok(None) => None,
            Err(e) => Some(e),
        };
        let Some(problem) = problem else { continue };
        if repair {
            remove_tree(dir.as_fd(), &file)?;
            findings.repaired.push(format!("removed the damaged image {file} ({problem}): pull it again"));
        } else {
            findings
                .problems
                .push(problem.wrap(format_args!("image {} is damaged", file.trim_end_matches(".json"))));
        }
    }
    Ok(())
}

/// Every blob has its digest, every layer is there.
fn whole(store: &Store, record: &ImageRecord) -> Result<()> {
    store.blob(&record.id)?;
    store.blob(&record.manifest)?;
    for diff_id in &record.layers {
        if store.layer(diff_id)?.is_none() {
            return Err(Error::corrupt(format_args!("layer {diff_id} is missing")));
        }
    }
    Ok(())
}

fn names(store: &Store, repair: bool, findings: &mut Findings) -> Result<()> {
    let Some(dir) = store.existing_dir("refs")? else { return Ok(()) };
    for file in list_records(&dir)? {
        let problem = match ondisk::read_opt::<RefRecord>(&dir, &file) {
            Ok(Some(record)) if !has_image(store, &record.image) => {
                Some(Error::corrupt(format_args!("the name {} points to no image", record.name)))
            }
            Ok(_) => None,
            Err(e) => Some(e),
        };
        let Some(problem) = problem else { continue };
        if repair {
            remove_tree(dir.as_fd(), &file)?;
            findings.repaired.push(format!("removed the image name {file} ({problem})"));
        } else {
            findings.problems.push(problem);
        }
    }
    Ok(())
}

fn has_image(store: &Store, id: &Sha256) -> bool {
    rustix::fs::statat(store.data(), format!("images/{id}.json"), AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

fn layers(store: &Store, repair: bool, findings: &mut Findings) -> Result<()> {
    let needed = store.needed();
    for diff_id in store.layers()? {
        match store.layer(&diff_id) {
            Ok(Some(_)) => {}
            damaged => {
                let problem = damaged
                    .err()
                    .unwrap_or_else(|| Error::corrupt(format_args!("layer {diff_id} has no record")));
                if repair && store.remove_layer(&diff_id)? {
                    findings
                        .repaired
                        .push(format!("removed the damaged layer {diff_id}: pull its images again"));
                } else {
                    findings.problems.push(problem);
                }
                continue;
            }
        }
        if rustix::fs::statat(store.data(), format!("l/{}", layer::short_link(&diff_id)), AtFlags::empty())
            .is_err()
        {
            store.link_layer(&diff_id)?;
            findings.notes.push(format!("made the short link of layer {diff_id} again"));
        }
        if needed.as_ref().is_ok_and(|needed| !needed.layers.contains(diff_id.as_str())) {
            findings.notes.push(format!("layer {diff_id} belongs to no image"));
        }
    }
    Ok(())
}

fn containers(store: &Store, findings: &mut Findings) -> Result<()> {
    let Some(dir) = store.existing_dir("containers")? else { return Ok(()) };
    for id in list_records(&dir)? {
        let Ok(one) = super::open_dir(&dir, &id) else { continue };
        match ondisk::read_opt::<Container>(&one, "container.json") {
            Ok(Some(Container { rootfs: Rootfs::Layers { layers, store: at, .. }, name, .. })) => {
                let from = match Store::with_layers(&store.dirs, at.as_deref()) {
                    Ok(from) => from,
                    Err(e) => {
                        findings.problems.push(e.wrap(format_args!("container {name} lacks its layers")));
                        continue;
                    }
                };
                for diff_id in layers.iter().filter_map(|l| Sha256::parse(l).ok()) {
                    if from.layer(&diff_id)?.is_none() {
                        findings.problems.push(
                            Error::corrupt(format_args!("container {name} lacks its layer {diff_id}"))
                                .hint("Pull its image again."),
                        );
                    }
                }
            }
            Ok(Some(_)) => {}
            // Removed while we looked, or damaged: a removal never leaves a directory of this name.
            Ok(None) if super::open_dir(&dir, &id).is_err() => {}
            Ok(None) => findings.problems.push(Error::corrupt(format_args!("container {id} has no record"))),
            Err(e) => findings.problems.push(e.wrap(format_args!("container {id} is damaged"))),
        }
    }
    Ok(())
}
