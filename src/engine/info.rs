//! `coracle info`: the machine, the store and the version, under podman's keys, so that scripts made for it work.
//!
//! What podman has and coracle has not (conmon, buildah, lock numbers, a database) is left out rather than made up. What
//! the probes of `doctor` found stands under `probes`.

use super::doctor;
use crate::cgroup::delegate;
use crate::config::{self, site::Site};
use crate::host::{self, Distribution};
use crate::ondisk::container::{State, Status};
use crate::paths::Dirs;
use crate::spec::image::host_architecture;
use crate::userns::{self, IdRange};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Serialize)]
pub struct Info {
    pub host: Host,
    pub store: Store,
    pub registries: BTreeMap<String, serde_json::Value>,
    pub plugins: Plugins,
    pub site: SiteRules,
    pub version: Version,
    pub probes: doctor::Report,
}

/// What the administrator has said for all users; nothing where there is no such file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SiteRules {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'static str>,
    #[serde(flatten)]
    pub rules: Option<Site>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    pub arch: &'static str,
    pub cgroup_manager: &'static str,
    pub cgroup_version: &'static str,
    pub cgroup_controllers: Vec<String>,
    pub cpus: usize,
    pub distribution: OsRelease,
    pub event_logger: &'static str,
    pub hostname: String,
    pub id_mappings: IdMappings,
    pub kernel: String,
    pub log_driver: &'static str,
    pub mem_free: u64,
    pub mem_total: u64,
    pub network_backend: &'static str,
    pub oci_runtime: OciRuntime,
    pub os: &'static str,
    pub rootless_network_cmd: String,
    pub security: Security,
    pub service_is_remote: bool,
    pub swap_free: u64,
    pub swap_total: u64,
    pub uptime: String,
    pub linkmode: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub struct OsRelease {
    pub distribution: String,
    pub version: String,
    pub codename: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct IdMappings {
    pub uidmap: Vec<IdMapping>,
    pub gidmap: Vec<IdMapping>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IdMapping {
    pub container_id: u32,
    pub host_id: u32,
    pub size: u32,
}

#[derive(Debug, Clone, Serialize)]
pub struct OciRuntime {
    pub name: &'static str,
    pub path: String,
    pub version: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Security {
    pub apparmor_enabled: bool,
    pub rootless: bool,
    pub seccomp_enabled: bool,
    pub selinux_enabled: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    pub config_file: String,
    pub container_store: ContainerStore,
    pub graph_driver_name: String,
    pub graph_root: PathBuf,
    pub graph_root_allocated: u64,
    pub graph_root_used: u64,
    pub graph_status: BTreeMap<&'static str, String>,
    pub image_store: ImageStore,
    pub run_root: PathBuf,
    pub volume_path: PathBuf,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ContainerStore {
    pub number: usize,
    pub paused: usize,
    pub running: usize,
    pub stopped: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImageStore {
    pub number: usize,
}

#[derive(Debug, Clone, Serialize)]
pub struct Plugins {
    pub volume: Vec<&'static str>,
    pub network: Vec<&'static str>,
    pub log: Vec<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Version {
    #[serde(rename = "APIVersion")]
    pub api_version: &'static str,
    #[serde(rename = "Version")]
    pub version: &'static str,
    #[serde(rename = "OsArch")]
    pub os_arch: String,
    #[serde(rename = "Os")]
    pub os: &'static str,
}

/// Everything about this machine and this user's store.
pub fn info(dirs: &Dirs) -> Info {
    let probes = doctor::doctor(dirs);
    Info {
        host: host(&probes),
        store: store(dirs, &probes),
        registries: BTreeMap::new(),
        plugins: Plugins {
            volume: vec!["local"],
            network: vec!["none", "host", "slirp4netns"],
            log: vec!["k8s-file", "none", "passthrough"],
        },
        site: site_rules(),
        version: Version {
            api_version: env!("CARGO_PKG_VERSION"),
            version: env!("CARGO_PKG_VERSION"),
            os_arch: format!("linux/{}", host_architecture()),
            os: "linux",
        },
        probes,
    }
}

fn site_rules() -> SiteRules {
    let file = Some(config::site::FILE);
    match Site::read() {
        Ok(None) => SiteRules::default(),
        Ok(rules) => SiteRules { file, rules, error: None },
        Err(e) => SiteRules { file, rules: None, error: e.causes().last().cloned() },
    }
}

fn host(probes: &doctor::Report) -> Host {
    let uname = rustix::system::uname();
    let distribution = Distribution::here();
    let memory = read_numbers("/proc/meminfo");
    let kib = |key: &str| memory.get(key).copied().unwrap_or(0).saturating_mul(1024);
    let systemd =
        probes.checks.iter().any(|check| check.name == "systemd" && check.fact.ends_with("answers"));
    let cgroup_version = match delegate::tree() {
        Some(tree) if !tree.hybrid => "v2",
        _ => "v1",
    };
    Host {
        arch: host_architecture(),
        cgroup_manager: if systemd { "systemd" } else { "cgroupfs" },
        cgroup_version,
        cgroup_controllers: probes.abilities.controllers.clone(),
        cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        distribution: OsRelease {
            distribution: distribution.id,
            version: distribution.version,
            codename: distribution.codename,
        },
        event_logger: "none",
        hostname: uname.nodename().to_string_lossy().into_owned(),
        id_mappings: id_mappings(),
        kernel: uname.release().to_string_lossy().into_owned(),
        log_driver: "k8s-file",
        mem_free: kib("MemFree"),
        mem_total: kib("MemTotal"),
        network_backend: "slirp4netns",
        oci_runtime: oci_runtime(),
        os: "linux",
        rootless_network_cmd: probes.abilities.networks.first().copied().unwrap_or_default().to_owned(),
        security: Security {
            apparmor_enabled: host::apparmor_enabled(),
            // Also for real root: its containers have no more rights than a user's.
            rootless: true,
            seccomp_enabled: Path::new("/proc/sys/kernel/seccomp").exists(),
            selinux_enabled: host::selinux_mode().is_some(),
        },
        service_is_remote: false,
        swap_free: kib("SwapFree"),
        swap_total: kib("SwapTotal"),
        uptime: uptime(),
        linkmode: "static",
    }
}

fn store(dirs: &Dirs, probes: &doctor::Report) -> Store {
    let (filesystem, _) = host::filesystem_name(&dirs.data);
    let (total, free) = host::space(&dirs.data).map_or((0, 0), |space| (space.total, space.free));
    let yes_no = |yes: bool| if yes { "true" } else { "false" }.to_owned();
    Store {
        config_file: dirs.config.join("containers/storage.conf").display().to_string(),
        container_store: containers(&dirs.data.join("containers")),
        graph_driver_name: probes.abilities.drivers.first().copied().unwrap_or("vfs").to_owned(),
        graph_root: dirs.data.clone(),
        graph_root_allocated: total,
        graph_root_used: total.saturating_sub(free),
        graph_status: BTreeMap::from([
            ("Backing Filesystem", filesystem),
            ("Native Overlay Diff", yes_no(probes.abilities.drivers.contains(&"overlay"))),
            ("Supports shifting", yes_no(probes.abilities.drivers.contains(&"fuse-overlayfs"))),
        ]),
        image_store: ImageStore { number: entries(&dirs.data.join("images")).count() },
        run_root: dirs.run.clone(),
        volume_path: dirs.data.join("volumes"),
    }
}

/// Counted from the records; a damaged one counts as stopped.
fn containers(dir: &Path) -> ContainerStore {
    let mut count = ContainerStore::default();
    for entry in entries(dir) {
        count.number += 1;
        let state = std::fs::read(entry.join("state.json")).ok();
        let state = state.and_then(|bytes| serde_json::from_slice::<State>(&bytes).ok());
        match state.map(|state| state.status) {
            Some(Status::Running | Status::Stopping) => count.running += 1,
            Some(Status::Paused) => count.paused += 1,
            _ => count.stopped += 1,
        }
    }
    count
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path())
}

fn id_mappings() -> IdMappings {
    let shown = |ranges: &[IdRange]| {
        ranges
            .iter()
            .map(|r| IdMapping { container_id: r.inside, host_id: r.outside, size: r.count })
            .collect()
    };
    match userns::store_map() {
        Ok(map) => IdMappings { uidmap: shown(&map.maps().uids), gidmap: shown(&map.maps().gids) },
        Err(_) => IdMappings { uidmap: Vec::new(), gidmap: Vec::new() },
    }
}

/// coracle's own runtime stands beside it.
fn oci_runtime() -> OciRuntime {
    let path = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("coracle-oci")));
    OciRuntime {
        name: "coracle-oci",
        path: path.filter(|path| path.exists()).map(|path| path.display().to_string()).unwrap_or_default(),
        version: format!("coracle-oci version {}", env!("CARGO_PKG_VERSION")),
    }
}

/// `Key:   123 kB` lines.
fn read_numbers(path: &str) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let (key, value) = line.split_once(':')?;
        Some((key.to_owned(), value.split_whitespace().next()?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// As podman prints it: `3h 5m 7.00s`.
fn uptime() -> String {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: u64 = text.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0);
    format!("{}h {}m {}.00s", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_podmans() {
        let dir = Path::new("/no/such/store");
        let dirs = Dirs::only(dir.into(), dir.into());
        let report = doctor::Report {
            checks: Vec::new(),
            abilities: host::Abilities::default(),
            verdict: String::new(),
        };
        let host = serde_json::to_value(host(&report)).unwrap();
        for key in
            ["cgroupManager", "cgroupVersion", "ociRuntime", "idMappings", "rootlessNetworkCmd", "memTotal"]
        {
            assert!(host.get(key).is_some(), "{key} in {host}");
        }
        assert_eq!(host["security"]["rootless"], true);
        let store = serde_json::to_value(store(&dirs, &report)).unwrap();
        assert_eq!(store["graphDriverName"], "vfs");
        assert_eq!(store["containerStore"]["number"], 0);
        assert_eq!(store["graphRoot"], "/no/such/store");
    }
}
