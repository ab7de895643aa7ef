//! `owners`: whom the files of a container belong to, where the user's one id is all that the kernel could write down.
//!
//! ```text
//! coracle-owners 1
//! <number> <birth> <place> <uid> <gid> <node>     from here on this file is theirs
//! <number> <birth> <place> -                      and from here on nobody's: root's, or whose the image says
//! ```
//! A log in the container's directory, written by one process (`monitor::owners`), read by it and by `export`. Only whole
//! lines count: what a crash tore at the end is dropped. When most lines say what no longer is, it is written anew.
//!
//! # What a file is known by
//!
//! By its inode: a path would have to be followed through every rename, of each directory above it too, and a file with two
//! names has one owner. An inode number is given to another file when its own is gone, so the time of birth is part of the
//! key: a file that was made anew has none of the old one's owner, and nobody has to watch files being removed. With it
//! the device does not matter, whose number changes with each mount. A file that an overlay has copied up may have another
//! number with the next mount: it has a line for each. `place` is for file systems that tell no birth (FUSE,
//! older NFS): 0 for the one that the container's root is on, else the device. There a file may get the owner of one
//! that was removed before it.
//!
//! No extended attributes: symlinks, NFS and Lustre have none for users. No names: nothing that a program in the container
//! chose is in this file but numbers.

use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::str::SplitAsciiWhitespace;

/// The file.
pub const NAME: &str = "owners";
const HEAD: &str = "coracle-owners 1\n";
/// Most files; 64 MiB of memory, and about as much of the log.
const MAX_FILES: usize = 1 << 20;
/// Lines beyond twice the number of files before the log is written anew.
const SLACK: usize = 4096;
/// Most of a log that is read.
const MAX_LOG: u64 = 1 << 30;

/// A file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub number: u64,
    /// Nanoseconds since 1970; 0: not told.
    pub birth: i128,
    pub place: u64,
}

impl Key {
    /// `birth`: seconds and nanoseconds, where they are told; `root`: the device of the container's root.
    pub fn new(number: u64, birth: Option<(i64, u32)>, device: u64, root: u64) -> Self {
        let birth = birth.map_or(0, |(s, ns)| i128::from(s) * 1_000_000_000 + i128::from(ns));
        let place = if birth != 0 || device == root { 0 } else { device };
        Self { number, birth, place }
    }
}

/// What was said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
    /// What it would be, where it is a plain file in the place of a device.
    pub node: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// A block device, else a character device.
    pub block: bool,
    pub major: u32,
    pub minor: u32,
}

/// What a log says.
#[derive(Debug, Default)]
pub struct Owners {
    files: HashMap<Key, Owner>,
    /// Lines of the log, and its whole lines' bytes.
    lines: usize,
    bytes: u64,
}

