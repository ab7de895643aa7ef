//! Writing the id maps of a new user namespace, from its parent.
//!
//! Directly where the kernel lets us: root of the parent namespace (real root, or coracle's store namespace), or a user
//! who maps only itself (then setgroups must be denied first). Else newuidmap and newgidmap do it, at the same time.

use super::plan::namespaces::map_text;
use crate::error::{Context, Result};
use crate::external::{Tool, last_words};
use crate::sys::CallContext;
use oci_spec::runtime::LinuxIdMapping;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;
use std::process::{Child, Stdio};

const NEWUIDMAP: Tool = Tool {
    name: "newuidmap",
    needed_to: "map more than one user id",
    packages: ["uidmap", "shadow-utils", "shadow"],
    search_path: false,
};
const NEWGIDMAP: Tool = Tool { name: "newgidmap", needed_to: "map more than one group id", ..NEWUIDMAP };

/// Writes both maps of process `pid`.
pub fn write(pid: i32, uids: &[LinuxIdMapping], gids: &[LinuxIdMapping], proc: BorrowedFd<'_>) -> Result<()> {
    let root = rustix::process::geteuid().is_root();
    let only_me = maps_only(uids, rustix::process::geteuid().as_raw())
        && maps_only(gids, rustix::process::getegid().as_raw());
    if !root && !only_me {
        return by_helpers(pid, uids, gids);
    }
    if !root {
        put(pid, "setgroups", "deny", proc).call(|| format!("write(/proc/{pid}/setgroups, \"deny\")"))?;
    }
    let direct =
        put(pid, "uid_map", &map_text(uids), proc).and_then(|()| put(pid, "gid_map", &map_text(gids), proc));
    match direct {
        Ok(()) => Ok(()),
        // Root of a namespace without CAP_SETUID, or a map beyond what it holds: the helpers know who was granted what.
        Err(Errno::PERM) if NEWUIDMAP.locate().is_some() => by_helpers(pid, uids, gids),
        Err(e) => Err(e)
            .call(|| {
                format!("write(/proc/{pid}/uid_map, {:?}; gid_map, {:?})", map_text(uids), map_text(gids))
            })
            .what(|| "cannot map user ids for the container"),
    }
}

fn maps_only(maps: &[LinuxIdMapping], id: u32) -> bool {
    matches!(maps, [map] if map.size() == 1 && map.host_id() == id)
}

fn put(pid: i32, name: &str, text: &str, proc: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let file =
        rustix::fs::openat(proc, format!("{pid}/{name}"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text.as_bytes()).map(drop)
}

fn by_helpers(pid: i32, uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<()> {
    let uid = start(&NEWUIDMAP, pid, uids)?;
    let gid = start(&NEWGIDMAP, pid, gids)?;
    let (uid, gid) = (finish(&NEWUIDMAP, uid), finish(&NEWGIDMAP, gid));
    uid.and(gid)
}

fn start(tool: &Tool, pid: i32, maps: &[LinuxIdMapping]) -> Result<Child> {
    let numbers = maps.iter().flat_map(|map| [map.container_id(), map.host_id(), map.size()]);
    let mut command = tool.command()?;
    command.arg(pid.to_string()).args(numbers.map(|n| n.to_string()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().map_err(|e| tool.failed(&e.to_string()))
}

fn finish(tool: &Tool, child: Child) -> Result<()> {
    let output = child.wait_with_output().map_err(|e| tool.failed(&e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = last_words(&output.stderr, &output.status.to_string());
    Err(tool
        .failed(&words)
        .hint("Give the user subordinate ids in /etc/subuid and /etc/subgid, see coracle-rootless(7)."))
}

/// Whether this process is in the initial user namespace: its id map is the whole range onto itself.
pub fn in_initial_user_namespace(proc: BorrowedFd<'_>) -> bool {
    // include/linux/proc_ns.h, PROC_USER_INIT_INO.
    const INITIAL: u64 = 0xEFFF_FFFD;
    rustix::fs::statat(proc, "self/ns/user", rustix::fs::AtFlags::empty())
        .is_ok_and(|stat| stat.st_ino == INITIAL)
}
