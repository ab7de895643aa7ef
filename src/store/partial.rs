//! A blob on its way from a registry: one side appends to a file of `staging/blobs/`, the other reads behind it.
//!
//! The file is what makes a broken download go on where it stopped, in this process and in a later one; it also lets the
//! network run ahead of the disk without memory. Its content is believed no more than the network's: whoever reads it
//! checks the digest of every byte, those of a former process too. It is removed once the layer is there, and after any
//! failure that going on cannot mend.

use super::{Store, remove_tree};
use crate::error::{Error, Result};
use crate::id::Sha256;
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct State {
    /// Bytes that are there.
    available: u64,
    /// All is there, or it failed.
    end: Option<Result<()>>,
    /// The reader wants no more.
    cancelled: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side that appends.
#[derive(Debug)]
pub struct PartialWriter {
    file: OwnedFd,
    shared: Arc<Shared>,
}

/// The side that reads, waiting for bytes that are not there yet.
#[derive(Debug)]
pub struct PartialReader {
    file: OwnedFd,
    shared: Arc<Shared>,
    at: u64,
}

/// Ends a reader that waits, and the download.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<Shared>);

impl Cancel {
    /// See the type.
    pub fn cancel(&self) {
        self.0.state().cancelled = true;
        self.0.changed.notify_all();
    }
}

impl Store {
    /// Opens the partial blob `name`; bytes of a former try are kept. The caller holds the layer's pull lock.
    pub fn open_partial(&self, name: &str) -> Result<(PartialWriter, PartialReader)> {
        let dir = self.dir("staging/blobs")?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || {
            rustix::fs::openat(&dir, name, flags, Mode::from(0o600))
                .call(|| format!("openat(staging/blobs/{name})"))
        };
        let (file, reader) = (open()?, open()?);
        let size = rustix::fs::fstat(&file).call(|| "fstat()")?.st_size;
        let shared = Arc::new(Shared::default());
        shared.state().available = u64::try_from(size).unwrap_or(0);
        Ok((
            PartialWriter { file, shared: Arc::clone(&shared) },
            PartialReader { file: reader, shared, at: 0 },
        ))
    }

    /// Whether a former pull has begun with it.
    pub fn has_partial(&self, name: &str) -> bool {
        self.dirs.data.join("staging/blobs").join(name).exists()
    }

    /// Removes a partial blob.
    pub fn remove_partial(&self, name: &str) -> Result<()> {
        let dir = self.dir("staging/blobs")?;
        remove_tree(dir.as_fd(), name)
    }
}

/// The name of a layer's partial blob: of both digests, so that two layers never write one file.
pub fn partial_name(blob: &Sha256, diff_id: &Sha256) -> String {
    format!("{blob}-{}", diff_id.as_str().get(..16).unwrap_or_default())
}

impl PartialWriter {
    /// Bytes that are there.
    pub fn have(&self) -> u64 {
        self.shared.state().available
    }

    /// Whether the reader wants no more.
    pub fn cancelled(&self) -> bool {
        self.shared.state().cancelled
    }

    /// Appends.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        let added = bytes.len() as u64;
        while !bytes.is_empty() {
            let n = rustix::io::write(&self.file, bytes).call(|| "write(staging/blobs)")?;
            bytes = bytes.get(n..).unwrap_or_default();
        }
        self.shared.state().available += added;
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Says that no more comes.
    pub fn finish(self, result: Result<()>) {
        self.shared.state().end = Some(result);
        self.shared.changed.notify_all();
    }
}

impl Drop for PartialWriter {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.end.is_none() {
            state.end = Some(Err(Error::internal("the download ended without a result")));
        }
        self.shared.changed.notify_all();
    }
}

impl PartialReader {
    /// A handle that ends this reader.
    pub fn canceller(&self) -> Cancel {
        Cancel(Arc::clone(&self.shared))
    }

    fn wait(&self) -> std::io::Result<u64> {
        let mut state = self.shared.state();
        loop {
            if state.cancelled {
                return Err(std::io::Error::other(Error::internal("the layer was given up")));
            }
            if state.available > self.at {
                return Ok(state.available - self.at);
            }
            match &state.end {
                Some(Ok(())) => return Ok(0),
                Some(Err(e)) => return Err(std::io::Error::other(e.clone())),
                None => state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Read for PartialReader {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let available = usize::try_from(self.wait()?).unwrap_or(usize::MAX).min(buf.len());
        let room = buf.get_mut(..available).unwrap_or_default();
        if room.is_empty() {
            return Ok(0);
        }
        let n = rustix::io::pread(self.file.as_fd(), room, self.at)?;
        if n == 0 {
            return Err(std::io::Error::other(Error::corrupt("the partial blob was cut by somebody")));
        }
        self.at += n as u64;
        Ok(n)
    }
}
