//! A container as podman's `inspect` shows it, from its records and its config.json.
//!
//! Fields that coracle has no counterpart of stand with podman's empty value: scripts read them without asking whether
//! they exist. What was asked for on the command line and is in no record (capabilities, DNS, …) the caller adds.

use super::blockio::shown;
use super::options::IoKind;
use super::ps::{network_name, policy_name};
use crate::ondisk::container::{Container, Driver, LogDriver, NetworkMode, Restart, Rootfs, State, Status};
use crate::paths::Dirs;
use serde_json::{Map, Value, json};

/// Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What the image says, where it is still there.
#[derive(Debug, Clone, Default)]
pub struct ImageFacts {
    /// `sha256:…` of its manifest.
    pub digest: String,
    pub entrypoint: Vec<String>,
}

/// The container's config.json; null when it cannot be read, which `system check` reports.
pub fn runtime_config(dirs: &Dirs, c: &Container) -> Value {
    let bytes = std::fs::read(dirs.container(&c.id).join("config.json")).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

/// The whole document of one container.
pub fn container(dirs: &Dirs, c: &Container, s: &State, config: &Value, image: &ImageFacts) -> Value {
    let dir = dirs.container(&c.id);
    let run = dirs.container_run(&c.id);
    let in_dir = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let capabilities = |set: &str| {
        config.pointer(&format!("/process/capabilities/{set}")).cloned().unwrap_or_else(|| json!([]))
    };
    let (path, args) = c.command.split_first().map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
    json!({
        "Id": c.id,
        "Created": c.created,
        "Path": path,
        "Args": args,
        "State": state(c, s, config),
        "Image": c.image_id.clone().unwrap_or_default(),
        "ImageDigest": image.digest,
        "ImageName": c.image,
        "Rootfs": if let Rootfs::Directory { path, .. } = &c.rootfs { path.as_str() } else { "" },
        "Pod": "",
        "ResolvConfPath": in_dir("resolv.conf"),
        "HostnamePath": in_dir("hostname"),
        "HostsPath": in_dir("hosts"),
        "StaticDir": dir,
        "OCIConfigPath": in_dir("config.json"),
        "OCIRuntime": runtime_name(c),
        "ConmonPidFile": "",
        "PidFile": run.join("pid"),
        "Name": c.name,
        "RestartCount": s.restarts,
        "Driver": driver_name(&c.rootfs),
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "EffectiveCaps": capabilities("effective"),
        "BoundingCaps": capabilities("bounding"),
        "ExecIDs": [],
        "GraphDriver": {"Name": driver_name(&c.rootfs), "Data": graph_data(dirs, c, s)},
        "Mounts": mounts(c),
        "Dependencies": [],
        "NetworkSettings": network_settings(c),
        "Namespace": "",
        "IsInfra": false,
        "IsService": false,
        "KubeExitCodePropagation": "invalid",
        "lockNumber": 0,
        "Config": container_config(c, config, image),
        "HostConfig": host_config(dirs, c, config),
        "UseImageHosts": false,
        "UseImageHostname": false,
    })
}

fn state(c: &Container, s: &State, config: &Value) -> Value {
    let time = |t: &Option<String>| t.clone().unwrap_or_else(|| NEVER.to_owned());
    let status = s.status.word();
    let alive = matches!(s.status, Status::Running | Status::Stopping | Status::Paused);
    json!({
        "OciVersion": config.get("ociVersion").cloned().unwrap_or_else(|| json!("1.2.0")),
        "Status": status,
        "Running": s.status == Status::Running,
        "Paused": s.status == Status::Paused,
        "Restarting": false,
        "OOMKilled": s.oom_killed,
        "Dead": false,
        "Pid": s.pid.filter(|_| alive).unwrap_or(0),
        "ConmonPid": s.monitor_pid.filter(|_| alive).unwrap_or(0),
        "ExitCode": s.exit_code.unwrap_or(0),
        "Error": s.error.clone().unwrap_or_default(),
        "StartedAt": time(&s.started),
        "FinishedAt": time(&s.finished),
        "CgroupPath": s.cgroup.clone().unwrap_or_default(),
        "CheckpointedAt": NEVER,
        "RestoredAt": NEVER,
        "StoppedByUser": s.stop_requested,
        "Health": {"Status": "", "FailingStreak": 0, "Log": null},
        "Host": c.machine_id,
    })
}

fn runtime_name(c: &Container) -> String {
    let path = c.runtime.as_deref().unwrap_or("coracle-oci");
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// The driver's name; a directory or the host's tree has none.
pub fn driver_name(rootfs: &Rootfs) -> &'static str {
    match rootfs {
        Rootfs::Layers { driver, .. } => driver_word(*driver),
        Rootfs::Squash { .. } => "squashfs",
        Rootfs::Directory { .. } => "rootfs",
        Rootfs::Host => "host",
    }
}

/// As `--storage-driver` takes it.
pub fn driver_word(driver: Driver) -> &'static str {
    match driver {
        Driver::Overlay => "overlay",
        Driver::FuseOverlayfs => "fuse-overlayfs",
        Driver::Vfs => "vfs",
    }
}

