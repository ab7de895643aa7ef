//! `storage.max_size`: images that nobody has used for longest go when others are pulled.
//!
//! What counts are the files of layers, unpacked, each layer once. Containers and volumes do not: nothing of theirs can be
//! had again. An image is used when it is pulled and when a container is made of it: then the time of its record
//! (`images/<id>.json`) is set. One that a container was made of, running or not, stays, and so does the one that is pulled.
//!
//! ```text
//! before a pull: its layers that are not here, packed, have to have room; a limit that they alone pass is an error
//! after it:      what the layers really take is known, and more may have to go
//! ```

use crate::error::{Error, Result};
use crate::id::Sha256;
use crate::store::{Image, Store};
use std::collections::BTreeSet;
use std::time::SystemTime;

/// Tells the user what goes.
pub type Say = fn(&str);

/// Makes room for `needed` bytes of an image that is to be pulled.
pub fn before(store: &Store, needed: u64, say: Say) -> Result<()> {
    let Some(max) = store.dirs.max_size else { return Ok(()) };
    let cannot = |cause: String| {
        Err(Error::host("there is no room for its layers within storage.max_size").cause(cause).hint(
            "Remove containers that use other images, or allow more: `coracle config set storage.max_size SIZE`.",
        ))
    };
    if needed > max {
        return cannot(format!("they need at least {needed} bytes, and {max} bytes are allowed"));
    }
    match evict(store, max - needed, None, say)? {
        left if left > max - needed => cannot(format!(
            "they need at least {needed} bytes, {max} bytes are allowed, and images that containers use take {left}"
        )),
        _ => Ok(()),
    }
}

/// Removes what is too much now that `pulled` is here.
pub fn after(store: &Store, pulled: &Sha256, say: Say) -> Result<()> {
    let Some(max) = store.dirs.max_size else { return Ok(()) };
    let left = evict(store, max, Some(pulled), say)?;
    if left > max {
        say(&format!(
            "images take {left} bytes, more than storage.max_size, {max} bytes: all others are in use by containers"
        ));
    }
    Ok(())
}

/// Removes images until layers take no more than `max`, or no more can go. Returns what they take then.
fn evict(store: &Store, max: u64, keep: Option<&Sha256>, say: Say) -> Result<u64> {
    let mut refused = BTreeSet::new();
    loop {
        let taken = taken(store)?;
        if taken <= max {
            return Ok(taken);
        }
        let Some((image, used)) = oldest(store, keep, &refused)? else { return Ok(taken) };
        let name = image.names.first().cloned().unwrap_or_else(|| image.id.to_string());
        match store.remove_image(image.id.as_str(), true) {
            Ok(_) => say(&format!(
                "removed image {name}, unused since {}, to keep storage.max_size",
                jiff::Timestamp::try_from(used).map_or_else(|_| "long ago".to_owned(), |t| t.to_string())
            )),
            // A container was made of it meanwhile, or it is damaged.
            Err(_) => {
                refused.insert(image.id);
            }
        }
    }
}

/// Bytes of all layers.
fn taken(store: &Store) -> Result<u64> {
    let mut bytes = 0u64;
    for layer in store.layers()? {
        // A damaged one is the check's.
        bytes = bytes.saturating_add(store.layer(&layer).ok().flatten().map_or(0, |record| record.size));
    }
    Ok(bytes)
}

fn oldest(
    store: &Store,
    keep: Option<&Sha256>,
    refused: &BTreeSet<Sha256>,
) -> Result<Option<(Image, SystemTime)>> {
    let mut oldest: Option<(Image, SystemTime)> = None;
    for image in store.images()?.0 {
        if keep == Some(&image.id) || refused.contains(&image.id) || !store.image_users(&image.id)?.is_empty()
        {
            continue;
        }
        let used = store.last_use(&image.id)?;
        if oldest.as_ref().is_none_or(|(_, before)| used < *before) {
            oldest = Some((image, used));
        }
    }
    Ok(oldest)
}
