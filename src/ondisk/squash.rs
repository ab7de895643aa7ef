//! An image in one file: a squashfs, and behind it what a squashfs has no place for.
//!
//! ```text
//! squashfs 4.0, `bytes_used` bytes, padded to 4096       any program that mounts squashfs reads it and ignores the rest
//! Trailer as JSON
//! sha256 of the JSON                32 bytes
//! length of the JSON                u64, little endian
//! "coracle\x01"                     8 bytes, the last ones of the file
//! ```
//! The trailer holds the image's config, byte for byte, and the two files that a user's name is looked up in: so a start
//! reads the head and the tail of the file, and nothing else, however large the image is. A squashfs of another program has
//! no trailer: then the container has no default command, environment or user.
//!
//! Also here: what the head of a file says it is. Where the squashfs lies in a SIF file: `sif`.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes of the head that [`kind`] wants to see (an ext superblock is the furthest in).
pub const HEAD: usize = 2048;
/// Bytes behind the JSON.
pub const TAIL: usize = 48;
/// Largest trailer that is read.
pub const MAX_TRAILER: u64 = 8 << 20;

const MARK: [u8; 8] = *b"coracle\x01";

/// What stands behind the squashfs.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Trailer {
    pub version: u32,
    /// The image's id: hex of its config's digest.
    pub id: String,
    /// The image's config document.
    pub config: String,
    /// `/etc/passwd` and `/etc/group`, where the image has them.
    pub files: BTreeMap<String, String>,
}

/// What a file is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Squashfs,
    Sif,
    /// ext2, ext3 or ext4.
    Ext,
    Empty,
    Unknown,
}

/// By the magic numbers in `head`, the file's first bytes.
pub fn kind(head: &[u8]) -> FileKind {
    match head {
        [] => FileKind::Empty,
        _ if head.starts_with(b"hsqs") => FileKind::Squashfs,
        _ if head.get(32..42) == Some(b"SIF_MAGIC\0") => FileKind::Sif,
        _ if head.get(1080..1082) == Some(&[0x53, 0xEF]) => FileKind::Ext,
        _ => FileKind::Unknown,
    }
}

/// Bytes of a superblock.
pub const SUPERBLOCK: usize = 96;

/// Whether any file of it has extended attributes. Of a superblock that was checked.
pub fn has_attributes(superblock: &[u8]) -> bool {
    u64_at(superblock, 56) != Some(u64::MAX)
}

/// Checks a superblock against the room that the squashfs has, and returns how many bytes it uses.
pub fn check_superblock(head: &[u8], room: u64) -> Result<u64> {
    let bad = |why: String| Err(Error::corrupt("it is a damaged squashfs").cause(why));
    let (Some(block), Some(compression), Some(log), Some(major), Some(minor), Some(used)) = (
        u32_at(head, 12),
        u16_at(head, 20),
        u16_at(head, 22),
        u16_at(head, 28),
        u16_at(head, 30),
        u64_at(head, 40),
    ) else {
        return bad("its superblock is cut off".to_owned());
    };
    if (major, minor) != (4, 0) {
        return bad(format!("it has version {major}.{minor}, and 4.0 is the only one in use"));
    }
    if !(12..=20).contains(&log) || 1u32.checked_shl(u32::from(log)) != Some(block) {
        return bad(format!("its block size {block} is no power of two from 4096 to 1048576"));
    }
    if !(1..=6).contains(&compression) {
        return bad(format!("its compression has the unknown number {compression}"));
    }
    if used > room {
        return bad(format!("it is cut off: {used} bytes are used, and the file has {room}"));
    }
    // Tables: ids, attributes, inodes, directories, fragments, exports. All bits set: there is none.
    for (name, at) in
        [("ids", 48), ("attributes", 56), ("inodes", 64), ("directories", 72), ("fragments", 80)]
    {
        match u64_at(head, at) {
            Some(u64::MAX) if matches!(name, "attributes" | "fragments") => {}
            Some(table) if (SUPERBLOCK as u64..used).contains(&table) => {}
            _ => return bad(format!("its table of {name} lies outside of it")),
        }
    }
    Ok(used)
}

/// The bytes that go behind the squashfs.
pub fn encode_trailer(trailer: &Trailer) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(trailer)
        .map_err(|e| Error::internal(format_args!("cannot encode an image's trailer: {e}")))?;
    let mut bytes = json;
    let (digest, length) = (digest(&bytes), bytes.len() as u64);
    bytes.extend_from_slice(&digest);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&MARK);
    Ok(bytes)
}

