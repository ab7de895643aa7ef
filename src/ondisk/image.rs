//! The records of an image and of its names.
//!
//! ```text
//! <data>/blobs/sha256/<hex>     manifest and config, byte for byte as they came
//! <data>/images/<id>.json       ImageRecord; id = hex of the config's digest
//! <data>/refs/<encoded name>    RefRecord; `/` and `:` of the name as %2F and %3A, a very long one as its digest
//! ```
//! An image is published after its layers and blobs, a name after its image; removal goes the other way round. The time of
//! `<id>.json` is when the image was used last (`engine::limit`).

use crate::id::Sha256;
use serde::{Deserialize, Serialize};

/// One image: which layers, which blobs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageRecord {
    pub version: u32,
    /// The config's digest.
    pub id: Sha256,
    pub manifest: Sha256,
    /// Digest of the manifest list that the manifest was chosen from.
    #[serde(default)]
    pub index: Option<Sha256>,
    /// Diff ids, bottom first.
    pub layers: Vec<Sha256>,
    /// Bytes of regular files of all layers.
    pub size: u64,
    /// RFC 3339, from the config; empty when it has none.
    pub created: String,
    pub architecture: String,
    pub os: String,
    /// When it was stored here.
    pub stored: String,
}

/// One name of an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefRecord {
    pub version: u32,
    /// The full name, `docker.io/library/debian:13`.
    pub name: String,
    pub image: Sha256,
    /// The digest that the name had where it came from: the manifest's, or the list's.
    #[serde(default)]
    pub digest: Option<Sha256>,
    /// The full name of what was pulled: this one, or where the user's own registries.conf has led. None: it came from no
    /// registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}
