//! `linux.namespaces` → clone flags, namespaces to join, and who has to do the joining. Pure.
//!
//! Three ways, the cheapest first:
//! - all are new: one clone3 makes them (a new user namespace owns the others);
//! - some are joined and no user or pid namespace is involved: the child joins them itself;
//! - a user or pid namespace is joined, or others are joined beside a *new* user namespace: a short-lived *stage*
//!   process joins, then clones the child as its sibling (CLONE_PARENT). The runtime process itself never joins:
//!   its hooks and its files belong outside.

use crate::error::{Error, Result};
use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespaceType};
use std::path::PathBuf;

pub const NEWTIME: u64 = libc::CLONE_NEWTIME as u64;
pub const NEWNS: u64 = libc::CLONE_NEWNS as u64;
pub const NEWCGROUP: u64 = libc::CLONE_NEWCGROUP as u64;
pub const NEWUTS: u64 = libc::CLONE_NEWUTS as u64;
pub const NEWIPC: u64 = libc::CLONE_NEWIPC as u64;
pub const NEWUSER: u64 = libc::CLONE_NEWUSER as u64;
pub const NEWPID: u64 = libc::CLONE_NEWPID as u64;
pub const NEWNET: u64 = libc::CLONE_NEWNET as u64;

/// The namespaces of a container.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// CLONE_NEW* flags for clone3.
    pub create: u64,
    /// The child makes it itself, once it is in its cgroup: the namespace's root is where its maker is.
    pub new_cgroup: bool,
    /// The child makes it itself: offsets can be set only before anybody is inside. The text of `timens_offsets`.
    pub new_time: Option<Vec<u8>>,
    /// To be joined, in the order in which it must be tried.
    pub join: Vec<Join>,
    /// Maps of the new user namespace.
    pub uid_maps: Vec<LinuxIdMapping>,
    pub gid_maps: Vec<LinuxIdMapping>,
}

/// A namespace that exists.
#[derive(Debug, PartialEq, Eq)]
pub struct Join {
    /// Its CLONE_NEW* flag.
    pub kind: u64,
    pub path: PathBuf,
}

impl Namespaces {
    /// Whether a stage process has to join before the clone.
    pub fn needs_stage(&self) -> bool {
        let special = self.join.iter().any(|join| join.kind & (NEWUSER | NEWPID) != 0);
        special || (self.create & NEWUSER != 0 && !self.join.is_empty())
    }

    /// Adds a new user namespace with these maps.
    pub fn add_user(&mut self, uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) {
        self.create |= NEWUSER;
        self.uid_maps = uids.to_vec();
        self.gid_maps = gids.to_vec();
    }

    /// Whether a new user namespace is made, so that maps must be written.
    pub fn new_user(&self) -> bool {
        self.create & NEWUSER != 0
    }

    /// Whether the container has a namespace of this kind of its own, new or joined.
    pub fn has(&self, kind: u64) -> bool {
        self.create & kind != 0
            || self.join.iter().any(|join| join.kind == kind)
            || (kind == NEWCGROUP && self.new_cgroup)
            || (kind == NEWTIME && self.new_time.is_some())
    }
}

/// The clone flag and the name in /proc/PID/ns of each type.
pub fn flag_of(typ: LinuxNamespaceType) -> (u64, &'static str) {
    match typ {
        LinuxNamespaceType::Mount => (NEWNS, "mnt"),
        LinuxNamespaceType::Cgroup => (NEWCGROUP, "cgroup"),
        LinuxNamespaceType::Uts => (NEWUTS, "uts"),
        LinuxNamespaceType::Ipc => (NEWIPC, "ipc"),
        LinuxNamespaceType::User => (NEWUSER, "user"),
        LinuxNamespaceType::Pid => (NEWPID, "pid"),
        LinuxNamespaceType::Network => (NEWNET, "net"),
        LinuxNamespaceType::Time => (NEWTIME, "time"),
    }
}

/// The name in /proc/PID/ns of a clone flag.
pub fn name_of(kind: u64) -> &'static str {
    use LinuxNamespaceType::{Cgroup, Ipc, Mount, Network, Pid, Time, User, Uts};
    let all = [Mount, Cgroup, Uts, Ipc, User, Pid, Network, Time].map(flag_of);
    all.into_iter().find(|(flag, _)| *flag == kind).map_or("unknown", |(_, name)| name)
}

