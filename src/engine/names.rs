//! Claiming a container's name and publishing its directory, so that two creators cannot both win.
//!
//! Under a flock on the `names` directory (held for three small file operations, released by the kernel if we die):
//! look at the claim, write ours, rename the finished directory from staging into `containers/`. A claim whose container
//! does not exist is left from a crash between the two and is taken over.

use crate::error::{Context, Error, Result};
use crate::id::{ContainerId, ContainerName};
use crate::ondisk::Durability;
use crate::ondisk::atomic::publish_bytes;
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use std::os::fd::{AsFd, OwnedFd};

/// podman's names are `adjective_surname`; ours are made of a quality and a thing of the water.
const QUALITIES: [&str; 32] = [
    "agile", "amber", "brave", "bright", "calm", "clever", "cosy", "dapper", "eager", "early", "fair",
    "fleet", "gentle", "glad", "hardy", "jolly", "keen", "kind", "light", "lively", "merry", "neat",
    "nimble", "quiet", "rapid", "silver", "snug", "steady", "sunny", "swift", "tidy", "warm",
];
const THINGS: [&str; 32] = [
    "anchor", "bay", "beacon", "brook", "buoy", "cove", "creek", "current", "delta", "dinghy", "eddy",
    "estuary", "ferry", "fjord", "harbor", "heron", "island", "jetty", "kayak", "kelp", "lagoon", "lake",
    "marsh", "oar", "otter", "paddle", "pier", "reef", "river", "shoal", "tide", "wharf",
];

/// A random name that nobody has.
pub fn invent(dirs: &Dirs) -> Result<ContainerName> {
    for _ in 0..64 {
        let mut bytes = [0u8; 4];
        crate::id::random_bytes(&mut bytes)?;
        let [a, b, c, d] = bytes.map(usize::from);
        let (quality, thing) = (QUALITIES[a % QUALITIES.len()], THINGS[b % THINGS.len()]);
        // The number keeps fifty that start at once apart: the name is claimed only when the container is finished.
        let name = format!("{quality}_{thing}{}", c * 256 + d);
        if super::lookup::id_of_name(dirs, &name)?.is_none() {
            return ContainerName::parse(&name);
        }
    }
    Err(Error::internal("no free random name in 64 tries").hint("Give one with --name."))
}

/// Who has this name. One that only a dead process kept (`--rm`, killed) is removed first.
pub fn owner(dirs: &Dirs, name: &ContainerName) -> Result<Option<ContainerId>> {
    let Some(id) = claimed_by(dirs, name)? else { return Ok(None) };
    match super::lookup::read_container(dirs, &id).and_then(|c| super::lookup::state(dirs, &c)) {
        Ok(_) => claimed_by(dirs, name),
        // A damaged one keeps its name; one that is gone does not.
        Err(_) => Ok(Some(id).filter(|id| dirs.container(id).exists())),
    }
}

/// The container that claims this name and has it. A claim without a container is left from a creation or a removal that
/// was killed, and one whose container is called otherwise from a rename: whoever wants the name takes it over.
pub fn claimed_by(dirs: &Dirs, name: &ContainerName) -> Result<Option<ContainerId>> {
    let Some(id) = super::lookup::id_of_name(dirs, name.as_str())? else { return Ok(None) };
    match super::lookup::read_container(dirs, &id) {
        Ok(c) if c.name != *name => Ok(None),
        _ => Ok(Some(id)),
    }
}

/// Why the name cannot be had; `or`: what helps beside its removal.
pub fn in_use(name: &ContainerName, owner: &ContainerId, or: &str) -> Error {
    Error::in_use(format_args!("container name {:?} is in use by {}", name.as_str(), owner.short()))
        .hint(format_args!("Remove it with `coracle rm {name}`, or {or}."))
}

/// Publishes the finished directory `staging/<staged>` as `containers/<id>` under `name`.
pub fn publish(
    dirs: &Dirs,
    id: &ContainerId,
    name: &ContainerName,
    staged: &str,
    durability: Durability,
) -> Result<()> {
    let data = dirs.open_data()?;
    let names = subdir(&data, "names")?;
    let containers = subdir(&data, "containers")?;
    let staging = subdir(&data, "staging")?;
    rustix::fs::flock(&names, FlockOperation::LockExclusive).call(|| "flock(names)")?;
    if let Some(owner) = claimed_by(dirs, name)? {
        return Err(in_use(name, &owner, "use --replace"));
    }
    publish_bytes(names.as_fd(), name.as_str(), id.as_str().as_bytes(), durability)?;
    rustix::fs::renameat(&staging, staged, &containers, id.as_str())
        .call(|| format!("renameat(staging/{staged}, containers/{id})"))
        .what(|| "cannot publish the container")?;
    if durability == Durability::Durable {
        rustix::fs::fsync(&containers).call(|| "fsync(containers)")?;
    }
    Ok(())
}

/// Gives the name up if `id` has it. Called before the container's directory goes.
pub fn release(dirs: &Dirs, id: &ContainerId, name: &ContainerName) -> Result<()> {
    let data = dirs.open_data()?;
    let names = subdir(&data, "names")?;
    rustix::fs::flock(&names, FlockOperation::LockExclusive).call(|| "flock(names)")?;
    let path = dirs.data.join("names").join(name);
    if std::fs::read_to_string(&path).is_ok_and(|text| text.trim() == id.as_str()) {
        rustix::fs::unlinkat(&names, name.as_str(), AtFlags::empty()).call(|| format!("unlink({path:?})"))?;
    }
    Ok(())
}

/// Opens a directory of the store, made when missing.
pub fn subdir(parent: impl AsFd, name: impl AsRef<std::ffi::OsStr>) -> Result<OwnedFd> {
    let name = name.as_ref();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => {}
        other => return Ok(other.call(|| format!("openat({name:?}, O_DIRECTORY)"))?),
    }
    match rustix::fs::mkdirat(&parent, name, Mode::from(0o700)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(e) => Err(e).call(|| format!("mkdirat({name:?})"))?,
    }
    Ok(rustix::fs::openat(&parent, name, flags, Mode::empty())
        .call(|| format!("openat({name:?}, O_DIRECTORY)"))?)
}