fn graph_data(dirs: &Dirs, c: &Container, s: &State) -> Value {
    let Some((layers, data)) = crate::store::layers_of(dirs, &c.rootfs) else { return json!({}) };
    let dir = dirs.container(&c.id);
    let lower: Vec<String> = layers
        .iter()
        .map(|l| crate::store::layer_diff_path(data, l).to_string_lossy().into_owned())
        .collect();
    let mut data =
        json!({"LowerDir": lower.join(":"), "UpperDir": dir.join("upper"), "WorkDir": dir.join("work")});
    if matches!(s.status, Status::Running | Status::Paused)
        && let Some(data) = data.as_object_mut()
    {
        data.insert("MergedDir".into(), json!(dir.join("merged")));
    }
    data
}

fn mounts(c: &Container) -> Vec<Value> {
    let shown = |m: &&crate::ondisk::container::MountRecord| m.kind != "tmpfs";
    c.mounts
        .iter()
        .filter(shown)
        .map(|m| {
            let propagation = m
                .options
                .iter()
                .find(|o| o.ends_with("private") || o.ends_with("shared") || o.ends_with("slave"));
            let options: Vec<&String> = m
                .options
                .iter()
                .filter(|o| Some(*o) != propagation && !matches!(o.as_str(), "ro" | "rw"))
                .collect();
            let mut mount = json!({
                "Type": m.kind,
                "Source": m.source,
                "Destination": m.destination,
                "Driver": if m.kind == "volume" { "local" } else { "" },
                "Mode": "",
                "Options": options,
                "RW": !m.options.iter().any(|o| o == "ro"),
                "Propagation": propagation.cloned().unwrap_or_default(),
            });
            if let (Some(name), Some(mount)) = (&m.name, mount.as_object_mut()) {
                mount.insert("Name".into(), json!(name));
            }
            mount
        })
        .collect()
}

fn port_map(c: &Container, exposed: bool) -> Value {
    let mut ports = Map::new();
    for p in &c.network.ports {
        let key = format!("{}/{}", p.container_port, p.protocol);
        let ip = if p.host_ip.is_empty() { "0.0.0.0" } else { &p.host_ip };
        let one = json!({"HostIp": ip, "HostPort": p.host_port.to_string()});
        if let Some(list) = ports.entry(key).or_insert_with(|| json!([])).as_array_mut() {
            list.push(one);
        }
    }
    if exposed {
        for port in &c.exposed_ports {
            ports.entry(port.clone()).or_insert(Value::Null);
        }
    }
    Value::Object(ports)
}

fn network_settings(c: &Container) -> Value {
    let endpoint = json!({
        "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0, "MacAddress": "",
    });
    let mut settings = endpoint.clone();
    let (Some(all), Some(endpoint)) = (settings.as_object_mut(), endpoint.as_object()) else {
        return settings;
    };
    for (key, value) in [
        ("Bridge", json!("")),
        ("SandboxID", json!("")),
        ("HairpinMode", json!(false)),
        ("LinkLocalIPv6Address", json!("")),
        ("LinkLocalIPv6PrefixLen", json!(0)),
        ("Ports", port_map(c, true)),
        ("SandboxKey", json!("")),
    ] {
        all.insert(key.into(), value);
    }
    let name = network_name(&c.network.mode);
    if matches!(c.network.mode, NetworkMode::Slirp4netns { .. } | NetworkMode::Pasta { .. }) {
        let mut network = endpoint.clone();
        for (key, value) in [
            ("NetworkID", json!(name)),
            ("Aliases", Value::Null),
            ("DriverOpts", Value::Null),
            ("IPAMConfig", Value::Null),
            ("Links", Value::Null),
        ] {
            network.insert(key.into(), value);
        }
        all.insert("Networks".into(), json!({ name: network }));
    } else {
        all.insert("Networks".into(), json!({}));
    }
    settings
}

