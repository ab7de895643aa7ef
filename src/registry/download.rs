//! Loading blobs: in parallel, each gone on with where it broke off.

use super::failure;
use crate::error::{Error, Kind, Result};
use crate::id::Sha256;
use futures_util::StreamExt;
use oci_client::client::{BlobResponse, SizedStream};
use oci_client::manifest::OciDescriptor;
use oci_client::{Client, Reference};
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
pub(super) async fn serve(
    client: &Client,
    reference: &Reference,
    name: &str,
    mut jobs: UnboundedReceiver<Job>,
) {
    let mut running = futures_util::stream::FuturesUnordered::new();
    let mut open = true;
    while open || !running.is_empty() {
        tokio::select! {
            job = jobs.recv(), if open => match job {
                Some(job) => running.push(load(client, reference, name, job)),
                None => open = false,
            },
            Some(()) = running.next(), if !running.is_empty() => {}
        }
    }
}

async fn load(client: &Client, reference: &Reference, name: &str, mut job: Job) {
    let mut failures = 0;
    let result = loop {
        let before = job.sink.have();
        if before == job.size {
            break Ok(());
        }
        if before > job.size {
            break Err(too_long(job.size));
        }
        match try_once(client, reference, name, &mut job).await {
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

async fn try_once(client: &Client, reference: &Reference, name: &str, job: &mut Job) -> Result<()> {
    let have = job.sink.have();
    let (mut stream, mut skip) = open(client, reference, name, (&job.digest, job.size), have).await?;
    loop {
        if job.sink.cancelled() {
            return Err(Error::internal("the download was given up"));
        }
        let chunk = match tokio::time::timeout(TICK, stream.stream.next()).await {
            Err(_) => continue,
            Ok(None) => break,
            Ok(Some(chunk)) => chunk.map_err(|e| broke_off(&e))?,
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

/// The blob's stream from byte `have` on, and how many of its bytes are to be skipped.
async fn open(
    client: &Client,
    reference: &Reference,
    name: &str,
    (digest, size): (&Sha256, u64),
    have: u64,
) -> Result<(SizedStream, u64)> {
    let descriptor = OciDescriptor {
        digest: digest.prefixed(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        ..OciDescriptor::default()
    };
    // A range also for the whole: such a stream is not hashed by the client, and we hash it anyway.
    let response = client.pull_blob_stream_partial(reference, &descriptor, have, None).await;
    match response.map_err(|e| failure::explain(&e, name, reference.resolve_registry()))? {
        BlobResponse::Partial(stream) => Ok((stream, 0)),
        BlobResponse::Full(stream) => Ok((stream, have)),
    }
}

fn broke_off(e: &std::io::Error) -> Error {
    // A server that ignored our range: then the client has hashed the whole.
    if e.get_ref().is_some_and(|inner| inner.is::<oci_client::errors::DigestError>()) {
        return Error::corrupt("the registry's data is not what its digest says").cause(e);
    }
    Error::new(Kind::Network, "the download broke off").cause(failure::chain(e).pop().unwrap_or_default())
}

fn too_long(size: u64) -> Error {
    Error::corrupt("the layer is not what the manifest says")
        .cause(format_args!("it has more than {size} bytes"))
}

/// A small blob into memory.
pub(super) async fn collect(
    client: &Client,
    reference: &Reference,
    digest: &Sha256,
    size: u64,
    out: &mut Vec<u8>,
) -> Result<()> {
    let name = reference.whole();
    let (mut stream, _) = open(client, reference, &name, (digest, size), 0).await?;
    while let Some(chunk) = stream.stream.next().await {
        let chunk = chunk.map_err(|e| broke_off(&e))?;
        if out.len() as u64 + chunk.len() as u64 > size {
            return Err(Error::corrupt("the image's config is not what the manifest says")
                .cause(format_args!("it has more than {size} bytes")));
        }
        out.extend_from_slice(&chunk);
    }
    Ok(())
}
