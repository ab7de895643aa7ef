//! Publishing and reading one record. See `ondisk` for the rules.

use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::{Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// Largest record that is read, in bytes: ours are a few KiB.
const MAX_RECORD: u64 = 16 << 20;

/// Whether a record must survive power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Synced to disk before and after the rename.
    Durable,
    /// After power loss it may be the old one, and it is whole.
    Whole,
    /// For files of the runtime directory.
    Volatile,
}

/// Who may read what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    Owner,
    /// Mode 0644, whatever the umask is.
    All,
}

/// Writes `value` as `name` in `dir`, replacing what is there in one step. Mode 0600.
pub fn publish<T: Serialize>(dir: impl AsFd, name: &str, value: &T, durability: Durability) -> Result<()> {
    publish_for(Readers::Owner, dir, name, value, durability)
}

/// The same for a record that others may read, too.
pub fn publish_for<T: Serialize>(
    readers: Readers,
    dir: impl AsFd,
    name: &str,
    value: &T,
    durability: Durability,
) -> Result<()> {
    let json =
        serde_json::to_vec(value).map_err(|e| Error::internal(format_args!("cannot encode {name}: {e}")))?;
    publish_bytes_for(readers, dir.as_fd(), name, &json, durability).what(|| format!("cannot write {name}"))
}

/// The same for bytes, mode 0600.
pub fn publish_bytes(dir: BorrowedFd<'_>, name: &str, bytes: &[u8], durability: Durability) -> Result<()> {
    publish_bytes_for(Readers::Owner, dir, name, bytes, durability)
}

/// The same for bytes that others may read, too.
pub fn publish_bytes_for(
    readers: Readers,
    dir: BorrowedFd<'_>,
    name: &str,
    bytes: &[u8],
    durability: Durability,
) -> Result<()> {
    let temporary = Temporary::create(dir, name)?;
    if readers == Readers::All {
        rustix::fs::fchmod(&temporary.file, Mode::from(0o644)).call(|| format!("fchmod({name:?}, 0644)"))?;
    }
    temporary.publish(bytes, durability)
}

/// Room on the disk for a record that is to be written when somebody else may have filled it.
#[derive(Debug)]
pub struct Room<'a>(Temporary<'a>);

impl<'a> Room<'a> {
    /// Takes `bytes` of it for the record `name` in `dir`. A file system that can keep no room free gives none.
    pub fn take(dir: BorrowedFd<'a>, name: &'a str, bytes: u64) -> Result<Self> {
        let what = || format!("cannot write {name}");
        let mut temporary = Temporary::create(dir, name).what(what)?;
        temporary.room = bytes;
        match rustix::fs::fallocate(&temporary.file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Self(temporary)),
            Err(e) => Err(e).call(|| format!("fallocate({name:?})")).what(what),
        }
    }

    /// Writes the record into it. It is synced as `Durability::Volatile`.
    pub fn publish<T: Serialize>(self, value: &T) -> Result<()> {
        let name = self.0.name;
        let json = serde_json::to_vec(value)
            .map_err(|e| Error::internal(format_args!("cannot encode {name}: {e}")))?;
        self.0.publish(&json, Durability::Volatile).what(|| format!("cannot write {name}"))
    }
}

/// A file that is to become `name`; dropped, it is taken away.
#[derive(Debug)]
struct Temporary<'a> {
    dir: BorrowedFd<'a>,
    file: File,
    temporary: String,
    name: &'a str,
    /// What was allocated.
    room: u64,
    published: bool,
}

impl<'a> Temporary<'a> {
    fn create(dir: BorrowedFd<'a>, name: &'a str) -> Result<Self> {
        let mut suffix = [0u8; 6];
        crate::id::random_bytes(&mut suffix)?;
        let temporary = format!(".{name}.{}", crate::id::hex(&suffix));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, &temporary, flags, Mode::from(0o600))
            .call(|| format!("openat({temporary:?}, O_CREAT)"))?;
        Ok(Self { dir, file: File::from(fd), temporary, name, room: 0, published: false })
    }

    fn publish(mut self, bytes: &[u8], durability: Durability) -> Result<()> {
        let Self { dir, name, .. } = self;
        self.file.write_all(bytes).call(|| format!("write({name:?})"))?;
        let length = u64::try_from(bytes.len()).unwrap_or(0);
        if self.room > length {
            self.file.set_len(length).call(|| format!("ftruncate({name:?})"))?;
        }
        if durability != Durability::Volatile {
            rustix::fs::fsync(&self.file).call(|| format!("fsync({name:?})"))?;
        }
        rustix::fs::renameat(dir, &self.temporary, dir, name)
            .call(|| format!("renameat({:?}, {name:?})", self.temporary))?;
        self.published = true;
        if durability == Durability::Durable {
            rustix::fs::fsync(dir).call(|| format!("fsync(directory of {name:?})"))?;
        }
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.published {
            let _ = rustix::fs::unlinkat(self.dir, &self.temporary, AtFlags::empty());
        }
    }
}

/// Reads the record `name` of `dir`. Missing: `Kind::NotFound`. Damaged or newer: `Kind::Corrupt`, naming the file.
pub fn read<T: DeserializeOwned>(dir: impl AsFd, name: &str) -> Result<T> {
    read_opt(dir, name)?.ok_or_else(|| Error::not_found(format_args!("{name} does not exist")))
}

/// The same, with `None` where there is no such record.
pub fn read_opt<T: DeserializeOwned>(dir: impl AsFd, name: &str) -> Result<Option<T>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = match rustix::fs::openat(&dir, name, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e).call(|| format!("openat({name:?})")).what(|| format!("cannot read {name}")),
    };
    // Room for the usual record: an empty buffer is filled in steps of 32 bytes.
    let mut bytes = Vec::with_capacity(4 << 10);
    File::from(fd).take(MAX_RECORD).read_to_end(&mut bytes).call(|| format!("read({name:?})"))?;
    let corrupt = |why: String| Error::corrupt(format_args!("the record {name} is damaged")).cause(why);
    let head: Head = serde_json::from_slice(&bytes).map_err(|e| corrupt(e.to_string()))?;
    if head.version > super::VERSION {
        return Err(Error::corrupt(format_args!("the record {name} was written by a newer coracle"))
            .cause(format_args!("schema version {}, this build knows {}", head.version, super::VERSION))
            .hint("Use the newer coracle that wrote it."));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|e| corrupt(e.to_string()))
}

#[derive(serde::Deserialize)]
struct Head {
    version: u32,
}
