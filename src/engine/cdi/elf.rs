//! What a shared library of the host wants: other libraries, and versions of the C library's symbols. 64 bits, the
//! machine's own byte order and processor; of everything else nothing is known.
//!
//! Files are read in pieces: a GPU's libraries have hundreds of megabytes. Every offset and length of the file is checked:
//! one that leads nowhere means that nothing is known.

use super::glibc::read_at;
use std::fs::File;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_VERNEED: u64 = 0x6fff_fffe;

/// Larger tables are not looked at.
const MAX_TABLE: u64 = 16 << 20;

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: u16 = 0;

/// A library, as far as it matters to who loads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Library {
    pub needs: Vec<String>,
    /// The newest `GLIBC_x.y` that it names.
    pub glibc: Option<(u32, u32)>,
}

/// Whether the file is a program or library for this machine.
pub fn is_ours(file: &File) -> bool {
    read_at(file, 0, 20).is_some_and(|head| is_ours_head(&head))
}

fn is_ours_head(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF\x02\x01") && u16_at(head, 18) == Some(MACHINE)
}

/// Reads what the dynamic section says.
pub fn read(file: &File) -> Option<Library> {
    let head = read_at(file, 0, 64)?;
    if !is_ours_head(&head) {
        return None;
    }
    let (offset, size, count) = (u64_at(&head, 32)?, u16_at(&head, 54)?, u16_at(&head, 56)?);
    let table = read_at(file, offset, usize::from(size) * usize::from(count))?;
    let mut loads = Vec::new();
    let mut dynamic = None;
    for header in table.chunks_exact(usize::from(size).max(56)) {
        let part = (u64_at(header, 8)?, u64_at(header, 16)?, u64_at(header, 32)?);
        match u32_at(header, 0)? {
            PT_LOAD => loads.push(part),
            PT_DYNAMIC => dynamic = Some(part),
            _ => {}
        }
    }
    let in_file = |address: u64| {
        let load = loads.iter().find(|(_, start, len)| address >= *start && address - start < *len)?;
        load.0.checked_add(address - load.1)
    };
    let (offset, _, len) = dynamic?;
    let section = read_at(file, offset, limited(len)?)?;
    let entries: Vec<(u64, u64)> =
        section.chunks_exact(16).filter_map(|e| Some((u64_at(e, 0)?, u64_at(e, 8)?))).collect();
    let value = |tag: u64| entries.iter().find(|(t, _)| *t == tag).map(|(_, value)| *value);
    let strings = read_at(file, in_file(value(DT_STRTAB)?)?, limited(value(DT_STRSZ)?)?)?;
    let needs = entries.iter().filter(|(tag, _)| *tag == DT_NEEDED);
    let needs = needs.filter_map(|(_, at)| text(&strings, *at)).collect();
    let versions = value(DT_VERNEED).and_then(in_file);
    Some(Library { needs, glibc: versions.and_then(|at| newest_needed(file, at, &strings)) })
}

/// Walks the two levels of lists of `Verneed` and `Vernaux`, of 16 bytes each.
fn newest_needed(file: &File, at: u64, strings: &[u8]) -> Option<(u32, u32)> {
    const MAX: usize = 4096;
    let mut newest = None;
    let mut library = at;
    for _ in 0..MAX {
        let need = read_at(file, library, 16)?;
        let mut version = library.checked_add(u64::from(u32_at(&need, 8)?))?;
        for _ in 0..u16_at(&need, 2)? {
            let entry = read_at(file, version, 16)?;
            let name = text(strings, u64::from(u32_at(&entry, 8)?));
            newest = newest.max(name.as_deref().and_then(glibc_version));
            version = version.checked_add(u64::from(u32_at(&entry, 12)?))?;
        }
        match u32_at(&need, 12)? {
            0 => break,
            next => library = library.checked_add(u64::from(next))?,
        }
    }
    newest
}

/// The newest version in a libc: the names of its versions are text in it.
pub fn newest_glibc(libc: &[u8]) -> Option<(u32, u32)> {
    let begins = libc.windows(6).enumerate().filter(|(_, window)| window == b"GLIBC_").map(|(at, _)| at);
    begins.filter_map(|at| glibc_version(&text(libc, at as u64)?)).max()
}

/// `GLIBC_2.34` → (2, 34).
fn glibc_version(name: &str) -> Option<(u32, u32)> {
    let mut numbers = name.strip_prefix("GLIBC_")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn text(strings: &[u8], at: u64) -> Option<String> {
    let rest = strings.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().take(256).position(|b| *b == 0)?;
    String::from_utf8(rest.get(..end)?.to_vec()).ok()
}

fn limited(len: u64) -> Option<usize> {
    usize::try_from(len).ok().filter(|_| len <= MAX_TABLE)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(glibc_version("GLIBC_2.34"), Some((2, 34)));
        assert_eq!(glibc_version("GLIBC_PRIVATE"), None);
        assert_eq!(newest_glibc(b"\0GLIBC_2.9\0x\0GLIBC_2.31\0GLIBC_PRIVATE\0GLIBC_2.4\0"), Some((2, 31)));
    }

    #[test]
    fn a_broken_file_says_nothing() {
        use std::io::Write;
        let path = format!("/tmp/coracle-elf-{}", std::process::id());
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        let mut bytes = vec![0xff; 200];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&MACHINE.to_le_bytes());
        file.write_all(&bytes).unwrap();
        assert_eq!(read(&file), None);
        std::fs::remove_file(path).unwrap();
    }
}
