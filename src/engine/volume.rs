//! Choosing volumes by podman's filters, and removing those that nobody uses.

use crate::error::{Error, Result};
use crate::ondisk::volume::VolumeRecord;
use crate::paths::Dirs;
use crate::store::volume;
use jiff::Timestamp;

/// One `--filter`, parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// In use by no container, or by one.
    Dangling(bool),
    /// Only `local` exists.
    Driver(String),
    Label(String, Option<String>),
    NotLabel(String, Option<String>),
    /// Part of the name.
    Name(String),
    Scope(String),
    Since(Timestamp),
    Until(Timestamp),
    Anonymous(bool),
}

/// Whether a volume is chosen by all filters (alternatives within one key, labels all).
pub fn matches(dirs: &Dirs, filters: &[Filter], v: &VolumeRecord) -> Result<bool> {
    for (at, filter) in filters.iter().enumerate() {
        if matches!(filter, Filter::Label(..) | Filter::NotLabel(..)) {
            if !holds(dirs, filter, v)? {
                return Ok(false);
            }
            continue;
        }
        let key = std::mem::discriminant(filter);
        let same = || filters.iter().filter(|f| std::mem::discriminant(*f) == key);
        // Each key is decided once, at its first filter.
        if filters.iter().take(at).any(|f| std::mem::discriminant(f) == key) {
            continue;
        }
        let mut any = false;
        for one in same() {
            any = any || holds(dirs, one, v)?;
        }
        if !any {
            return Ok(false);
        }
    }
    Ok(true)
}

fn holds(dirs: &Dirs, filter: &Filter, v: &VolumeRecord) -> Result<bool> {
    let label = |key: &str, value: &Option<String>| {
        v.labels.get(key).is_some_and(|have| value.as_ref().is_none_or(|want| want == have))
    };
    let created = || v.created.parse::<Timestamp>().ok();
    Ok(match filter {
        Filter::Dangling(wanted) => volume::users(dirs, &v.name)?.is_empty() == *wanted,
        Filter::Driver(driver) => driver == "local",
        Filter::Label(key, value) => label(key, value),
        Filter::NotLabel(key, value) => !label(key, value),
        Filter::Name(part) => v.name.as_str().contains(part.as_str()),
        Filter::Scope(scope) => scope == "local",
        Filter::Since(time) => created().is_some_and(|t| t > *time),
        Filter::Until(time) => created().is_some_and(|t| t < *time),
        Filter::Anonymous(wanted) => v.anonymous == *wanted,
    })
}

/// Removes the chosen volumes that no container uses. Needs the store's namespace. Failures come beside.
pub fn prune(dirs: &Dirs, filters: &[Filter]) -> Result<(Vec<VolumeRecord>, Vec<Error>)> {
    let (all, mut failed) = volume::list(dirs)?;
    let mut removed = Vec::new();
    for v in all {
        if !volume::users(dirs, &v.name)?.is_empty() || !matches(dirs, filters, &v)? {
            continue;
        }
        match volume::remove(dirs, v.name.as_str()) {
            Ok(()) => removed.push(v),
            Err(e) => failed.push(e),
        }
    }
    Ok((removed, failed))
}
