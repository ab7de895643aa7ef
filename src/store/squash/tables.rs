//! What a squashfs says of its files, read from its tables: whose they are where no user namespace could show it, and what
//! stands at a path before anything is mounted.
//!
//! ```text
//! superblock     where the tables are, the root's inode, how many ids
//! inodes         blocks of 8192 bytes: kind, permissions, two numbers of ids, and of a directory where its names are
//! directories    blocks of the same kind: names, each with the place of its inode
//! ids            the numbers of users and groups
//! ```
//! Only what a path leads through is read, and kept for the next one. Metadata blocks are compressed as the files are: with gzip
//! or zstd, or nothing can be said of that image. Read and not trusted: every place is checked against the room that the
//! squashfs has, every length against what was read, and no path leads through more blocks than it has names and names have
//! room for.

use super::SquashFile;
use super::file::read_at;
use crate::error::{Error, Result};
use crate::ondisk::squash::{SUPERBLOCK, u16_at, u32_at, u64_at};
use crate::sys::CallContext;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// Most bytes of a metadata block.
const BLOCK: usize = 8192;
/// Blocks that are kept: all of an image with some 20 000 files.
const KEPT: usize = 256;
/// Most bytes of names of one directory that are read.
const MAX_NAMES: usize = 64 << 20;
/// Symlinks followed before a lookup gives up, as the kernel does.
const MAX_SYMLINKS: u32 = 40;

/// The tables of one image. What was read of them is kept.
#[derive(Debug)]
pub struct Tables {
    fd: OwnedFd,
    /// Where in the file the squashfs begins, and how many bytes it has.
    start: u64,
    used: u64,
    compression: u16,
    root: u64,
    inodes: u64,
    directories: u64,
    ids: Vec<u32>,
    blocks: RefCell<HashMap<u64, Rc<Block>>>,
}

/// A file, as its inode has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    pub uid: u32,
    pub gid: u32,
    /// With setuid, setgid and sticky.
    pub mode: u32,
    pub kind: Kind,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Directory(Names),
    Symlink(Vec<u8>),
    Other,
}

/// Where the names of a directory are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    at: Position,
    length: usize,
}

/// A byte of a table: its block, by the offset of that from the table's beginning, and its place in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    block: u64,
    offset: usize,
}

#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    /// How many bytes it has in the file.
    length: u64,
}

impl Tables {
    pub fn open(image: &SquashFile) -> Result<Self> {
        let fd = image.fd().try_clone_to_owned().call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
        let head = read_at(fd.as_fd(), image.offset, SUPERBLOCK as u64)?;
        let word = |at| u16_at(&head, at).ok_or_else(cut);
        let long = |at| u64_at(&head, at).ok_or_else(cut);
        let mut tables = Self {
            fd,
            start: image.offset,
            used: long(40)?,
            compression: word(20)?,
            root: long(32)?,
            inodes: long(64)?,
            directories: long(72)?,
            ids: Vec::new(),
            blocks: RefCell::default(),
        };
        tables.ids = tables.read_ids(word(26)?.into(), long(48)?)?;
        Ok(tables)
    }

    fn read_ids(&self, count: usize, at: u64) -> Result<Vec<u32>> {
        let mut ids = Vec::with_capacity(count);
        let length = count.div_ceil(BLOCK / 4) * 8;
        let places = read_at(self.fd.as_fd(), self.place(at)?, length as u64)?;
        for place in places.chunks_exact(8).filter_map(|bytes| u64_at(bytes, 0)) {
            let block = self.block(place)?;
            ids.extend(block.bytes.chunks_exact(4).filter_map(|bytes| u32_at(bytes, 0)));
        }
        if ids.len() == count { Ok(ids) } else { Err(cut()) }
    }

    /// Nobody else has a file in it.
    pub fn is_roots_alone(&self) -> bool {
        self.ids.iter().all(|id| *id == 0)
    }

