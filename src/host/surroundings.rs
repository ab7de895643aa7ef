//! What is around: a Slurm job, GPUs, leftovers of our own. Facts, mostly.

use super::{Probe, Report};
use crate::config::site::{FILE, Site};
use crate::paths::{self, Dirs};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A pull that was not touched for so long is dead.
const OLD: Duration = Duration::from_secs(24 * 3600);

pub(super) fn probe(dirs: &Dirs, report: &mut Report) {
    let (gpu, usable) = gpu();
    report.abilities.gpu = usable;
    report.probes.push(gpu);
    report.probes.push(slurm());
    report.probes.extend(site());
    report.probes.push(leftovers(dirs));
    report.probes.push(clock());
}

/// Device nodes that the user can open; the kernel module makes them.
fn gpu() -> (Probe, bool) {
    let vendors = [
        ("NVIDIA", "/dev/nvidiactl", "/dev"),
        ("AMD", "/dev/kfd", "/dev"),
        ("Intel or other", "/dev/dri/renderD128", "/dev/dri"),
    ];
    let Some((vendor, node, _)) = vendors.into_iter().find(|(_, node, _)| Path::new(node).exists()) else {
        return (Probe::pass("gpu", "none"), false);
    };
    let access = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK;
    if rustix::fs::accessat(rustix::fs::CWD, node, access, rustix::fs::AtFlags::EACCESS).is_err() {
        let probe = Probe::warn("gpu", format!("{vendor}: {node} is closed to you"))
            .fix_as_root(format!("usermod -aG \"$(stat -c %G {node})\" \"$USER\""));
        return (probe, false);
    }
    let driver = std::fs::read_to_string("/sys/module/nvidia/version")
        .ok()
        .map(|text| format!(", driver {}", text.trim()));
    (Probe::pass("gpu", format!("{vendor} ({node}{})", driver.unwrap_or_default())), true)
}

/// What the administrator says about everybody's containers, where there is a word.
fn site() -> Option<Probe> {
    let enforces = |site: Site| match site.enforce.as_slice() {
        [] => format!("{FILE} is read"),
        keys => {
            format!("{FILE} enforces {}", keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    };
    match Site::read() {
        Ok(None) => None,
        Ok(Some(site)) => Some(Probe::pass("site", enforces(site))),
        Err(e) => {
            let why = e.causes().last().cloned().unwrap_or_default();
            let fix = format!("correct {FILE}, see coracle-site.toml(5)");
            Some(Probe::fail("site", why).fix_as_root(fix).meanwhile("no container is made or started"))
        }
    }
}

fn slurm() -> Probe {
    let value = |name| paths::env(name).map(|value| value.to_string_lossy().into_owned());
    let Some(job) = value("SLURM_JOB_ID") else { return Probe::pass("slurm", "not inside a Slurm job") };
    let step = value("SLURM_STEP_ID").map_or_else(String::new, |step| format!(" step {step}"));
    let rank = value("SLURM_PROCID").map_or_else(String::new, |rank| format!(" rank {rank}"));
    let pmi = ["PMIX_RANK", "PMI_RANK", "PMI_FD"].into_iter().find(|name| value(name).is_some());
    let pmi = pmi.map_or_else(String::new, |name| format!(", {name} is set"));
    Probe::pass("slurm", format!("job {job}{step}{rank}{pmi}"))
}

/// Runtime directories without a container, and pulls that nobody continues.
fn leftovers(dirs: &Dirs) -> Probe {
    let names = |dir: &Path| -> Vec<std::fs::DirEntry> {
        std::fs::read_dir(dir).map(|entries| entries.filter_map(Result::ok).collect()).unwrap_or_default()
    };
    let orphans = names(&dirs.run).into_iter().filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| crate::id::ContainerId::parse(name).is_ok())
            && !dirs.data.join("containers").join(&name).exists()
    });
    let now = SystemTime::now();
    let stale = names(&dirs.data.join("staging")).into_iter().filter(|entry| {
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| now.duration_since(at).ok());
        age.is_some_and(|age| age > OLD)
    });
    let (orphans, stale) = (orphans.count(), stale.count());
    if orphans + stale == 0 {
        return Probe::pass("leftovers", "none");
    }
    Probe::warn(
        "leftovers",
        format!("{orphans} runtime directories without a container, {stale} pulls that ended early"),
    )
    .fix("coracle system check --repair")
}

/// Certificates are judged by the clock: a clock before the release of this program is wrong.
fn clock() -> Probe {
    const RELEASE: u64 = 1_735_689_600; // 2025-01-01
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if now < RELEASE {
        return Probe::warn("clock", "the clock is years behind: certificates of registries look invalid")
            .fix_as_root("timedatectl set-ntp true");
    }
    Probe::pass("clock", "plausible")
}
