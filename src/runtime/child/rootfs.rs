//! The root file system: attached, filled, pivoted into.

use super::paths::{Make, ensure_for};
use super::{Inherited, devices, expect, hooks, masks, mounts, tell, terminal};
use crate::runtime::handshake::Message;
use crate::runtime::plan::Plan;
use crate::runtime::plan::mounts::{MountPlan, Source};
use crate::runtime::step::{Fail, OrFail, Step, fail};
use crate::sys::fs::{Symlinks, open_below, path_below};
use crate::sys::mount::{self, ATTR_RDONLY, MS_PRIVATE, MountAttr};
use crate::sys::tree::{self, Tree};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, RawDir, Uid};
use rustix::io::{Errno, Result};
use rustix::mount::UnmountFlags;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Everything about mounts, up to and with the pivot. `pid` is ours as the runtime sees it.
pub fn set_up(plan: &Plan, inherited: &Inherited<'_>, pid: i32) -> std::result::Result<(), Fail> {
    tree::decide();
    tree::set_propagation_of_all(plan.rootfs.host_propagation, true).or_fail(Step::HostPropagation, 0)?;
    let made;
    // Where it is on the host: hooks enter this mount namespace and mount below that path. Where we may not go there, on
    // top of "/": our own lookups still start below it, at the host's root, until the pivot.
    let root = match &plan.rootfs.tree {
        Some(given) => {
            match mount::attach_at(given, &plan.rootfs.path) {
                Err(Errno::ACCESS | Errno::NOENT) => mount::attach_at(given, c"/"),
                other => other,
            }
            .or_fail(Step::RootAttach, 0)?;
            given.as_fd()
        }
        None => {
            let tree = Tree::copy_of(CWD, &plan.rootfs.path, true).or_fail(Step::RootSource, 0)?;
            made = tree::attach_at(tree, &plan.rootfs.path).or_fail(Step::RootAttach, 0)?;
            made.as_fd()
        }
    };
    let private = MountAttr { propagation: MS_PRIVATE, ..MountAttr::default() };
    tree::set_attr(root, &private, false).or_fail(Step::RootAttach, 0)?;

    let user = (plan.process.uid, plan.process.gid);
    let mut proc: Option<OwnedFd> = None;
    for (index, mount) in plan.mounts.iter().enumerate() {
        proc = mounts::apply(root, inherited.socket, mount, index, user)?.or(proc);
    }
    if let Some(dev) = &plan.dev {
        devices::fill(root, dev)?;
    }
    if plan.process.terminal.is_some() {
        terminal::open(root, plan, inherited)?;
    }
    // The specification makes a missing working directory nobody's business; engines expect it to be made.
    let _ = ensure_for(user, root, &plan.rootfs.cwd, Make::Directory, Symlinks::InRoot);
    if plan.waits_for_hooks {
        tell(inherited.socket, Message::AtHooks)?;
        expect(inherited.socket, |m| m == Message::Continue)?;
        // They start in the root file system, as with runc.
        let hooks = &plan.create_container_hooks;
        hooks::run(hooks, inherited, pid, Some(root), Step::CreateHook)?;
    }
    if let Some(dev) = plan.dev.as_ref().filter(|dev| dev.readonly) {
        devices::seal(root, dev)?;
    }
    sysctls(plan, proc.as_ref())?;
    masks::apply(root, plan)?;
    if plan.rootfs.readonly {
        let readonly = MountAttr { set: ATTR_RDONLY, ..MountAttr::default() };
        tree::set_attr(root, &readonly, false).or_fail(Step::RootReadonly, 0)?;
    }
    if !plan.rootfs.pivot {
        // The host's own stay below ours without a pivot: nothing may be seen through them.
        for path in &plan.rootfs.uncovered {
            while rustix::mount::unmount(path.as_c_str(), UnmountFlags::DETACH).is_ok() {}
        }
    }
    enter(root, plan.rootfs.pivot)?;
    if let Some((propagation, recursive)) = plan.rootfs.propagation {
        tree::set_propagation_of_all(propagation, recursive).or_fail(Step::RootPropagation, 0)?;
    }
    Ok(())
}

