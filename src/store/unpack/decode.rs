//! From a blob's bytes to the bytes of its tar, with both checked: a thread of its own reads, hashes and inflates, while
//! the caller's hashes, parses and writes. Between them are a few buffers that go round, so memory stays bounded.
//!
//! The format is told by the first bytes, not by the media type: both digests are checked anyway, and registries serve
//! layers under wrong types. Everything up to the end of the blob belongs to the stream: bytes after a gzip member that
//! are not another member are an error.

use super::tar::from_io;
use crate::error::{Error, Result};
use crate::id::Sha256;
use sha2::Digest;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes of one buffer.
const BUFFER: usize = 256 << 10;
/// Buffers between the threads.
const BUFFERS: usize = 8;
/// A bomb is what grows more than this…
const MAX_RATIO: u64 = 200;
/// …after so many bytes.
const RATIO_FROM: u64 = 64 << 20;
/// Largest zstd window, as a power of two: the format's own recommendation for decoders is 8 MiB, `--long` writes 128.
const ZSTD_WINDOW_LOG: u32 = 27;

/// What a blob must be.
#[derive(Debug, Clone)]
pub struct Expect {
    /// Digest and size of the bytes as they come; none inside an archive that has no such digest.
    pub blob: Option<(Sha256, u64)>,
}

/// The uncompressed stream, hashed as it is read.
#[derive(Debug)]
pub struct Decoded {
    full: Receiver<Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
    hash: sha2::Sha256,
    total: u64,
}

/// Runs `work` on the uncompressed stream of `source`. Returns its result and the stream's sha256, once the whole blob
/// was read and is what `expect` says. When `work` fails, `cancel` must end a read that waits in `source`.
pub fn decoded<T>(
    source: impl Read + Send,
    expect: &Expect,
    cancel: &dyn Fn(),
    work: impl FnOnce(&mut Decoded) -> Result<T>,
) -> Result<(T, Sha256)> {
    let (full_tx, full_rx) = sync_channel(BUFFERS);
    let (empty_tx, empty_rx) = channel();
    std::thread::scope(|scope| {
        let producer = std::thread::Builder::new()
            .name("inflate".to_owned())
            .stack_size(256 << 10)
            .spawn_scoped(scope, move || {
                if let Err(e) = produce(source, expect, &full_tx, &empty_rx) {
                    let _ = full_tx.send(Err(e));
                }
            })
            .map_err(|e| {
                Error::host("cannot unpack a layer").cause(format_args!("starting a thread: {e}"))
            })?;
        let mut stream = Decoded {
            full: full_rx,
            empty: empty_tx,
            current: Vec::new(),
            at: 0,
            hash: sha2::Sha256::new(),
            total: 0,
        };
        let result = work(&mut stream).and_then(|value| {
            stream.drain()?;
            let hash: [u8; 32] = stream.hash.clone().finalize().into();
            Ok((value, Sha256::from_bytes(&hash)))
        });
        // The producer may wait for room in the channel: closing it ends that.
        drop(stream);
        if result.is_err() {
            cancel();
        }
        drop(producer);
        result
    })
}

fn produce(
    source: impl Read,
    expect: &Expect,
    full: &SyncSender<Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) -> Result<()> {
    let limit = expect.blob.as_ref().map(|(_, size)| *size);
    let mut input = BufReader::with_capacity(
        BUFFER,
        Hashing { inner: source, hash: sha2::Sha256::new(), count: 0, limit },
    );
    let format = Format::detect(input.fill_buf().map_err(from_io)?)?;
    let (mut made, mut read) = (0u64, 0u64);
    let mut send = |decoder: &mut dyn Read, count: &dyn Fn() -> u64| -> Result<bool> {
        let mut buffer = empty.try_recv().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        let mut filled = 0;
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            match decoder.read(room) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(decode_error(e, format)),
            }
        }
        buffer.truncate(filled);
        made += filled as u64;
        read = read.max(count());
        if made > RATIO_FROM && made / MAX_RATIO > read {
            return Err(Error::corrupt("the layer is a decompression bomb")
                .cause(format_args!("{read} bytes became more than {made} (limit {MAX_RATIO} to 1)")));
        }
        // A closed channel: the other side has failed, and says so.
        Ok(filled > 0 && full.send(Ok(buffer)).is_ok())
    };
    // The decoders own the input; what was consumed is counted behind a shared cell.
    let counter = std::cell::Cell::new(0u64);
    let mut counted = Counted { inner: &mut input, counter: &counter };
    match format {
        Format::Plain => while send(&mut counted, &|| u64::MAX)? {},
        Format::Gzip => {
            let mut decoder = flate2::bufread::MultiGzDecoder::new(&mut counted);
            while send(&mut decoder, &|| counter.get())? {}
        }
        Format::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut counted).map_err(from_io)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(from_io)?;
            while send(&mut decoder, &|| counter.get())? {}
        }
    }
    finish(input, expect)
}

