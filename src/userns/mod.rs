//! The store's user namespace: which ids it maps, and how a process of ours gets in.
//!
//! # Theory of operation
//!
//! There are two levels (lib.rs). This module makes the first: root inside is the user, subordinate ids follow from 1 on.
//! No pause process keeps it alive: every process that needs it (monitor, unpacker, `rm`) makes its own namespace with
//! *the same map*, so that ids on disk mean the same to all.
//!
//! ```text
//! parent (any process of the user)                 role process: `coracle --role NAME …`, fd 3 = sync
//!   posix_spawn(/proc/self/exe) ─────────────────▶ unshare(USER|NS)
//!   ◀──────────────────────────────── "unshared" ──
//!   newuidmap PID … ∥ newgidmap PID …
//!   ── "mapped" ──────────────────────────────────▶ setresgid(0) setresuid(0), mounts made private
//! ```
//! The child unshares itself, so the parent never clones without exec and may have threads. newuidmap refuses a process
//! that is not dumpable: a role becomes undumpable only after the handshake.
//!
//! Which map: root's range or `containers`' for real root (never host uid 0: a map 0→0 could open files that belong to real
//! root); the ids that are mapped already inside another user namespace; else the user's subordinate ranges through
//! newuidmap; else the user alone (`SingleUid`), with the reason, said once.

pub mod idmap;
mod role;
pub mod root;
pub mod subid;

pub use idmap::{IdMaps, IdRange};
pub use role::{
    Mapping, RoleChild, SYNC_FD, USERNS_FD, enter_store, enter_store_alone, inside_store, join_store,
    limit_reached, map_role, map_role_when, run_in_store, run_in_store_with, spawn_role, start_mapping,
};

use crate::error::{Error, Result};
use crate::external::Tool;
use crate::sys;
use subid::Which;

/// Writes /proc/PID/uid_map for users (setuid or file capabilities).
pub const NEWUIDMAP: Tool = Tool {
    name: "newuidmap",
    needed_to: "map more than one user id",
    packages: ["uidmap", "shadow-utils", "shadow"],
    search_path: false,
};

/// Writes /proc/PID/gid_map for users.
pub const NEWGIDMAP: Tool = Tool {
    name: "newgidmap",
    needed_to: "map more than one group id",
    packages: ["uidmap", "shadow-utils", "shadow"],
    search_path: false,
};

/// The map of the store's user namespace, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreMap {
    /// Through newuidmap and newgidmap.
    Subordinate(IdMaps),
    /// Written by ourselves: real root, or root of an outer user namespace.
    Direct(IdMaps),
    /// The user alone.
    SingleUid { maps: IdMaps, reason: String },
}

impl StoreMap {
    /// The calling user alone, and why.
    pub fn only_me(reason: String) -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let maps = IdMaps {
            uids: idmap::root_then_subordinate(uid, &[]),
            gids: idmap::root_then_subordinate(gid, &[]),
        };
        Self::SingleUid { maps, reason }
    }

    /// The maps themselves.
    pub fn maps(&self) -> &IdMaps {
        match self {
            Self::Subordinate(maps) | Self::Direct(maps) | Self::SingleUid { maps, .. } => maps,
        }
    }

    /// Only one id is mapped.
    pub fn is_single(&self) -> bool {
        matches!(self, Self::SingleUid { .. })
    }
}

/// Decides the map for the calling user. Reads files; starts `getent` or `getsubids` only where the files say nothing.
pub fn store_map() -> Result<StoreMap> {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    if uid == 0 {
        return if sys::spawn::in_initial_user_namespace() { real_root_map() } else { nested_root_map() };
    }
    let name = name_if_needed(uid);
    let uids = subid::ranges(Which::Uid, uid, name.as_deref());
    let gids = subid::ranges(Which::Gid, uid, name.as_deref());
    let who = name.unwrap_or_else(|| format!("uid {uid}"));
    let reason = if uids.is_empty() {
        format!("/etc/subuid has no range for {who}")
    } else if gids.is_empty() {
        format!("/etc/subgid has no range for {who}")
    } else if NEWUIDMAP.locate().is_none() || NEWGIDMAP.locate().is_none() {
        "newuidmap and newgidmap are not installed".to_owned()
    } else {
        let maps = IdMaps {
            uids: idmap::root_then_subordinate(uid, &uids),
            gids: idmap::root_then_subordinate(gid, &gids),
        };
        return Ok(StoreMap::Subordinate(maps));
    };
    Ok(StoreMap::only_me(reason))
}

/// The user's name. Looked up first because most lines of /etc/subuid go by name.
fn name_if_needed(uid: u32) -> Option<String> {
    subid::user_name(uid)
}

/// Real root gets a subordinate range like everybody else: root's own, or the one named `containers`.
fn real_root_map() -> Result<StoreMap> {
    let range = |which| {
        let own = subid::ranges(which, 0, Some("root"));
        if own.is_empty() { subid::ranges(which, u32::MAX, Some("containers")) } else { own }
    };
    let (uids, gids) = (range(Which::Uid), range(Which::Gid));
    let from_zero = |ranges: &[(u32, u32)]| {
        let mut inside = 0u32;
        let mut map = Vec::new();
        for &(outside, count) in ranges {
            map.push(IdRange { inside, outside, count });
            inside = inside.saturating_add(count);
        }
        map
    };
    if uids.is_empty() || gids.is_empty() {
        let (first, count) = free_high_range()?;
        let only = vec![IdRange { inside: 0, outside: first, count }];
        return Ok(StoreMap::Direct(IdMaps { uids: only.clone(), gids: only }));
    }
    Ok(StoreMap::Direct(IdMaps { uids: from_zero(&uids), gids: from_zero(&gids) }))
}

/// A range above every range of /etc/subuid and /etc/subgid and every uid of /etc/passwd, the same at each call as long as
/// those files do not reach it: it is fixed, and refused when somebody else has it.
fn free_high_range() -> Result<(u32, u32)> {
    const FIRST: u32 = 2_130_706_432; // 0x7F000000: above ids of users, directories and systemd's containers
    const COUNT: u32 = 65_536;
    let taken = ["/etc/subuid", "/etc/subgid"].iter().any(|file| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| {
            let mut fields = line.split(':').skip(1).map(|f| f.trim().parse::<u32>());
            match (fields.next(), fields.next()) {
                (Some(Ok(first)), Some(Ok(count))) => {
                    first < FIRST + COUNT && first.saturating_add(count) > FIRST
                }
                _ => false,
            }
        })
    });
    if taken {
        return Err(Error::host("no id range for root's containers")
            .cause(format_args!("the range {FIRST}-{} is given to somebody in /etc/subuid or /etc/subgid", FIRST + COUNT - 1))
            .hint("Give root a range of its own: `usermod --add-subuids 200000-265535 --add-subgids 200000-265535 root`."));
    }
    Ok((FIRST, COUNT))
}

/// Inside another user namespace as its root: all the ids that it has, as they are. One line for each line of the outer map:
/// the kernel refuses a line that spans two of them.
fn nested_root_map() -> Result<StoreMap> {
    let read = |file: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let same = |r: IdRange| IdRange { outside: r.inside, ..r };
        idmap::parse_text(&text).unwrap_or_default().into_iter().map(same).collect::<Vec<_>>()
    };
    Ok(StoreMap::Direct(IdMaps { uids: read("/proc/self/uid_map"), gids: read("/proc/self/gid_map") }))
}
