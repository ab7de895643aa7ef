//! Limits of disk traffic: devices by path → `blockIO` of config.json by number.
//!
//! The kernel limits whole disks, and says nothing more than ENODEV for a partition; so it is said here, before anything is
//! made.

use super::options::{IoKind, IoLimit, Limits};
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use rustix::fs::FileType;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The `blockIO` object. None: no limit was asked for.
pub fn block_io(limits: &Limits) -> Result<Option<Value>> {
    let mut all = Map::new();
    if let Some(weight) = limits.blkio_weight {
        all.insert("weight".to_owned(), weight.into());
    }
    for limit in &limits.io {
        let one = throttle(limit)?;
        let list = all.entry(key(limit.kind)).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(one);
        }
    }
    Ok((!all.is_empty()).then_some(Value::Object(all)))
}

fn key(kind: IoKind) -> &'static str {
    match kind {
        IoKind::ReadBytes => "throttleReadBpsDevice",
        IoKind::WriteBytes => "throttleWriteBpsDevice",
        IoKind::ReadOperations => "throttleReadIOPSDevice",
        IoKind::WriteOperations => "throttleWriteIOPSDevice",
    }
}

fn throttle(limit: &IoLimit) -> Result<Value> {
    let what = || format!("cannot limit the traffic of {}", limit.path);
    let st = rustix::fs::stat(&limit.path).call(|| format!("stat({:?})", limit.path)).what(what)?;
    if !FileType::from_raw_mode(st.st_mode).is_block_device() {
        return Err(Error::usage(what()).cause("it is no block device"));
    }
    let (major, minor) = (rustix::fs::major(st.st_rdev), rustix::fs::minor(st.st_rdev));
    let sys = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    if sys.join("partition").exists() {
        let error = Error::usage(what()).cause("it is a partition, and the kernel limits whole disks only");
        return Err(match disk_of(&sys) {
            Some(disk) => error.hint(format_args!("Limit its disk: /dev/{disk}:{}.", limit.rate)),
            None => error,
        });
    }
    Ok(json!({"major": major, "minor": minor, "rate": limit.rate}))
}

/// `/sys/dev/block/8:1` → `…/block/sda/sda1` → `sda`.
fn disk_of(sys: &Path) -> Option<String> {
    Some(sys.canonicalize().ok()?.parent()?.file_name()?.to_str()?.to_owned())
}

/// The four lists as `inspect` shows them: by path again.
pub fn shown(block_io: Option<&Value>, kind: IoKind) -> Value {
    let Some(Value::Array(list)) = block_io.and_then(|all| all.get(key(kind))) else { return Value::Null };
    let path = |one: &Value| {
        let number = format!("{}:{}", one["major"], one["minor"]);
        let uevent = std::fs::read_to_string(format!("/sys/dev/block/{number}/uevent")).unwrap_or_default();
        let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="));
        format!("/dev/{}", name.map_or_else(|| format!("block/{number}"), str::to_owned))
    };
    list.iter().map(|one| json!({"Path": path(one), "Rate": one["rate"]})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disks_are_limited() {
        let limits = |path: &str| Limits {
            io: vec![IoLimit { kind: IoKind::ReadBytes, path: path.to_owned(), rate: 1 }],
            ..Limits::default()
        };
        assert!(block_io(&limits("/dev/null")).is_err());
        assert!(block_io(&limits("/dev/nothing-of-this-name")).is_err());
        assert_eq!(block_io(&Limits::default()).unwrap(), None);
        let weight = Limits { blkio_weight: Some(500), ..Limits::default() };
        assert_eq!(block_io(&weight).unwrap(), Some(json!({"weight": 500})));
    }
}
