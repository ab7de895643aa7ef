//! What the user asked for, typed: the seam between the command line's flags and `specgen`.
//!
//! `cli::flags` parses text into these values; nothing here has touched the host. It names every field, so a new one shows
//! that a flag must decide about it; whoever else makes options says how they differ from `CreateOptions::plain`.

use crate::ondisk::container::{Cgroups, Log, LogDriver, NetworkMode, PortMapping, Restart};
use std::collections::BTreeMap;

/// Of /dev/shm: podman's 65536k.
pub const SHM_SIZE: u64 = 65_536_000;

/// Seconds before `stop` kills: podman's.
pub const STOP_TIMEOUT: u32 = 10;

/// Everything `create` and `run` can be told about a container.
#[derive(Debug, Clone)]
pub struct CreateOptions {
    pub name: Option<String>,
    /// Remove a container of the same name first.
    pub replace: bool,
    pub source: Source,
    /// Further flags for `coracle pull`, when it comes to one: `--quiet`, `--authfile=F`.
    pub pull_flags: Vec<String>,
    /// Arguments after the image.
    pub command: Vec<String>,
    /// `--entrypoint`: given and empty clears the image's.
    pub entrypoint: Option<Vec<String>>,
    pub process: ProcessOptions,
    pub mounts: Vec<MountOption>,
    /// `--read-only`.
    pub read_only: bool,
    /// With `read_only`: writable tmpfs on /dev/shm, /run, /tmp, /var/tmp.
    pub read_only_tmpfs: bool,
    /// What becomes of the image's VOLUMEs.
    pub image_volumes: ImageVolumes,
    pub security: SecurityOptions,
    pub namespaces: NamespaceOptions,
    pub network: NetworkOptions,
    pub limits: Limits,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub auto_remove: bool,
    pub restart: Restart,
    pub stop_signal: Option<i32>,
    pub stop_timeout: u32,
    pub log: Log,
    pub cgroups: Cgroups,
    pub systemd: Systemd,
    /// `--runtime`, absolute.
    pub runtime: Option<String>,
    /// Bytes of /dev/shm.
    pub shm_size: u64,
    pub devices: Vec<DeviceOption>,
    pub timeout: u32,
    pub pid_file: Option<String>,
    /// `--storage-driver`; none = what the probe chose.
    pub driver: Option<crate::ondisk::container::Driver>,
    /// For `inspect`: the argv of this command.
    pub create_command: Vec<String>,
    pub extra: Extra,
}

impl CreateOptions {
    /// A container of which nothing else is said: as `coracle create` makes it without a flag.
    pub fn plain(source: Source) -> Self {
        Self {
            name: None,
            replace: false,
            source,
            pull_flags: Vec::new(),
            command: Vec::new(),
            entrypoint: None,
            process: ProcessOptions::default(),
            mounts: Vec::new(),
            read_only: false,
            read_only_tmpfs: true,
            image_volumes: ImageVolumes::Anonymous,
            security: SecurityOptions::default(),
            namespaces: NamespaceOptions::default(),
            network: NetworkOptions::default(),
            limits: Limits::default(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            auto_remove: false,
            restart: Restart::No,
            stop_signal: None,
            stop_timeout: STOP_TIMEOUT,
            log: Log { driver: LogDriver::K8sFile, max_size: None, path: None },
            cgroups: Cgroups::Enabled,
            systemd: Systemd::ByCommand,
            runtime: None,
            shm_size: SHM_SIZE,
            devices: Vec::new(),
            timeout: 0,
            pid_file: None,
            driver: None,
            create_command: Vec::new(),
            extra: Extra::default(),
        }
    }
}

/// What is put beside the container's own records, by who makes more of it than a container.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// Files of JSON, by name.
    pub records: Vec<(&'static str, serde_json::Value)>,
    /// Empty directories.
    pub directories: Vec<&'static str>,
    /// The image must have this program.
    pub program: Option<&'static str>,
    /// Not even the default limit of processes: as in a login.
    pub no_pids_limit: bool,
    /// Destinations of mounts that nothing else may hide, by whatever way it is there: they come last.
    pub last_mounts: Vec<String>,
}

/// Where the root file system comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A reference, id prefix, or `oci:`, `oci-archive:`, `docker-archive:`, `docker://` name.
    Image { name: String, pull: PullPolicy, platform: Option<String> },
    /// An image in one file: absolute path, and `--overlay DIR`.
    File { path: String, overlay: Option<String> },
    /// `--rootfs DIR`.
    Rootfs(String),
    /// `host:`.
    Host,
}

/// `--systemd`: whether the container is prepared for systemd as its first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Systemd {
    Never,
    /// When its command is an init (podman's `true`).
    ByCommand,
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    Missing,
    Always,
    Never,
    Newer,
}

