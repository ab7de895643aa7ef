//! `linux.intelRdt`: a share of the cache and of the memory bandwidth, by groups of the resctrl file system
//! (Documentation/filesystems/resctrl.rst). Where that is not mounted it is an error, with runc's words.
//!
//! A group named by `closID` belongs to whoever named it and stays; one that has the container's id goes with it.

use super::args::Context;
use super::state::StateDir;
use crate::error::{Context as _, Error, Result};
use crate::id::RuntimeId;
use crate::ondisk::runtime_state::RDT;
use crate::sys::CallContext;
use oci_spec::runtime::{LinuxIntelRdt, Spec};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// A group that the container goes into.
#[derive(Debug)]
pub struct Group {
    dir: PathBuf,
    /// Of its own, for counting.
    monitor: Option<PathBuf>,
}

/// Makes the group that the configuration asks for. `dir` keeps a trace of what is to be removed.
pub fn create(config: &Spec, id: &RuntimeId, dir: &StateDir) -> Result<Option<Group>> {
    let Some(asked) = config.linux().as_ref().and_then(|linux| linux.intel_rdt().as_ref()) else {
        return Ok(None);
    };
    let mount = mount_point().ok_or_else(|| {
        Error::host("intelRdt is specified in config, but Intel RDT is not enabled")
            .hint("As root, on a machine that has it: `mount -t resctrl resctrl /sys/fs/resctrl`.")
    })?;
    let group = group(&mount, asked, id)?;
    let own = asked.clos_id().as_deref().is_none_or(str::is_empty);
    if own {
        dir.note(RDT, &group.dir)?;
    }
    make(&group.dir)?;
    let schemata = lines(asked);
    if !schemata.is_empty() {
        put(&group.dir, "schemata", &schemata)?;
    }
    if let Some(monitor) = &group.monitor {
        if !own {
            dir.note(RDT, monitor)?;
        }
        make(monitor)?;
    }
    Ok(Some(group))
}

fn group(mount: &Path, asked: &LinuxIntelRdt, id: &RuntimeId) -> Result<Group> {
    let named = asked.clos_id().as_deref().filter(|name| !name.is_empty());
    let dir = match named {
        Some("/") => mount.to_owned(),
        Some(name) if name == "." || name == ".." || name.contains('/') => {
            return Err(Error::usage(format_args!("invalid linux.intelRdt.closID {name:?}")));
        }
        Some(name) => mount.join(name),
        None => mount.join(id),
    };
    let monitor = asked.enable_monitoring().unwrap_or(false).then(|| dir.join("mon_groups").join(id));
    Ok(Group { dir, monitor })
}

/// What is written to `schemata`, a line at a time in the end.
fn lines(asked: &LinuxIntelRdt) -> String {
    let old = asked.l3_cache_schema().iter().chain(asked.mem_bw_schema());
    let all = old.chain(asked.schemata().iter().flatten()).filter(|line| !line.is_empty());
    all.map(|line| format!("{line}\n")).collect()
}

impl Group {
    /// Puts a process in.
    pub fn enter(&self, pid: i32) -> Result<()> {
        let dirs = std::iter::once(&self.dir).chain(&self.monitor);
        dirs.into_iter().try_for_each(|dir| put(dir, "tasks", &pid.to_string()))
    }
}

/// Removes what `create` has noted. Its processes are gone.
pub fn remove(dir: &StateDir) {
    if let Ok(Some(group)) = dir.noted(RDT) {
        let _ = rustix::fs::unlinkat(CWD, &group, AtFlags::REMOVEDIR);
    }
}

/// Whether schemata of these two kinds can be set at all.
pub fn check(cache: Option<&str>, bandwidth: Option<&str>) -> Result<()> {
    let mount = mount_point();
    let has = |kind: &str| mount.as_ref().is_some_and(|mount| mount.join("info").join(kind).exists());
    if cache.is_some() && !["L3", "L3CODE"].iter().any(|kind| has(kind)) {
        return Err(Error::host("Intel RDT/CAT: l3 cache schema is not enabled"));
    }
    if bandwidth.is_some() && !has("MB") {
        return Err(Error::host("Intel RDT/MBA: memory bandwidth schema is not enabled"));
    }
    Ok(())
}

/// New schemata for the group of a container.
pub fn update(context: &Context, id: &RuntimeId, cache: Option<&str>, bandwidth: Option<&str>) -> Result<()> {
    let text: String = [cache, bandwidth].into_iter().flatten().map(|line| format!("{line}\n")).collect();
    let (false, Some(mount)) = (text.is_empty(), mount_point()) else { return Ok(()) };
    let dir = StateDir::get(context, id)?;
    let record = dir.record()?.ok_or_else(super::state::no_such_container)?;
    let config = crate::spec::runtime::load(Path::new(&record.bundle), None)?;
    let asked = config.linux().as_ref().and_then(|linux| linux.intel_rdt().clone()).unwrap_or_default();
    put(&group(&mount, &asked, id)?.dir, "schemata", &text)
}

fn mount_point() -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let point = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        (right.split(' ').next()? == "resctrl").then(|| left.split(' ').nth(4).map(PathBuf::from))?
    };
    text.lines().find_map(point)
}

fn make(dir: &Path) -> Result<()> {
    match rustix::fs::mkdir(dir, Mode::from(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e).call(|| format!("mkdir({dir:?})")).what(|| "cannot make the intelRdt group"),
    }
}

fn put(dir: &Path, name: &str, text: &str) -> Result<()> {
    let path = dir.join(name);
    let cannot = || "cannot set linux.intelRdt";
    let file = rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("open({path:?})"))
        .what(cannot)?;
    rustix::io::write(&file, text.as_bytes()).call(|| format!("write({path:?}, {text:?})")).what(cannot)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_containers_id_or_the_one_that_was_named() {
        let of = |json: serde_json::Value| {
            let asked: LinuxIntelRdt = serde_json::from_value(json).unwrap();
            group(Path::new("/r"), &asked, &RuntimeId::parse("c1").unwrap())
                .map(|g| (g.dir, g.monitor, lines(&asked)))
        };
        let own =
            serde_json::json!({"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "schemata": ["L2:0=1"]});
        assert_eq!(of(own).unwrap(), ("/r/c1".into(), None, "L3:0=f\nMB:0=20\nL2:0=1\n".into()));
        let named = serde_json::json!({"closID": "gold", "enableMonitoring": true});
        assert_eq!(
            of(named).unwrap(),
            ("/r/gold".into(), Some("/r/gold/mon_groups/c1".into()), String::new())
        );
        for bad in ["..", "a/b", "."] {
            assert!(of(serde_json::json!({ "closID": bad })).is_err(), "{bad}");
        }
    }
}
