//! Reading an image archive in place: where each member's data is.

use super::Store;
use super::unpack::{EntryKind, Expect, TarReader, decoded, from_io};
use crate::error::{Error, Result};
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;

/// Members of an archive that are remembered.
const MAX_MEMBERS: usize = 100_000;

/// An archive and where its members are.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) file: OwnedFd,
    pub(super) members: BTreeMap<String, Member>,
}

/// A member of an archive.
#[derive(Debug)]
pub(super) enum Member {
    Data {
        offset: u64,
        size: u64,
    },
    /// docker-archive writes a layer that occurs twice as a link.
    Link(String),
}

/// Opens an archive, inflated where it must be, and learns where its members are.
pub(super) fn open(store: &Store, fd: OwnedFd) -> Result<Archive> {
    let mut file = File::from(fd);
    let regular = file.metadata().call(|| "fstat()")?.is_file();
    let mut start = [0u8; 4];
    let plain = regular && {
        let n = file.read(&mut start).call(|| "read()")?;
        file.seek(SeekFrom::Start(0)).call(|| "lseek()")?;
        n < 4 || !matches!(start, [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd])
    };
    if !plain {
        file = inflate(store, file)?;
    }
    let members = members(&file)?;
    Ok(Archive { file: file.into(), members })
}

/// Into a file without a name, gone with the last fd.
fn inflate(store: &Store, source: File) -> Result<File> {
    let staging = store.dir("staging")?;
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let fd =
        rustix::fs::openat(&staging, ".", flags, Mode::from(0o600)).call(|| "openat(staging, O_TMPFILE)")?;
    let mut file = File::from(fd);
    decoded(source, &Expect { blob: None }, &|| {}, |stream| {
        std::io::copy(stream, &mut file).map(drop).map_err(from_io)
    })?;
    file.flush().and_then(|()| file.seek(SeekFrom::Start(0))).call(|| "lseek()")?;
    Ok(file)
}

fn members(file: &File) -> Result<BTreeMap<String, Member>> {
    let mut tar = TarReader::new(BufReader::with_capacity(256 << 10, file));
    let mut members = BTreeMap::new();
    while let Some(entry) = tar.next_entry()? {
        let Some(path) = clean(&entry.path) else { continue };
        let member = match entry.kind {
            EntryKind::File if entry.sparse.is_none() => {
                Member::Data { offset: tar.offset(), size: entry.size }
            }
            EntryKind::Symlink | EntryKind::HardLink => {
                let link = String::from_utf8_lossy(&entry.link).into_owned();
                let from = path.rsplit_once('/').map_or("", |(dir, _)| dir);
                Member::Link(if entry.kind == EntryKind::HardLink { link } else { join(from, &link) })
            }
            _ => continue,
        };
        members.insert(path, member);
        if members.len() > MAX_MEMBERS {
            return Err(Error::corrupt("the image archive has too many members"));
        }
    }
    Ok(members)
}

/// Without empty parts and dots; names that are no text are nobody's.
pub(super) fn clean(path: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(path).ok()?;
    Some(text.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"))
}

/// A relative link's target within the archive; text only.
fn join(dir: &str, link: &str) -> String {
    let mut parts: Vec<&str> = dir.split('/').filter(|p| !p.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Reads at its own position, so that several readers share one open file.
#[derive(Debug)]
pub struct PositionedFile {
    fd: OwnedFd,
    at: u64,
}

impl PositionedFile {
    /// From byte `at` on.
    pub(super) fn new(fd: OwnedFd, at: u64) -> Self {
        Self { fd, at }
    }
}

impl Read for PositionedFile {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = rustix::io::pread(&self.fd, buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
