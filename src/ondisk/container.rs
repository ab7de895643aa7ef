//! The records of a container.
//!
//! ```text
//! <data>/containers/<id>/            0700
//!     container.json                 Container: written by create (engine), replaced by nobody but update/rename
//!     config.json                    OCI runtime config, the bundle's; written by create
//!     state.json                     State: written by the monitor (and by recovery, under the lifetime lock)
//!     upper/ work/ merged/ rootfs/   made as the driver needs them
//!     hosts resolv.conf hostname     files bound into the container
//!     ctr.log                        k8s-file log
//!     owners                         whom files belong to where only one id is mapped (`ondisk::owners`)
//! <data>/names/<name>                a file with the id: the claim of a name, made by link(2), so that two cannot win
//! <run>/<id>/                        0700, on a local file system
//!     lock                           flocked by the monitor for its lifetime (free = recovery may start)
//!     ctl attach                     the monitor's sockets
//!     pid                            the payload's init, decimal, in the host's pid namespace
//! ```
//! `State.status` is a promise only while the lock is held; with the lock free and status not terminal, the next command
//! recovers: it kills what is left, then writes `Exited` with code 137.

use crate::id::{ContainerId, ContainerName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was asked for, fixed when the container is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Container {
    pub version: u32,
    pub id: ContainerId,
    pub name: ContainerName,
    /// RFC 3339, nanoseconds, UTC.
    pub created: String,
    /// As the user gave it, or the full reference it resolved to.
    pub image: String,
    /// Hex of the image's config digest; none for `host:` and `--rootfs`.
    pub image_id: Option<String>,
    pub rootfs: Rootfs,
    /// The command as `ps` shows it: entrypoint and arguments.
    pub command: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub network: Network,
    pub tty: bool,
    /// Keep stdin open.
    pub interactive: bool,
    /// Remove when it ends.
    pub auto_remove: bool,
    pub restart: Restart,
    /// Signal number that `stop` sends first.
    pub stop_signal: i32,
    /// Seconds before `stop` kills.
    pub stop_timeout: u32,
    pub log: Log,
    /// The OCI runtime: absolute path, or none for coracle's own.
    pub runtime: Option<String>,
    /// Limits asked for: then a cgroup is a must.
    pub needs_cgroup: bool,
    /// Its first process is an init that manages cgroups: it needs one, too.
    #[serde(default)]
    pub systemd: bool,
    /// Most processes where the user did not say: set at each start if the pids controller is there, else left out.
    #[serde(default)]
    pub default_pids_limit: Option<i64>,
    pub cgroups: Cgroups,
    /// Volumes that this container uses: name and whether it is anonymous (removed with the container).
    pub volumes: Vec<VolumeUse>,
    /// Mounts as `inspect` shows them.
    pub mounts: Vec<MountRecord>,
    /// What `exec` starts from: the payload's environment, cwd, user, capabilities are in config.json.
    pub hostname: String,
    /// The host that owns it (`/etc/machine-id`), for homes shared between hosts.
    pub machine_id: String,
    /// `argv` of the command that made it, for `inspect`.
    pub create_command: Vec<String>,
    /// Exposed ports, `80/tcp`, for `inspect`.
    #[serde(default)]
    pub exposed_ports: Vec<String>,
    /// Seconds after which it is killed (`--timeout`); 0 = never.
    #[serde(default)]
    pub timeout: u32,
    /// File for the payload's pid (`--pidfile`).
    #[serde(default)]
    pub pid_file: Option<String>,
    /// Whether changes of owner are written down (`ondisk::owners`): one id is mapped, and the user is root inside.
    #[serde(default)]
    pub records_owners: bool,
}

/// Where the root file system comes from. Fixed at creation: an upper directory is never moved to another driver.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Rootfs {
    /// Layers (diff ids, top first) below `upper/`, by this driver.
    Layers {
        driver: Driver,
        layers: Vec<String>,
        read_only: bool,
        /// Ids on disk → ids of the store's namespace, where the container's map is shifted (keep-id): the driver shows
        /// the image's files as the container must see them.
        #[serde(default)]
        id_map: Option<crate::userns::IdMaps>,
        /// The store that has the layers, where that is another one, which is only read (`store::shared`). Absolute.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        store: Option<String>,
    },
    /// An image in one file, below an upper directory.
    Squash {
        /// Absolute.
        file: String,
        /// Which file that was (`store::squash`): another one of the same name is not taken for it.
        stamp: String,
        /// What puts the upper directory above it; with `vfs`, the kernel's overlay with an upper directory in memory.
        driver: Driver,
        /// `--overlay`: where upper and work directory are instead, absolute.
        overlay: Option<String>,
        read_only: bool,
    },
    /// A directory of the user's (`--rootfs`), used as it is.
    Directory { path: String },
    /// The host's own /usr, below a skeleton in `rootfs/`.
    Host,
}

