//! Flags before (or, as in podman, also after) the subcommand.

use crate::cli::{parse, ui};
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;

/// Flags of every command.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Globals {
    /// Keep images, containers and volumes in this directory
    #[arg(long, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
    /// Keep sockets and locks in this directory, on a local file system
    #[arg(long, value_name = "DIR", hide = true)]
    pub runroot: Option<PathBuf>,
    /// Say less or more: debug, info, warn, error
    #[arg(long, value_name = "LEVEL", hide = true)]
    pub log_level: Option<String>,
    /// Use this OCI runtime: a path, or a name to look for
    #[arg(long, value_name = "RUNTIME", hide = true)]
    pub runtime: Option<String>,
    /// Make new containers with this driver: overlay, fuse-overlayfs, vfs
    #[arg(long, value_name = "DRIVER", hide = true)]
    pub storage_driver: Option<String>,
    /// Look for images in this store as well (additionalimagestore=DIR), or limit what images take (max_size=SIZE)
    #[arg(long, value_name = "KEY=VALUE", hide = true)]
    pub storage_opt: Vec<String>,
    /// Ask for cgroups from systemd, from the file system (cgroupfs), or not at all (disabled)
    #[arg(long, value_name = "MANAGER", hide = true)]
    pub cgroup_manager: Option<String>,
}

/// Where a container's cgroup comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupManager {
    Systemd,
    Cgroupfs,
    Disabled,
}

/// What `--storage-opt` says.
#[derive(Debug, Clone, Default)]
pub struct StorageOptions {
    pub stores: Vec<PathBuf>,
    pub max_size: Option<u64>,
}

/// podman's global flags that coracle refuses, and whether they take a value.
const REFUSED: [(&str, bool); 19] = [
    ("--config", true),
    ("--conmon", true),
    ("--connection", true),
    ("--events-backend", true),
    ("--hooks-dir", true),
    ("--identity", true),
    ("--imagestore", true),
    ("--module", true),
    ("--network-cmd-path", true),
    ("--network-config-dir", true),
    ("--noout", false),
    ("--out", true),
    ("--remote", false),
    ("--runtime-flag", true),
    ("--ssh", true),
    ("--syslog", false),
    ("--tmpdir", true),
    ("--url", true),
    ("--volumepath", true),
];

/// Whether `flag` (without `=value`) is a global flag with a value: the next word belongs to it.
pub fn takes_value(flag: &str) -> bool {
    const OURS: [&str; 7] = [
        "--root",
        "--runroot",
        "--log-level",
        "--runtime",
        "--storage-driver",
        "--storage-opt",
        "--cgroup-manager",
    ];
    OURS.contains(&flag) || REFUSED.contains(&(flag, true)) || flag == "-c"
}

/// The error for a global flag of podman's that coracle does not have.
pub fn refused(flag: &str) -> Option<Error> {
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    let long = match name {
        "-c" => "--connection",
        "-r" => "--remote",
        name => name,
    };
    REFUSED.iter().any(|(known, _)| *known == long).then(|| {
        let error = Error::usage(format_args!("flag {long} is not supported yet"));
        match long {
            "--remote" | "--connection" | "--url" | "--identity" | "--ssh" => error.hint(
                "coracle has no service to connect to: run it on the machine itself, for example over ssh.",
            ),
            _ => error.hint("See `coracle --help` for the global flags."),
        }
    })
}

impl Globals {
    /// Takes over what was given after the subcommand.
    pub fn merge(&mut self, later: Self) {
        let Self { root, runroot, log_level, runtime, storage_driver, storage_opt, cgroup_manager } = later;
        self.storage_opt.extend(storage_opt);
        self.root = root.or_else(|| self.root.take());
        self.runroot = runroot.or_else(|| self.runroot.take());
        self.log_level = log_level.or_else(|| self.log_level.take());
        self.runtime = runtime.or_else(|| self.runtime.take());
        self.storage_driver = storage_driver.or_else(|| self.storage_driver.take());
        self.cgroup_manager = cgroup_manager.or_else(|| self.cgroup_manager.take());
    }

    /// Checks the values that are words, and sets how much is said.
    pub fn apply(&self) -> Result<()> {
        if let Some(level) = &self.log_level {
            ui::set_level(level)?;
        }
        self.cgroup_manager()?;
        self.storage_driver()?;
        self.storage_options()?;
        Ok(())
    }

    /// `--cgroup-manager`.
    pub fn cgroup_manager(&self) -> Result<CgroupManager> {
        match self.cgroup_manager.as_deref() {
            None | Some("systemd") => Ok(CgroupManager::Systemd),
            Some("cgroupfs") => Ok(CgroupManager::Cgroupfs),
            Some("disabled") => Ok(CgroupManager::Disabled),
            Some(other) => Err(Error::usage(format_args!(
                "invalid cgroup manager {other:?}: not one of systemd, cgroupfs, disabled"
            ))),
        }
    }

    /// `--storage-driver`.
    pub fn storage_driver(&self) -> Result<Option<crate::ondisk::container::Driver>> {
        use crate::ondisk::container::Driver;
        match self.storage_driver.as_deref() {
            None | Some("" | "auto") => Ok(None),
            Some("overlay") => Ok(Some(Driver::Overlay)),
            Some("fuse-overlayfs") => Ok(Some(Driver::FuseOverlayfs)),
            Some("vfs") => Ok(Some(Driver::Vfs)),
            Some(other) => Err(Error::usage(format_args!(
                "invalid storage driver {other:?}: not one of auto, overlay, fuse-overlayfs, vfs"
            ))),
        }
    }

    /// `--storage-opt`.
    pub fn storage_options(&self) -> Result<StorageOptions> {
        let mut options = StorageOptions::default();
        for text in &self.storage_opt {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            match key {
                "additionalimagestore" | "overlay.imagestore" if value.starts_with('/') => {
                    options.stores.push(PathBuf::from(value));
                }
                "additionalimagestore" | "overlay.imagestore" => {
                    return Err(Error::usage(format_args!(
                        "invalid --storage-opt {text:?}: no absolute path"
                    )));
                }
                "max_size" => options.max_size = Some(parse::size::bytes("--storage-opt max_size", value)?),
                _ => {
                    return Err(Error::usage(format_args!("flag --storage-opt {key} is not supported yet"))
                        .hint("There are additionalimagestore=DIR and max_size=SIZE."));
                }
            }
        }
        Ok(options)
    }

    /// As arguments again, for the same command inside the store's namespace. Directories come from `Dirs` there.
    pub fn to_args(&self) -> Vec<OsString> {
        let pairs = [
            ("--log-level", &self.log_level),
            ("--runtime", &self.runtime),
            ("--storage-driver", &self.storage_driver),
            ("--cgroup-manager", &self.cgroup_manager),
        ];
        pairs
            .into_iter()
            .filter_map(|(flag, value)| value.as_ref().map(|v| [flag.into(), v.into()]))
            .flatten()
            .collect()
    }
}
