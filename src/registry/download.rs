//! Loading blobs: in parallel, each gone on with where it broke off.

use super::failure;
use super::manifest::Manifests;
use crate::error::{Error, Kind, Result};
use crate::id::Sha256;
use futures_util::StreamExt;
use oci_client::Reference;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Tries in a row that bring nothing, before a blob is given up.
const TRIES: u32 = 4;
/// How soon a cancelled download is noticed while nothing comes.
const TICK: Duration = Duration::from_millis(250);

/// Takes a blob's bytes, in order.
pub trait BlobSink: Send {
    /// Bytes that are there already.
    fn have(&self) -> u64;
    /// Appends.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// Nobody wants more.
    fn cancelled(&self) -> bool;
    /// No more comes: all is there, or it failed.
    fn finish(self: Box<Self>, result: Result<()>);
}

/// One blob to load.
pub(super) struct Job {
    digest: Sha256,
    size: u64,
    sink: Box<dyn BlobSink>,
}

/// Where blobs are asked for.
#[derive(Debug)]
pub struct Downloads {
    jobs: UnboundedSender<Job>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("digest", &self.digest).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Downloads {
    pub(super) fn new() -> (Self, UnboundedReceiver<Job>) {
        let (jobs, receiver) = unbounded_channel();
        (Self { jobs }, receiver)
    }

    /// Begins to load a blob into `sink`; returns at once.
    pub fn start(&self, digest: &Sha256, size: u64, sink: Box<dyn BlobSink>) {
        if let Err(unsent) = self.jobs.send(Job { digest: digest.clone(), size, sink }) {
            unsent.0.sink.finish(Err(Error::internal("the network thread has ended")));
        }
    }
}

/// Serves jobs until nobody can send any more.
pub(super) async fn serve(registry: &Manifests, reference: &Reference, mut jobs: UnboundedReceiver<Job>) {
    let mut running = futures_util::stream::FuturesUnordered::new();
    let mut open = true;
    while open || !running.is_empty() {
        tokio::select! {
            job = jobs.recv(), if open => match job {
                Some(job) => running.push(load(registry, reference, job)),
                None => open = false,
            },
            Some(()) = running.next(), if !running.is_empty() => {}
        }
    }
}

async fn load(registry: &Manifests, reference: &Reference, mut job: Job) {
    let mut failures = 0;
    let result = loop {
        let before = job.sink.have();
        if before == job.size {
            break Ok(());
        }
        if before > job.size {
            break Err(too_long(job.size));
        }
        match try_once(registry, reference, &mut job).await {
            Ok(()) => break Ok(()),
            Err(e) if e.kind() != Kind::Network || job.sink.cancelled() => break Err(e),
            Err(e) => {
                // Progress counts as a good try: a bad line may break often.
                failures = if job.sink.have() > before { 1 } else { failures + 1 };
                if failures >= TRIES {
                    break Err(e.hint("Pull again: what was loaded is kept and gone on with."));
                }
                tokio::time::sleep(Duration::from_secs(1 << failures.min(4)) / 2).await;
            }
        }
    };
    job.sink.finish(result);
}

async fn try_once(registry: &Manifests, reference: &Reference, job: &mut Job) -> Result<()> {
    let have = job.sink.have();
    let (mut response, mut skip) = registry.blob(reference, &job.digest, have).await?;
    loop {
        if job.sink.cancelled() {
            return Err(Error::internal("the download was given up"));
        }
        let chunk = match tokio::time::timeout(TICK, response.chunk()).await {
            Err(_) => continue,
            Ok(chunk) => match chunk.map_err(|e| broke_off(&e))? {
                Some(chunk) => chunk,
                None => break,
            },
        };
        let mut bytes = chunk.as_ref();
        if skip > 0 {
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
            skip -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
        }
        if job.sink.have() + bytes.len() as u64 > job.size {
            return Err(too_long(job.size));
        }
        job.sink.write(bytes)?;
    }
    if job.sink.have() < job.size {
        return Err(Error::new(Kind::Network, "the download broke off").cause(format_args!(
            "{} of {} bytes came",
            job.sink.have(),
            job.size
        )));
    }
    Ok(())
}

fn broke_off(e: &reqwest::Error) -> Error {
    Error::new(Kind::Network, "the download broke off").cause(failure::chain(e).pop().unwrap_or_default())
}

fn too_long(size: u64) -> Error {
    Error::corrupt("the layer is not what the manifest says")
        .cause(format_args!("it has more than {size} bytes"))
}

/// A small blob into memory.
pub(super) async fn collect(
    registry: &Manifests,
    reference: &Reference,
    digest: &Sha256,
    size: u64,
    out: &mut Vec<u8>,
) -> Result<()> {
    let (mut response, _) = registry.blob(reference, digest, 0).await?;
    while let Some(chunk) = response.chunk().await.map_err(|e| broke_off(&e))? {
        if out.len() as u64 + chunk.len() as u64 > size {
            return Err(Error::corrupt("the image's config is not what the manifest says")
                .cause(format_args!("it has more than {size} bytes")));
        }
        out.extend_from_slice(&chunk);
    }
    Ok(())
}
