//! From a blob to a layer: decompress and verify (`decode`), read the archive (`tar`), write the files (`sink`), publish.
//!
//! Runs in the store's user namespace. Everything is streamed; nothing of a layer is ever whole in memory. A layer exists
//! once the digest of its blob, the digest of its archive and every limit are right, and its data is on disk.

mod decode;
mod parallel;
mod place;
mod sink;
mod tar;
mod xattr;

pub use decode::{Expect, decoded, wrong_digest};
pub use parallel::{Outcome, ensure_layers};
pub use sink::reachable;
pub use tar::{EntryKind, TarReader, from_io};

use super::{Store, staging::Staging};
use crate::error::{Context, Error, Result};
use crate::id::Sha256;
use crate::ondisk::{self, Durability, layer::LayerRecord};
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags};
use std::io::{BufWriter, Read};

/// Part of the free space that an unpacked layer leaves alone: one tenth.
const SPARE: u64 = 10;

/// A layer's bytes on their way.
pub struct Blob<'a, R> {
    pub source: R,
    pub expect: Expect,
    /// Ends a read that waits in `source`.
    pub cancel: &'a dyn Fn(),
}

impl<R> std::fmt::Debug for Blob<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob").field("expect", &self.expect).finish_non_exhaustive()
    }
}

/// Unpacks a blob as the layer `diff_id` and publishes it. The caller holds the layer's pull lock.
pub fn unpack_layer<R: Read + Send>(
    store: &Store,
    diff_id: &Sha256,
    blob: Blob<'_, R>,
) -> Result<LayerRecord> {
    let staging = Staging::new(store)?;
    let mkdir = |name: &str, mode: u32| {
        rustix::fs::mkdirat(staging.dir(), name, Mode::from(mode)).call(|| format!("mkdirat({name:?})"))
    };
    mkdir("layer", 0o700)?;
    mkdir("layer/diff", 0o755)?;
    let layer = super::open_dir(staging.dir(), "layer")?;
    if store.is_shared() {
        rustix::fs::fchmod(&layer, Mode::from(0o755)).call(|| "fchmod(layer, 0755)")?;
    }
    let diff = super::open_dir(&layer, "diff")?;
    rustix::fs::fchmod(&diff, Mode::from(0o755)).call(|| "fchmod(diff, 0755)")?;
    let owners = if store.is_shared() {
        sink::Owners::Stated
    } else if crate::store::driver::single_id()? {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&layer, "owners", flags, Mode::from(0o600)).call(|| "openat(owners)")?;
        sink::Owners::Recorded(BufWriter::new(fd.into()))
    } else {
        sink::Owners::Real
    };
    let free = crate::sys::fs::free_bytes(&rustix::fs::fstatvfs(&diff).call(|| "fstatvfs(staging)")?);
    let sink = sink::Sink::new(diff, owners, free - free / SPARE);
    let blob_digest = blob.expect.blob.as_ref().map(|(digest, _)| digest.clone());
    let (report, actual) = decode::decoded(blob.source, &blob.expect, blob.cancel, |stream| {
        let mut tar = TarReader::new(stream);
        sink.unpack(&mut tar)
    })?;
    if actual != *diff_id {
        return Err(Error::corrupt("the layer is not what the image's config says").cause(format_args!(
            "diff id {} instead of {}",
            actual.prefixed(),
            diff_id.prefixed()
        )));
    }
    let record = LayerRecord {
        version: ondisk::VERSION,
        diff_id: diff_id.clone(),
        blob: blob_digest,
        size: report.size,
        entries: report.entries,
        ownership: report.ownership,
        whiteouts: report.whiteouts,
        opaque_root: report.opaque_root,
        skipped_devices: report.skipped_devices,
        skipped_xattrs: report.skipped_xattrs,
        created: super::now(),
    };
    ondisk::publish_for(store.readers(), &layer, "layer.json", &record, Durability::Volatile)?;
    // One sync for thousands of files; only then may the layer get its name.
    rustix::fs::syncfs(&layer).call(|| "syncfs()").what(|| "cannot write the layer to disk")?;
    store.publish_layer(&staging, diff_id)?;
    Ok(record)
}
