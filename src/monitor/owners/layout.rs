//! The result of a stat call as each ABI wants it in memory, made of what statx says.

use super::files::NEEDED;
use crate::ondisk::owners::{Key, Node, Owner};
use crate::store::owners::{Known, Shown};
use crate::sys::notif::{self, STATX_SIZE};
use std::os::fd::AsFd;

/// One of the kernel's structs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `struct statx`, the same everywhere.
    Statx,
    /// `struct stat` of x86_64 and x32.
    X86_64,
    /// `struct stat` of newer 64-bit architectures (asm-generic).
    Generic,
    /// `struct stat64` of i386.
    I386,
    /// `struct stat64` of 32-bit ARM.
    Arm,
}

/// What statx said of a file.
#[derive(Debug, Clone)]
pub(super) struct Found([u8; STATX_SIZE]);

impl Found {
    pub(super) fn new(bytes: [u8; STATX_SIZE]) -> Self {
        Self(bytes)
    }

    /// What is known of a file without asking its server.
    pub(super) fn at_once(file: impl AsFd) -> rustix::io::Result<Self> {
        notif::statx(file.as_fd(), libc::AT_STATX_DONT_SYNC, NEEDED).map(Self)
    }

    fn word(&self, at: usize) -> u32 {
        self.0.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    fn long(&self, at: usize) -> u64 {
        self.0.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(space) = self.0.get_mut(at..at + bytes.len()) {
            space.copy_from_slice(bytes);
        }
    }

    pub(super) fn mode(&self) -> u32 {
        self.word(28) & 0xffff
    }

    /// Whose it is and how, as the kernel shows it.
    pub(super) fn shown(&self) -> Shown {
        Shown { uid: self.word(20), gid: self.word(24), mode: self.mode() }
    }

    /// Device number, as stat has it.
    pub(super) fn device(&self) -> u64 {
        rustix::fs::makedev(self.word(136), self.word(140))
    }

    /// The mount that it is on, where the kernel says it (from 5.8 on).
    pub(super) fn mount(&self) -> Option<u64> {
        const STATX_MNT_ID: u32 = 0x1000;
        (self.word(0) & STATX_MNT_ID != 0).then(|| self.long(144))
    }

    /// What the file is known by, where the container's root is on the device `root`.
    pub(super) fn key(&self, root: u64) -> Key {
        const STATX_BTIME: u32 = 0x800;
        let told = self.word(0) & STATX_BTIME != 0;
        let birth = told.then(|| (self.long(80).cast_signed(), self.word(88)));
        Key::new(self.long(32), birth, self.device(), root)
    }

    /// A directory that gives its group to what is made in it.
    pub(super) fn gives_its_group(&self) -> bool {
        self.mode() & (libc::S_IFMT | libc::S_ISGID) == libc::S_IFDIR | libc::S_ISGID
    }

    /// A program that makes another user, and another group, of whoever executes it.
    pub(super) fn makes_another(&self) -> Option<(bool, bool)> {
        let mode = self.mode();
        let program = mode & libc::S_IFMT == libc::S_IFREG && mode & 0o111 != 0;
        let group = libc::S_ISGID | libc::S_IXGRP;
        let bits = (mode & libc::S_ISUID != 0, mode & group == group);
        (program && (bits.0 || bits.1)).then_some(bits)
    }

    /// Whether both are one file, whatever its number: born and changed at the same times, and of one kind.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        let marks = |found: &Self| {
            let times = [80, 88, 96, 104].map(|at| found.long(at));
            (found.key(0).birth, times, found.mode(), found.long(40))
        };
        marks(self) == marks(other)
    }

    /// With what is known of it.
    pub(super) fn into_known(mut self, known: &Known) -> Self {
        if let Some(permissions) = known.mode {
            let mode = self.mode() & libc::S_IFMT | permissions & 0o7777;
            self.put(28, &u16::try_from(mode).unwrap_or(0).to_ne_bytes());
        }
        self.owned_by(&known.owner)
    }

    fn owned_by(mut self, owner: &Owner) -> Self {
        self.put(20, &owner.uid.to_ne_bytes());
        self.put(24, &owner.gid.to_ne_bytes());
        if let Some(Node { block, major, minor }) = owner.node {
            let kind = if block { libc::S_IFBLK } else { libc::S_IFCHR };
            let mode = self.mode() & !libc::S_IFMT | kind;
            self.put(28, &u16::try_from(mode).unwrap_or(0).to_ne_bytes());
            self.put(128, &major.to_ne_bytes());
            self.put(132, &minor.to_ne_bytes());
        }
        self
    }

    /// As the kernel writes it.
    pub(super) fn as_layout(&self, layout: Layout) -> Vec<u8> {
        let (device, inode, links) = (self.device(), self.long(32), self.word(16));
        let (mode, uid, gid) = (self.mode(), self.word(20), self.word(24));
        let node = rustix::fs::makedev(self.word(128), self.word(132));
        let (size, block, blocks) = (self.long(40), self.word(4), self.long(48));
        // atime, mtime, ctime.
        let times = [64, 112, 96].map(|at| (self.long(at), self.word(at + 8)));
        let mut to = Writer::default();
        match layout {
            Layout::Statx => return self.0.to_vec(),
            Layout::X86_64 => {
                to.long(device).long(inode).long(links.into()).word(mode).word(uid).word(gid).word(0);
                to.long(node).long(size).long(block.into()).long(blocks);
                for (seconds, nanoseconds) in times {
                    to.long(seconds).long(nanoseconds.into());
                }
                to.long(0).long(0).long(0);
            }
            Layout::Generic => {
                to.long(device).long(inode).word(mode).word(links).word(uid).word(gid);
                to.long(node).long(0).long(size).word(block).word(0).long(blocks);
                for (seconds, nanoseconds) in times {
                    to.long(seconds).long(nanoseconds.into());
                }
                to.long(0);
            }
            Layout::I386 | Layout::Arm => {
                // Longs are aligned to four bytes on one, to eight on the other.
                let gap = layout == Layout::Arm;
                to.long(device).word(0).word(low(inode)).word(mode).word(links).word(uid).word(gid);
                to.long(node).word(0);
                if gap {
                    to.word(0);
                }
                to.long(size).word(block);
                if gap {
                    to.word(0);
                }
                to.long(blocks);
                for (seconds, nanoseconds) in times {
                    to.word(low(seconds)).word(nanoseconds);
                }
                to.long(inode);
            }
        }
        to.0
    }
}

