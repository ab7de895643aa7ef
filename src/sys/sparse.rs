//! Copies what a file holds and leaves its holes: a file of a terabyte that has a page of data is a page on the disk, and a
//! moment's work.

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Result};

/// Copies `source` from its start to the empty file `target`: copy_file_range where it works, else read and write. A
/// file that tells no holes, or none of the kind that it counts blocks of (those of /proc and /sys), is copied whole.
pub fn copy(source: &mut File, target: &mut File) -> Result<()> {
    let st = rustix::fs::fstat(&*source)?;
    let (size, blocks) = (u64::try_from(st.st_size).unwrap_or(0), u64::try_from(st.st_blocks).unwrap_or(0));
    if blocks.saturating_mul(512) >= size {
        return std::io::copy(source, target).map(drop);
    }
    let mut at = 0;
    while at < size {
        let data = match rustix::fs::seek(&*source, SeekFrom::Data(at)) {
            Ok(data) => data,
            // Nothing but a hole.
            Err(Errno::NXIO) => break,
            Err(_) => at,
        };
        let hole = rustix::fs::seek(&*source, SeekFrom::Hole(data)).unwrap_or(size).max(data + 1);
        rustix::fs::seek(&*source, SeekFrom::Start(data))?;
        rustix::fs::seek(&*target, SeekFrom::Start(data))?;
        let copied = std::io::copy(&mut Read::by_ref(source).take(hole - data), target)?;
        if copied < hole - data {
            // It has no more than that, whatever it says.
            return Ok(());
        }
        at = hole;
    }
    Ok(rustix::fs::ftruncate(&*target, size.max(at))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn holes_stay_holes_and_bytes_stay_bytes() {
        let new = || File::from(rustix::fs::memfd_create("sparse", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
        let page = [7u8; 4096];
        for at in [&[][..], &[0], &[8 << 20], &[0, 1 << 20, (64 << 20) - 4096]] {
            let (mut source, mut target) = (new(), new());
            source.set_len(64 << 20).unwrap();
            for offset in at {
                source.seek(std::io::SeekFrom::Start(*offset)).unwrap();
                source.write_all(&page).unwrap();
            }
            copy(&mut source, &mut target).unwrap();
            let (old, new) = (source.metadata().unwrap(), target.metadata().unwrap());
            assert_eq!((new.len(), new.blocks()), (old.len(), old.blocks()), "{at:?}");
            let read = |file: &mut File| {
                let mut all = Vec::new();
                file.rewind().unwrap();
                file.read_to_end(&mut all).unwrap();
                all
            };
            assert!(read(&mut source) == read(&mut target), "{at:?}");
        }
        for small in ["/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"] {
            let Ok(mut source) = File::open(small) else { continue };
            let mut target = new();
            copy(&mut source, &mut target).unwrap();
            assert!((1..4096).contains(&target.metadata().unwrap().len()), "{small}");
        }
    }
}
