//! Whether limits can hold: the cgroup version, who may make a cgroup for a container, which controllers it would have.

use super::{Probe, Report};
use crate::cgroup::delegate::{self, Tree};
use crate::cgroup::scope::{self, Manager};
use crate::userns::subid;
use std::path::{Path, PathBuf};

/// Controllers that the options --memory, --cpus and --pids-limit need.
const WANTED: [&str; 3] = ["cpu", "memory", "pids"];
/// Controllers that any option uses.
const USED: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

pub(super) fn probe(report: &mut Report) {
    let Some(tree) = delegate::tree() else {
        report.probes.push(
            Probe::warn("cgroup", "no cgroup v2 is mounted: limits cannot be set")
                .fix_as_root("boot with systemd.unified_cgroup_hierarchy=1")
                .meanwhile("containers run without a cgroup of their own"),
        );
        return;
    };
    let manager = if rustix::process::geteuid().is_root() { Manager::System } else { Manager::User };
    let has_manager = scope::reachable(manager);
    let in_step = crate::paths::env("SLURM_JOB_ID").is_some();
    let (controllers, source) = controllers(tree, has_manager && !in_step, manager);
    report.probes.push(cgroup(tree, &controllers, source.as_deref()));
    report.abilities.controllers = controllers;
    report.probes.push(user_manager(has_manager, in_step, manager));
    if manager == Manager::User && has_manager {
        report.probes.push(linger());
    }
}

/// What a container's cgroup would have, and who makes it. None: nobody.
fn controllers(tree: Tree, by_scope: bool, manager: Manager) -> (Vec<String>, Option<String>) {
    let usable = |dir: &Path| -> Vec<String> {
        delegate::controllers(dir).into_iter().filter(|name| USED.contains(&name.as_str())).collect()
    };
    if by_scope {
        let dir =
            if manager == Manager::System { Some(PathBuf::from(tree.mount)) } else { managers_dir(tree) };
        let found = dir.as_deref().map(usable).unwrap_or_default();
        return (found, Some("a systemd scope for each container".to_owned()));
    }
    match delegate::writable() {
        Some(dir) => (usable(&dir), Some(format!("this login's own cgroup {}", dir.display()))),
        None => (Vec::new(), None),
    }
}

/// The cgroup of the user's manager: the parent of all that it makes, so its controllers are the most that a scope gets.
fn managers_dir(tree: Tree) -> Option<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let usual = Path::new(tree.mount).join(format!("user.slice/user-{uid}.slice/user@{uid}.service"));
    if usual.is_dir() {
        return Some(usual);
    }
    // Not started by pid 1 (a container, a test): what our own cgroup has is the best answer.
    delegate::own_dir()
}

fn cgroup(tree: Tree, controllers: &[String], source: Option<&str>) -> Probe {
    let version = if tree.hybrid { "v2 beside v1 (hybrid)" } else { "v2" };
    let Some(source) = source else {
        return Probe::warn("cgroup", format!("{version}, but nobody makes a cgroup for a container: no systemd manager answers, and this login's own is not writable"))
            .fix("log in by ssh or on a console, so that a user manager runs")
            .meanwhile("containers run without limits; asking for one is an error, never ignored");
    };
    let missing: Vec<&str> =
        WANTED.into_iter().filter(|name| !controllers.iter().any(|have| have == name)).collect();
    let have = if controllers.is_empty() { "no controllers".to_owned() } else { controllers.join(" ") };
    let fact = format!("{version}, {source}, with {have}");
    if missing.is_empty() {
        return Probe::pass("cgroup", fact);
    }
    let fix = if tree.hybrid {
        "boot with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all".to_owned()
    } else {
        "mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' > /etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload".to_owned()
    };
    Probe::warn("cgroup", format!("{fact}; limits that need {} are refused", missing.join(", ")))
        .fix_as_root(fix)
        .meanwhile("containers run without these limits; asking for one is an error, never ignored")
}

fn user_manager(reachable: bool, in_step: bool, manager: Manager) -> Probe {
    let what = if manager == Manager::User { "systemd --user" } else { "systemd" };
    if in_step {
        return Probe::pass("systemd", "inside a Slurm job: its own cgroup is used, no scope is made");
    }
    if reachable {
        return Probe::pass("systemd", format!("{what} answers"));
    }
    let uid = rustix::process::geteuid().as_raw();
    let probe = Probe::warn("systemd", format!("{what} does not answer"))
        .meanwhile("an own, delegated cgroup is used where there is one, else none");
    if manager == Manager::User && Path::new("/run/systemd/system").exists() {
        return probe.fix_as_root(format!("systemctl start user@{uid}.service"));
    }
    probe
}

/// Without linger systemd ends the user's manager, and all containers in it, at the last logout.
fn linger() -> Probe {
    let uid = rustix::process::geteuid().as_raw();
    let name = subid::user_name(uid).unwrap_or_else(|| uid.to_string());
    if Path::new("/var/lib/systemd/linger").join(&name).exists() {
        return Probe::pass("linger", "on: containers stay after you log out");
    }
    Probe::warn("linger", "off: containers end when you log out of your last session")
        .fix(format!("loginctl enable-linger {name}"))
}
