//! `/dev`: nodes made, or bound from the host where making them is not permitted; and its links.

use super::paths::{Make, ensure, ensure_parent};
use crate::runtime::plan::devices::DevicePlan;
use crate::runtime::plan::{Dev, target::TargetStep};
use crate::runtime::step::{Fail, OrFail, Step};
use crate::sys::fs::{Symlinks, path_below};
use crate::sys::mount::{ATTR_RDONLY, MountAttr};
use crate::sys::tree::{self, Tree};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, BorrowedFd};

/// Fills `/dev`. A `/dev` that is a symlink is refused: nodes would be made elsewhere (R4).
pub fn fill(root: BorrowedFd<'_>, dev: &Dev) -> std::result::Result<(), Fail> {
    let dir = ensure(root, &dev.target, Make::Directory, Symlinks::Refused).or_fail(Step::DevOpen, 0)?;
    for (index, node) in dev.nodes.iter().enumerate() {
        node_or_bind(root, node, dev.mknod).or_fail(Step::Device, index)?;
    }
    for (index, link) in dev.links.iter().enumerate() {
        match rustix::fs::symlinkat(link.to.as_c_str(), &dir, link.name.as_c_str()) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => Err(e).or_fail(Step::DevLink, index)?,
        }
    }
    Ok(())
}

/// Makes it read-only, as its mount asked for, now that everything is in it.
pub fn seal(root: BorrowedFd<'_>, dev: &Dev) -> std::result::Result<(), Fail> {
    let attr = MountAttr { set: ATTR_RDONLY, ..MountAttr::default() };
    path_below(root, &dev.target.path, Symlinks::Refused)
        .and_then(|dir| tree::set_attr(dir.as_fd(), &attr, false))
        .or_fail(Step::DevOpen, 1)
}

fn node_or_bind(root: BorrowedFd<'_>, node: &DevicePlan, mknod: bool) -> Result<()> {
    // A node that the image or a mount brought is kept when it is the right one.
    if let Ok(there) = path_below(root, &node.target.path, Symlinks::Refused)
        && is_node(there.as_fd(), node)?
    {
        return Ok(());
    }
    if node.kind == FileType::Fifo || mknod {
        match make(root, node) {
            Err(Errno::PERM) if node.kind != FileType::Fifo => {}
            other => return other,
        }
    }
    bind(root, node)
}

fn is_node(fd: BorrowedFd<'_>, node: &DevicePlan) -> Result<bool> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == node.kind && stat.st_rdev == node.number)
}

fn make(root: BorrowedFd<'_>, node: &DevicePlan) -> Result<()> {
    let dir = ensure_parent(root, &node.target, Symlinks::Refused)?;
    let Some(TargetStep { name, .. }) = node.target.steps.last() else { return Err(Errno::INVAL) };
    let name = name.as_c_str();
    rustix::fs::mknodat(&dir, name, node.kind, Mode::from(node.mode), node.number)?;
    if node.uid != 0 || node.gid != 0 {
        let (uid, gid) = (Some(Uid::from_raw(node.uid)), Some(Gid::from_raw(node.gid)));
        rustix::fs::chownat(&dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Binds the host's node, after a look whether it is the one that was meant.
fn bind(root: BorrowedFd<'_>, node: &DevicePlan) -> Result<()> {
    let tree = Tree::copy_of(CWD, &node.host, false)?;
    if !is_node(tree.root().ok_or(Errno::NODEV)?, node)? {
        return Err(Errno::NODEV);
    }
    let target = ensure(root, &node.target, Make::File, Symlinks::Refused)?;
    tree.attach(target.as_fd(), || path_below(root, &node.target.path, Symlinks::Refused)).map(drop)
}