fn container_config(c: &Container, config: &Value, image: &ImageFacts) -> Value {
    let process = |key: &str| config.pointer(&format!("/process/{key}")).cloned();
    let (entrypoint, cmd) = match c.command.get(..image.entrypoint.len()) {
        Some(start) if !start.is_empty() && start == image.entrypoint => {
            (json!(start), c.command.get(start.len()..).unwrap_or_default())
        }
        _ => (Value::Null, c.command.as_slice()),
    };
    let user = match (config.pointer("/process/user/uid"), config.pointer("/process/user/gid")) {
        (Some(uid), Some(gid)) if uid != 0 || gid != 0 => format!("{uid}:{gid}"),
        _ => String::new(),
    };
    let umask = config.pointer("/process/user/umask").and_then(Value::as_u64).unwrap_or(0o022);
    let exposed: Map<String, Value> = c.exposed_ports.iter().map(|p| (p.clone(), json!({}))).collect();
    json!({
        "Hostname": c.hostname,
        "Domainname": "",
        "User": user,
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": c.tty,
        "OpenStdin": c.interactive,
        "StdinOnce": false,
        "Env": process("env").unwrap_or_else(|| json!([])),
        "Cmd": cmd,
        "Image": c.image,
        "Volumes": null,
        "WorkingDir": process("cwd").unwrap_or_else(|| json!("/")),
        "Entrypoint": entrypoint,
        "OnBuild": null,
        "Labels": c.labels,
        "Annotations": c.annotations,
        "StopSignal": super::signals::name(c.stop_signal),
        "HealthcheckOnFailureAction": "none",
        "CreateCommand": c.create_command,
        "Umask": format!("{umask:04o}"),
        "Timeout": c.timeout,
        "StopTimeout": c.stop_timeout,
        "Passwd": true,
        "SystemdMode": is_for_systemd(config),
        "sdNotifyMode": "ignore",
        "ExposedPorts": exposed,
    })
}

/// Whether it was prepared for systemd as its first process.
fn is_for_systemd(config: &Value) -> bool {
    let env = config.pointer("/process/env").and_then(Value::as_array);
    env.into_iter().flatten().filter_map(Value::as_str).any(|entry| entry.starts_with("container_uuid="))
}

