//! The `mounts` part: podman's defaults, the files we manage, then the user's in order of their depth.

use super::{Facts, process, systemd};
use crate::engine::options::{CreateOptions, NamespaceMode};
use serde_json::{Value, json};

/// A volume, bind or tmpfs whose source is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedMount {
    /// `bind`, `tmpfs` or `devpts`.
    pub kind: &'static str,
    /// Host path, or `tmpfs`.
    pub source: String,
    pub destination: String,
    pub options: Vec<String>,
}

/// Host paths of files that coracle writes for the container; none = the image's own stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManagedFiles {
    pub hosts: Option<String>,
    pub resolv_conf: Option<String>,
    pub hostname: Option<String>,
    pub containerenv: Option<String>,
    pub apt_conf: Option<String>,
    pub localtime: Option<String>,
    pub passwd: Option<String>,
    pub group: Option<String>,
}

/// The list, in the order in which the runtime mounts: the system's, then everything else by depth, because a mount on /a
/// must come before one on /a/b, whatever the order on the command line. A link of the image's or a device's own mount may lead
/// to the place of another one: what nothing may hide comes last.
pub fn mounts(options: &CreateOptions, facts: &Facts<'_>) -> Vec<Value> {
    let taken = |path: &str| facts.mounts.iter().any(|m| m.destination.trim_end_matches('/') == path);
    let mut rest = managed(facts.files);
    rest.extend(facts.init_path.map(process::init_mount));
    if facts.systemd {
        let free = systemd::PLACES.into_iter().filter(|path| !taken(path));
        rest.extend(free.map(|path| tmpfs(path, &["rw", "nosuid", "nodev", "tmpcopyup"])));
    }
    if options.read_only && options.read_only_tmpfs {
        let free = ["/run", "/tmp", "/var/tmp"].into_iter().filter(|path| !taken(path));
        let free = free.filter(|path| !facts.systemd || !systemd::PLACES.contains(path));
        rest.extend(free.map(|path| tmpfs(path, &["rw", "nosuid", "nodev", "tmpcopyup"])));
    }
    rest.extend(facts.gifts.mounts.iter().map(
        |m| json!({ "destination": m.destination, "type": m.kind, "source": m.source, "options": m.options }),
    ));
    for (source, destination, access) in &facts.gifts.nodes {
        let mode = if access.contains('w') { "rw" } else { "ro" };
        rest.push(json!({
            "destination": destination, "type": "bind", "source": source,
            "options": ["bind", "nosuid", "noexec", mode],
        }));
    }
    // What the user mounts stands in the place of what we would.
    rest.retain(|m| !m["destination"].as_str().is_some_and(taken));
    rest.extend(facts.mounts.iter().map(|m| {
        let options = if m.kind == "devpts" { json!(devpts_options(facts)) } else { json!(m.options) };
        json!({ "destination": m.destination, "type": m.kind, "source": m.source, "options": options })
    }));
    let is_last = |m: &Value| options.extra.last_mounts.iter().any(|path| m["destination"] == path.as_str());
    rest.sort_by_key(|m| (is_last(m), depth(m)));
    let mut list = system(options, facts);
    list.retain(|m| !m["destination"].as_str().is_some_and(taken));
    list.extend(rest);
    list.iter_mut().filter(|m| m["type"] == "bind").for_each(writable_as_its_source);
    list
}

/// A bind can be written to unless it says `ro`. The word `rw` would ask more: that it can be where its source cannot, which
/// is refused in a user namespace.
fn writable_as_its_source(mount: &mut Value) {
    let Some(options) = mount["options"].as_array_mut() else { return };
    let last = options.iter().rev().find(|o| *o == "ro" || *o == "rw");
    if last.is_some_and(|o| o == "rw") {
        options.retain(|o| o != "ro" && o != "rw");
    }
}

fn depth(mount: &Value) -> usize {
    mount["destination"].as_str().map_or(0, |path| path.trim_end_matches('/').matches('/').count())
}

/// /proc, /dev, /sys and what is below them.
fn system(options: &CreateOptions, facts: &Facts<'_>) -> Vec<Value> {
    let privileged = options.security.privileged;
    let sys_mode = if privileged && !facts.systemd { "rw" } else { "ro" };
    let cgroup_mode = if privileged || facts.systemd { "rw" } else { "ro" };
    let sys = match facts.host_network {
        // sysfs shows the network devices of its namespace: it can be mounted only by who owns that namespace.
        true => json!({
            "destination": "/sys", "type": "bind", "source": "/sys",
            "options": ["rbind", "nosuid", "noexec", "nodev", sys_mode],
        }),
        false => json!({
            "destination": "/sys", "type": "sysfs", "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", sys_mode],
        }),
    };
    let proc = if options.namespaces.pid == NamespaceMode::Host {
        json!({ "destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind", "nosuid", "noexec", "nodev"] })
    } else {
        json!({ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] })
    };
    let pts = devpts_options(facts);
    let shm = format!("size={}", options.shm_size);
    let mut list = vec![
        proc,
        tmpfs("/dev", &["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": pts }),
    ];
    if options.namespaces.ipc == NamespaceMode::Host {
        // Not every host has both.
        for path in ["/dev/mqueue", "/dev/shm"].into_iter().filter(|path| std::path::Path::new(path).exists())
        {
            list.push(json!({ "destination": path, "type": "bind", "source": path, "options": ["rbind", "nosuid", "noexec", "nodev"] }));
        }
    } else {
        list.push(json!({
            "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"],
        }));
        list.push(json!({
            "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", shm],
        }));
    }
    list.push(sys);
    list.push(json!({
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["rprivate", "nosuid", "noexec", "nodev", "relatime", cgroup_mode],
    }));
    list
}

fn devpts_options(facts: &Facts<'_>) -> Vec<&'static str> {
    // gid 5 is tty in every distribution; where it is not mapped the option must go (a single-id namespace).
    let mut options = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    if crate::userns::idmap::to_outside(&facts.maps.gids, 5).is_some() {
        options.push("gid=5");
    }
    options
}

fn managed(files: &ManagedFiles) -> Vec<Value> {
    let places = [
        (&files.localtime, "/etc/localtime"),
        (&files.passwd, "/etc/passwd"),
        (&files.group, "/etc/group"),
        (&files.hosts, "/etc/hosts"),
        (&files.resolv_conf, "/etc/resolv.conf"),
        (&files.hostname, "/etc/hostname"),
        (&files.containerenv, "/run/.containerenv"),
        (&files.apt_conf, "/etc/apt/apt.conf.d/00coracle-single-uid"),
    ];
    let bind = |(source, destination): (&Option<String>, &str)| {
        let source = source.as_ref()?;
        Some(json!({
            "destination": destination, "type": "bind", "source": source,
            "options": ["bind", "rprivate", "nosuid", "nodev", "noexec"],
        }))
    };
    places.into_iter().filter_map(bind).collect()
}

fn tmpfs(destination: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options })
}
