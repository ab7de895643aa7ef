//! Options and image config → the bundle's config.json (OCI runtime-spec 1.2), as data: nothing here touches the host.
//!
//! The document is built as JSON by parts, one file each: `process` (command, environment, user, capabilities), `mounts`,
//! `linux` (namespaces, maps, limits, masks, seccomp). What must be asked of the host or of the image comes in through
//! `Facts`. Defaults are podman's; where ours are stricter the line says why.

mod linux;
mod mounts;
mod process;
mod systemd;

pub use linux::resources;
pub use mounts::{ManagedFiles, PreparedMount};
pub use systemd::{STOP_SIGNAL as SYSTEMD_STOP_SIGNAL, is_wanted as wants_systemd};

use super::cdi::Gifts;
use super::options::{CreateOptions, NamespaceMode};
use super::users::User;
use crate::error::Result;
use crate::userns::IdMaps;
use serde_json::{Value, json};

/// The version of runtime-spec that we write.
pub const OCI_VERSION: &str = "1.0.2";

/// What the host and the image say, found out before.
#[derive(Debug)]
pub struct Facts<'a> {
    pub id: &'a crate::id::ContainerId,
    pub name: &'a crate::id::ContainerName,
    /// The image's config, empty for `host:` and `--rootfs`.
    pub image: &'a ImageDefaults,
    pub user: &'a User,
    /// Maps of the nested namespace: inside ↔ ids of the store's namespace.
    pub maps: &'a IdMaps,
    pub hostname: &'a str,
    /// `root.path`.
    pub rootfs: &'a str,
    /// The container shares the host's network namespace (a sysfs of its own cannot be mounted then).
    pub host_network: bool,
    /// Volumes and binds, resolved to host paths.
    pub mounts: &'a [PreparedMount],
    /// What comes with the devices that were asked for.
    pub gifts: &'a Gifts,
    /// It is prepared for systemd (`systemd`).
    pub systemd: bool,
    /// hosts, resolv.conf, hostname: host paths of the files we manage.
    pub files: &'a ManagedFiles,
    /// Host path of the program for `--init`.
    pub init_path: Option<&'a str>,
    /// A seccomp profile, finished; none = unconfined.
    pub seccomp: Option<Value>,
    /// Limits of disk traffic, by device number.
    pub block_io: Option<Value>,
}

/// What an image says about how it is run.
#[derive(Debug, Clone, Default)]
pub struct ImageDefaults {
    pub env: Vec<String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub workdir: Option<String>,
    pub user: Option<String>,
    pub volumes: Vec<String>,
    pub exposed_ports: Vec<String>,
    pub labels: std::collections::BTreeMap<String, String>,
    pub stop_signal: Option<String>,
}

/// The whole document.
pub fn config_json(options: &CreateOptions, facts: &Facts<'_>) -> Result<Value> {
    let capabilities = process::Capabilities::decide(&options.security, facts.user.uid)?;
    let mut annotations = options.annotations.clone();
    annotations.insert("io.container.manager".into(), "coracle".into());
    annotations.insert(crate::spec::runtime::ANNOTATION_CPUS.into(), "inherit".into());
    if facts.gifts.keep_groups {
        annotations.insert(crate::spec::runtime::ANNOTATION_GROUPS.into(), "1".into());
    }
    let own_uts = options.namespaces.uts == NamespaceMode::Private;
    let mut config = json!({
        "ociVersion": OCI_VERSION,
        "process": process::process(options, facts, &capabilities)?,
        "root": { "path": facts.rootfs, "readonly": options.read_only },
        "mounts": mounts::mounts(options, facts),
        "annotations": annotations,
        "linux": linux::linux(options, facts),
    });
    if !facts.gifts.hooks.is_null() {
        config["hooks"] = facts.gifts.hooks.clone();
    }
    if own_uts {
        config["hostname"] = json!(facts.hostname);
    }
    Ok(config)
}

/// The capabilities of the bounding set, which the default seccomp profile depends on.
pub fn bounding_capabilities(options: &CreateOptions, uid: u32) -> Result<Vec<String>> {
    Ok(process::Capabilities::decide(&options.security, uid)?.bounding)
}

pub use process::{places, programs};

/// The command: entrypoint and arguments as podman joins them.
pub fn command(options: &CreateOptions, image: &ImageDefaults) -> Result<Vec<String>> {
    process::command(options, image)
}