fn low(long: u64) -> u32 {
    let [a, b, c, d, ..] = long.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn word(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    fn long(&mut self, value: u64) -> &mut Self {
        self.0.extend(value.to_ne_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn the_sizes_are_the_kernels() {
        let found = Found::new([7; STATX_SIZE]);
        let sizes = [Layout::Statx, Layout::X86_64, Layout::Generic, Layout::I386, Layout::Arm]
            .map(|layout| found.as_layout(layout).len());
        assert_eq!(sizes, [256, 144, 128, 96, 104]);
    }

    #[test]
    fn what_is_made_of_statx_is_what_stat_says() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let found = Found::new(crate::sys::notif::statx(file.as_fd(), 0, 0xfff).unwrap());
        let stat = rustix::fs::fstat(&file).unwrap();
        let layout = if cfg!(target_arch = "x86_64") { Layout::X86_64 } else { Layout::Generic };
        let bytes = found.as_layout(layout);
        let long = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!((long(0), long(8)), (stat.st_dev, stat.st_ino));
        assert_eq!(long(48), u64::try_from(stat.st_size).unwrap());
        assert_eq!(long(64), u64::try_from(stat.st_blocks).unwrap());
        assert_eq!(long(88), u64::try_from(stat.st_mtime).unwrap());
        let owner = Owner { uid: 100, gid: 200, node: Some(Node { block: false, major: 1, minor: 3 }) };
        let bytes = found.owned_by(&owner).as_layout(Layout::I386);
        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((word(24), word(28), word(32)), (100, 200, 0x103));
        assert_eq!(word(16) & libc::S_IFMT, libc::S_IFCHR);
    }
}
