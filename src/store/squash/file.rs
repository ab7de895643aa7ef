//! Opening a one-file image: two reads at its head and its tail, whatever its size.

use crate::error::{Context, Error, Result};
use crate::ondisk::sif;
use crate::ondisk::squash::{
    self, FileKind, HEAD, MAX_TRAILER, TAIL, Trailer, check_superblock, decode_trailer, trailer_length,
};
use crate::spec::image::{ConfigDocument, Platform};
use crate::sys::CallContext;
use rustix::fs::{FileType, Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A file that was checked, open.
#[derive(Debug)]
pub struct SquashFile {
    fd: OwnedFd,
    /// As the user named it, absolute.
    pub path: String,
    /// Where in the file the squashfs begins (not 0 in a SIF file).
    pub offset: u64,
    /// What makes it this file and no other: device, inode, size, time of change.
    pub stamp: String,
    /// What coracle wrote behind the squashfs, and the image's config from it.
    pub trailer: Option<(Trailer, ConfigDocument)>,
    /// Where in it the program may be that is run first: it is read while the rest of the start goes on.
    pub programs: Vec<String>,
}

impl SquashFile {
    /// Opens and checks the head and the tail.
    pub fn open(path: &str) -> Result<Self> {
        Self::open_checked(path)
            .map_err(|e| vanished(e, path).wrap(format_args!("cannot use the image file {path}")))
    }

    fn open_checked(path: &str) -> Result<Self> {
        // A fifo of that name would hold us up.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({path:?})")) {
            Err(e) if e.raw_os_error() == libc::ENOENT => {
                return Err(
                    Error::from(e).hint(format_args!("Write it with `coracle image squash IMAGE {path}`."))
                );
            }
            opened => opened?,
        };
        let st = rustix::fs::fstat(&fd).call(|| "fstat()")?;
        if FileType::from_raw_mode(st.st_mode) != FileType::RegularFile {
            return Err(Error::usage("it is no regular file"));
        }
        let size = u64::try_from(st.st_size).unwrap_or(0);
        let head = read_at(fd.as_fd(), 0, HEAD as u64)?;
        let (offset, room) = match squash::kind(&head) {
            FileKind::Squashfs => (0, size),
            FileKind::Sif => find_in_sif(fd.as_fd(), &head, size)?,
            kind => return Err(no_image(kind)),
        };
        let superblock =
            if offset == 0 { head } else { read_at(fd.as_fd(), offset, squash::SUPERBLOCK as u64)? };
        if !superblock.starts_with(b"hsqs") {
            return Err(Error::corrupt("it is a damaged SIF file").cause("its system is no squashfs"));
        }
        check_superblock(&superblock, room)?;
        let stamp = format!("{}-{}-{size}-{}.{}", st.st_dev, st.st_ino, st.st_mtime, st.st_mtime_nsec);
        let trailer = if offset == 0 { read_trailer(fd.as_fd(), size)? } else { None };
        Ok(Self { fd, path: path.to_owned(), offset, stamp, trailer, programs: Vec::new() })
    }

    /// That it is the file that a container was made from. Its device may have another number by now: those of network
    /// file systems, btrfs and others are given out at each mount.
    pub fn check_stamp(&self, stamp: &str) -> Result<()> {
        if without_device(&self.stamp) == without_device(stamp) {
            return Ok(());
        }
        Err(Error::in_use(format_args!(
            "the image file {} is not the one that the container was made from",
            self.path
        ))
        .cause("it was written or replaced since, and what the container wrote belongs to the old one")
        .hint("Make a new container of it: `coracle run FILE`."))
    }

    /// The open file.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn without_device(stamp: &str) -> Option<&str> {
    stamp.split_once('-').map(|(_, rest)| rest)
}

/// What it means that the file system below the file has gone.
fn vanished(error: Error, path: &str) -> Error {
    let dir = std::path::Path::new(path).parent().unwrap_or(std::path::Path::new("/")).display();
    match error.errno() {
        Some(libc::ENOTCONN | libc::ECONNABORTED) => error.hint(format_args!(
            "The program that serves the file system at {dir} has ended: take the mount away with `fusermount3 -u`, and mount it again."
        )),
        Some(libc::ESTALE) => error.hint(format_args!(
            "The file server of {dir} no longer has the file: look whether it was replaced, `ls -l {path}`."
        )),
        _ => error,
    }
}

fn no_image(kind: FileKind) -> Error {
    match kind {
        FileKind::Empty => Error::corrupt("it is empty"),
        FileKind::Ext => Error::host("it is an ext file system")
            .cause("the kernel lets no user mount one, because a damaged one can harm the kernel")
            .hint("Make a squashfs of its files: `mksquashfs DIR app.sqsh`."),
        _ => Error::corrupt("it is no squashfs and no SIF file")
            .hint("Make one of an image with `coracle image squash IMAGE app.sqsh`."),
    }
}

fn find_in_sif(fd: BorrowedFd<'_>, head: &[u8], size: u64) -> Result<(u64, u64)> {
    let table = sif::descriptors(head, size)?;
    let descriptors = read_at(fd, table.offset, table.length)?;
    let system = sif::system(table, &descriptors, size, &Platform::host().architecture, is_emulated)?;
    Ok((system.offset, system.length))
}

/// Whether the kernel hands programs of this architecture to an emulator (qemu-user, binfmt_misc).
fn is_emulated(architecture: &str) -> bool {
    let qemu = match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i386",
        other => other,
    };
    std::path::Path::new("/proc/sys/fs/binfmt_misc").join(format!("qemu-{qemu}")).exists()
}

fn read_trailer(fd: BorrowedFd<'_>, size: u64) -> Result<Option<(Trailer, ConfigDocument)>> {
    let Some(at) = size.checked_sub(TAIL as u64) else { return Ok(None) };
    let tail = read_at(fd, at, TAIL as u64)?;
    let Some(length) = trailer_length(&tail) else { return Ok(None) };
    let start = at.checked_sub(length).filter(|_| length <= MAX_TRAILER);
    let start =
        start.ok_or_else(|| Error::corrupt("the image's config at the end of the file has no room in it"))?;
    let trailer = decode_trailer(&read_at(fd, start, length)?, &tail)?;
    let config = ConfigDocument::parse(trailer.config.as_bytes())?;
    Ok(Some((trailer, config)))
}

/// Up to `length` bytes from `offset` on; fewer at the file's end. The callers have bounded it.
pub(super) fn read_at(fd: BorrowedFd<'_>, offset: u64, length: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(fd, rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e).call(|| format!("pread({offset}, {length})")).what(|| "cannot read it"),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
