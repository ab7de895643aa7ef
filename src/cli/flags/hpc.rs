//! `--hpc`: a program of an image as if it were one of the host's, for `run` and `create`.
//!
//! You are yourself, at home, where you are, with your environment, groups, umask and stdin, in the host's namespaces, and gain
//! no privileges. What the image says of ENTRYPOINT, CMD, ENV, WORKDIR and VOLUME means what it means without the flag: the
//! host's variables stand below the image's, and the current directory below its WORKDIR. A flag that is given stands
//! above all of this. A site can make it the default (`engine::site`).

use super::process::ProcessFlags;
use super::security::SecurityFlags;
use crate::cli::ui;
use crate::engine::options::{CreateOptions, MountKind, MountOption, NamespaceMode, UsernsMode};
use crate::host;
use crate::ondisk::container::NetworkMode;
use crate::spec::runtime::ANNOTATION_GROUPS;
use rustix::fs::Mode;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Clone, clap::Args)]
pub struct HpcFlags {
    /// As on the host: your user and groups, home, /tmp, current directory, environment, network and processes, and no new privileges
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::tree::go_bool)]
    pub hpc: Option<bool>,
    /// Add what this site's module of that name stands for: files, devices, variables and flags (podman-hpc's modules.d)
    #[arg(long, value_name = "NAME")]
    pub module: Vec<String>,
}

/// Variables that mean the host's files, shell or session, by the beginning of their names. They stay there.
const OF_THE_HOST: [&str; 24] = [
    "BASH_ENV",
    "BASH_FUNC_",
    "DBUS_",
    "ENV",
    "HOME",
    "HOSTNAME",
    "LD_",
    "LMOD_",
    "LOADEDMODULES",
    "MANPATH",
    "MODULE",
    "OLDPWD",
    "PATH",
    "PERL5LIB",
    "PKG_CONFIG_PATH",
    "PWD",
    "PYTHONHOME",
    "PYTHONPATH",
    "SHELL",
    "SHLVL",
    "XDG_",
    "_",
    "TMPDIR",
    "container",
];

/// Of these the whole name counts: others begin like them.
const WHOLE: [&str; 6] = ["ENV", "HOME", "PATH", "PWD", "SHELL", "container"];

/// Trees of the host that would hide the image's.
const SYSTEM: [&str; 13] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr",
    "/var/lib",
];

impl HpcFlags {
    /// A flag that was given and is for somebody else than the user.
    pub fn contradiction(process: &ProcessFlags, security: &SecurityFlags) -> Option<&'static str> {
        let given = [
            (process.user.is_some(), "--user"),
            (security.userns.is_some(), "--userns"),
            (!process.group_add.is_empty(), "--group-add"),
        ];
        given.into_iter().find(|(is, _)| *is).map(|(_, flag)| flag)
    }
}

/// Changes what was not said otherwise.
pub fn apply(options: &mut CreateOptions, said: &SecurityFlags, home: Option<&Path>) {
    options.namespaces.userns = UsernsMode::OnlyMe;
    let own_name = options.process.hostname.is_some();
    for (mode, given) in [
        (&mut options.namespaces.pid, said.pid.is_some()),
        (&mut options.namespaces.ipc, said.ipc.is_some()),
        (&mut options.namespaces.uts, said.uts.is_some() || own_name),
    ] {
        if !given {
            *mode = NamespaceMode::Host;
        }
    }
    if options.network.mode.is_none() {
        options.network.mode = Some(NetworkMode::Host);
    }
    options.security.no_new_privileges = true;
    // What is written goes to the host's file systems: what others may see of it is the caller's to say.
    options.process.umask = options.process.umask.or_else(|| Some(umask()));
    options.annotations.entry(ANNOTATION_GROUPS.to_owned()).or_insert_with(|| "1".to_owned());
    options.process.host_env = host_env(&crate::cli::parse::env::host());
    let home = home.and_then(Path::to_str).filter(|home| is_shown_or_said("your home", home));
    if let Some(home) = home {
        options.process.env.insert(0, ("HOME".to_owned(), home.to_owned()));
    }
    let cwd = std::env::current_dir().ok().and_then(|cwd| cwd.to_str().map(str::to_owned));
    let cwd = cwd.filter(|cwd| is_shown_or_said("the current directory", cwd));
    options.process.host_cwd = cwd.clone();
    options.process.own_stdin = true;
    for place in home.into_iter().chain(["/tmp"]).chain(cwd.as_deref()) {
        show(place, &mut options.mounts);
    }
    options.process.host_env.extend(temporary(&options.mounts));
}

