//! `coracle volume …`, and a volume as podman's `inspect` shows it.

pub mod create;
pub mod exists;
pub mod inspect;
pub mod ls;
pub mod prune;
pub mod rm;

use crate::cli::filter;
use crate::engine::volume::Filter;
use crate::error::Result;
use crate::ondisk::volume::VolumeRecord;
use crate::paths::Dirs;
use crate::store::volume;
use serde_json::{Value, json};

/// `inspect` of one volume.
pub fn describe(dirs: &Dirs, v: &VolumeRecord) -> Value {
    json!({
        "Name": v.name,
        "Driver": "local",
        "Mountpoint": volume::data_path(dirs, &v.name),
        "CreatedAt": v.created,
        "Labels": v.labels,
        "Scope": "local",
        "Options": v.options,
        "MountCount": 0,
        "NeedsCopyUp": v.needs_copy_up,
        "NeedsChown": v.needs_copy_up,
        "LockNumber": 0,
        "Anonymous": v.anonymous,
    })
}

/// `--filter` of volumes.
pub fn filters(texts: &[String]) -> Result<Vec<Filter>> {
    texts
        .iter()
        .map(|text| {
            let (key, value) = filter::split(text)?;
            Ok(match key {
                "dangling" => Filter::Dangling(filter::parse_bool(text, value)?),
                "driver" => Filter::Driver(value.to_owned()),
                "label" => filter::label(value, Filter::Label),
                "label!" => filter::label(value, Filter::NotLabel),
                "name" => Filter::Name(value.to_owned()),
                "scope" => Filter::Scope(value.to_owned()),
                "since" | "after" => Filter::Since(filter::until(value)?),
                "until" => Filter::Until(filter::until(value)?),
                "anonymous" => Filter::Anonymous(filter::parse_bool(text, value)?),
                "opt" => return Err(super::parse::unsupported("the filter opt=")),
                _ => {
                    return Err(filter::unknown(
                        key,
                        "dangling, driver, label, name, scope, since, until, anonymous",
                    ));
                }
            })
        })
        .collect()
}