    /// The file at this path, which no symlink is followed in.
    pub fn find(&self, path: &[u8]) -> Result<Option<Inode>> {
        let mut inode = self.inode(self.root)?;
        for name in path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")) {
            match self.child(&inode, name)? {
                Some(next) => inode = next,
                None => return Ok(None),
            }
        }
        Ok(Some(inode))
    }

    /// What is there for a process whose root this is; links are followed.
    pub fn follow(&self, path: &[u8]) -> Result<Option<Inode>> {
        let mut todo: VecDeque<Vec<u8>> = names(path);
        let mut stack = vec![self.inode(self.root)?];
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == b".." {
                stack.truncate(stack.len().saturating_sub(1).max(1));
                continue;
            }
            let Some(dir) = stack.last() else { return Ok(None) };
            let Some(next) = self.child(dir, &name)? else { return Ok(None) };
            let Kind::Symlink(target) = &next.kind else {
                stack.push(next);
                continue;
            };
            links += 1;
            if links > MAX_SYMLINKS {
                return Ok(None);
            }
            if target.starts_with(b"/") {
                stack.truncate(1);
            }
            names(target).into_iter().rev().for_each(|name| todo.push_front(name));
        }
        Ok(stack.pop())
    }

    fn child(&self, dir: &Inode, name: &[u8]) -> Result<Option<Inode>> {
        let Kind::Directory(names) = dir.kind else { return Ok(None) };
        if names.length > MAX_NAMES {
            return Err(bad("a directory has too many names"));
        }
        let mut at = names.at;
        let listing = self.bytes(self.directories, &mut at, names.length)?;
        let mut rest = listing.as_slice();
        // Runs of names whose inodes are in one block: how many, less one, the block, and a number.
        while !rest.is_empty() {
            let count = u32_at(rest, 0).ok_or_else(cut)?;
            let block = u32_at(rest, 4).ok_or_else(cut)?;
            rest = rest.get(12..).ok_or_else(cut)?;
            for _ in 0..=count {
                let offset = u16_at(rest, 0).ok_or_else(cut)?;
                let length = usize::from(u16_at(rest, 6).ok_or_else(cut)?) + 1;
                let found = rest.get(8..8 + length).ok_or_else(cut)?;
                if found == name {
                    return self.inode(u64::from(block) << 16 | u64::from(offset)).map(Some);
                }
                rest = rest.get(8 + length..).ok_or_else(cut)?;
            }
        }
        Ok(None)
    }

    /// `reference`: block and offset.
    fn inode(&self, reference: u64) -> Result<Inode> {
        let mut at = Position { block: reference >> 16, offset: usize::from(reference as u16) };
        let mut take = |length| self.bytes(self.inodes, &mut at, length);
        let head = take(16)?;
        let word = |at| u16_at(&head, at).ok_or_else(cut);
        let id = |at| -> Result<u32> {
            let number = usize::from(word(at)?);
            self.ids.get(number).copied().ok_or_else(|| bad("a file has an owner whom it has not"))
        };
        let (uid, gid, mode) = (id(4)?, id(6)?, u32::from(word(2)?) & 0o7777);
        let kind = match word(0)? {
            1 => directory(&take(16)?, 0, (8, 2), 10)?,
            8 => directory(&take(24)?, 8, (4, 4), 18)?,
            3 | 10 => {
                let length = u32_at(&take(8)?, 4).ok_or_else(cut)?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > libc::PATH_MAX as usize {
                    return Err(bad("a symlink is too long"));
                }
                Kind::Symlink(take(length)?)
            }
            _ => Kind::Other,
        };
        Ok(Inode { uid, gid, mode, kind })
    }

    /// Bytes of a table, over as many blocks as they have.
    fn bytes(&self, table: u64, at: &mut Position, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length.min(BLOCK));
        while bytes.len() < length {
            let block = self.block(table.checked_add(at.block).ok_or_else(cut)?)?;
            let rest = block.bytes.get(at.offset..).ok_or_else(cut)?;
            let taken = rest.len().min(length - bytes.len());
            bytes.extend(rest.iter().take(taken));
            at.offset += taken;
            if at.offset == block.bytes.len() {
                // A block with nothing in it would never end.
                if block.bytes.is_empty() {
                    return Err(cut());
                }
                *at = Position { block: at.block + block.length, offset: 0 };
            }
        }
        Ok(bytes)
    }

    fn place(&self, at: u64) -> Result<u64> {
        if at >= self.used {
            return Err(bad("a table lies outside of it"));
        }
        self.start.checked_add(at).ok_or_else(cut)
    }

    /// The metadata block there.
    fn block(&self, at: u64) -> Result<Rc<Block>> {
        if let Some(block) = self.blocks.borrow().get(&at) {
            return Ok(block.clone());
        }
        let found = read_at(self.fd.as_fd(), self.place(at)?, (2 + BLOCK) as u64)?;
        let head = u16_at(&found, 0).ok_or_else(cut)?;
        let length = usize::from(head & 0x7fff);
        let packed = found.get(2..2 + length).ok_or_else(cut)?;
        let bytes = if head & 0x8000 != 0 { packed.to_vec() } else { self.unpack(packed)? };
        let block = Rc::new(Block { bytes, length: 2 + length as u64 });
        let mut blocks = self.blocks.borrow_mut();
        if blocks.len() >= KEPT {
            blocks.clear();
        }
        blocks.insert(at, block.clone());
        Ok(block)
    }

    fn unpack(&self, packed: &[u8]) -> Result<Vec<u8>> {
        let unpacked = match self.compression {
            1 => {
                let mut bytes = Vec::with_capacity(BLOCK);
                let decoder = flate2::read::ZlibDecoder::new(packed);
                decoder.take(BLOCK as u64).read_to_end(&mut bytes).map(|_| bytes)
            }
            6 => zstd::bulk::decompress(packed, BLOCK),
            other => return Err(Error::host(format_args!("its compression, number {other}, is not known"))),
        };
        unpacked.map_err(bad)
    }
}