/// The caller's. No thread of ours makes files yet.
fn umask() -> u32 {
    let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(mask);
    mask.as_raw_mode()
}

/// TMPDIR, where that directory is the same one inside: a batch system gives each job its own, and removes it.
fn temporary(mounts: &[MountOption]) -> Option<(String, String)> {
    const NAME: &str = "TMPDIR";
    let dir = crate::paths::env(NAME)?.into_string().ok()?;
    let shows = |m: &MountOption| is_same(m) && Path::new(&dir).starts_with(&m.destination);
    (Path::new(&dir).is_dir() && mounts.iter().any(shows)).then(|| (NAME.to_owned(), dir))
}

/// Whether a place of the host is mounted where it is.
fn is_same(mount: &MountOption) -> bool {
    mount.kind == MountKind::Bind(mount.destination.clone())
}

/// Mounts it, unless it is there with a directory above it, or something else was put there.
fn show(place: &str, mounts: &mut Vec<MountOption>) {
    let there = mounts
        .iter()
        .any(|m| m.destination == place || is_same(m) && Path::new(place).starts_with(&m.destination));
    if there {
        return;
    }
    mounts.push(MountOption {
        kind: MountKind::Bind(place.to_owned()),
        destination: place.to_owned(),
        options: ["rbind", "rprivate"].map(str::to_owned).to_vec(),
        copy_up: false,
    });
}

/// A program that does not find what cannot be looked at would write its results where they are lost.
fn is_shown_or_said(what: &str, path: &str) -> bool {
    if is_shown(path) {
        return true;
    }
    if let Some(why) = host::unseen(Path::new(path)) {
        ui::warn(format_args!("{what} {path} {why}: it is not in the container"));
    }
    false
}

fn is_shown(path: &str) -> bool {
    path.starts_with('/')
        && path != "/"
        && path != "/var"
        && !SYSTEM.iter().any(|tree| Path::new(path).starts_with(tree))
        && Path::new(path).is_dir()
}

fn host_env(host: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let stays = |name: &str| {
        OF_THE_HOST.iter().any(|begin| match WHOLE.contains(begin) || *begin == "_" {
            true => name == *begin,
            false => name.starts_with(begin),
        })
    };
    host.iter().filter(|(name, _)| !stays(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_own_variables_stay_there() {
        let names = [
            "PATH",
            "PATHS",
            "LD_PRELOAD",
            "OMP_NUM_THREADS",
            "ENVIRONMENT",
            "_",
            "_X",
            "SLURM_JOB_ID",
            "XDG_A",
        ];
        let host = names.map(|name| (name.to_owned(), "1".to_owned())).into();
        let kept: Vec<String> = host_env(&host).into_iter().map(|(name, _)| name).collect();
        assert_eq!(kept, ["ENVIRONMENT", "OMP_NUM_THREADS", "PATHS", "SLURM_JOB_ID", "_X"]);
    }

    #[test]
    fn the_images_own_trees_are_not_hidden() {
        for path in ["/", "/usr/src", "/var", "/proc/self", "relative"] {
            assert!(!is_shown(path), "{path}");
        }
        assert!(is_shown("/tmp"));
    }
}
