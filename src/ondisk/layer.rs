//! The record of an unpacked layer.
//!
//! ```text
//! <data>/layers/sha256/<diff-id>/
//!     diff/        the layer's tree, owners as seen through the store's map; whiteouts as char 0:0, opaque by xattr
//!     layer.json   LayerRecord
//!     owners       only with `Ownership::Recorded`: "<uid> <gid> <mode> <path>\n", what could not be set on the files
//! <data>/l/<26 characters> -> ../layers/sha256/<diff-id>/diff        so that 128 layers fit into one mount call
//! <data>/locks/<diff-id>        shared: somebody relies on the layer; exclusive: it is being removed
//! <data>/locks/<diff-id>.pull   exclusive: one process makes the layer, others wait and share the result
//! ```
//! Written once, by the unpacker, with the layer in `staging/`; renamed into place whole and never changed.

use crate::id::Sha256;
use serde::{Deserialize, Serialize};

/// One layer, as it was unpacked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerRecord {
    pub version: u32,
    /// sha256 of the uncompressed tar.
    pub diff_id: Sha256,
    /// sha256 of the bytes as they came, when there was a compressed blob.
    pub blob: Option<Sha256>,
    /// Bytes of regular files.
    pub size: u64,
    pub entries: u64,
    pub ownership: Ownership,
    pub whiteouts: Whiteouts,
    /// An opaque whiteout at the root: nothing of the layers below is seen.
    pub opaque_root: bool,
    /// Device nodes that a user namespace may not make.
    pub skipped_devices: u64,
    /// Extended attributes that the file system or the kernel refused.
    pub skipped_xattrs: u64,
    pub created: String,
}

/// Whether files have the owners that the archive names.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// By chown, through the store's map.
    Real,
    /// In the file `owners`: the store's map has one id.
    Recorded,
}

/// How deleted names of lower layers are marked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Whiteouts {
    /// Character devices 0:0 and `user.overlay.opaque`: read by the kernel and by fuse-overlayfs alike.
    Devices,
    /// Files `.wh.<name>`: fuse-overlayfs and vfs alone read them.
    Names,
}