/// The payload's process.
#[derive(Debug, Clone, Default)]
pub struct ProcessOptions {
    pub tty: bool,
    pub interactive: bool,
    /// The command's own stdin is the payload's, as far as the command is in the foreground.
    pub own_stdin: bool,
    /// `--env` and `--env-file` in order, last wins; host values already looked up.
    pub env: Vec<(String, String)>,
    /// The host's, below the image's.
    pub host_env: Vec<(String, String)>,
    pub unset_env: Vec<String>,
    pub unset_env_all: bool,
    pub workdir: Option<String>,
    /// Where neither `workdir` nor the image says one.
    pub host_cwd: Option<String>,
    /// `user[:group]` as typed; resolved in the image's passwd and group.
    pub user: Option<String>,
    pub groups: Vec<String>,
    pub hostname: Option<String>,
    /// `--init`.
    pub init: bool,
    /// Octal.
    pub umask: Option<u32>,
    /// `RLIMIT_NOFILE`-style name, soft, hard.
    pub rlimits: Vec<(String, u64, u64)>,
    pub oom_score_adj: Option<i32>,
    pub timezone: Option<String>,
    pub sysctl: BTreeMap<String, String>,
}

/// One `-v`, `--mount` or `--tmpfs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOption {
    pub kind: MountKind,
    /// Absolute path in the container.
    pub destination: String,
    /// Mount options as OCI spells them: `ro`, `nosuid`, `rprivate`, `size=…`.
    pub options: Vec<String>,
    /// Volumes: copy the image's content at the destination into a new, empty volume.
    pub copy_up: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    /// Absolute host path.
    Bind(String),
    /// None: an anonymous volume.
    Volume(Option<String>),
    Tmpfs,
    /// A new instance of devpts, with the options of the container's own.
    Devpts,
}

/// One `--device`, or one name of `--gpus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceOption {
    /// A device node of the host; permissions are `rwm` or fewer.
    Node { source: String, destination: String, access: String },
    /// `vendor/class=name`, by the specs of CDI.
    Cdi(String),
    /// The GPU of that CDI name, of whichever vendor the machine has.
    Gpu(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageVolumes {
    Anonymous,
    Tmpfs,
    Ignore,
}

#[derive(Debug, Clone, Default)]
pub struct SecurityOptions {
    pub privileged: bool,
    /// Upper-case names with `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    /// None: podman's default, off.
    pub no_new_privileges: bool,
    pub seccomp: SeccompOption,
    /// Paths, or `ALL`.
    pub unmask: Vec<String>,
    pub mask: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SeccompOption {
    #[default]
    Default,
    Unconfined,
    /// The default profile, and changes of owner and user seem to succeed: for one mapped id, also where privileged.
    Pretending,
    /// A profile in the JSON of containers/Docker.
    File(String),
}

/// Namespaces other than network.
#[derive(Debug, Clone, Default)]
pub struct NamespaceOptions {
    pub userns: UsernsMode,
    pub pid: NamespaceMode,
    pub ipc: NamespaceMode,
    pub uts: NamespaceMode,
    pub cgroup: NamespaceMode,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NamespaceMode {
    #[default]
    Private,
    Host,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UsernsMode {
    /// Root in the container is the user.
    #[default]
    Host,
    /// The user keeps uid and gid; optionally as other numbers.
    KeepId { uid: Option<u32>, gid: Option<u32> },
    /// Nobody but the user, under the user's own ids: every file of the image is theirs or nobody's.
    OnlyMe,
    /// Like host, and the user's own id is not mapped at all.
    NoMap,
}

#[derive(Debug, Clone, Default)]
pub struct NetworkOptions {
    /// None: the default for this source and machine.
    pub mode: Option<NetworkMode>,
    pub ports: Vec<PortMapping>,
    /// `-P`.
    pub publish_all: bool,
    pub expose: Vec<String>,
    pub dns: Vec<String>,
    pub dns_search: Vec<String>,
    pub dns_options: Vec<String>,
    /// name, address (`host-gateway` allowed).
    pub add_hosts: Vec<(String, String)>,
    pub no_hosts: bool,
    pub no_hostname: bool,
}

/// Resource limits; none = not asked for. An unenforceable limit is an error before the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<i64>,
    pub memory_reservation: Option<i64>,
    /// Memory plus swap in bytes; -1 = unlimited.
    pub memory_swap: Option<i64>,
    /// Microseconds per period; from `--cpus` or `--cpu-quota`.
    pub cpu_quota: Option<i64>,
    pub cpu_period: Option<u64>,
    pub cpu_shares: Option<u64>,
    pub cpuset_cpus: Option<String>,
    pub cpuset_mems: Option<String>,
    /// None: the default 2048, where the pids controller is delegated.
    pub pids: Option<i64>,
    pub blkio_weight: Option<u16>,
    pub io: Vec<IoLimit>,
    /// `--cgroup-conf key=value`.
    pub unified: BTreeMap<String, String>,
}

/// One `--device-read-bps` or another of the four: most of what is read from or written to a disk in a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoLimit {
    pub kind: IoKind,
    /// A block device on the host.
    pub path: String,
    /// Bytes, or operations.
    pub rate: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoKind {
    ReadBytes,
    WriteBytes,
    ReadOperations,
    WriteOperations,
}