/// Plans the namespaces of `linux` for a caller with these ids. A user namespace without maps maps root to the caller,
/// as crun does.
pub fn plan(linux: &Linux, (uid, gid): (u32, u32)) -> Result<Namespaces> {
    let mut plan = Namespaces::default();
    let mut seen = 0;
    for ns in linux.namespaces().as_deref().unwrap_or_default() {
        let (kind, name) = flag_of(ns.typ());
        if seen & kind != 0 {
            return Err(Error::usage(format_args!("namespace {name} is listed twice")));
        }
        seen |= kind;
        match ns.path() {
            Some(path) if !path.as_os_str().is_empty() => plan.join.push(Join { kind, path: path.clone() }),
            _ if kind == NEWCGROUP => plan.new_cgroup = true,
            _ if kind == NEWTIME => plan.new_time = Some(time_offsets(linux)),
            _ => plan.create |= kind,
        }
    }
    if seen & NEWNS == 0 {
        return Err(Error::usage("a container needs a mount namespace")
            .cause("linux.namespaces has no entry of type mount"));
    }
    if plan.new_user() {
        plan.uid_maps = maps_or_me(linux.uid_mappings().as_ref(), uid);
        plan.gid_maps = maps_or_me(linux.gid_mappings().as_ref(), gid);
        check_maps("uid", &plan.uid_maps)?;
        check_maps("gid", &plan.gid_maps)?;
    }
    // The user namespace last: joining it first would lose the right to join those that it does not own.
    plan.join.sort_by_key(|join| join.kind == NEWUSER);
    Ok(plan)
}

fn maps_or_me(maps: Option<&Vec<LinuxIdMapping>>, id: u32) -> Vec<LinuxIdMapping> {
    match maps.filter(|maps| !maps.is_empty()) {
        Some(maps) => maps.clone(),
        None => LinuxIdMappingBuilder::default()
            .host_id(id)
            .container_id(0u32)
            .size(1u32)
            .build()
            .into_iter()
            .collect(),
    }
}

fn check_maps(which: &str, maps: &[LinuxIdMapping]) -> Result<()> {
    for (at, map) in maps.iter().enumerate() {
        let field = format!("linux.{which}Mappings[{at}]");
        let wraps = |start: u32| start.checked_add(map.size()).is_none();
        if map.size() == 0 || wraps(map.container_id()) || wraps(map.host_id()) {
            return Err(Error::usage(format_args!("{field} is empty or passes the largest id")));
        }
        let overlaps =
            |a: u32, b: u32, size: u32| a < b.saturating_add(size) && b < a.saturating_add(map.size());
        let clash = maps.iter().take(at).any(|other| {
            overlaps(map.container_id(), other.container_id(), other.size())
                || overlaps(map.host_id(), other.host_id(), other.size())
        });
        if clash {
            return Err(Error::usage(format_args!("{field} overlaps an earlier entry")));
        }
    }
    Ok(())
}

/// The lines of /proc/PID/uid_map.
pub fn map_text(maps: &[LinuxIdMapping]) -> String {
    maps.iter().map(|m| format!("{} {} {}\n", m.container_id(), m.host_id(), m.size())).collect()
}

fn time_offsets(linux: &Linux) -> Vec<u8> {
    let mut text = String::new();
    for (clock, offset) in linux.time_offsets().iter().flatten() {
        let (secs, nanosecs) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
        text.push_str(&format!("{clock} {secs} {nanosecs}\n"));
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(json: serde_json::Value) -> Result<Namespaces> {
        plan(&serde_json::from_value(json).unwrap(), (1000, 1000))
    }

    #[test]
    fn new_namespaces_are_one_clone() {
        let json = serde_json::json!({
            "namespaces": [{"type": "user"}, {"type": "pid"}, {"type": "mount"}, {"type": "cgroup"}],
            "uidMappings": [{"containerID": 0, "hostID": 0, "size": 65536}],
            "gidMappings": [{"containerID": 0, "hostID": 0, "size": 65536}]
        });
        let plan = planned(json).unwrap();
        assert_eq!(plan.create, NEWUSER | NEWPID | NEWNS);
        assert!(plan.new_cgroup && !plan.needs_stage());
        assert_eq!(map_text(&plan.uid_maps), "0 0 65536\n");
    }

    #[test]
    fn joining_beside_a_new_user_namespace_needs_a_stage() {
        let net = serde_json::json!({"type": "network", "path": "/run/netns/a"});
        let without = planned(serde_json::json!({"namespaces": [{"type": "mount"}, net]})).unwrap();
        assert!(!without.needs_stage());
        let pid =
            serde_json::json!({"namespaces": [{"type": "mount"}, {"type": "pid", "path": "/proc/1/ns/pid"}]});
        assert!(planned(pid).unwrap().needs_stage());
    }

    #[test]
    fn bad_lists_are_refused() {
        let mount = serde_json::json!({"type": "mount"});
        assert!(planned(serde_json::json!({"namespaces": [mount, mount]})).is_err());
        assert!(planned(serde_json::json!({"namespaces": []})).is_err());
        let overlap = serde_json::json!({
            "namespaces": [{"type": "user"}, mount],
            "uidMappings": [{"containerID": 0, "hostID": 0, "size": 10}, {"containerID": 5, "hostID": 20, "size": 10}],
            "gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]
        });
        assert!(planned(overlap).unwrap_err().to_string().contains("uidMappings[1] overlaps"));
    }
}
