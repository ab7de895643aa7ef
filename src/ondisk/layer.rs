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
//!
//! ```text
//! <data>/shared.json            the store is for all users: its layers, images, blobs and names may be read by everybody
//! ```
//! In such a store a layer's files are their unpacker's, whom other users cannot map, and readable for everybody. What owner
//! and mode each file and directory has is in its attribute `user.containers.override_stat`, where podman's shared stores
//! have it and fuse-overlayfs looks for it: `UID:GID:MODE`, the mode in octal (`Ownership::Stated`).

use crate::id::Sha256;
use rustix::fs::XattrFlags;
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;

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
    /// In an attribute of each file: the store is for all users.
    Stated,
}

/// The mark of a store for all users.
pub const SHARED: &str = "shared.json";

/// Its record.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SharedRecord {
    pub version: u32,
}

/// Whose a file is, and its mode, as its attribute states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stated {
    pub uid: u32,
    pub gid: u32,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
}

const STATED: &str = "user.containers.override_stat";

impl Stated {
    /// What an open file or directory states; `None`: nothing.
    pub fn of(file: impl AsFd) -> Option<Self> {
        let mut text = [0u8; 64];
        let length = rustix::fs::fgetxattr(file, STATED, &mut text[..]).ok()?;
        Self::parse(std::str::from_utf8(text.get(..length)?).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // podman writes a fourth part, the kind.
        let mut parts = text.split(':');
        let (uid, gid, mode) = (parts.next()?, parts.next()?, parts.next()?);
        let mode = u32::from_str_radix(mode, 8).ok()? & 0o7777;
        Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()?, mode })
    }

    /// States it on an open file or directory.
    pub fn set(self, file: impl AsFd) -> rustix::io::Result<()> {
        let text = format!("{}:{}:{:o}", self.uid, self.gid, self.mode);
        rustix::fs::fsetxattr(file, STATED, text.as_bytes(), XattrFlags::empty())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podmans_words_are_read_too() {
        let want = Stated { uid: 33, gid: 42, mode: 0o4755 };
        assert_eq!(Stated::parse("33:42:4755"), Some(want));
        assert_eq!(Stated::parse("33:42:0104755:file"), Some(want));
        for wrong in ["", "33", "33:42", "a:b:755", "33:42:8", "-1:0:755"] {
            assert_eq!(Stated::parse(wrong), None, "{wrong}");
        }
    }
}