/// How layers become one tree.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    Overlay,
    FuseOverlayfs,
    Vfs,
}

/// The network of a container.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Network {
    pub mode: NetworkMode,
    pub ports: Vec<PortMapping>,
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum NetworkMode {
    None,
    Host,
    Slirp4netns { options: Vec<String> },
    Pasta { options: Vec<String> },
}

/// One `-p`: `host_ip:host_port -> container_port/protocol`.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct PortMapping {
    pub host_ip: String,
    pub host_port: u16,
    pub container_port: u16,
    pub protocol: String,
}

/// What to do when the payload ends by itself.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "policy", rename_all = "kebab-case")]
pub enum Restart {
    No,
    Always,
    UnlessStopped,
    OnFailure { max: Option<u32> },
}

/// Where output goes.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Log {
    pub driver: LogDriver,
    /// Rotate when the file passes this many bytes.
    pub max_size: Option<u64>,
    /// Another file than `ctr.log`.
    pub path: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    K8sFile,
    None,
    /// The payload gets the caller's own stdio; nothing is logged.
    Passthrough,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Cgroups {
    Enabled,
    Disabled,
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct VolumeUse {
    pub name: String,
    pub anonymous: bool,
}

/// A mount as `inspect` shows it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct MountRecord {
    /// `bind`, `volume` or `tmpfs`.
    pub kind: String,
    pub name: Option<String>,
    pub source: String,
    pub destination: String,
    pub options: Vec<String>,
    /// Volumes: a new one gets what the image has there (not with `nocopy`), …
    #[serde(default)]
    pub copy_up: bool,
    /// … or, where the image has nothing, this owner: ids of the store's namespace.
    #[serde(default)]
    pub owner: (u32, u32),
}

/// What became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub version: u32,
    pub status: Status,
    /// The payload's init in the host's pid namespace, while running.
    pub pid: Option<i32>,
    /// Its start time (field 22 of /proc/pid/stat), against reused pids.
    pub pid_start: Option<u64>,
    pub monitor_pid: Option<i32>,
    /// Boot that `pid` belongs to.
    pub boot_id: Option<String>,
    /// The delegated scope, relative to the cgroup2 mount, when there is one.
    pub cgroup: Option<String>,
    pub started: Option<String>,
    pub finished: Option<String>,
    pub exit_code: Option<i32>,
    /// Why it ended, when not by its own will: `monitor killed`, `rootfs server died`, `out of memory`…
    pub error: Option<String>,
    pub oom_killed: bool,
    pub restarts: u32,
    /// `stop` or `kill` asked for the end: no restart.
    pub stop_requested: bool,
}

/// Words of `ps` and `inspect` in podman: created, running, paused, exited.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Created,
    Running,
    Paused,
    Stopping,
    Exited,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Exited => "exited",
        }
    }

    /// From one of these words, or one that podman has for the same.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "created" | "configured" | "initialized" => Some(Self::Created),
            "running" => Some(Self::Running),
            "paused" => Some(Self::Paused),
            "stopping" => Some(Self::Stopping),
            // A container that was stopped before its cleanup.
            "exited" | "stopped" => Some(Self::Exited),
            _ => None,
        }
    }
}

impl State {
    /// The state of a container that was just made.
    pub fn created() -> Self {
        Self {
            version: super::VERSION,
            status: Status::Created,
            pid: None,
            pid_start: None,
            monitor_pid: None,
            boot_id: None,
            cgroup: None,
            started: None,
            finished: None,
            exit_code: None,
            error: None,
            oom_killed: false,
            restarts: 0,
            stop_requested: false,
        }
    }
}
