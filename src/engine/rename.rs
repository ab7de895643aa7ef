//! Giving a container another name.
//!
//! The new name is claimed, the record is replaced, the old claim goes: after a crash in between the container has both
//! names, and the next rename or removal takes the rest away.

use super::names;
use crate::error::{Context, Error, Result};
use crate::id::ContainerName;
use crate::monitor::records;
use crate::ondisk::atomic::publish_bytes;
use crate::ondisk::{self, Durability, container::Container};
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::FlockOperation;
use std::os::fd::AsFd;

/// Renames `c` to `name`, which nobody may have.
pub fn rename(dirs: &Dirs, c: &Container, name: &str) -> Result<()> {
    let name = ContainerName::parse(name)?;
    if name == c.name {
        return Err(Error::usage(format_args!("container {} has this name already", c.name)));
    }
    // One that is as good as gone is no obstacle.
    names::owner(dirs, &name)?;
    let dir = records::lock(dirs, &c.id)?;
    // As it is now: another rename or an update may have been faster.
    let now: Container = ondisk::read(&dir, "container.json")?;
    let data = dirs.open_data()?;
    let claims = names::subdir(&data, "names")?;
    {
        rustix::fs::flock(&claims, FlockOperation::LockExclusive).call(|| "flock(names)")?;
        if let Some(owner) = names::claimed_by(dirs, &name)? {
            return Err(names::in_use(&name, &owner, "choose another name"));
        }
        publish_bytes(claims.as_fd(), name.as_str(), c.id.as_str().as_bytes(), Durability::Durable)?;
        let renamed = Container { name: name.clone(), ..now.clone() };
        ondisk::publish(&dir, "container.json", &renamed, Durability::Durable)?;
        rustix::fs::flock(&claims, FlockOperation::Unlock).call(|| "flock(names, LOCK_UN)")?;
    }
    names::release(dirs, &c.id, &now.name)
        .what(|| format!("container {name} keeps its old name {} too", now.name))
}