/// Through the proc file system that was mounted just now, not through a path that somebody could have moved (R3).
fn sysctls(plan: &Plan, proc: Option<&OwnedFd>) -> std::result::Result<(), Fail> {
    for (index, sysctl) in plan.sysctls.iter().enumerate() {
        let Some(proc) = proc else { return Err(fail(Step::Sysctl, index, Errno::NODEV)) };
        let file = open_below(proc.as_fd(), &sysctl.path, OFlags::WRONLY, Symlinks::Refused);
        file.and_then(|file| rustix::io::write(&file, sysctl.value.as_bytes()))
            .or_fail(Step::Sysctl, index)?;
    }
    Ok(())
}

/// Makes `root` the root of the process and drops the host's.
fn enter(root: BorrowedFd<'_>, pivot: bool) -> std::result::Result<(), Fail> {
    rustix::process::fchdir(root).or_fail(Step::Pivot, 0)?;
    if pivot {
        // The old root lands on top of the new one, and is taken off.
        rustix::process::pivot_root(c".", c".").or_fail(Step::Pivot, 0)?;
        rustix::mount::unmount(c".", UnmountFlags::DETACH).or_fail(Step::Detach, 0)?;
    } else {
        // On top of the old root, so that this is the namespace's root and the process is not in a chroot.
        let _ = tree::move_to_slash(root);
        rustix::process::chroot(c".").or_fail(Step::Pivot, 1)?;
    }
    rustix::process::chdir(c"/").or_fail(Step::Pivot, 0)
}

/// The directory whose content goes into the new tmpfs (`tmpcopyup`): none where there is none.
pub fn copied_up(root: BorrowedFd<'_>, plan: &MountPlan) -> Result<Option<OwnedFd>> {
    if !plan.copy_up {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    match open_below(root, &plan.target.path, flags, Symlinks::InRoot) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Copies what the target held: directories, files and symlinks, with their owners.
pub fn copy_up(from: BorrowedFd<'_>, plan: &MountPlan, tree: BorrowedFd<'_>) -> Result<()> {
    let to = path_below(tree, c"", Symlinks::Refused)?;
    let says_mode = matches!(&plan.source, Source::FileSystem(fs) if fs.options.iter().any(|(key, _)| key.as_c_str() == c"mode"));
    if !says_mode {
        copy_owner(from, &to)?;
    }
    copy_directory(from, to.as_fd(), 0)
}

/// Deepest directory that is copied.
const MAX_DEPTH: u32 = 64;

fn copy_directory(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: u32) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Errno::LOOP);
    }
    let mut buffer = [MaybeUninit::<u8>::uninit(); 2048];
    let mut entries = RawDir::new(from, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::from(0o700))?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let (below_from, below_to) = (
                    rustix::fs::openat(from, name, flags, Mode::empty())?,
                    rustix::fs::openat(to, name, flags, Mode::empty())?,
                );
                copy_directory(below_from.as_fd(), below_to.as_fd(), depth + 1)?;
                copy_owner(&below_from, &below_to)?;
            }
            FileType::RegularFile => copy_file(from, to, name)?,
            FileType::Symlink => {
                // One byte more than the longest target: a C string without a copy.
                let mut target = [0u8; 4097];
                if let Some((_, room)) = target.split_last_mut() {
                    rustix::fs::readlinkat_raw(from, name, room)?;
                }
                let target = CStr::from_bytes_until_nul(&target).map_err(|_| Errno::NAMETOOLONG)?;
                rustix::fs::symlinkat(target, to, name)?;
                rustix::fs::chownat(to, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // Another container may change the directory meanwhile: a fifo must not stop us, and what counts is what was opened.
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = rustix::fs::openat(from, name, read, Mode::empty())?;
    let stat = rustix::fs::fstat(&source)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(());
    }
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let copy = rustix::fs::openat(to, name, write, Mode::from(0o600))?;
    while rustix::fs::sendfile(&copy, &source, None, 1 << 20)? > 0 {}
    rustix::fs::fchown(&copy, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(&copy, Mode::from(stat.st_mode & 0o7777))
}

/// Owner and mode of a directory. The target may be an O_PATH fd.
fn copy_owner(from: impl AsFd, to: &OwnedFd) -> Result<()> {
    let stat = rustix::fs::fstat(from)?;
    let dir =
        rustix::fs::openat(to, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::fchown(&dir, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(&dir, Mode::from(stat.st_mode & 0o7777))
}
