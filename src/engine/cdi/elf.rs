//! What a shared library of the host wants: other libraries, and versions of the C library's symbols. 64 bits, the
//! machine's own byte order and processor; of everything else nothing is known.
//!
//! Files are read in pieces: a GPU's libraries have hundreds of megabytes. One that is damaged says nothing.

use object::LittleEndian;
use object::elf::{self, DT_NEEDED, FileHeader64};
use object::read::ReadCache;
use object::read::elf::FileHeader;
use std::fs::File;

#[cfg(target_arch = "x86_64")]
const MACHINE: elf::Machine = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: elf::Machine = elf::EM_AARCH64;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: elf::Machine = elf::EM_NONE;

/// A library, as far as it matters to who loads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Library {
    pub needs: Vec<String>,
    /// The newest `GLIBC_x.y` that it names.
    pub glibc: Option<(u32, u32)>,
}

/// Whether the file is a program or library for this machine.
pub fn is_ours(file: &File) -> bool {
    header(&ReadCache::new(file)).is_some()
}

fn header<'a>(file: &'a ReadCache<&File>) -> Option<&'a FileHeader64<LittleEndian>> {
    let header = FileHeader64::<LittleEndian>::parse(file).ok()?;
    (header.endian().is_ok() && header.e_machine(LittleEndian) == MACHINE).then_some(header)
}

/// Reads what it needs, and which versions.
pub fn read(file: &File) -> Option<Library> {
    let file = &ReadCache::new(file);
    let sections = header(file)?.sections(LittleEndian, file).ok()?;
    let dynamic = sections.dynamic_table(LittleEndian, file).ok().filter(|table| !table.is_empty())?;
    let needed = dynamic.iter().filter(|entry| entry.tag == DT_NEEDED);
    let needs = needed.filter_map(|entry| text(dynamic.string(entry).ok()?).map(str::to_owned));
    let mut library = Library { needs: needs.collect(), glibc: None };
    if let Some((mut files, link)) = sections.gnu_verneed(LittleEndian, file).ok()? {
        let strings = sections.strings(LittleEndian, file, link).ok()?;
        while let Some((_, mut versions)) = files.next().ok()? {
            while let Some(version) = versions.next().ok()? {
                let name = version.name(LittleEndian, strings).ok();
                library.glibc = library.glibc.max(name.and_then(text).and_then(glibc_version));
            }
        }
    }
    Some(library)
}

/// The newest version in a libc: the names of its versions are text in it.
pub fn newest_glibc(libc: &[u8]) -> Option<(u32, u32)> {
    let begins = libc.windows(6).enumerate().filter(|(_, window)| window == b"GLIBC_").map(|(at, _)| at);
    begins.filter_map(|at| glibc_version(text(libc.get(at..)?.split(|byte| *byte == 0).next()?)?)).max()
}

/// `GLIBC_2.34` → (2, 34).
fn glibc_version(name: &str) -> Option<(u32, u32)> {
    let mut numbers = name.strip_prefix("GLIBC_")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
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
        bytes[18..20].copy_from_slice(&MACHINE.0.to_le_bytes());
        file.write_all(&bytes).unwrap();
        assert_eq!(read(&file), None);
        std::fs::remove_file(path).unwrap();
    }
}