impl Owners {
    /// Reads the log of the container's directory. None: there is none.
    pub fn read(dir: impl AsFd) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match rustix::fs::openat(&dir, NAME, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.call(|| format!("openat({NAME:?})")).what(|| "cannot read the owners of files")?,
        };
        Self::parse(&mut File::from(fd)).map(Some).what(|| "cannot read the owners of files")
    }

    fn parse(file: &mut File) -> Result<Self> {
        let mut text = Vec::new();
        file.take(MAX_LOG).read_to_end(&mut text).call(|| format!("read({NAME:?})"))?;
        let mut owners = Self::default();
        if text.len() < HEAD.len() && HEAD.as_bytes().starts_with(&text) {
            return Ok(owners);
        }
        if !text.starts_with(HEAD.as_bytes()) {
            return Err(Error::corrupt(format_args!("the record {NAME} was written by a newer coracle"))
                .hint("Use the newer coracle that wrote it."));
        }
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let whole = text.get(..whole).unwrap_or_default();
        owners.bytes = whole.len() as u64;
        for line in whole.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty()) {
            owners.lines += 1;
            // A line that says nothing is one that a disk has damaged: the others still count.
            let Some((key, owner)) = std::str::from_utf8(line).ok().and_then(parse_line) else { continue };
            match owner {
                Some(owner) => owners.files.insert(key, owner),
                None => owners.files.remove(&key),
            };
        }
        Ok(owners)
    }

    /// None: root's, as the kernel says.
    pub fn get(&self, key: &Key) -> Option<&Owner> {
        self.files.get(key)
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

fn parse_line(line: &str) -> Option<(Key, Option<Owner>)> {
    fn next<T: std::str::FromStr>(words: &mut SplitAsciiWhitespace<'_>) -> Option<T> {
        words.next()?.parse().ok()
    }
    let mut words = line.split_ascii_whitespace();
    let words = &mut words;
    let key = Key { number: next(words)?, birth: next(words)?, place: next(words)? };
    let uid = words.next()?;
    if uid == "-" {
        return Some((key, None));
    }
    let (uid, gid, node) = (uid.parse().ok()?, next(words)?, words.next()?);
    let node = match node.split_once(':') {
        None => None,
        Some((kind, numbers)) => {
            let (major, minor) = numbers.split_once(':')?;
            Some(Node { block: kind == "b", major: major.parse().ok()?, minor: minor.parse().ok()? })
        }
    };
    Some((key, Some(Owner { uid, gid, node })))
}

fn push_line(text: &mut String, key: &Key, owner: Option<&Owner>) {
    let Key { number, birth, place } = key;
    // Writing to a string cannot fail.
    let _ = write!(text, "{number} {birth} {place} ");
    let _ = match owner {
        None => writeln!(text, "-"),
        Some(Owner { uid, gid, node: None }) => writeln!(text, "{uid} {gid} -"),
        Some(Owner { uid, gid, node: Some(Node { block, major, minor }) }) => {
            writeln!(text, "{uid} {gid} {}:{major}:{minor}", if *block { "b" } else { "c" })
        }
    };
}

/// A log that is written on.
#[derive(Debug)]
pub struct Log {
    owners: Owners,
    dir: OwnedFd,
    file: File,
}

impl Log {
    /// Opens the log of the container's directory, made when missing.
    pub fn open(dir: OwnedFd) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let what = || "cannot open the record of owners";
        let fd = rustix::fs::openat(&dir, NAME, flags, Mode::from(0o600))
            .call(|| format!("openat({NAME:?}, O_CREAT)"))
            .what(what)?;
        let mut file = File::from(fd);
        let mut owners = Owners::parse(&mut file).what(what)?;
        rustix::fs::ftruncate(&file, owners.bytes).call(|| format!("ftruncate({NAME:?})")).what(what)?;
        if owners.bytes == 0 {
            file.write_all(HEAD.as_bytes()).call(|| format!("write({NAME:?})")).what(what)?;
            owners.bytes = HEAD.len() as u64;
        }
        Ok(Self { owners, dir, file })
    }

    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Writes down whom a file belongs to from now on; `None`: nothing is said of it. ENOSPC: there are as many as there may be.
    pub fn set(&mut self, key: Key, wanted: Option<Owner>) -> rustix::io::Result<()> {
        let known = self.owners.files.get(&key).copied();
        if known == wanted {
            return Ok(());
        }
        if known.is_none() && self.owners.files.len() >= MAX_FILES {
            return Err(Errno::NOSPC);
        }
        let mut line = String::new();
        push_line(&mut line, &key, wanted.as_ref());
        if let Err(error) = self.append(&line) {
            // What was written of it must not be the beginning of the next line.
            let _ = rustix::fs::ftruncate(&self.file, self.owners.bytes);
            return Err(error);
        }
        match wanted {
            Some(owner) => self.owners.files.insert(key, owner),
            None => self.owners.files.remove(&key),
        };
        if self.owners.lines > 2 * self.owners.files.len() + SLACK {
            // A disk that is too full for it now is asked again with the next line.
            let _ = self.write_anew();
        }
        Ok(())
    }

    fn append(&mut self, line: &str) -> rustix::io::Result<()> {
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
        self.owners.bytes += line.len() as u64;
        self.owners.lines += 1;
        Ok(())
    }

    fn write_anew(&mut self) -> Result<()> {
        let mut text = HEAD.to_owned();
        for (key, owner) in &self.owners.files {
            push_line(&mut text, key, Some(owner));
        }
        let volatile = super::Durability::Volatile;
        super::atomic::publish_bytes(self.dir.as_fd(), NAME, text.as_bytes(), volatile)?;
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.dir, NAME, flags, Mode::empty()).call(|| "openat(owners)")?;
        self.file = File::from(fd);
        self.file.seek(SeekFrom::End(0)).call(|| "lseek(owners)")?;
        (self.owners.lines, self.owners.bytes) = (self.owners.files.len(), text.len() as u64);
        Ok(())
    }

    /// From here on it survives a power cut.
    pub fn sync(&self) {
        let _ = rustix::fs::fsync(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        Key { number, birth: 1_700_000_000_123_456_789, place: 0 }
    }

    fn scratch(name: &str) -> OwnedFd {
        #[allow(clippy::disallowed_methods, reason = "a test's own directory")]
        let base = std::env::temp_dir().join(format!("coracle-owners-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&base);
        std::fs::create_dir(&base).unwrap();
        rustix::fs::open(&base, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    fn bytes(dir: &OwnedFd) -> Vec<u8> {
        let fd = rustix::fs::openat(dir, NAME, OFlags::RDONLY, Mode::empty()).unwrap();
        let mut bytes = Vec::new();
        File::from(fd).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_said_is_there_again_and_a_torn_line_is_not() {
        let dir = scratch("torn");
        let node = Some(Node { block: false, major: 1, minor: 3 });
        let (alice, device) = (Owner { uid: 100, gid: 200, node: None }, Owner { uid: 0, gid: 6, node });
        let mut log = Log::open(dir.try_clone().unwrap()).unwrap();
        log.set(key(1), Some(alice)).unwrap();
        log.set(key(2), Some(device)).unwrap();
        log.set(key(3), Some(alice)).unwrap();
        log.set(key(3), None).unwrap();
        log.file.write_all(b"4 5 0 100 2").unwrap();
        let read = Owners::read(&dir).unwrap().unwrap();
        assert_eq!([1, 2, 3, 4].map(|n| read.get(&key(n)).copied()), [Some(alice), Some(device), None, None]);
        // The same inode, born at another time, is another file.
        assert_eq!(read.get(&Key { birth: 1, ..key(1) }), None);
        let mut log = Log::open(dir.try_clone().unwrap()).unwrap();
        log.set(key(5), Some(alice)).unwrap();
        let text = bytes(&dir);
        assert!(
            text.ends_with(b"3 1700000000123456789 0 -\n5 1700000000123456789 0 100 200 -\n"),
            "{text:?}"
        );
    }

    #[test]
    fn the_log_of_a_file_that_changes_hands_for_ever_stays_small() {
        let dir = scratch("small");
        let mut log = Log::open(dir.try_clone().unwrap()).unwrap();
        for uid in 1..100_000 {
            log.set(key(7), Some(Owner { uid, gid: 1, node: None })).unwrap();
        }
        assert!(bytes(&dir).len() < 300_000, "{}", bytes(&dir).len());
        let read = Owners::read(&dir).unwrap().unwrap();
        assert_eq!(read.get(&key(7)).map(|owner| owner.uid), Some(99_999));
    }

    #[test]
    fn a_newer_record_is_refused_and_stays() {
        let dir = scratch("newer");
        let flags = OFlags::WRONLY | OFlags::CREATE;
        let fd = rustix::fs::openat(&dir, NAME, flags, Mode::from(0o600)).unwrap();
        File::from(fd).write_all(b"coracle-owners 2\nsomething else\n").unwrap();
        let error = Log::open(dir.try_clone().unwrap()).unwrap_err();
        assert!(error.to_string().contains("cannot open the record of owners"), "{error}");
        assert_eq!(bytes(&dir), b"coracle-owners 2\nsomething else\n");
    }
}
