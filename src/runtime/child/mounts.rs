//! The mounts of config.json, in order, by fd: a detached tree with its attributes, attached on the fd of its target.

use super::expect;
use super::paths::{Make, ensure_for, ensure_parent};
use crate::runtime::handshake::{Message, send_fd};
use crate::runtime::plan::mounts::{BindSource, FileSystem, MountPlan, Source};
use crate::runtime::step::{Fail, OrFail, Step, fail};
use crate::sys::fs::{Symlinks, file_type, path_below};
use crate::sys::mount::{self, MountAttr};
use crate::sys::tree::{self, NewFs, Options, Part, Tree};
use rustix::fs::{CWD, FileType, Mode, OFlags, XattrFlags};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Makes one mount. Returns the tree, when it is the proc file system that sysctls are written through. `user`: uid and gid of
/// the process.
pub fn apply(
    root: BorrowedFd<'_>,
    socket: BorrowedFd<'_>,
    plan: &MountPlan,
    index: usize,
    user: (u32, u32),
) -> std::result::Result<Option<OwnedFd>, Fail> {
    let symlinks = if plan.strict { Symlinks::Refused } else { Symlinks::InRoot };
    let again = || path_below(root, &plan.target.path, symlinks);
    let attached = match &plan.source {
        Source::Remount => {
            let target = again().or_fail(Step::MountTarget, index)?;
            tree::set_attr(target.as_fd(), &plan.attr, false).or_fail(Step::MountAttributes, index)?;
            tree::set_attr(target.as_fd(), &plan.recursive_attr, true)
                .or_fail(Step::MountAttributes, index)?;
            return Ok(None);
        }
        Source::Symlink(text) => {
            make_link(root, plan, text).or_fail(Step::MountTarget, index)?;
            return Ok(None);
        }
        Source::Bind(bind) => bind_on_target(root, socket, plan, bind, index, user)?,
        Source::FileSystem(fs) => {
            // Before it is covered.
            let mode = Mode4::below(root, fs, plan);
            let below = super::rootfs::copied_up(root, plan).or_fail(Step::MountCopyUp, index)?;
            let target = ensure_for(user, root, &plan.target, Make::Directory, symlinks)
                .or_fail(Step::MountTarget, index)?;
            let attached =
                Attached::Here(file_system(fs, plan, index, mode.as_ref(), target.as_fd(), &again)?);
            if let Some(below) = below {
                let copied = super::rootfs::copy_up(below.as_fd(), plan, attached.as_fd());
                copied.or_fail(Step::MountCopyUp, index)?;
            }
            attached
        }
    };
    for (propagation, recursive) in &plan.propagation {
        let attr = MountAttr { propagation: *propagation, ..MountAttr::default() };
        tree::set_attr(attached.as_fd(), &attr, *recursive).or_fail(Step::MountPropagation, index)?;
    }
    match (&plan.source, attached) {
        (Source::FileSystem(fs), Attached::Here(fd)) if fs.is_proc => Ok(Some(fd)),
        // With the host's pid namespace /proc is a bind, of which the sysctls are still those of who looks.
        (Source::Bind(_), attached) if plan.target.path.as_bytes() == b"proc" => {
            let fd = match attached {
                Attached::Here(fd) => fd,
                Attached::Given(fd) => {
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

/// The root of a mount: made here, or given by the runtime, which made it before the clone.
enum Attached<'a> {
    Here(OwnedFd),
    Given(BorrowedFd<'a>),
}

impl Attached<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Here(fd) => fd.as_fd(),
            Self::Given(fd) => *fd,
        }
    }
}

fn bind_on_target<'a>(
    root: BorrowedFd<'_>,
    socket: BorrowedFd<'_>,
    plan: &MountPlan,
    bind: &'a BindSource,
    index: usize,
    user: (u32, u32),
) -> std::result::Result<Attached<'a>, Fail> {
    let symlinks = if plan.strict { Symlinks::Refused } else { Symlinks::InRoot };
    let make = |is_dir| if is_dir { Make::Directory } else { Make::File };
    let target =
        |make| ensure_for(user, root, &plan.target, make, symlinks).or_fail(Step::MountTarget, index);
    if let Some(given) = &bind.tree {
        mount::attach(given, target(make(bind.is_dir))?).or_fail(Step::MountAttach, index)?;
        return Ok(Attached::Given(given.as_fd()));
    }
    let copy = match &bind.inside {
        Some(inside) => path_below(root, &inside.path, Symlinks::InRoot)
            .and_then(|source| Tree::copy_of(source, c"", bind.recursive)),
        None => Tree::copy_of(CWD, &bind.path, bind.recursive),
    };
    let mut tree = copy.or_fail(Step::MountSource, index)?;
    if bind.inside.is_some() && bind.idmap.is_some() {
        // Only the runtime has the rights to that.
        let fd = tree.root().ok_or(Errno::NOSYS).or_fail(Step::MountSource, index)?;
        let index_sent = u32::try_from(index).unwrap_or(u32::MAX);
        send_fd(socket, Message::Tree(index_sent), fd).or_fail(Step::Handshake, 0)?;
        expect(socket, |m| m == Message::Continue)?;
    }
    let is_dir = match tree.root() {
        Some(root) => file_type(root).or_fail(Step::MountSource, index)? == FileType::Directory,
        None => bind.is_dir,
    };
    if bind.exact {
        // Whatever is locked was locked by the kernel, on its way into this namespace.
        tree.set_exactly(&plan.attr, false).or_fail(Step::MountAttributes, index)?;
        tree.set_attr(&plan.recursive_attr, true).or_fail(Step::MountAttributes, index)?;
    } else {
        change(&mut tree, plan, index)?;
    }
    let target = target(make(is_dir))?;
    let attached = tree.attach(target.as_fd(), || path_below(root, &plan.target.path, symlinks));
    attached.map(Attached::Here).or_fail(Step::MountAttach, index)
}

