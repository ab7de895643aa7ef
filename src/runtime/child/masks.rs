//! Masked and read-only paths. Symlinks are refused on the way: a mask must cover what the path names (R5).

use crate::runtime::plan::Plan;
use crate::runtime::plan::label::MountLabel;
use crate::runtime::step::{Fail, OrFail, Step};
use crate::sys::fs::{Symlinks, file_type, path_below};
use crate::sys::mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, MountAttr};
use crate::sys::tree::{NewFs, Options, Tree};
use rustix::fs::FileType;
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Makes paths read-only, then hides paths. What does not exist needs neither.
pub fn apply(root: BorrowedFd<'_>, plan: &Plan) -> std::result::Result<(), Fail> {
    for (index, target) in plan.readonly.iter().enumerate() {
        match path_below(root, &target.path, Symlinks::Refused) {
            Ok(there) => {
                let again = || path_below(root, &target.path, Symlinks::Refused);
                make_readonly(there.as_fd(), again).or_fail(Step::ReadonlyPath, index)?;
            }
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => Err(e).or_fail(Step::ReadonlyPath, index)?,
        }
    }
    // One empty file system covers all masked directories: making and ending a superblock costs more than a copy.
    let mut empty: Option<OwnedFd> = None;
    for (index, target) in plan.masked.iter().enumerate() {
        match path_below(root, &target.path, Symlinks::Refused) {
            Ok(there) => {
                let again = || path_below(root, &target.path, Symlinks::Refused);
                let label = plan.mount_label.as_ref();
                mask(root, there.as_fd(), label, &mut empty, again).or_fail(Step::MaskedPath, index)?;
            }
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => Err(e).or_fail(Step::MaskedPath, index)?,
        }
    }
    Ok(())
}

fn make_readonly(there: BorrowedFd<'_>, again: impl FnOnce() -> Result<OwnedFd>) -> Result<()> {
    let mut tree = Tree::copy_of(there, c"", true)?;
    tree.set_attr_where_it_can(&MountAttr { set: ATTR_RDONLY, ..MountAttr::default() })?;
    tree.attach(there, again).map(drop)
}

fn mask(
    root: BorrowedFd<'_>,
    there: BorrowedFd<'_>,
    label: Option<&MountLabel>,
    empty: &mut Option<OwnedFd>,
    again: impl FnOnce() -> Result<OwnedFd>,
) -> Result<()> {
    if file_type(there)? != FileType::Directory {
        return null(root)?.attach(there, again).map(drop);
    }
    match empty {
        Some(first) => Tree::copy_of(first.as_fd(), c"", false)?.attach(there, again).map(drop),
        None => {
            // One inode, the root, leaves no room for anything.
            let [inodes, mode] = EMPTY.map(|(key, value)| (key, Some(value)));
            let labelled = label.map(|label| (label.option.as_c_str(), Some(label.context.as_c_str())));
            let (plain, labelled) = ([inodes, mode], labelled.map(|label| [inodes, mode, label]));
            let new = NewFs {
                kind: c"tmpfs",
                source: None,
                options: Options::Fixed(labelled.as_ref().map_or(plain.as_slice(), |all| all.as_slice())),
                mode: None,
                ownerless: false,
                attr: ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC,
            };
            *empty = Some(Tree::new(&new).map_err(|(_, e)| e)?.attach(there, again)?);
            Ok(())
        }
    }
}

/// The host's /dev/null: the container's own could be anything (CVE-2025-31133).
#[cfg(not(feature = "unsafe-paths"))]
fn null(_root: BorrowedFd<'_>) -> Result<Tree<'static>> {
    let null = Tree::copy_of(rustix::fs::CWD, c"/dev/null", false)?;
    let stat = rustix::fs::fstat(null.root().ok_or(Errno::NODEV)?)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
        || stat.st_rdev != rustix::fs::makedev(1, 3)
    {
        return Err(Errno::NODEV);
    }
    Ok(null)
}

/// What `/dev/null` is in the container just now, as runtimes took it before.
#[cfg(feature = "unsafe-paths")]
fn null(root: BorrowedFd<'_>) -> Result<Tree<'static>> {
    let there = path_below(root, c"/dev/null", Symlinks::InRoot)?;
    Tree::copy_of(there.as_fd(), c"", false)
}

const EMPTY: [(&CStr, &CStr); 2] = [(c"nr_inodes", c"1"), (c"mode", c"0555")];
