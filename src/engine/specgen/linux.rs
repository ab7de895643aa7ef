//! The `linux` part: namespaces, id maps, limits, masked paths, seccomp.

use super::Facts;
use crate::engine::options::{CreateOptions, Limits, NamespaceMode};
use crate::userns::IdRange;
use serde_json::{Map, Value, json};

/// podman's masked paths, and those that kernels got since.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// podman's read-only paths.
const READ_ONLY: [&str; 6] =
    ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The `linux` object. `cgroupsPath` is the monitor's to fill in: only it knows its scope.
pub fn linux(options: &CreateOptions, facts: &Facts<'_>) -> Value {
    let mut linux = json!({
        "uidMappings": mappings(&facts.maps.uids),
        "gidMappings": mappings(&facts.maps.gids),
        "namespaces": namespaces(options, facts),
        "resources": resources(&options.limits, facts.block_io.clone()),
        "rootfsPropagation": "rprivate",
    });
    if !options.security.privileged {
        let unmask_all = options.security.unmask.iter().any(|path| path == "ALL");
        let kept = |path: &&str| !unmask_all && !options.security.unmask.iter().any(|glob| glob == path);
        let extra = options.security.mask.iter().map(String::as_str);
        linux["maskedPaths"] = MASKED.into_iter().filter(kept).chain(extra).collect();
        linux["readonlyPaths"] = READ_ONLY.into_iter().filter(kept).collect();
    }
    let mut sysctl = options.process.sysctl.clone();
    let own_network = !facts.host_network;
    if own_network && crate::userns::idmap::to_outside(&facts.maps.gids, 0).is_some() {
        // Any group of the container may ping (podman's default); ids outside the map would be refused.
        sysctl.entry("net.ipv4.ping_group_range".into()).or_insert_with(|| "0 0".into());
    }
    linux["sysctl"] = json!(sysctl);
    if let Some(seccomp) = &facts.seccomp {
        linux["seccomp"] = seccomp.clone();
    }
    linux
}

fn mappings(ranges: &[IdRange]) -> Vec<Value> {
    ranges.iter().map(|r| json!({ "containerID": r.inside, "hostID": r.outside, "size": r.count })).collect()
}

fn namespaces(options: &CreateOptions, facts: &Facts<'_>) -> Vec<Value> {
    let asked = &options.namespaces;
    let mut list = vec![json!({ "type": "user" }), json!({ "type": "mount" })];
    for (kind, mode) in
        [("pid", &asked.pid), ("ipc", &asked.ipc), ("uts", &asked.uts), ("cgroup", &asked.cgroup)]
    {
        match mode {
            NamespaceMode::Private => list.push(json!({ "type": kind })),
            NamespaceMode::Host => {}
        }
    }
    if !facts.host_network {
        list.push(json!({ "type": "network" }));
    }
    list
}

/// The `resources` object of these limits.
pub fn resources(limits: &Limits, block_io: Option<Value>) -> Value {
    let some = |fields: Vec<(&str, Option<Value>)>| -> Option<Value> {
        let map: Map<String, Value> =
            fields.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect();
        (!map.is_empty()).then_some(Value::Object(map))
    };
    let memory = some(vec![
        ("limit", limits.memory.map(Value::from)),
        ("reservation", limits.memory_reservation.map(Value::from)),
        ("swap", limits.memory_swap.map(Value::from)),
    ]);
    let cpu = some(vec![
        ("quota", limits.cpu_quota.map(Value::from)),
        ("period", limits.cpu_period.map(Value::from)),
        ("shares", limits.cpu_shares.map(Value::from)),
        ("cpus", limits.cpuset_cpus.clone().map(Value::from)),
        ("mems", limits.cpuset_mems.clone().map(Value::from)),
    ]);
    let pids = limits.pids.map(|limit| json!({ "limit": limit }));
    let unified = (!limits.unified.is_empty()).then(|| json!(limits.unified));
    let fields =
        vec![("memory", memory), ("cpu", cpu), ("pids", pids), ("blockIO", block_io), ("unified", unified)];
    some(fields).unwrap_or_else(|| json!({}))
}