/// Attributes of a tree, own and recursive.
fn change(tree: &mut Tree<'_>, plan: &MountPlan, index: usize) -> std::result::Result<(), Fail> {
    tree.set_attr(&plan.attr, false).or_fail(Step::MountAttributes, index)?;
    tree.set_attr(&plan.recursive_attr, true).or_fail(Step::MountAttributes, index)
}

/// The mode that a tmpfs takes over, in octal.
struct Mode4([u8; 5]);

impl Mode4 {
    /// That of the directory which it covers, where its options name none.
    fn below(root: BorrowedFd<'_>, fs: &FileSystem, plan: &MountPlan) -> Option<Self> {
        let named = || fs.options.iter().any(|(key, _)| key.as_c_str() == c"mode");
        if fs.kind.as_c_str() != c"tmpfs" || named() {
            return None;
        }
        let below = path_below(root, &plan.target.path, Symlinks::InRoot).ok()?;
        let mode = rustix::fs::fstat(&below).ok()?.st_mode;
        let mut text = [0; 5];
        text.iter_mut().take(4).zip([9, 6, 3, 0]).for_each(|(digit, shift)| {
            *digit = b'0' + (mode >> shift & 7) as u8;
        });
        Some(Self(text))
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"1777")
    }
}

/// Labels the root of a file system that takes no context as an option. A policy may say that it has no labels.
fn label(attached: &OwnedFd, context: &CStr) -> Result<()> {
    let root = rustix::fs::openat(
        attached,
        c".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    match rustix::fs::fsetxattr(&root, c"security.selinux", context.to_bytes(), XattrFlags::empty()) {
        Err(Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// Mounts a new file system, or its fallback where this is not ours to mount.
fn file_system(
    fs: &FileSystem,
    plan: &MountPlan,
    index: usize,
    mode: Option<&Mode4>,
    target: BorrowedFd<'_>,
    again: &dyn Fn() -> Result<OwnedFd>,
) -> std::result::Result<OwnedFd, Fail> {
    let made = |ownerless| {
        let new = NewFs {
            kind: &fs.kind,
            source: fs.source.as_deref(),
            options: Options::Planned(&fs.options),
            mode: mode.map(Mode4::as_c_str),
            ownerless,
            attr: plan.attr.set,
        };
        let step = |(part, e)| {
            let step = if part == Part::Option { Step::MountOption } else { Step::MountSource };
            fail(step, index, e)
        };
        let mut tree = Tree::new(&new).map_err(step)?;
        change(&mut tree, plan, index)?;
        let attached = tree.attach(target, again).or_fail(Step::MountAttach, index)?;
        if let Some(context) = &fs.label {
            label(&attached, context).or_fail(Step::MountLabel, index)?;
        }
        Ok(attached)
    };
    let is = |fail: &Fail, errnos: &[Errno]| errnos.iter().any(|e| e.raw_os_error() == fail.errno);
    let outcome = match made(false) {
        // A gid that is not mapped here (devpts `gid=5`): the file system does without.
        Err(e) if is(&e, &[Errno::INVAL]) && fs.kind.as_c_str() == c"devpts" => made(true),
        other => other,
    };
    match (outcome, &fs.fallback) {
        (Err(e), Some(path)) if is(&e, &[Errno::PERM, Errno::BUSY, Errno::NODEV]) => {
            let mut tree = Tree::copy_of(CWD, path, true).or_fail(Step::MountSource, index)?;
            change(&mut tree, plan, index)?;
            tree.attach(target, again).or_fail(Step::MountAttach, index)
        }
        (outcome, _) => outcome,
    }
}
