//! Mounts by fd. rustix has open_tree, move_mount and fsopen; mount_setattr is ours.
//!
//! Used after clone as well: bare errnos, no allocation.

#![allow(unsafe_code)] // mount_setattr: rustix lacks it

use rustix::io::{Errno, Result};
use rustix::mount::{MoveMountFlags, OpenTreeFlags};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// What mount_setattr changes (linux/mount.h, struct mount_attr).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountAttr {
    /// MOUNT_ATTR_* to set.
    pub set: u64,
    /// MOUNT_ATTR_* to clear.
    pub clear: u64,
    /// MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE or 0.
    pub propagation: u64,
    /// For MOUNT_ATTR_IDMAP.
    pub userns_fd: u64,
}

pub const ATTR_RDONLY: u64 = 0x1;
pub const ATTR_NOSUID: u64 = 0x2;
pub const ATTR_NODEV: u64 = 0x4;
pub const ATTR_NOEXEC: u64 = 0x8;
pub const ATTR_ATIME: u64 = 0x70;
pub const ATTR_NOATIME: u64 = 0x10;
pub const ATTR_STRICTATIME: u64 = 0x20;
pub const ATTR_NODIRATIME: u64 = 0x80;
pub const ATTR_IDMAP: u64 = 0x10_0000;
pub const ATTR_NOSYMFOLLOW: u64 = 0x20_0000;

pub const MS_UNBINDABLE: u64 = 1 << 17;
pub const MS_PRIVATE: u64 = 1 << 18;
pub const MS_SLAVE: u64 = 1 << 19;
pub const MS_SHARED: u64 = 1 << 20;

impl MountAttr {
    /// Whether it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.set == 0 && self.clear == 0 && self.propagation == 0
    }
}

/// Changes the mount that `fd` is the root of; with `recursive`, also those below it.
pub fn set_attr(fd: BorrowedFd<'_>, attr: &MountAttr, recursive: bool) -> Result<()> {
    set_attr_at(fd, c"", attr, recursive)
}

/// The same for a path below `fd`.
pub fn set_attr_at(fd: BorrowedFd<'_>, path: &CStr, attr: &MountAttr, recursive: bool) -> Result<()> {
    let empty = if path.is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    let flags = empty | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: `attr` has the kernel's layout and lives across the call; the path is a C string.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            path.as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    };
    if returned == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

/// A detached copy of the mount at `path` (relative to `dir`; empty: the one that `dir` is).
pub fn clone_tree(dir: impl AsFd, path: &CStr, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_EMPTY_PATH, path.is_empty());
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    rustix::mount::open_tree(dir, path, flags)
}

/// Attaches the detached `tree` on what `target` refers to.
pub fn attach(tree: impl AsFd, target: impl AsFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", target, c"", flags)
}

/// Attaches the detached `tree` on the path `target`.
pub fn attach_at(tree: impl AsFd, target: &CStr) -> Result<()> {
    rustix::mount::move_mount(tree, c"", rustix::fs::CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}