/// How long the JSON is that stands before `tail`, the last bytes of a file; `None`: there is none.
pub fn trailer_length(tail: &[u8]) -> Option<u64> {
    (tail.len() == TAIL && tail.ends_with(&MARK)).then(|| u64_at(tail, 32)).flatten()
}

/// The trailer, checked against the digest in `tail`.
pub fn decode_trailer(json: &[u8], tail: &[u8]) -> Result<Trailer> {
    let damaged = |why: &dyn std::fmt::Display| {
        Error::corrupt("the image's config at the end of the file is damaged")
            .cause(why)
            .hint("Copy the file again, or make it again with `coracle image squash`.")
    };
    if tail.get(..32) != Some(digest(json).as_slice()) {
        return Err(damaged(&"its checksum is wrong"));
    }
    let trailer: Trailer = serde_json::from_slice(json).map_err(|e| damaged(&e))?;
    if trailer.version != super::VERSION {
        return Err(damaged(&format_args!("it has version {}, of another coracle", trailer.version)));
    }
    Ok(trailer)
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock() -> Vec<u8> {
        let mut head = vec![0u8; 96];
        head[..4].copy_from_slice(b"hsqs");
        head[12..16].copy_from_slice(&131_072u32.to_le_bytes());
        head[20..22].copy_from_slice(&6u16.to_le_bytes());
        head[22..24].copy_from_slice(&17u16.to_le_bytes());
        head[28..30].copy_from_slice(&4u16.to_le_bytes());
        head[40..48].copy_from_slice(&4000u64.to_le_bytes());
        for at in [48, 56, 64, 72, 80, 88] {
            head[at..at + 8].copy_from_slice(&200u64.to_le_bytes());
        }
        head
    }

    #[test]
    fn a_superblock_is_checked_field_by_field() {
        assert_eq!(check_superblock(&superblock(), 4096).unwrap(), 4000);
        assert!(has_attributes(&superblock()));
        let mut none = superblock();
        none[56..64].fill(0xFF);
        assert!(check_superblock(&none, 4096).is_ok() && !has_attributes(&none));
        for (at, byte, word) in [
            (12, 1, "block size"),
            (20, 9, "compression"),
            (22, 40, "block size"),
            (28, 3, "version"),
            (47, 1, "cut off"),
            (55, 1, "ids"),
            (71, 9, "inodes"),
        ] {
            let mut head = superblock();
            head[at] = byte;
            let error = check_superblock(&head, 4096).unwrap_err().to_string();
            assert!(error.contains(word), "{at}: {error}");
        }
        assert!(check_superblock(&superblock()[..60], 4096).is_err());
        assert!(check_superblock(&superblock(), 3999).unwrap_err().to_string().contains("cut off"));
    }

    #[test]
    fn a_trailer_comes_back_and_a_flipped_bit_is_seen() {
        let trailer = Trailer {
            version: super::super::VERSION,
            id: "a".repeat(64),
            config: "{}".to_owned(),
            files: [("/etc/passwd".to_owned(), "root:x:0:0::/root:\n".to_owned())].into(),
        };
        let bytes = encode_trailer(&trailer).unwrap();
        let (json, tail) = bytes.split_at(bytes.len() - TAIL);
        assert_eq!(trailer_length(tail), Some(json.len() as u64));
        assert_eq!(decode_trailer(json, tail).unwrap(), trailer);
        let mut flipped = json.to_vec();
        flipped[10] ^= 1;
        assert!(decode_trailer(&flipped, tail).unwrap_err().to_string().contains("checksum"));
        assert_eq!(trailer_length(&tail[1..]), None);
        assert_eq!(trailer_length(&[0; TAIL]), None);
    }

    #[test]
    fn kinds_are_told_by_their_magic_numbers() {
        assert_eq!(kind(b""), FileKind::Empty);
        assert_eq!(kind(b"hsqs"), FileKind::Squashfs);
        assert_eq!(kind(&[&[b'#'; 32][..], b"SIF_MAGIC\0"].concat()), FileKind::Sif);
        let mut ext = vec![0u8; HEAD];
        assert_eq!(kind(&ext), FileKind::Unknown);
        ext[1080..1082].copy_from_slice(&[0x53, 0xEF]);
        assert_eq!(kind(&ext), FileKind::Ext);
    }
}
