//! Reading a tar stream: headers, long names, PAX records, old GNU sparse maps. Writes nothing.
//!
//! The walk is our own and only the block's layout is the tar crate's: its iterator reads long names and PAX records of
//! any size into memory, splits PAX records at newlines (a `security.capability` may hold one), and takes only part of a
//! base-256 number. Where readers of the world differ, Go's archive/tar decides, because every other container engine
//! uses it: a reader that sees other entries than the scanner did is how files are smuggled (CVE-2025-62518).
//! Anything odd is an error with its offset, never a guess.

use crate::error::{Error, Kind, Result};
use std::io::BufRead;

const BLOCK: usize = 512;
/// Largest PAX record block or long name.
const MAX_META: u64 = 1 << 20;
/// Largest extended attribute (the kernel's own limit).
const MAX_XATTR: usize = 64 << 10;
/// Pieces of one sparse file.
const MAX_SPARSE: usize = 1 << 16;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// One entry, with everything that was said about it before its data.
#[derive(Debug, Clone)]
pub struct Entry {
    pub kind: EntryKind,
    /// As the archive has it: `./a//b`, `/etc`.
    pub path: Vec<u8>,
    /// Target of a link.
    pub link: Vec<u8>,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of data in the archive.
    pub size: u64,
    /// Old GNU sparse files: pieces (offset, length), and the real size.
    pub sparse: Option<(Vec<(u64, u64)>, u64)>,
}

/// The stream; `R` gives its buffers without a copy.
#[derive(Debug)]
pub struct TarReader<R> {
    inner: R,
    offset: u64,
    /// Data of the current entry that was not read.
    data: u64,
    /// Bytes after the data up to the next block.
    padding: u64,
}

/// What PAX records and GNU long names said about the next entry.
#[derive(Default)]
struct Pending {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    gnu_path: Option<Vec<u8>>,
    gnu_link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: BufRead> TarReader<R> {
    /// Begins at the start of an archive.
    pub fn new(inner: R) -> Self {
        Self { inner, offset: 0, data: 0, padding: 0 }
    }

    /// The next entry; what was not read of the last one's data is skipped. `None` at the end of the archive.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut pending = Pending::default();
        let mut anything_pending = false;
        loop {
            self.skip_data()?;
            let Some(block) = self.block()? else {
                if anything_pending {
                    return Err(self.bad("the archive ends after an extended header"));
                }
                return Ok(None);
            };
            let header = tar::Header::from_byte_slice(&block);
            self.check_sum(&block)?;
            let typeflag = header.as_old().linkflag[0];
            let size = self.number(&header.as_old().size, "size")?;
            match typeflag {
                b'x' | b'X' => {
                    let records = self.meta(size)?;
                    pending.read_pax(&records).map_err(|why| self.bad(why))?;
                    anything_pending = true;
                }
                // Records for all that follows: nobody's layers need them, other engines ignore them.
                b'g' => drop(self.meta(size)?),
                b'L' => {
                    pending.gnu_path = Some(until_nul(self.meta(size)?));
                    anything_pending = true;
                }
                b'K' => {
                    pending.gnu_link = Some(until_nul(self.meta(size)?));
                    anything_pending = true;
                }
                _ => return self.entry(header, typeflag, size, pending).map(Some),
            }
        }
    }

    /// Up to `buf`'s worth of the entry's data, as a slice of the stream's own buffer; empty at the data's end.
    /// `consume` says how much of it was used.
    pub fn data(&mut self) -> Result<&[u8]> {
        if self.data == 0 {
            return Ok(&[]);
        }
        let at = self.offset;
        let want = usize::try_from(self.data).unwrap_or(usize::MAX);
        let buf = self.inner.fill_buf().map_err(from_io)?;
        if buf.is_empty() {
            return Err(truncated(at));
        }
        Ok(buf.get(..want).unwrap_or(buf))
    }

    /// See `data`.
    pub fn consume(&mut self, used: usize) {
        self.inner.consume(used);
        self.offset += used as u64;
        self.data = self.data.saturating_sub(used as u64);
    }

