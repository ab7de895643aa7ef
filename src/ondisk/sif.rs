//! A SIF file, apptainer's image in one file: where in it the squashfs lies that is run.
//!
//! ```text
//! header       128 bytes: "#!…" 32, "SIF_MAGIC\0" 10, version 3, architecture 3, id 16, then i64 each: times 2,
//!              descriptors free and in all, where they are and how long, where the parts are and how long
//! descriptors  585 bytes each: type u32, used u8, id, group, link (u32 each), offset, length, …; at 73 a name of 128
//!              bytes; at 201, of a file system: its type u32, what it is for u32, its architecture 3
//! parts        a definition, variables, signatures, file systems: one of these is the system
//! ```
//! Read and not trusted: every number is checked against the file before anything is done with it. A part that changes what
//! apptainer would show (an overlay) is refused with the reason, never left out in silence.

use super::squash::{u32_at, u64_at};
use crate::error::{Error, Result};

/// Largest table of descriptors that is read.
const MAX_DESCRIPTORS: u64 = 1 << 20;
const HEADER: u64 = 128;
const DESCRIPTOR: u64 = 585;
/// The type of a part that is a file system, and what such a one is for.
const FILE_SYSTEM: u32 = 0x4004;
const SYSTEM: u32 = 2;
const OVERLAY: u32 = 4;

/// Architectures by their numbers, in Go's words.
const ARCHITECTURES: [(&[u8; 2], &str); 12] = [
    (b"01", "386"),
    (b"02", "amd64"),
    (b"03", "arm"),
    (b"04", "arm64"),
    (b"05", "ppc64"),
    (b"06", "ppc64le"),
    (b"07", "mips"),
    (b"08", "mipsle"),
    (b"09", "mips64"),
    (b"10", "mips64le"),
    (b"11", "s390x"),
    (b"12", "riscv64"),
];

/// Where the descriptors lie, or the squashfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub offset: u64,
    pub length: u64,
}

impl Range {
    /// Within a file of `size` bytes, behind its header.
    fn checked(offset: Option<u64>, length: Option<u64>, size: u64, name: &str) -> Result<Self> {
        match (offset, length) {
            (Some(offset), Some(length))
                if offset >= HEADER && offset.checked_add(length).is_some_and(|end| end <= size) =>
            {
                Ok(Self { offset, length })
            }
            _ => Err(damaged(format_args!(
                "its {name} would be {} bytes at {}, and the file has {size}",
                length.unwrap_or(0),
                offset.unwrap_or(0),
            ))),
        }
    }

    fn overlaps(self, other: Self) -> bool {
        let end = |range: Self| range.offset.saturating_add(range.length);
        self.offset < end(other) && other.offset < end(self)
    }
}

/// Where the table of descriptors lies.
pub fn descriptors(head: &[u8], size: u64) -> Result<Range> {
    let total = u64_at(head, 88).unwrap_or(0);
    if total == 0 {
        return Err(damaged("it says that it has no parts"));
    }
    let length = total.checked_mul(DESCRIPTOR).filter(|length| *length <= MAX_DESCRIPTORS);
    if length.is_none() {
        return Err(damaged("it says that it has too many parts"));
    }
    Range::checked(u64_at(head, 96), length, size, "table of parts")
}

