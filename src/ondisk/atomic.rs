//! Publishing and reading one record. See `ondisk` for the rules.

use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Mode, OFlags};
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
    /// For files of the runtime directory.
    Volatile,
}

/// Writes `value` as `name` in `dir`, replacing what is there in one step. Mode 0600.
pub fn publish<T: Serialize>(dir: impl AsFd, name: &str, value: &T, durability: Durability) -> Result<()> {
    let json =
        serde_json::to_vec(value).map_err(|e| Error::internal(format_args!("cannot encode {name}: {e}")))?;
    publish_bytes(dir.as_fd(), name, &json, durability).what(|| format!("cannot write {name}"))
}

/// The same for bytes.
pub fn publish_bytes(dir: BorrowedFd<'_>, name: &str, bytes: &[u8], durability: Durability) -> Result<()> {
    let mut suffix = [0u8; 6];
    crate::id::random_bytes(&mut suffix)?;
    let temporary = format!(".{name}.{}", crate::id::hex(&suffix));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, &temporary, flags, Mode::from(0o600))
        .call(|| format!("openat({temporary:?}, O_CREAT)"))?;
    let written = write_and_rename(dir, File::from(fd), &temporary, name, bytes, durability);
    if written.is_err() {
        let _ = rustix::fs::unlinkat(dir, &temporary, AtFlags::empty());
    }
    written
}

fn write_and_rename(
    dir: BorrowedFd<'_>,
    mut file: File,
    temporary: &str,
    name: &str,
    bytes: &[u8],
    durability: Durability,
) -> Result<()> {
    file.write_all(bytes).call(|| format!("write({name:?})"))?;
    if durability == Durability::Durable {
        rustix::fs::fsync(&file).call(|| format!("fsync({name:?})"))?;
    }
    rustix::fs::renameat(dir, temporary, dir, name).call(|| format!("renameat({temporary:?}, {name:?})"))?;
    if durability == Durability::Durable {
        rustix::fs::fsync(dir).call(|| format!("fsync(directory of {name:?})"))?;
    }
    Ok(())
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
        Err(rustix::io::Errno::NOENT) => return Ok(None),
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