    /// Where in the uncompressed stream we are.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The stream, for what stands after the end of the archive.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn entry(&mut self, header: &tar::Header, typeflag: u8, size: u64, pending: Pending) -> Result<Entry> {
        let path = pending.gnu_path.or(pending.path).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = pending.gnu_link.or(pending.link).unwrap_or_else(|| {
            header.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default()
        });
        let kind = match typeflag {
            0 if path.ends_with(b"/") => EntryKind::Directory,
            0 | b'0' | b'7' | b'S' => EntryKind::File,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::Symlink,
            b'3' => EntryKind::CharDevice,
            b'4' => EntryKind::BlockDevice,
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => {
                return Err(self.bad(format_args!(
                    "unknown entry type {:?} of {}",
                    char::from(other),
                    show(&path)
                )));
            }
        };
        if path.contains(&0) || link.contains(&0) {
            return Err(self.bad("a name with a NUL byte"));
        }
        let old = header.as_old();
        let mode = u32::try_from(self.number(&old.mode, "mode")? & 0o7777).unwrap_or(0);
        let uid = pending.uid.map_or_else(|| self.number(&old.uid, "uid"), Ok)?;
        let gid = pending.gid.map_or_else(|| self.number(&old.gid, "gid"), Ok)?;
        let mtime = match pending.mtime {
            Some(mtime) => mtime,
            None => (i64::try_from(self.number(&old.mtime, "mtime").unwrap_or(0)).unwrap_or(0), 0),
        };
        // Only files have data; a size in the header of a link or directory is a remark (as in Go).
        let size = if kind == EntryKind::File { pending.size.unwrap_or(size) } else { 0 };
        if size > i64::MAX as u64 / 2 {
            return Err(self.bad(format_args!("impossible size {size} of {}", show(&path))));
        }
        let sparse = if typeflag == b'S' { Some(self.sparse_map(header, size)?) } else { None };
        self.data = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(Entry { kind, path, link, mode, uid, gid, mtime, xattrs: pending.xattrs, size, sparse })
    }

    fn sparse_map(&mut self, header: &tar::Header, size: u64) -> Result<(Vec<(u64, u64)>, u64)> {
        let gnu = header.as_gnu().ok_or_else(|| self.bad("a sparse file without a GNU header"))?;
        let real = self.number(&gnu.realsize, "real size")?;
        let mut pieces = Vec::new();
        let mut more = self.pieces(&gnu.sparse, &mut pieces)? && gnu.isextended[0] == 1;
        while more {
            let block = self.block_raw()?.ok_or_else(|| truncated(self.offset))?;
            for piece in block.as_slice().get(..504).unwrap_or_default().chunks_exact(24) {
                let (offset, length) = piece.split_at(12);
                if length.iter().all(|b| *b == 0) {
                    break;
                }
                pieces.push((self.number(offset, "sparse offset")?, self.number(length, "sparse length")?));
            }
            more = block.get(504) == Some(&1);
            if pieces.len() > MAX_SPARSE {
                return Err(self.bad("a sparse file of too many pieces"));
            }
        }
        let mut end = 0;
        let mut data = 0u64;
        for (offset, length) in &pieces {
            let stop = offset.checked_add(*length).filter(|stop| *offset >= end && *stop <= real);
            end = stop.ok_or_else(|| self.bad("the pieces of a sparse file overlap or leave it"))?;
            data += length;
        }
        if data != size || real > i64::MAX as u64 / 2 {
            return Err(self.bad("the pieces of a sparse file are not its data"));
        }
        Ok((pieces, real))
    }

    fn pieces(&self, headers: &[tar::GnuSparseHeader], pieces: &mut Vec<(u64, u64)>) -> Result<bool> {
        for header in headers {
            if header.numbytes.iter().all(|b| *b == 0) {
                return Ok(false);
            }
            pieces.push((
                self.number(&header.offset, "sparse offset")?,
                self.number(&header.numbytes, "sparse length")?,
            ));
        }
        Ok(true)
    }

    /// The whole of an extended header's data.
    fn meta(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_META {
            return Err(
                self.bad(format_args!("an extended header of {size} bytes, at most {MAX_META} are allowed"))
            );
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        self.exact(&mut bytes)?;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(bytes)
    }

    fn skip_data(&mut self) -> Result<()> {
        while self.data > 0 {
            let used = self.data()?.len();
            self.consume(used);
        }
        let mut padding = [0u8; BLOCK];
        let padding = padding
            .get_mut(..usize::try_from(std::mem::take(&mut self.padding)).unwrap_or(0))
            .unwrap_or_default();
        self.exact(padding)
    }

    /// The next header block; `None` at two blocks of zeros, or where the stream ends between entries.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let Some(block) = self.block_raw()? else { return Ok(None) };
        if block.iter().any(|b| *b != 0) {
            return Ok(Some(block));
        }
        match self.block_raw()? {
            Some(second) if second.iter().any(|b| *b != 0) => {
                Err(self.bad("one block of zeros amid the archive"))
            }
            _ => Ok(None),
        }
    }

    fn block_raw(&mut self) -> Result<Option<[u8; BLOCK]>> {
        if self.inner.fill_buf().map_err(from_io)?.is_empty() {
            return Ok(None);
        }
        let mut block = [0u8; BLOCK];
        self.exact(&mut block)?;
        Ok(Some(block))
    }

    fn exact(&mut self, mut out: &mut [u8]) -> Result<()> {
        while !out.is_empty() {
            let buf = self.inner.fill_buf().map_err(from_io)?;
            if buf.is_empty() {
                return Err(truncated(self.offset));
            }
            let n = buf.len().min(out.len());
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(buf.get(..n).unwrap_or_default());
            out = later;
            self.inner.consume(n);
            self.offset += n as u64;
        }
        Ok(())
    }

    /// The sum of all bytes, its own field taken as spaces; old programs summed signed bytes.
    fn check_sum(&self, block: &[u8; BLOCK]) -> Result<()> {
        let said = self.number(block.get(148..156).unwrap_or_default(), "checksum")?;
        let (mut unsigned, mut signed) = (0u64, 0i64);
        for (i, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&i) { b' ' } else { *byte };
            unsigned += u64::from(byte);
            signed += i64::from(i8::from_ne_bytes([byte]));
        }
        if said == unsigned || i64::try_from(said) == Ok(signed) {
            return Ok(());
        }
        Err(self.bad("a header's checksum is wrong: no tar archive, or a damaged one"))
    }

    /// An octal or base-256 number of a header.
    fn number(&self, field: &[u8], what: &str) -> Result<u64> {
        number(field).ok_or_else(|| self.bad(format_args!("{what} is no number, or too large")))
    }

    fn bad(&self, why: impl std::fmt::Display) -> Error {
        Error::corrupt("the archive is damaged").cause(format_args!("at byte {}: {why}", self.offset))
    }
}

