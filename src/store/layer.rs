//! Layers that are there: finding, pinning, publishing, removing.

use super::lock::{Lock, Share};
use super::staging::Staging;
use super::{Store, list_records, open_dir, remove_tree};
use crate::error::{Context, Error, Result};
use crate::id::Sha256;
use crate::ondisk::{self, layer::LayerRecord};
use crate::sys::CallContext;
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Where layers are.
const LAYERS: &str = "layers/sha256";

/// The name of a layer's short link: 26 characters of base 32, 130 bits of the diff id.
pub fn short_link(diff_id: &Sha256) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let nibbles = diff_id.as_str().bytes().map(|b| char::from(b).to_digit(16).unwrap_or(0));
    let (mut bits, mut count) = (0u32, 0);
    let mut out = String::with_capacity(26);
    for nibble in nibbles {
        bits = (bits << 4) | nibble;
        count += 4;
        if count >= 5 {
            count -= 5;
            out.push(char::from(DIGITS.get((bits >> count) as usize & 31).copied().unwrap_or(b'a')));
        }
        if out.len() == 26 {
            break;
        }
    }
    out
}

impl Store {
    /// The layer's record; none when there is no such layer.
    pub fn layer(&self, diff_id: &Sha256) -> Result<Option<LayerRecord>> {
        match self.layer_dir(diff_id)? {
            Some(dir) => ondisk::read_opt(&dir, "layer.json").what(|| format!("cannot use layer {diff_id}")),
            None => Ok(None),
        }
    }

    /// The layer's directory.
    pub fn layer_dir(&self, diff_id: &Sha256) -> Result<Option<OwnedFd>> {
        match open_dir(self.data(), &format!("{LAYERS}/{diff_id}")) {
            Ok(fd) => Ok(Some(fd)),
            Err(e) if e.raw_os_error() == libc::ENOENT => Ok(None),
            Err(e) => Err(Error::from(e).wrap(format_args!("cannot open layer {diff_id}"))),
        }
    }

    /// All layers by name.
    pub fn layers(&self) -> Result<Vec<Sha256>> {
        let Some(dir) = self.existing_dir(LAYERS)? else { return Ok(Vec::new()) };
        Ok(list_records(&dir)?.iter().filter_map(|name| Sha256::parse(name).ok()).collect())
    }

    /// Keeps an image's layers from being removed while they are read. Of a store of others nobody can.
    pub fn pin_layers(&self, diff_ids: &[Sha256]) -> Result<Vec<Lock>> {
        if self.is_read_only() {
            return Ok(Vec::new());
        }
        diff_ids.iter().map(|diff_id| self.pin_layer(diff_id)).collect()
    }

    /// The short link to a layer's tree, for a mount.
    pub(super) fn layer_link(&self, diff_id: &Sha256) -> Result<String> {
        self.link_layer(diff_id)?;
        Ok(format!("l/{}", short_link(diff_id)))
    }

    /// Keeps a layer from being removed until the pin is dropped.
    pub fn pin_layer(&self, diff_id: &Sha256) -> Result<Lock> {
        self.lock(diff_id.as_str(), Share::Shared)
    }

    /// Waits until this process may make the layer (or finds that it was made meanwhile).
    pub fn claim_layer(&self, diff_id: &Sha256) -> Result<Lock> {
        self.lock(&format!("{diff_id}.pull"), Share::Exclusive)
    }

    /// Ends a claim; its file goes, because the layer is there and nobody will claim it again soon.
    pub fn end_claim(&self, diff_id: &Sha256, claim: Lock) -> Result<()> {
        self.remove_lock(&format!("{diff_id}.pull"), claim)
    }

    /// Renames a staged `layer` into place, with its short link.
    pub fn publish_layer(&self, staging: &Staging, diff_id: &Sha256) -> Result<()> {
        let layers = self.dir(LAYERS)?;
        match rustix::fs::renameat(staging.dir(), "layer", &layers, diff_id.as_str()) {
            // Made by another host on a shared disk: as good as ours.
            Ok(()) | Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            Err(e) => {
                return Err(e)
                    .call(|| format!("renameat(layer, {diff_id})"))
                    .what(|| "cannot publish the layer");
            }
        }
        self.link_layer(diff_id)?;
        rustix::fs::fsync(&layers).call(|| "fsync(layers)")?;
        Ok(())
    }

    /// Makes the layer's short link, when it is missing.
    pub fn link_layer(&self, diff_id: &Sha256) -> Result<()> {
        let links = self.dir("l")?;
        match rustix::fs::symlinkat(format!("../{LAYERS}/{diff_id}/diff"), &links, short_link(diff_id)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(e) => Ok(Err(e).call(|| format!("symlinkat(l/{})", short_link(diff_id)))?),
        }
    }

    /// Removes a layer that nobody has pinned; whether it was removed. Needs the store's namespace.
    pub fn remove_layer(&self, diff_id: &Sha256) -> Result<bool> {
        let Some(lock) = self.try_lock(diff_id.as_str(), Share::Exclusive)? else { return Ok(false) };
        let Some(layers) = self.existing_dir(LAYERS)? else { return Ok(false) };
        // Away in one step, so that a crash leaves either the layer or rubbish in staging.
        let staging = Staging::new(self)?;
        match rustix::fs::renameat(&layers, diff_id.as_str(), staging.dir(), "layer") {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => {
                return Err(e)
                    .call(|| format!("renameat({diff_id})"))
                    .what(|| format!("cannot remove layer {diff_id}"));
            }
        }
        if let Some(links) = self.existing_dir("l")? {
            remove_tree(links.as_fd(), &short_link(diff_id))?;
        }
        self.remove_lock(diff_id.as_str(), lock)?;
        remove_tree(staging.dir(), "layer")?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_links_are_26_safe_characters_and_differ() {
        let a = Sha256::parse(&"0".repeat(64)).unwrap();
        let b = Sha256::parse(&format!("{}1", "0".repeat(31)).repeat(2)).unwrap();
        assert_eq!(short_link(&a), "a".repeat(26));
        assert_eq!(short_link(&b).len(), 26);
        assert_ne!(short_link(&a), short_link(&b));
    }
}
