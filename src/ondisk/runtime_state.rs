//! What the OCI runtime keeps of a container, on a file system that does not outlive a boot.
//!
//! ```text
//! <root>/<id>/              0700, made by create: its existence is the claim of the id
//!     bundle  cgroup  rdt   symlinks, made before anything they name is used: a killed create leaves its traces here
//!     init                  the marker. Locked (flock) by the container's first process until it executes its command;
//!                           holds `R` once everything is applied, or the failure of the last step
//!     exec.fifo             where that process waits for `start`
//!     door                  a socket where it hands out its namespaces until then (runtime::door)
//!     state.json            RuntimeState: written once, when the process exists, before it may outlive the runtime
//!     filter                the compiled seccomp program, for exec
//!     notify/notify.sock    on /run/notify in the container, where a service manager waits for it to be ready
//! ```
//! The status is never written, it is found out: process gone → stopped; `init` locked → creating or created; else
//! running, or paused where the cgroup is frozen. So no crash can leave a wrong one.

use oci_spec::runtime::Hook;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// File names of the directory.
pub const BUNDLE: &str = "bundle";
pub const CGROUP: &str = "cgroup";
pub const MARKER: &str = "init";
pub const FIFO: &str = "exec.fifo";
pub const DOOR: &str = "door";
pub const STATE: &str = "state.json";
pub const FILTER: &str = "filter";
pub const NOTIFY: &str = "notify";
pub const RDT: &str = "rdt";
/// Beside the images of a checkpoint: where stdio was connected, a list of three names (as runc writes it).
pub const DESCRIPTORS: &str = "descriptors.json";

/// The record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RuntimeState {
    pub version: u32,
    pub id: String,
    /// The first process, in the pid namespace of the runtime.
    pub pid: i32,
    /// Field 22 of /proc/PID/stat, against a reused pid.
    pub pid_start: u64,
    /// Absolute.
    pub bundle: String,
    pub rootfs: String,
    /// RFC 3339, UTC.
    pub created: String,
    /// uid of the caller.
    pub owner: u32,
    /// The container's cgroup, absolute, where it has one.
    pub cgroup: Option<String>,
    /// A process killed in a pid namespace of its own takes the others along; without one the cgroup is needed.
    pub own_pid_namespace: bool,
    /// `ociVersion` of the configuration.
    pub oci_version: String,
    pub annotations: HashMap<String, String>,
    /// Hooks that run after create.
    #[serde(default)]
    pub poststart: Vec<Hook>,
    #[serde(default)]
    pub poststop: Vec<Hook>,
}
