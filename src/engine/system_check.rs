//! `system check [--repair]`: is everything on disk what the records say, and does nothing run that no record knows?
//!
//! The store checks images, layers, names of images, volumes and containers' records (`store::check`). Here: claims of
//! names, states after recovery, runtime directories.

use super::{lookup, names};
use crate::error::{Error, Result};
use crate::id::ContainerId;
use crate::monitor::client;
use crate::ondisk;
use crate::ondisk::container::{Container, Status};
use crate::paths::Dirs;
use crate::store::{self, Store, check::Findings};
use rustix::fs::AtFlags;
use std::os::fd::AsFd;

/// Checks everything. `repair` needs the store's namespace.
pub fn check(dirs: &Dirs, repair: bool) -> Result<Findings> {
    let mut findings = store::check::check(&Store::open(dirs)?, repair)?;
    claims(dirs, repair, &mut findings)?;
    states(dirs, &mut findings)?;
    run_directories(dirs, repair, &mut findings)?;
    Ok(findings)
}

/// Empty scopes that are left of starts that were killed. Outside of the store's namespace: in there systemd does
/// not know us.
pub fn remove_cgroups() -> Vec<String> {
    let names = crate::cgroup::leftover::remove().into_iter();
    names.map(|name| format!("removed the empty scope {name}")).collect()
}

/// Every claim of a name must be of a container that has this name.
fn claims(dirs: &Dirs, repair: bool, findings: &mut Findings) -> Result<()> {
    let data = dirs.open_data()?;
    let claims = names::subdir(&data, "names")?;
    for name in store::list_records(&claims)? {
        let text = std::fs::read_to_string(dirs.data.join("names").join(&name)).unwrap_or_default();
        let owner = ContainerId::parse(text.trim()).ok().filter(|id| dirs.container(id).exists());
        let honest = match &owner {
            Some(id) => lookup::read_container(dirs, id).map_or(true, |c| c.name.as_str() == name),
            None => false,
        };
        if honest {
            continue;
        }
        if repair {
            rustix::fs::unlinkat(&claims, name.as_str(), AtFlags::empty()).ok();
            findings.repaired.push(format!("freed the name {name}, which no container has"));
        } else {
            findings
                .notes
                .push(format!("the name {name} is claimed by no container; the next one may take it"));
        }
    }
    Ok(())
}

/// Without these it cannot be started.
fn damaged_records(dirs: &Dirs, c: &Container) -> Vec<Error> {
    let Ok(dir) = lookup::open_container(dirs, &c.id) else { return Vec::new() };
    let config = std::fs::read(dirs.container(&c.id).join("config.json")).ok().and_then(|text| {
        let why = serde_json::from_slice::<serde::de::IgnoredAny>(&text).err()?;
        Some(Error::corrupt("the file config.json is damaged").cause(why))
    });
    let toolbox = ondisk::read_opt::<ondisk::toolbox::Toolbox>(&dir, ondisk::toolbox::NAME).err();
    let said = |e: Error| {
        e.wrap(format_args!("container {} cannot be started", c.name)).hint(format_args!(
            "Its files are there: copy them out with `coracle export {0}`, remove it with `coracle rm {0}`, and make it anew.",
            c.name
        ))
    };
    config.into_iter().chain(toolbox).map(said).collect()
}

/// Looking at a container recovers it; what runs must have a monitor.
fn states(dirs: &Dirs, findings: &mut Findings) -> Result<()> {
    let (all, damaged) = lookup::list(dirs)?;
    findings.problems.extend(damaged);
    for id in lookup::half_removed(dirs)? {
        findings.problems.push(
            Error::corrupt(format_args!("the files of container {}, which is gone, are left", id.short()))
                .cause("another command removes them just now, or they cannot be removed"),
        );
    }
    for (c, state) in all {
        let runs = matches!(state.status, Status::Running | Status::Paused | Status::Stopping);
        if runs && !client::is_alive(dirs, &c.id)? && c.machine_id == super::machine_id() {
            findings.problems.push(Error::corrupt(format_args!(
                "container {} is recorded as running and has no monitor",
                c.name
            )));
        }
        findings.problems.extend(damaged_records(dirs, &c));
        if lookup::id_of_name(dirs, c.name.as_str())?.as_ref() != Some(&c.id) {
            findings.problems.push(
                Error::corrupt(format_args!("the name of container {} is not claimed by it", c.name))
                    .hint(format_args!("Give it a name again with `coracle rename {} NAME`.", c.id.short())),
            );
        }
    }
    Ok(())
}

/// A runtime directory without its container is left from a removal that was cut short.
fn run_directories(dirs: &Dirs, repair: bool, findings: &mut Findings) -> Result<()> {
    let run = dirs.open_run()?;
    for name in store::list_records(&run)? {
        let Ok(id) = ContainerId::parse(&name) else { continue };
        if dirs.container(&id).exists() || client::is_alive(dirs, &id)? {
            continue;
        }
        if repair {
            store::remove_tree(run.as_fd(), &name)?;
            findings
                .repaired
                .push(format!("removed the runtime directory of container {}, which is gone", id.short()));
        } else {
            findings.notes.push(format!("the runtime directory of container {} is left over", id.short()));
        }
    }
    Ok(())
}
