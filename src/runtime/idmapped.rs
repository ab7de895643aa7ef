//! Idmapped bind mounts (Linux 5.12): the tree shows the ids of a user namespace that has the maps and that nobody is in.
//!
//! The kernel takes maps only as a namespace, and a namespace only from a process: a child of ours is born in it, waits
//! until the maps are written and the namespace is open, and is killed. Mounts with equal maps share one.
//! Whoever does it must be root over the file system: real root, but for file systems of the caller's own namespace.

use super::maps;
use super::plan::mounts::IdMap;
use super::plan::namespaces::{NEWUSER, Namespaces};
use super::spawn::pidfd_of;
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use crate::sys::mount::{self, ATTR_IDMAP, MountAttr};
use crate::sys::process::clone_child;
use oci_spec::runtime::LinuxIdMapping;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Namespaces made for the mounts of one container.
#[derive(Debug)]
pub struct Mapper<'a> {
    /// Of the container: for mounts that say `idmap` and bring no maps.
    pub namespaces: &'a Namespaces,
    pub joined: &'a [(u64, OwnedFd)],
    pub proc: BorrowedFd<'a>,
    pub made: Vec<(IdMap, OwnedFd)>,
}

impl Mapper<'_> {
    /// Maps the detached `tree`. Errors: no maps, a file system that cannot be mapped (EINVAL), no rights over it (EPERM).
    pub fn map(&mut self, tree: BorrowedFd<'_>, wanted: &IdMap) -> Result<()> {
        let own = wanted.uids.is_empty() && wanted.gids.is_empty();
        if own && let Some((_, fd)) = self.joined.iter().find(|(kind, _)| *kind == NEWUSER) {
            return set(tree, fd.as_fd(), wanted.recursive);
        }
        let (uids, gids) = match own {
            true => (self.namespaces.uid_maps.clone(), self.namespaces.gid_maps.clone()),
            false => (wanted.uids.clone(), wanted.gids.clone()),
        };
        if uids.is_empty() || gids.is_empty() {
            return Err(Error::usage("an idmapped mount needs both uidMappings and gidMappings")
                .cause("and without any of its own the container needs a user namespace"));
        }
        let maps = IdMap { uids, gids, recursive: false };
        let at = match self.made.iter().position(|(made, _)| *made == maps) {
            Some(at) => at,
            None => {
                let fd = namespace(&maps.uids, &maps.gids, self.proc)?;
                self.made.push((maps, fd));
                self.made.len() - 1
            }
        };
        match self.made.get(at) {
            Some((_, fd)) => set(tree, fd.as_fd(), wanted.recursive),
            None => Err(Error::internal("a namespace was lost")),
        }
    }
}

fn set(tree: BorrowedFd<'_>, namespace: BorrowedFd<'_>, recursive: bool) -> Result<()> {
    let userns_fd = u64::try_from(namespace.as_raw_fd()).unwrap_or_default();
    let attr = MountAttr { set: ATTR_IDMAP, userns_fd, ..MountAttr::default() };
    mount::set_attr(tree, &attr, recursive)
        .call(|| "mount_setattr(MOUNT_ATTR_IDMAP)")
        .what(|| "cannot map the ids of the mount")
        .hint(|| "The file system must know idmapped mounts, and only root may map it.")
}

/// A user namespace with these maps.
fn namespace(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping], proc: BorrowedFd<'_>) -> Result<OwnedFd> {
    let wait = || {
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        loop {
            let _ = rustix::event::poll(&mut [], None);
        }
    };
    let child = clone_child(NEWUSER, None, wait)
        .call(|| "clone3(CLONE_NEWUSER)")
        .what(|| "cannot make a user namespace for an idmapped mount")?;
    let opened = maps::write(child.pid, uids, gids, proc).and_then(|()| {
        let path = format!("{}/ns/user", child.pid);
        let fd = rustix::fs::openat(proc, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        Ok(fd.call(|| format!("open(/proc/{path})"))?)
    });
    let pidfd = child.pidfd.map_or_else(|| pidfd_of(child.pid), Ok)?;
    let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
    if let Some(pid) = Pid::from_raw(child.pid) {
        let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
    }
    opened
}
