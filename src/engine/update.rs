//! Changing the limits of a container: in its cgroup, when it runs, and in config.json for its next starts.
//!
//! The cgroup first: a limit that cannot be set is written down nowhere. The payload's cgroup belongs to the store's root, so
//! its files are written from here; the monitor has no part in it. All of it under the lock of the records: of two updates
//! at once each takes effect whole, and what is written down is what is in the cgroup.

use super::options::Limits;
use super::{blockio, lookup, specgen};
use crate::cgroup::fs::{Cgroup, resolve};
use crate::error::{Context, Error, Result};
use crate::monitor::{client, records};
use crate::ondisk::container::{Cgroups, Container, State, Status};
use crate::ondisk::{self, Durability};
use crate::paths::Dirs;
use crate::sys::CallContext;
use oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value};

/// Sets what `limits` names; other limits stay as they are.
pub fn update(dirs: &Dirs, c: &Container, limits: &Limits) -> Result<()> {
    let change = || {
        if c.cgroups == Cgroups::Disabled {
            return Err(Error::host("it was made with --cgroups=disabled"));
        }
        // Without the lock: a recovery may end in a removal, which takes it.
        if !runs(&lookup::state(dirs, c)?) {
            change(dirs, c, limits, false)?;
            // Whoever starts it at this moment may have read the limits before us.
            client::settle(dirs, &c.id);
            if !lookup::state(dirs, c).is_ok_and(|state| runs(&state)) {
                return Ok(());
            }
        }
        change(dirs, c, limits, true)
    };
    lookup::or_gone(dirs, &c.id, change())
        .what(|| format!("cannot change the limits of container {}", c.name))
}

fn runs(state: &State) -> bool {
    matches!(state.status, Status::Running | Status::Paused | Status::Stopping)
}

fn change(dirs: &Dirs, c: &Container, limits: &Limits, running: bool) -> Result<()> {
    let dir = records::lock(dirs, &c.id)?;
    let now: Container = ondisk::read(&dir, "container.json")?;
    let text = std::fs::read(dirs.container(&c.id).join("config.json")).call(|| "read(config.json)")?;
    let mut config: Value = serde_json::from_slice(&text)
        .map_err(|e| Error::corrupt("the file config.json is damaged").cause(e))?;
    let wanted = specgen::resources(limits, blockio::block_io(limits)?);
    let linux = config.get_mut("linux").and_then(Value::as_object_mut);
    let linux = linux.ok_or_else(|| Error::corrupt("the file config.json is damaged"))?;
    let resources = linux.entry("resources").or_insert_with(|| Value::Object(Map::new()));
    merge(resources, wanted);
    let typed: LinuxResources = crate::spec::runtime::from_document(resources)
        .map_err(|e| Error::corrupt("the file config.json is damaged").cause(e))?;
    let path = linux.get("cgroupsPath").and_then(Value::as_str).map(str::to_owned);
    if running {
        let path = path.ok_or_else(no_cgroup)?;
        let found = resolve(Some(&path), c.id.as_str())?.map(|path| Cgroup::open(&path)).transpose()?;
        found.flatten().ok_or_else(no_cgroup)?.apply(&typed)?;
    }
    ondisk::publish(&dir, "config.json", &config, Durability::Durable)?;
    let default_pids_limit = now.default_pids_limit.filter(|_| limits.pids.is_none());
    let changed = Container { needs_cgroup: true, default_pids_limit, ..now };
    ondisk::publish(&dir, "container.json", &changed, Durability::Durable)
}

fn no_cgroup() -> Error {
    Error::host("it runs without a cgroup of its own").hint("See why with `coracle doctor`.")
}

/// Objects are merged key by key; everything else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_named_stays() {
        let mut all = json!({"memory": {"limit": 1, "swap": 2}, "pids": {"limit": 5}});
        merge(&mut all, json!({"memory": {"limit": 9}, "cpu": {"shares": 3}}));
        assert_eq!(
            all,
            json!({"memory": {"limit": 9, "swap": 2}, "pids": {"limit": 5}, "cpu": {"shares": 3}})
        );
    }
}