fn host_config(dirs: &Dirs, c: &Container, config: &Value) -> Value {
    let number =
        |path: &str| config.pointer(&format!("/linux/resources/{path}")).and_then(Value::as_i64).unwrap_or(0);
    let text = |path: &str| {
        config.pointer(&format!("/linux/resources/{path}")).cloned().unwrap_or_else(|| json!(""))
    };
    let (quota, period) = (number("cpu/quota"), number("cpu/period"));
    let nano_cpus = if quota > 0 && period > 0 { quota.saturating_mul(1_000_000_000) / period } else { 0 };
    let binds: Vec<String> = c
        .mounts
        .iter()
        .filter(|m| m.kind != "tmpfs")
        .map(|m| {
            let mode = if m.options.iter().any(|o| o == "ro") { "" } else { "rw," };
            format!(
                "{}:{}:{mode}{}",
                m.name.as_ref().unwrap_or(&m.source),
                m.destination,
                m.options.join(",")
            )
        })
        .collect();
    let tmpfs: Map<String, Value> = c
        .mounts
        .iter()
        .filter(|m| m.kind == "tmpfs")
        .map(|m| (m.destination.clone(), json!(m.options.join(","))))
        .collect();
    let ulimits: Vec<Value> = config
        .pointer("/process/rlimits")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|r| json!({"Name": r["type"], "Soft": r["soft"], "Hard": r["hard"]}))
        .collect();
    let block_io = config.pointer("/linux/resources/blockIO");
    let mut all = json!({
        "Binds": binds,
        "CgroupManager": "systemd",
        "CgroupMode": namespace_mode(config, "cgroup"),
        "ContainerIDFile": "",
        "LogConfig": log_config(dirs, c),
        "NetworkMode": network_name(&c.network.mode),
        "PortBindings": port_map(c, false),
        "RestartPolicy": restart_policy(&c.restart),
        "AutoRemove": c.auto_remove,
        "AutoRemoveImage": false,
        "Annotations": c.annotations,
        "VolumeDriver": "",
        "VolumesFrom": null,
        "IpcMode": match namespace_mode(config, "ipc") { "private" => "shareable", other => other },
        "PidMode": namespace_mode(config, "pid"),
        "UTSMode": namespace_mode(config, "uts"),
        "UsernsMode": "",
        "OomScoreAdj": config.pointer("/process/oomScoreAdj").and_then(Value::as_i64).unwrap_or(0),
        "ReadonlyRootfs": config.pointer("/root/readonly").and_then(Value::as_bool).unwrap_or(false),
        "Tmpfs": tmpfs,
        "Runtime": "oci",
        "Cgroups": if c.cgroups == crate::ondisk::container::Cgroups::Disabled { "disabled" } else { "default" },
        "ConsoleSize": [0, 0],
        "CpuShares": number("cpu/shares"),
        "CpuPeriod": period,
        "CpuQuota": quota,
        "CpusetCpus": text("cpu/cpus"),
        "CpusetMems": text("cpu/mems"),
        "NanoCpus": nano_cpus,
        "Memory": number("memory/limit"),
        "MemoryReservation": number("memory/reservation"),
        "MemorySwap": number("memory/swap"),
        "MemorySwappiness": 0,
        "OomKillDisable": false,
        "PidsLimit": number("pids/limit"),
        "BlkioWeight": number("blockIO/weight"),
        "Ulimits": ulimits,
        "ShmSize": shm_size(config),
        "CgroupConf": config.pointer("/linux/resources/unified").cloned().unwrap_or(Value::Null),
    });
    if let Some(all) = all.as_object_mut() {
        for (key, empty) in ASKED_FOR {
            all.insert((*key).to_owned(), serde_json::from_str(empty).unwrap_or(Value::Null));
        }
        for (key, kind) in IO_LIMITS {
            all.insert(key.to_owned(), shown(block_io, kind));
        }
    }
    all
}

const IO_LIMITS: [(&str, IoKind); 4] = [
    ("BlkioDeviceReadBps", IoKind::ReadBytes),
    ("BlkioDeviceWriteBps", IoKind::WriteBytes),
    ("BlkioDeviceReadIOps", IoKind::ReadOperations),
    ("BlkioDeviceWriteIOps", IoKind::WriteOperations),
];

/// Fields that only the command line knows; the caller puts its own values in place of these.
const ASKED_FOR: &[(&str, &str)] = &[
    ("CapAdd", "[]"),
    ("CapDrop", "[]"),
    ("Devices", "[]"),
    ("Dns", "[]"),
    ("DnsOptions", "[]"),
    ("DnsSearch", "[]"),
    ("ExtraHosts", "[]"),
    ("GroupAdd", "[]"),
    ("SecurityOpt", "[]"),
    ("Privileged", "false"),
    ("PublishAllPorts", "false"),
    ("Init", "false"),
    ("Links", "null"),
    ("HostsFile", "\"\""),
    ("Isolation", "\"\""),
    ("Cgroup", "\"\""),
    ("CgroupParent", "\"\""),
    ("BlkioWeightDevice", "null"),
    ("CpuRealtimePeriod", "0"),
    ("CpuRealtimeRuntime", "0"),
    ("DiskQuota", "0"),
    ("KernelMemory", "0"),
    ("CpuCount", "0"),
    ("CpuPercent", "0"),
    ("IOMaximumIOps", "0"),
    ("IOMaximumBandwidth", "0"),
];

