//! Id maps that are not the container's own: those of a mount, and those of a caller who may make containers only in a user
//! namespace and gave none.
//!
//! An idmapped mount takes its maps from a user namespace. The kernel keeps that as long as the mount; a process is needed
//! only to make it, and is killed as soon as its maps are written.

use super::maps;
use super::plan::Plan;
use super::plan::mounts::{BindSource, IdMap, MountPlan, Source};
use super::plan::namespaces::{NEWUSER, Namespaces};
use super::spawn::{self, Child};
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use crate::sys::mount::{self, ATTR_IDMAP, MountAttr};
use crate::sys::process::clone_child;
use crate::userns::subid::{self, Which};
use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Maps the ids of a detached tree. `own` are the container's namespaces and those of them that are joined: a mount that names no
/// maps has those of the container's user namespace.
pub fn apply(
    tree: BorrowedFd<'_>,
    map: &IdMap,
    (own, joined): (&Namespaces, &[(u64, OwnedFd)]),
    shown: &str,
    proc: BorrowedFd<'_>,
) -> Result<()> {
    let cannot = || format!("cannot mount {shown}");
    let named = !map.uids.is_empty() || !map.gids.is_empty();
    let (uids, gids) = if named { (&map.uids, &map.gids) } else { (&own.uid_maps, &own.gid_maps) };
    let joined = joined.iter().find(|(kind, _)| *kind == NEWUSER && !named);
    if joined.is_none() && (uids.is_empty() || gids.is_empty()) {
        return Err(Error::usage(cannot())
            .cause("an idmapped mount needs both uidMappings and gidMappings, its own or the container's"));
    }
    let made;
    let namespace = match joined {
        Some((_, fd)) => fd,
        None => {
            made = namespace(uids, gids, proc).what(cannot)?;
            &made
        }
    };
    let attr = MountAttr { set: ATTR_IDMAP, userns_fd: namespace.as_raw_fd() as u64, ..MountAttr::default() };
    match mount::set_attr(tree, &attr, map.recursive) {
        Ok(()) => Ok(()),
        Err(e @ (Errno::INVAL | Errno::PERM)) => Err(e)
            .call(|| "mount_setattr(MOUNT_ATTR_IDMAP)")
            .what(cannot)
            .map_err(|e| e.hint("The file system must know idmapped mounts (ext4, xfs, btrfs, tmpfs and others do) and belong to your own user namespace: for those of the host only root may.")),
        Err(e) => Err(e).call(|| "mount_setattr(MOUNT_ATTR_IDMAP)").what(cannot),
    }
}

/// The same for a mount of `plan` whose tree the child has made.
pub fn apply_to(tree: BorrowedFd<'_>, mount: &MountPlan, plan: &Plan) -> Result<()> {
    let Source::Bind(BindSource { idmap: Some(map), .. }) = &mount.source else { return Ok(()) };
    let proc = super::sources::open_proc()?;
    apply(tree, map, (&plan.namespaces, &plan.joined), &mount.shown, proc.as_fd())
}

/// Who may not copy mounts may not map their ids either.
pub fn refuse(mounts: &[MountPlan]) -> Result<()> {
    for plan in mounts {
        if matches!(&plan.source, Source::Bind(bind) if bind.idmap.is_some()) {
            return Err(Error::usage(format_args!("cannot mount {}", plan.shown))
                .cause("idmapped mounts are for root, of the machine or of the user namespace that owns the file system")
                .hint("Leave uidMappings, gidMappings and idmap out of the mount."));
        }
    }
    Ok(())
}

/// A user namespace with these maps.
fn namespace(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping], proc: BorrowedFd<'_>) -> Result<OwnedFd> {
    // It does nothing but be there.
    let cloned = clone_child(NEWUSER, None, || {
        let mut never = [];
        let _ = rustix::event::poll(&mut never, None);
    })
    .call(|| "clone3(CLONE_NEWUSER)")?;
    let pid = cloned.pid;
    let (socket, _) = super::handshake::pair().call(|| "socketpair()")?;
    let pidfd = cloned.pidfd.map_or_else(|| spawn::pidfd_of(pid), Ok)?;
    let child = Child { pid, pidfd, socket, state: (Vec::new(), Vec::new()) };
    let maps = Namespaces { uid_maps: uids.to_vec(), gid_maps: gids.to_vec(), ..Namespaces::default() };
    let opened = maps::write(pid, &maps, proc).and_then(|()| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let path = format!("{pid}/ns/user");
        Ok(rustix::fs::openat(proc.as_fd(), &path, flags, Mode::empty())
            .call(|| format!("open(/proc/{path})"))?)
    });
    spawn::kill_and_reap(&child);
    opened
}

/// The maps of a caller without privileges whose configuration has no user namespace, as crun makes them: `inside` is the
/// caller, the subordinate ids are the others.
pub fn default_maps(inside: (u32, u32), caller: (u32, u32)) -> (Vec<LinuxIdMapping>, Vec<LinuxIdMapping>) {
    let name = subid::user_name(caller.0);
    let ranges = |which| subid::ranges(which, caller.0, name.as_deref());
    (around(inside.0, caller.0, &ranges(Which::Uid)), around(inside.1, caller.1, &ranges(Which::Gid)))
}

/// `me` inside is `caller` outside; below and above it the ranges follow each other.
fn around(me: u32, caller: u32, ranges: &[(u32, u32)]) -> Vec<LinuxIdMapping> {
    let map = |inside: u32, outside: u32, size: u32| {
        LinuxIdMappingBuilder::default().container_id(inside).host_id(outside).size(size).build().ok()
    };
    let mut maps: Vec<LinuxIdMapping> = map(me, caller, 1).into_iter().collect();
    let mut next = 0u32;
    for &(first, count) in ranges {
        let (mut first, mut count) = (first, count);
        if next <= me {
            let below = count.min(me - next);
            if below > 0 {
                maps.extend(map(next, first, below));
                next += below;
                (first, count) = (first + below, count - below);
            }
            if next == me {
                next += 1;
            }
        }
        if count > 0 {
            maps.extend(map(next, first, count));
            next = next.saturating_add(count);
        }
    }
    maps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::plan::namespaces::map_text;

    #[test]
    fn subordinate_ids_go_around_the_caller() {
        let text = |me, ranges: &[(u32, u32)]| map_text(&around(me, 1000, ranges));
        assert_eq!(text(0, &[(100_000, 65536)]), "0 1000 1\n1 100000 65536\n");
        assert_eq!(text(5, &[(100_000, 10)]), "5 1000 1\n0 100000 5\n6 100005 5\n");
        assert_eq!(text(5, &[(100_000, 3), (200_000, 4)]), "5 1000 1\n0 100000 3\n3 200000 2\n6 200002 2\n");
        assert_eq!(text(7, &[]), "7 1000 1\n");
    }
}
