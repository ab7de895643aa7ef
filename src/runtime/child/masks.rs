//! Masked and read-only paths. Symlinks are refused on the way: a mask must cover what the path names (R5).

use crate::runtime::plan::Plan;
use crate::runtime::step::{Fail, OrFail, Step};
use crate::sys::fs::{Symlinks, file_type, path_below};
use crate::sys::mount::{self, ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, MountAttr};
use rustix::fs::{CWD, FileType};
use rustix::io::{Errno, Result};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Makes paths read-only, then hides paths. What does not exist needs neither.
pub fn apply(root: BorrowedFd<'_>, plan: &Plan) -> std::result::Result<(), Fail> {
    for (index, target) in plan.readonly.iter().enumerate() {
        match path_below(root, &target.path, Symlinks::Refused) {
            Ok(there) => make_readonly(there.as_fd()).or_fail(Step::ReadonlyPath, index)?,
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => Err(e).or_fail(Step::ReadonlyPath, index)?,
        }
    }
    // One empty file system covers all masked directories: making and ending a superblock costs more than a copy.
    let mut empty: Option<OwnedFd> = None;
    for (index, target) in plan.masked.iter().enumerate() {
        match path_below(root, &target.path, Symlinks::Refused) {
            Ok(there) => mask(there.as_fd(), &mut empty).or_fail(Step::MaskedPath, index)?,
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => Err(e).or_fail(Step::MaskedPath, index)?,
        }
    }
    Ok(())
}

fn make_readonly(there: BorrowedFd<'_>) -> Result<()> {
    let tree = mount::clone_tree(there, c"", true)?;
    mount::set_attr(tree.as_fd(), &MountAttr { set: ATTR_RDONLY, ..MountAttr::default() }, true)?;
    mount::attach(&tree, there)
}

fn mask(there: BorrowedFd<'_>, empty: &mut Option<OwnedFd>) -> Result<()> {
    if file_type(there)? != FileType::Directory {
        // The host's: the container's own could be anything (CVE-2025-31133).
        let null = mount::clone_tree(CWD, c"/dev/null", false)?;
        let stat = rustix::fs::fstat(&null)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
            || stat.st_rdev != rustix::fs::makedev(1, 3)
        {
            return Err(Errno::NODEV);
        }
        return mount::attach(&null, there);
    }
    match empty {
        Some(first) => mount::attach(mount::clone_tree(first.as_fd(), c"", false)?, there),
        None => {
            let tree = empty_directory()?;
            mount::attach(&tree, there)?;
            *empty = Some(tree);
            Ok(())
        }
    }
}

fn empty_directory() -> Result<OwnedFd> {
    let context = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // One inode, the root, leaves no room for anything.
    rustix::mount::fsconfig_set_string(&context, c"nr_inodes", c"1")?;
    rustix::mount::fsconfig_set_string(&context, c"mode", c"0555")?;
    rustix::mount::fsconfig_create(&context)?;
    let flags = (ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC) as u32;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::from_bits_retain(flags))
}
