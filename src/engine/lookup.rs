//! Finding containers: by name, id or id prefix; listing them all. Damaged records are reported beside the good ones.
//!
//! A name wins over an id prefix (podman). Every container that is shown is recovered first (`monitor::recover`), so that
//! a dead monitor never shows as running.

use crate::error::{Context, Error, Kind, Result};
use crate::id::{ContainerId, ContainerName};
use crate::monitor;
use crate::ondisk::{self, container::Container, container::State};
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;

/// Opens `containers/<id>`.
pub fn open_container(dirs: &Dirs, id: &ContainerId) -> Result<OwnedFd> {
    let path = dirs.container(id);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})"))?)
}

/// The record of a container that is known to exist.
pub fn read_container(dirs: &Dirs, id: &ContainerId) -> Result<Container> {
    let read = || ondisk::read(open_container(dirs, id)?, "container.json");
    or_gone(dirs, id, read()).what(|| format!("cannot read container {}", id.short()))
}

/// The container with this name, id or unambiguous id prefix.
pub fn find(dirs: &Dirs, wanted: &str) -> Result<Container> {
    if let Some(id) = id_of_name(dirs, wanted)? {
        return read_container(dirs, &id);
    }
    let prefix = !wanted.is_empty() && wanted.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut found = ids(dirs)?.into_iter().filter(|id| prefix && id.as_str().starts_with(wanted));
    match (found.next(), found.next()) {
        (Some(id), None) => read_container(dirs, &id),
        (Some(_), Some(_)) => {
            Err(Error::usage(format_args!("more than one result for container name or ID {wanted:?}"))
                .hint("Give more digits of the ID."))
        }
        _ => Err(Error::not_found(format_args!(
            "no container with name or ID {wanted:?} found: no such container"
        ))
        .hint("See what there is with `coracle ps -a`.")),
    }
}

/// The id that claims this name, if its container exists.
pub fn id_of_name(dirs: &Dirs, name: &str) -> Result<Option<ContainerId>> {
    let Ok(name) = ContainerName::parse(name) else { return Ok(None) };
    let path = dirs.data.join("names").join(&name);
    let id = match std::fs::read_to_string(&path) {
        Ok(text) => ContainerId::parse(text.trim()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => Err(e).call(|| format!("open({path:?})"))?,
    };
    Ok(id.ok().filter(|id| dirs.container(id).exists()))
}

/// The ids of all containers, unsorted. Removals that were killed are finished.
pub fn ids(dirs: &Dirs) -> Result<Vec<ContainerId>> {
    let names = listing(dirs)?;
    monitor::remove::finish_left(dirs, names.iter().map(String::as_str));
    Ok(names.iter().filter_map(|name| ContainerId::parse(name).ok()).collect())
}

/// Containers whose removal was killed and could not be finished either.
pub fn half_removed(dirs: &Dirs) -> Result<Vec<ContainerId>> {
    monitor::remove::left(dirs, listing(dirs)?.iter().map(String::as_str))
}

/// The names in `containers/`.
fn listing(dirs: &Dirs) -> Result<Vec<String>> {
    let path = dirs.data.join("containers");
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => Err(e).call(|| format!("opendir({path:?})"))?,
    };
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// Containers with their states, and what could not be read.
pub type Listing = (Vec<(Container, State)>, Vec<Error>);

/// Every container with its state after recovery, oldest first, and what could not be read.
pub fn list(dirs: &Dirs) -> Result<Listing> {
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for id in ids(dirs)? {
        match read_container(dirs, &id).and_then(|c| state(dirs, &c).map(|s| (c, s))) {
            Ok(pair) => good.push(pair),
            // Just removed.
            Err(_) if !dirs.container(&id).join("container.json").exists() => {}
            Err(e) => bad.push(e),
        }
    }
    good.sort_by(|(a, _), (b, _)| a.created.cmp(&b.created));
    Ok((good, bad))
}

/// Says it plainly when the reason of a failure is that another command has removed the container.
pub fn or_gone<T>(dirs: &Dirs, id: &ContainerId, outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| match error.kind() {
        Kind::NotFound if !dirs.container(id).exists() => Error::not_found("the container was removed"),
        _ => error,
    })
}

/// The state of a container, recovered when its monitor is gone.
pub fn state(dirs: &Dirs, container: &Container) -> Result<State> {
    or_gone(dirs, &container.id, monitor::recover::recover(dirs, &container.id))
        .what(|| format!("cannot read the state of container {}", container.name))
}