/// The squashfs among the parts, for a machine of `architecture`; `emulated` says whether another one can be run all the same.
pub fn system(
    table: Range,
    descriptors: &[u8],
    size: u64,
    architecture: &str,
    emulated: impl FnOnce(&str) -> bool,
) -> Result<Range> {
    let bytes = usize::try_from(DESCRIPTOR).unwrap_or(usize::MAX);
    let used = || descriptors.chunks_exact(bytes).filter(|part| part.get(4) == Some(&1));
    let is_for = |part: &[u8]| (u32_at(part, 0) == Some(FILE_SYSTEM)).then(|| u32_at(part, 205)).flatten();
    let Some(part) = used().find(|part| is_for(part) == Some(SYSTEM)) else {
        return Err(refused("none of its parts is a system to run"));
    };
    match u32_at(part, 201) {
        Some(1) => {}
        Some(2) => {
            return Err(refused("its system is an ext3 file system, which no user may mount")
                .hint("Let apptainer make a squashfs of it: `apptainer build --sandbox DIR FILE`, then `mksquashfs DIR app.sqsh`."));
        }
        Some(5) => {
            return Err(refused("its system is encrypted, and only apptainer has a way to ask for the key")
                .hint("Let apptainer decrypt it: `apptainer build --sandbox DIR FILE`, then `mksquashfs DIR app.sqsh`."));
        }
        kind => return Err(refused(format_args!("its system is of the unknown type {}", kind.unwrap_or(0)))),
    }
    if let Some(overlay) = used().find(|part| is_for(part) == Some(OVERLAY)) {
        let id = u32_at(overlay, 5).unwrap_or(0);
        let why = match u32_at(overlay, 201) {
            Some(2) => "part {id} is an overlay in an ext3 file system, which no user may mount",
            _ => "part {id} is an overlay, and only the system itself is read",
        };
        return Err(refused(why.replace("{id}", &id.to_string())).hint(format_args!(
            "Take it out of a copy of the file, `siftool del {id} COPY.sif`, and keep what is written in a directory: `--overlay DIR`."
        )));
    }
    let theirs = part.get(209..211).unwrap_or_default();
    let theirs = ARCHITECTURES.iter().find(|(number, _)| number.as_slice() == theirs).map(|(_, name)| *name);
    if let Some(theirs) = theirs.filter(|theirs| *theirs != architecture && !emulated(theirs)) {
        return Err(refused(format_args!("it is for {theirs}, and this machine is {architecture}"))
            .hint(format_args!("Get the file that was built for {architecture}.")));
    }
    let range = |part: &[u8], name| Range::checked(u64_at(part, 17), u64_at(part, 25), size, name);
    let system = range(part, "system")?;
    let others = used().filter(|other| !std::ptr::eq(*other, part));
    if system.overlaps(table)
        || others.filter_map(|other| range(other, "").ok()).any(|other| other.overlaps(system))
    {
        return Err(damaged("another part lies over its system"));
    }
    Ok(system)
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::corrupt("it is a SIF file that cannot be run").cause(why)
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::corrupt("it is a damaged SIF file")
        .cause(why)
        .hint("Copy the file again: compare its checksum with the original's.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 40_000;

    fn head(total: u64, offset: u64) -> Vec<u8> {
        let mut head = vec![0u8; 128];
        head[88..96].copy_from_slice(&total.to_le_bytes());
        head[96..104].copy_from_slice(&offset.to_le_bytes());
        head
    }

    fn part(kind: u32, purpose: u32, offset: u64, length: u64) -> Vec<u8> {
        let mut part = vec![0u8; 585];
        part[..4].copy_from_slice(&FILE_SYSTEM.to_le_bytes());
        part[4] = 1;
        part[17..25].copy_from_slice(&offset.to_le_bytes());
        part[25..33].copy_from_slice(&length.to_le_bytes());
        part[201..205].copy_from_slice(&kind.to_le_bytes());
        part[205..209].copy_from_slice(&purpose.to_le_bytes());
        part[209..211].copy_from_slice(b"02");
        part
    }

    fn look(parts: &[Vec<u8>]) -> std::result::Result<Range, String> {
        let table = Range { offset: 4096, length: 585 * parts.len() as u64 };
        system(table, &parts.concat(), SIZE, "amd64", |_| false).map_err(|e| e.to_string())
    }

    #[test]
    fn the_table_lies_in_the_file() {
        assert_eq!(descriptors(&head(2, 4096), SIZE).unwrap(), Range { offset: 4096, length: 1170 });
        for (total, offset) in
            [(0, 4096), (u64::MAX, 4096), (1 << 20, 4096), (2, 39_000), (2, u64::MAX), (2, 127)]
        {
            assert!(descriptors(&head(total, offset), SIZE).is_err(), "{total} {offset}");
        }
        assert!(descriptors(&head(1, 4096)[..90], SIZE).is_err());
    }

    #[test]
    fn the_system_is_found_and_what_cannot_run_has_its_reason() {
        let good = || part(1, SYSTEM, 36_864, 1000);
        let mut unused = good();
        unused[4] = 0;
        assert_eq!(look(&[unused.clone(), good()]).unwrap(), Range { offset: 36_864, length: 1000 });
        let mut foreign = good();
        foreign[209..211].copy_from_slice(b"04");
        for (parts, words) in [
            (vec![unused], "none of its parts"),
            (vec![part(2, SYSTEM, 36_864, 1000)], "ext3"),
            (vec![part(5, SYSTEM, 36_864, 1000)], "encrypted"),
            (vec![part(9, SYSTEM, 36_864, 1000)], "unknown type 9"),
            (vec![good(), part(2, OVERLAY, 30_000, 10)], "overlay in an ext3"),
            (vec![good(), part(1, OVERLAY, 30_000, 10)], "is an overlay"),
            (vec![foreign], "for arm64"),
            (vec![part(1, SYSTEM, 39_500, 1000)], "would be 1000 bytes at 39500"),
            (vec![part(1, SYSTEM, u64::MAX, 1000)], "the file has 40000"),
            (vec![part(1, SYSTEM, 4000, 1000)], "lies over"),
            (vec![good(), part(3, 3, 37_000, 10)], "lies over"),
        ] {
            let error = look(&parts).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
