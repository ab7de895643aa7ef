//! Opens, before the clone, what the child must not open by path: bind sources and the rootfs (the child may lack the
//! rights of its caller), namespaces to join, the host's /proc.
//!
//! A bind source becomes a detached copy of its tree with all attributes set. Where the caller may not copy mounts (an
//! unprivileged user outside of any user namespace), the child does it by path in its own mount namespace.

use super::idmap;
use super::plan::Plan;
use super::plan::mounts::{MountPlan, Source};
use super::plan::namespaces::{NEWUSER, Namespaces, name_of};
use super::words;
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use crate::sys::exact;
use crate::sys::fs::file_type;
use crate::sys::mount::{self, MS_SHARED, MS_SLAVE, MountAttr};
use crate::sys::ns;
use crate::sys::tree;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// statfs(2), PROC_SUPER_MAGIC.
const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// linux/proc_ns.h, PROC_ROOT_INO.
const PROC_ROOT_INODE: u64 = 1;

/// Opens everything of `plan` that is to be opened. `bundle_config` errors name the mount.
pub fn open(plan: &mut Plan, proc: BorrowedFd<'_>) -> Result<()> {
    plan.joined = join_fds(&plan.namespaces)?;
    for mount in &mut plan.mounts {
        if let Source::Bind(bind) = &mount.source
            && bind.copy_symlink
            && let Ok(text) = rustix::fs::readlink(&bind.path, Vec::new())
        {
            mount.source = Source::Symlink(text);
        }
    }
    let own_user = plan.namespaces.has(NEWUSER);
    // A stage joins a mount namespace only when the container joins one: then paths mean something else there.
    // On an older kernel, and where we may not mount, the child does it by path.
    if !tree::copies_are_made_here() {
        return idmap::refuse(&plan.mounts);
    }
    match mount::clone_tree(CWD, &plan.rootfs.path, true) {
        Ok(tree) => {
            let slave = MountAttr { propagation: MS_SLAVE, ..MountAttr::default() };
            mount::set_attr(tree.as_fd(), &slave, true)
                .call(|| format!("mount_setattr({:?}, MS_SLAVE)", plan.rootfs.path))?;
            plan.rootfs.tree = Some(tree);
        }
        Err(Errno::PERM) => return idmap::refuse(&plan.mounts),
        Err(e) => {
            let path = plan.rootfs.path.to_string_lossy().into_owned();
            return Err(e).call(|| format!("open_tree({path:?})")).what(|| "cannot use the root file system");
        }
    }
    for mount in &mut plan.mounts {
        open_source(mount, own_user, &plan.namespaces, &plan.joined, proc)?;
    }
    Ok(())
}

fn open_source(
    plan: &mut MountPlan,
    own_user: bool,
    namespaces: &Namespaces,
    joined: &[(u64, OwnedFd)],
    proc: BorrowedFd<'_>,
) -> Result<()> {
    let Source::Bind(bind) = &mut plan.source else { return Ok(()) };
    if bind.inside.is_some() {
        return Ok(());
    }
    let path = bind.path.to_string_lossy().into_owned();
    let cannot = || format!("cannot mount {}", plan.shown);
    let tree = mount::clone_tree(CWD, &bind.path, bind.recursive)
        .call(|| format!("open_tree({path:?})"))
        .what(cannot)?;
    bind.is_dir = file_type(tree.as_fd()).call(|| format!("fstat({path:?})"))? == FileType::Directory;
    // A copy of a shared mount would carry the container's mounts to the host; slave is the direction that is safe.
    // Shared is for those who ask for it and are no user namespace of their own.
    let shared = plan.propagation.iter().any(|(kind, _)| *kind == MS_SHARED);
    if !shared || own_user {
        let slave = MountAttr { propagation: MS_SLAVE, ..MountAttr::default() };
        mount::set_attr(tree.as_fd(), &slave, true)
            .call(|| format!("mount_setattr({path:?}, MS_SLAVE)"))
            .what(cannot)?;
    }
    if let Some(map) = &bind.idmap {
        idmap::apply(tree.as_fd(), map, (namespaces, joined), &plan.shown, proc)?;
    }
    let attr = |e: Errno| {
        let error: Result<()> = Err(e).call(|| format!("mount_setattr({path:?})")).what(cannot);
        if e == Errno::PERM { error.map_err(|error| error.hint(words::LOCKED)) } else { error }
    };
    match bind.exact {
        true => exact::set(tree.as_fd(), &plan.attr, own_user).or_else(attr)?,
        false => tree::set_what_may_be_set(tree.as_fd(), &plan.attr, false).or_else(attr)?,
    }
    tree::set_what_may_be_set(tree.as_fd(), &plan.recursive_attr, true).or_else(attr)?;
    bind.tree = Some(tree);
    Ok(())
}

/// A path that leads to a namespace of another type is refused here. Joining that would leave the container in the
/// runtime's namespace of the type that was meant; and with the host's mount namespace for another one, its root file
/// system would be put in place of the host's.
fn join_fds(namespaces: &Namespaces) -> Result<Vec<(u64, OwnedFd)>> {
    let open = |join: &super::plan::namespaces::Join| {
        let cannot = || format!("cannot join the namespace {}", join.path.display());
        let fd = rustix::fs::open(&join.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .call(|| format!("open({:?})", join.path))
            .what(cannot)?;
        let kind =
            ns::kind(fd.as_fd()).call(|| format!("ioctl({:?}, NS_GET_NSTYPE)", join.path)).what(cannot)?;
        if kind != join.kind {
            let (is, wanted) = (name_of(kind), name_of(join.kind));
            return Err(Error::usage(cannot())
                .cause(format_args!("it is of type {is}, and linux.namespaces wants one of type {wanted}")));
        }
        Ok((kind, fd))
    };
    namespaces.join.iter().map(open).collect()
}

/// The host's /proc, which must be a proc file system and nothing that somebody mounted over it (R3).
pub fn open_proc() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = rustix::fs::open(c"/proc", flags, Mode::empty()).call(|| "open(\"/proc\")")?;
    let kind = rustix::fs::fstatfs(&proc).call(|| "fstatfs(\"/proc\")")?.f_type;
    if u64::try_from(kind) != Ok(PROC_SUPER_MAGIC) {
        return Err(Error::host("cannot use /proc").cause("it is not a proc file system"));
    }
    if rustix::fs::fstat(&proc).call(|| "fstat(\"/proc\")")?.st_ino != PROC_ROOT_INODE {
        return Err(Error::host("cannot use /proc").cause("a part of a proc file system is mounted there"));
    }
    Ok(proc)
}