fn log_config(dirs: &Dirs, c: &Container) -> Value {
    let path = c
        .log
        .path
        .clone()
        .unwrap_or_else(|| dirs.container(&c.id).join("ctr.log").to_string_lossy().into_owned());
    let (kind, path) = match c.log.driver {
        LogDriver::K8sFile => ("k8s-file", path),
        LogDriver::None => ("none", String::new()),
        LogDriver::Passthrough => ("passthrough", String::new()),
    };
    json!({"Type": kind, "Config": null, "Path": path, "Tag": "", "Size": format!("{}B", c.log.max_size.unwrap_or(0))})
}

fn restart_policy(restart: &Restart) -> Value {
    let max = match restart {
        Restart::OnFailure { max } => max.unwrap_or(0),
        Restart::No | Restart::Always | Restart::UnlessStopped => 0,
    };
    json!({"Name": policy_name(restart), "MaximumRetryCount": max})
}

/// `private` where config.json makes a namespace, else `host`.
fn namespace_mode(config: &Value, kind: &str) -> &'static str {
    let namespaces = config.pointer("/linux/namespaces").and_then(Value::as_array);
    let found = namespaces.into_iter().flatten().find(|n| n["type"] == kind);
    match found {
        Some(n) if n.get("path").is_some_and(|p| !p.is_null()) => "ns",
        Some(_) => "private",
        None => "host",
    }
}

/// Bytes of /dev/shm, from its mount's `size=`.
fn shm_size(config: &Value) -> u64 {
    let mounts = config.get("mounts").and_then(Value::as_array);
    let shm = mounts.into_iter().flatten().find(|m| m["destination"] == "/dev/shm");
    let options = shm.and_then(|m| m["options"].as_array());
    let size = options.into_iter().flatten().filter_map(Value::as_str).find_map(|o| o.strip_prefix("size="));
    let Some(size) = size else { return 0 };
    match size.strip_suffix('k') {
        Some(kibibytes) => kibibytes.parse::<u64>().map_or(0, |n| n * 1024),
        None => size.parse().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ps::tests::sample;

    fn document() -> Value {
        let dirs = Dirs::only("/d".into(), "/r".into());
        let config = json!({
            "ociVersion": "1.2.0",
            "process": {"env": ["A=b"], "cwd": "/w", "user": {"uid": 5, "gid": 6}, "capabilities": {"effective": ["CAP_KILL"]}},
            "linux": {"resources": {"memory": {"limit": 1024}, "cpu": {"quota": 50000, "period": 100_000}},
                      "namespaces": [{"type": "pid"}]},
            "mounts": [{"destination": "/dev/shm", "options": ["size=65536k"]}]
        });
        let (c, s) = sample("c1", "localhost/t:1");
        let image = ImageFacts { digest: "sha256:00".into(), entrypoint: vec!["/bin/sleep".into()] };
        container(&dirs, &c, &s, &config, &image)
    }

    #[test]
    fn the_fields_that_scripts_read_are_there() {
        let all = document();
        for (pointer, want) in [
            ("/State/Status", json!("created")),
            ("/State/StartedAt", json!(NEVER)),
            ("/Config/Entrypoint", json!(["/bin/sleep"])),
            ("/Config/Cmd", json!(["100"])),
            ("/Config/User", json!("5:6")),
            ("/Config/StopSignal", json!("SIGTERM")),
            ("/Config/Env/0", json!("A=b")),
            ("/HostConfig/Memory", json!(1024)),
            ("/HostConfig/NanoCpus", json!(500_000_000)),
            ("/HostConfig/ShmSize", json!(67_108_864)),
            ("/HostConfig/PidMode", json!("private")),
            ("/HostConfig/UTSMode", json!("host")),
            ("/NetworkSettings/Ports/80~1tcp/0/HostPort", json!("18080")),
            ("/Mounts/0/Name", json!("vol1")),
            ("/Mounts/0/RW", json!(true)),
            ("/Mounts/0/Propagation", json!("rprivate")),
            (
                "/GraphDriver/Data/UpperDir",
                json!("/d/containers/e3bc67a7ac090636990d27d962bd2198888cdff6cb73992764075e0d2dd7d51a/upper"),
            ),
        ] {
            assert_eq!(all.pointer(pointer), Some(&want), "{pointer}");
        }
    }
}
