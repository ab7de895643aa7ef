//! The mounts of config.json, in order, by fd: a detached tree with its attributes, attached on the fd of its target.

use super::paths::{Make, ensure, ensure_parent};
use crate::runtime::plan::mounts::{BindSource, FileSystem, MountPlan, Source};
use crate::runtime::step::{Fail, OrFail, Step, fail};
use crate::sys::fs::{Symlinks, file_type, path_below};
use crate::sys::mount::{self, MountAttr};
use rustix::fs::{CWD, FileType};
use rustix::io::{Errno, Result};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Makes one mount. Returns the tree, when it is the proc file system that sysctls are written through.
pub fn apply(
    root: BorrowedFd<'_>,
    plan: &MountPlan,
    index: usize,
) -> std::result::Result<Option<OwnedFd>, Fail> {
    let symlinks = if plan.strict { Symlinks::Refused } else { Symlinks::InRoot };
    let (tree, make) = match &plan.source {
        Source::Remount => {
            let target = path_below(root, &plan.target.path, symlinks).or_fail(Step::MountTarget, index)?;
            change(target.as_fd(), plan, index)?;
            return Ok(None);
        }
        Source::Symlink(text) => {
            make_link(root, plan, text).or_fail(Step::MountTarget, index)?;
            return Ok(None);
        }
        Source::Bind(bind) => bind_tree(bind, index)?,
        Source::FileSystem(fs) => (Tree::Made(file_system(fs, &plan.attr, index)?), Make::Directory),
    };
    let tree_fd = tree.as_fd();
    if !matches!(plan.source, Source::Bind(BindSource { tree: Some(_), .. })) {
        change(tree_fd, plan, index)?;
    }
    if plan.copy_up {
        super::rootfs::copy_up(root, plan, tree_fd).or_fail(Step::MountCopyUp, index)?;
    }
    let target = ensure(root, &plan.target, make, symlinks).or_fail(Step::MountTarget, index)?;
    mount::attach(tree_fd, &target).or_fail(Step::MountAttach, index)?;
    for (propagation, recursive) in &plan.propagation {
        let attr = MountAttr { propagation: *propagation, ..MountAttr::default() };
        mount::set_attr(tree_fd, &attr, *recursive).or_fail(Step::MountPropagation, index)?;
    }
    match (&plan.source, tree) {
        (Source::FileSystem(fs), Tree::Made(fd)) if fs.is_proc => Ok(Some(fd)),
        // With the host's pid namespace /proc is a bind, of which the sysctls are still those of who looks.
        (Source::Bind(_), tree) if plan.target.path.as_bytes() == b"proc" => {
            let fd = match tree {
                Tree::Made(fd) => fd,
                Tree::Given(fd) => {
                    rustix::io::fcntl_dupfd_cloexec(fd, 3).or_fail(Step::MountSource, index)?
                }
            };
            let is_proc = rustix::fs::fstatfs(&fd).is_ok_and(|fs| fs.f_type == rustix::fs::PROC_SUPER_MAGIC);
            Ok(Some(fd).filter(|_| is_proc))
        }
        _ => Ok(None),
    }
}

/// What is there already stays where it is such a link.
fn make_link(root: BorrowedFd<'_>, plan: &MountPlan, text: &CStr) -> Result<()> {
    let dir = ensure_parent(root, &plan.target, Symlinks::InRoot)?;
    let Some(step) = plan.target.steps.last() else { return Err(Errno::INVAL) };
    match rustix::fs::symlinkat(text, &dir, step.name.as_c_str()) {
        Err(Errno::EXIST) => {
            let mut there = [std::mem::MaybeUninit::<u8>::uninit(); 4096];
            let (there, _) = rustix::fs::readlinkat_raw(&dir, step.name.as_c_str(), &mut there)?;
            if there == text.to_bytes() { Ok(()) } else { Err(Errno::EXIST) }
        }
        other => other,
    }
}

