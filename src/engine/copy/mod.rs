//! Copying trees by fd: from one directory to another (`tree`), to and from a tar stream (`archive`).
//!
//! Nothing is followed: a symlink is copied as a symlink, parents are opened with O_NOFOLLOW or openat2. A container that
//! swaps a directory for a symlink while we copy makes the copy fail, never leave its tree (R27; CVE-2018-15664 and after).

pub mod archive;
mod recorded;
pub mod tree;

pub use recorded::Recorded;

use crate::sys::{self, CallContext};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Opens a directory by one name, no symlink.
pub fn open_dir(parent: BorrowedFd<'_>, name: &CStr) -> sys::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
        .call(|| format!("openat({name:?}, O_DIRECTORY|O_NOFOLLOW)"))
}

/// Opens a regular file for reading, by one name, no symlink. Nobody waits for the other end of a fifo.
pub fn open_file(parent: BorrowedFd<'_>, name: &CStr) -> sys::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).call(|| format!("openat({name:?}, O_NOFOLLOW)"))
}

/// The names in a directory.
pub fn names(dir: impl AsFd) -> sys::Result<Vec<std::ffi::CString>> {
    let entries = rustix::fs::Dir::read_from(dir).call(|| "getdents()")?;
    let mut list = Vec::new();
    for entry in entries {
        let name = entry.call(|| "getdents()")?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            list.push(name);
        }
    }
    list.sort();
    Ok(list)
}

/// What an entry is and has, without following it.
pub fn stat(parent: BorrowedFd<'_>, name: &CStr) -> sys::Result<Meta> {
    let st =
        rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).call(|| format!("fstatat({name:?})"))?;
    Ok(Meta {
        kind: FileType::from_raw_mode(st.st_mode),
        mode: st.st_mode & 0o7777,
        uid: st.st_uid,
        gid: st.st_gid,
        size: u64::try_from(st.st_size).unwrap_or(0),
        mtime: st.st_mtime,
        rdev: st.st_rdev,
    })
}

/// The attributes that a copy keeps.
#[derive(Debug, Clone, Copy)]
pub struct Meta {
    pub kind: FileType,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    /// Seconds.
    pub mtime: i64,
    pub rdev: u64,
}

impl Meta {
    /// Puts owner, mode and time on an open file or directory. chown comes first: it clears setuid. What has an owner
    /// without a number here, as all others have where one id is mapped, stays ours.
    pub fn put_on(&self, fd: impl AsFd, archive: bool) -> sys::Result<()> {
        if archive {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            match rustix::fs::fchown(&fd, Some(uid), Some(gid)) {
                Ok(()) | Err(Errno::INVAL) => {}
                Err(e) => Err(e).call(|| format!("fchown({}, {})", self.uid, self.gid))?,
            }
        }
        rustix::fs::fchmod(&fd, Mode::from(self.mode)).call(|| format!("fchmod({:o})", self.mode))?;
        let time = Timespec { tv_sec: self.mtime, tv_nsec: 0 };
        rustix::fs::futimens(&fd, &Timestamps { last_access: time, last_modification: time })
            .call(|| "futimens()")
    }
}
