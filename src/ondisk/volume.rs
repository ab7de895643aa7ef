//! The record of a volume.
//!
//! ```text
//! <data>/volumes/<name>/
//!     volume.json   VolumeRecord, written by create
//!     _data/        the content, owned by root of the store's user namespace
//! ```
//! Made in `staging/` and renamed into place, so that two creators cannot both win.

use crate::id::VolumeName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeRecord {
    pub version: u32,
    pub name: VolumeName,
    /// RFC 3339.
    pub created: String,
    pub labels: BTreeMap<String, String>,
    /// `-o key=value`.
    pub options: BTreeMap<String, String>,
    /// Made for one container, and removed with it.
    pub anonymous: bool,
    /// Still to be filled from the first image that is mounted over.
    pub needs_copy_up: bool,
}