/// A tree made here, or one that the runtime made before the clone.
enum Tree<'a> {
    Made(OwnedFd),
    Given(BorrowedFd<'a>),
}

impl Tree<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Made(fd) => fd.as_fd(),
            Self::Given(fd) => *fd,
        }
    }
}

fn bind_tree(bind: &BindSource, index: usize) -> std::result::Result<(Tree<'_>, Make), Fail> {
    let make = |is_dir| if is_dir { Make::Directory } else { Make::File };
    if let Some(tree) = &bind.tree {
        return Ok((Tree::Given(tree.as_fd()), make(bind.is_dir)));
    }
    let tree = mount::clone_tree(CWD, &bind.path, bind.recursive).or_fail(Step::MountSource, index)?;
    let is_dir = file_type(tree.as_fd()).or_fail(Step::MountSource, index)? == FileType::Directory;
    Ok((Tree::Made(tree), make(is_dir)))
}

/// Attributes of a tree, own and recursive.
fn change(tree: BorrowedFd<'_>, plan: &MountPlan, index: usize) -> std::result::Result<(), Fail> {
    set_attributes(tree, &plan.attr, false).or_fail(Step::MountAttributes, index)?;
    set_attributes(tree, &plan.recursive_attr, true).or_fail(Step::MountAttributes, index)
}

/// Sets attributes. What a more privileged namespace has locked stays locked: clearing is then left out, setting is not.
pub fn set_attributes(tree: BorrowedFd<'_>, attr: &MountAttr, recursive: bool) -> Result<()> {
    if attr.is_empty() {
        return Ok(());
    }
    match mount::set_attr(tree, attr, recursive) {
        Err(Errno::PERM) if attr.clear != 0 => {
            let only_set = MountAttr { clear: 0, set: attr.set & !mount::ATTR_ATIME, ..*attr };
            if only_set.is_empty() { Ok(()) } else { mount::set_attr(tree, &only_set, recursive) }
        }
        other => other,
    }
}

/// A detached mount of a new file system, or of its fallback where this is not ours to mount.
fn file_system(fs: &FileSystem, attr: &MountAttr, index: usize) -> std::result::Result<OwnedFd, Fail> {
    let made = match new_file_system(fs, attr, true) {
        // A gid that is not mapped here (devpts `gid=5`): the file system does without.
        Err((_, Errno::INVAL)) if fs.kind.as_c_str() == c"devpts" => new_file_system(fs, attr, false),
        other => other,
    };
    match (made, &fs.fallback) {
        (Err((_, Errno::PERM | Errno::BUSY | Errno::NODEV)), Some(path)) => {
            mount::clone_tree(CWD, path, true).or_fail(Step::MountSource, index)
        }
        (made, _) => made.map_err(|(step, e)| fail(step, index, e)),
    }
}

fn new_file_system(
    fs: &FileSystem,
    attr: &MountAttr,
    owners: bool,
) -> std::result::Result<OwnedFd, (Step, Errno)> {
    let source = |e| (Step::MountSource, e);
    let context = rustix::mount::fsopen(fs.kind.as_c_str(), FsOpenFlags::FSOPEN_CLOEXEC).map_err(source)?;
    if let Some(name) = &fs.source {
        rustix::mount::fsconfig_set_string(&context, c"source", name.as_c_str()).map_err(source)?;
    }
    for (key, value) in &fs.options {
        if !owners && is_owner(key) {
            continue;
        }
        let set = match value {
            Some(value) => rustix::mount::fsconfig_set_string(&context, key.as_c_str(), value.as_c_str()),
            None => rustix::mount::fsconfig_set_flag(&context, key.as_c_str()),
        };
        set.map_err(|e| (Step::MountOption, e))?;
    }
    rustix::mount::fsconfig_create(&context).map_err(source)?;
    let flags = MountAttrFlags::from_bits_retain(attr.set as u32);
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags).map_err(source)
}

fn is_owner(key: &CStr) -> bool {
    key == c"gid" || key == c"uid"
}