/// Of a directory's inode: where it says which block, how long (with the width of that), and which byte of the block.
fn directory(bytes: &[u8], block: usize, (length, width): (usize, usize), offset: usize) -> Result<Kind> {
    let length = match width {
        2 => u16_at(bytes, length).map(u32::from),
        _ => u32_at(bytes, length),
    };
    // Three more than there are, for the two names that every directory has.
    let length = length.ok_or_else(cut)?.saturating_sub(3);
    Ok(Kind::Directory(Names {
        at: Position {
            block: u32_at(bytes, block).ok_or_else(cut)?.into(),
            offset: u16_at(bytes, offset).ok_or_else(cut)?.into(),
        },
        length: usize::try_from(length).unwrap_or(usize::MAX),
    }))
}

fn names(path: &[u8]) -> VecDeque<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names.map(<[u8]>::to_vec).collect()
}

fn cut() -> Error {
    bad("it ends too early")
}

fn bad(why: impl std::fmt::Display) -> Error {
    Error::corrupt("it is a damaged squashfs").cause(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::MemfdFlags;

    /// `/a` of 7:42, a link `/l` to `/no`, and nothing else; its tables are not compressed.
    fn image() -> Vec<u8> {
        let block = |bytes: &[u8]| {
            let head = 0x8000 | u16::try_from(bytes.len()).unwrap();
            [&head.to_le_bytes()[..], bytes].concat()
        };
        let header = |kind: u16, mode: u16, uid: u16, gid: u16| {
            let words = [kind, mode, uid, gid, 0, 0, 1, 0];
            words.map(u16::to_le_bytes).concat()
        };
        let file = [header(2, 0o640, 1, 2), vec![0; 16]].concat();
        let link = [header(3, 0o777, 0, 0), vec![1, 0, 0, 0, 3, 0, 0, 0], b"/no".to_vec()].concat();
        let name = |offset: usize, name: &[u8]| {
            let words = [u16::try_from(offset).unwrap(), 0, 2, u16::try_from(name.len() - 1).unwrap()];
            [words.map(u16::to_le_bytes).concat(), name.to_vec()].concat()
        };
        let names =
            [vec![1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], name(0, b"a"), name(file.len(), b"l")].concat();
        let length = u16::try_from(names.len() + 3).unwrap();
        let root =
            [header(1, 0o755, 0, 0), [0, 0, 2, 0, length, 0, 0, 0].map(u16::to_le_bytes).concat()].concat();
        let at = file.len() + link.len();
        let inodes = block(&[file, link, root].concat());
        let directories = block(&names);
        let ids = block(&[0u32, 7, 42].map(u32::to_le_bytes).concat());
        let mut head = vec![0; SUPERBLOCK];
        head[..4].copy_from_slice(b"hsqs");
        for (place, word) in [(20, 1u16), (22, 12), (26, 3), (28, 4)] {
            head[place..place + 2].copy_from_slice(&word.to_le_bytes());
        }
        head[12..16].copy_from_slice(&4096u32.to_le_bytes());
        let begin = [inodes.len(), directories.len(), ids.len()];
        let places: Vec<u64> = begin
            .iter()
            .scan(SUPERBLOCK as u64, |at, length| Some(std::mem::replace(at, *at + *length as u64)))
            .collect();
        let table = places[2] + ids.len() as u64;
        for (place, long) in [
            (32, at as u64),
            (40, table + 8),
            (48, table),
            (56, u64::MAX),
            (64, places[0]),
            (72, places[1]),
            (80, u64::MAX),
        ] {
            head[place..place + 8].copy_from_slice(&long.to_le_bytes());
        }
        [head, inodes, directories, ids, places[2].to_le_bytes().to_vec()].concat()
    }

    fn tables(bytes: &[u8]) -> Result<Tables> {
        let fd = rustix::fs::memfd_create("image", MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&fd, bytes).unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
        Tables::open(&SquashFile::open(&path)?)
    }

    #[test]
    fn owners_are_found_and_links_lead_on() {
        let tables = tables(&image()).unwrap();
        assert!(!tables.is_roots_alone());
        let found = tables.find(b"a").unwrap().unwrap();
        assert_eq!((found.uid, found.gid, found.mode, &found.kind), (7, 42, 0o640, &Kind::Other));
        assert!(matches!(tables.find(b"l").unwrap().unwrap().kind, Kind::Symlink(_)));
        assert_eq!(tables.follow(b"/../l").unwrap(), None, "a link to a name that is not there");
        assert!(matches!(tables.follow(b"/a/..").unwrap().unwrap().kind, Kind::Directory(_)));
        assert_eq!((tables.find(b"b").unwrap(), tables.find(b"a/b").unwrap()), (None, None));
    }

    #[test]
    fn no_bit_of_an_image_harms_its_reader() {
        let whole = image();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(tables) = tables(&bytes) else { continue };
            let _ = (tables.find(b"a"), tables.find(b"l"), tables.follow(b"/l/../a"));
        }
        for length in 0..whole.len() {
            assert!(tables(&whole[..length]).is_err(), "{length}");
        }
    }
}