/// Reads what the decoder left, and compares size and digest.
fn finish<R: Read>(mut input: BufReader<Hashing<R>>, expect: &Expect) -> Result<()> {
    let Some((digest, size)) = &expect.blob else { return Ok(()) };
    std::io::copy(&mut input, &mut std::io::sink()).map_err(from_io)?;
    let Hashing { hash, count, .. } = input.into_inner();
    if count != *size {
        return Err(Error::corrupt("the layer is not what the manifest says")
            .cause(format_args!("it has {count} bytes instead of {size}")));
    }
    let hash: [u8; 32] = hash.finalize().into();
    let actual = Sha256::from_bytes(&hash);
    if actual != *digest {
        return Err(wrong_digest(digest, &actual));
    }
    Ok(())
}

/// Bytes that are not what their digest says.
pub fn wrong_digest(expected: &Sha256, actual: &Sha256) -> Error {
    Error::corrupt("the layer is not what the manifest says")
        .cause(format_args!("digest {} instead of {}", actual.prefixed(), expected.prefixed()))
        .hint("The registry or the way to it altered the data: pull again, and tell the registry's owner if it stays.")
}

fn decode_error(e: std::io::Error, format: Format) -> Error {
    if e.get_ref().is_some_and(|inner| inner.is::<Error>()) || e.raw_os_error().is_some() {
        return from_io(e);
    }
    Error::corrupt("the layer's compressed data is damaged").cause(format_args!("{format:?}: {e}"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Plain,
    Gzip,
    Zstd,
}

impl Format {
    fn detect(start: &[u8]) -> Result<Self> {
        let unsupported = |name: &str| {
            Err(Error::corrupt("cannot unpack the layer")
                .cause(format_args!("it is compressed with {name}; gzip, zstd and plain tar are supported")))
        };
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            // A zstd frame, or a skippable frame before one.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [b'B', b'Z', b'h', ..] => unsupported("bzip2"),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => unsupported("xz"),
            _ => Ok(Self::Plain),
        }
    }
}

/// Hashes and counts what is read, and stops at `limit`: no byte more than declared is taken.
struct Hashing<R> {
    inner: R,
    hash: sha2::Sha256,
    count: u64,
    limit: Option<u64>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hash.update(buf.get(..n).unwrap_or_default());
        self.count += n as u64;
        if self.limit.is_some_and(|limit| self.count > limit) {
            let limit = self.limit.unwrap_or(0);
            return Err(std::io::Error::other(
                Error::corrupt("the layer is not what the manifest says")
                    .cause(format_args!("it has more than {limit} bytes")),
            ));
        }
        Ok(n)
    }
}

struct Counted<'a, R> {
    inner: &'a mut R,
    counter: &'a std::cell::Cell<u64>,
}

impl<R: BufRead> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buf)
    }
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.counter.set(self.counter.get() + amount as u64);
        self.inner.consume(amount);
    }
}

impl Decoded {
    fn next_buffer(&mut self) -> Result<bool> {
        if self.current.capacity() > 0 {
            let _ = self.empty.send(std::mem::take(&mut self.current));
        }
        self.at = 0;
        match self.full.recv() {
            Ok(buffer) => {
                self.current = buffer?;
                self.hash.update(&self.current);
                self.total += self.current.len() as u64;
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    /// Reads on to the end of the blob: what stands after the end of the archive counts for the digests.
    fn drain(&mut self) -> Result<()> {
        while self.next_buffer()? {}
        Ok(())
    }

    /// Uncompressed bytes so far.
    pub fn total(&self) -> u64 {
        self.total
    }
}

impl Read for Decoded {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), available.get(..n)) {
            to.copy_from_slice(from);
        }
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Decoded {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while self.at >= self.current.len() {
            if !self.next_buffer().map_err(std::io::Error::other)? {
                return Ok(&[]);
            }
        }
        Ok(self.current.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}