fn number(field: &[u8]) -> Option<u64> {
    match field.split_first() {
        // Base 256; 0xff is negative, which nothing here can be.
        Some((0x80, rest)) => {
            rest.iter().try_fold(0u64, |n, b| n.checked_mul(256)?.checked_add(u64::from(*b)))
        }
        Some((first, _)) if *first > 0x80 => None,
        _ => {
            let text = field.split(|b| *b == 0).next().unwrap_or_default().trim_ascii();
            text.iter().try_fold(0u64, |n, b| match b {
                b'0'..=b'7' => n.checked_mul(8)?.checked_add(u64::from(b - b'0')),
                _ => None,
            })
        }
    }
}

impl Pending {
    /// `"%d key=value\n"` records, by their lengths.
    fn read_pax(&mut self, mut bytes: &[u8]) -> std::result::Result<(), String> {
        while !bytes.is_empty() {
            let space = bytes.iter().position(|b| *b == b' ').ok_or("a PAX record without a length")?;
            let (digits, _) = bytes.split_at(space);
            let length = decimal(digits)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or("a PAX record with a bad length")?;
            let record = bytes
                .get(space + 1..length)
                .and_then(|r| r.strip_suffix(b"\n"))
                .ok_or("a PAX record with a wrong length")?;
            bytes = bytes.get(length..).unwrap_or_default();
            let equals = record.iter().position(|b| *b == b'=').ok_or("a PAX record without `=`")?;
            let (key, value) = record.split_at(equals);
            self.take(key, value.get(1..).unwrap_or_default())?;
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> std::result::Result<(), String> {
        let number = || decimal(value).ok_or_else(|| format!("PAX {} is no number", show(key)));
        match key {
            b"path" => self.path = Some(value.to_owned()).filter(|v| !v.is_empty()),
            b"linkpath" => self.link = Some(value.to_owned()).filter(|v| !v.is_empty()),
            b"size" => self.size = Some(number()?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => self.mtime = Some(pax_time(value).ok_or("PAX mtime is no time")?),
            _ if key.starts_with(b"GNU.sparse.") => {
                return Err("a sparse file in PAX form, which is not supported".to_owned());
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    if value.len() > MAX_XATTR || name.len() > 255 || name.contains(&0) {
                        return Err(format!("the extended attribute {} is too large", show(name)));
                    }
                    self.xattrs.retain(|(other, _)| other != name);
                    self.xattrs.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        Ok(())
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `[-]seconds[.fraction]`.
fn pax_time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    if whole.starts_with('-') && nanos > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos));
    }
    Some((seconds, nanos))
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

/// A name of an archive for a message: quoted, cut.
pub fn show(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    if text.len() > 200 {
        return format!("{:?}…", text.chars().take(200).collect::<String>());
    }
    format!("{text:?}")
}

fn truncated(offset: u64) -> Error {
    Error::corrupt("the archive is damaged").cause(format_args!("it ends at byte {offset}, amid an entry"))
}

/// Our own errors travel through `Read` as io errors; others are the stream's.
pub fn from_io(error: std::io::Error) -> Error {
    if let Some(ours) = error.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
        return ours.clone();
    }
    let kind = if error.raw_os_error().is_some() { Kind::Host } else { Kind::Corrupt };
    Error::new(kind, "cannot read the layer").cause(error)
}

#[cfg(test)]
#[path = "tar_tests.rs"]
mod tests;
