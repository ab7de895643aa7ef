//! Volumes: a record and a directory each.
//!
//! Records may be read and made anywhere; data is written and removed inside the store's user namespace, whose root owns
//! the data directory.

use super::lock::Share;
use super::staging::Staging;
use super::{Store, list_records, open_dir, remove_tree};
use crate::error::{Context, Error, Result};
use crate::id::VolumeName;
use crate::ondisk::volume::VolumeRecord;
use crate::ondisk::{self, Durability};
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{Mode, RenameFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// What a new volume is made with.
#[derive(Debug, Clone, Default)]
pub struct VolumeOptions {
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    pub anonymous: bool,
}

/// Makes a volume; none given: a random name of 64 hex digits. An existing name is `Kind::InUse`.
pub fn create(dirs: &Dirs, name: Option<&str>, options: VolumeOptions) -> Result<VolumeRecord> {
    let store = &Store::open(dirs)?;
    let name = match name {
        Some(name) => VolumeName::parse(name)?,
        None => VolumeName::parse(crate::id::ContainerId::random()?.as_str())?,
    };
    let volumes = store.dir("volumes")?;
    let staging = Staging::new(store)?;
    rustix::fs::mkdirat(staging.dir(), "volume", Mode::from(0o700)).call(|| "mkdirat(volume)")?;
    let volume = open_dir(staging.dir(), "volume")?;
    rustix::fs::mkdirat(&volume, "_data", Mode::from(0o755)).call(|| "mkdirat(_data)")?;
    let data = open_dir(&volume, "_data")?;
    rustix::fs::fchmod(&data, Mode::from(0o755)).call(|| "fchmod(_data, 0755)")?;
    let record = VolumeRecord {
        version: ondisk::VERSION,
        name: name.clone(),
        created: super::now(),
        labels: options.labels,
        options: options.options,
        anonymous: options.anonymous,
        needs_copy_up: true,
    };
    ondisk::publish(&volume, "volume.json", &record, Durability::Durable)?;
    match rustix::fs::renameat_with(staging.dir(), "volume", &volumes, name.as_str(), RenameFlags::NOREPLACE)
    {
        // A file system without NOREPLACE: rename refuses a directory that is not empty, and ours never is.
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::renameat(staging.dir(), "volume", &volumes, name.as_str())
        }
        other => other,
    }
    .map_err(|e| match e {
        Errno::EXIST | Errno::NOTEMPTY => Error::in_use(format_args!("a volume named {name} exists already"))
            .hint(format_args!("Use it, or remove it with `coracle volume rm {name}`.")),
        e => Error::from(crate::sys::Error::new(format!("renameat(volumes/{name})"), e.raw_os_error()))
            .wrap(format_args!("cannot make the volume {name}")),
    })?;
    rustix::fs::fsync(&volumes).call(|| "fsync(volumes)")?;
    Ok(record)
}

/// Sees that there is a volume of this name.
pub fn ensure(dirs: &Dirs, name: &VolumeName, anonymous: bool) -> Result<VolumeRecord> {
    if let Some(record) = get(dirs, name.as_str())? {
        return Ok(record);
    }
    match create(dirs, Some(name.as_str()), VolumeOptions { anonymous, ..VolumeOptions::default() }) {
        // Made by another command meanwhile.
        Err(e) if e.kind() == crate::error::Kind::InUse => get(dirs, name.as_str())?.ok_or(e),
        other => other,
    }
}

/// The volume `name`; `None` when there is none.
pub fn get(dirs: &Dirs, name: &str) -> Result<Option<VolumeRecord>> {
    let store = &Store::open(dirs)?;
    let name = VolumeName::parse(name)?;
    match open_dir(store.data(), &format!("volumes/{name}")) {
        Ok(dir) => ondisk::read_opt(&dir, "volume.json").what(|| format!("cannot use volume {name}")),
        Err(e) if e.raw_os_error() == libc::ENOENT => Ok(None),
        Err(e) => Err(Error::from(e).wrap(format_args!("cannot use volume {name}"))),
    }
}

/// Every volume by name; damaged ones beside.
pub fn list(dirs: &Dirs) -> Result<(Vec<VolumeRecord>, Vec<Error>)> {
    let store = &Store::open(dirs)?;
    let Some(dir) = store.existing_dir("volumes")? else { return Ok((Vec::new(), Vec::new())) };
    let (mut volumes, mut damaged) = (Vec::new(), Vec::new());
    for name in list_records(&dir)? {
        match get(dirs, &name) {
            Ok(Some(record)) => volumes.push(record),
            Ok(None) => damaged.push(Error::corrupt(format_args!("volume {name} has no record"))),
            Err(e) => damaged.push(e),
        }
    }
    Ok((volumes, damaged))
}

/// The directory of its data.
pub fn data_path(dirs: &Dirs, name: &VolumeName) -> PathBuf {
    dirs.data.join("volumes").join(name).join("_data")
}

/// Says that the first use has filled the volume.
pub fn set_copied_up(dirs: &Dirs, name: &VolumeName) -> Result<()> {
    let store = &Store::open(dirs)?;
    let Some(mut record) = get(dirs, name.as_str())? else { return Err(unknown_volume(name.as_str())) };
    record.needs_copy_up = false;
    let dir = open_dir(store.data(), &format!("volumes/{name}"))?;
    ondisk::publish(&dir, "volume.json", &record, Durability::Durable)
}

/// Containers that use a volume.
pub fn users(dirs: &Dirs, name: &VolumeName) -> Result<Vec<String>> {
    let store = &Store::open(dirs)?;
    let containers = store.containers()?;
    Ok(containers
        .into_iter()
        .filter(|c| c.volumes.iter().any(|v| v.name == name.as_str()))
        .map(|c| c.name.to_string())
        .collect())
}

/// Removes a volume that no container uses, with its data. Needs the store's namespace.
pub fn remove(dirs: &Dirs, name: &str) -> Result<()> {
    let store = &Store::open(dirs)?;
    let name = VolumeName::parse(name)?;
    let _lock = store.lock("volumes", Share::Exclusive)?;
    let users = users(dirs, &name)?;
    if !users.is_empty() {
        return Err(Error::in_use(format_args!("cannot remove volume {name}"))
            .cause(format_args!("it is in use by container {}", users.join(", ")))
            .hint(format_args!("Remove the container first with `coracle rm {}`.", users.join(" ")))
            .with_exit_code(2));
    }
    let volumes = store.dir("volumes")?;
    let staging = Staging::new(store)?;
    match rustix::fs::renameat(&volumes, name.as_str(), staging.dir(), "volume") {
        Ok(()) => {}
        Err(Errno::NOENT) => return Err(unknown_volume(name.as_str()).with_exit_code(1)),
        Err(e) => {
            return Err(e)
                .call(|| format!("renameat(volumes/{name})"))
                .what(|| format!("cannot remove volume {name}"));
        }
    }
    rustix::fs::fsync(volumes.as_fd()).call(|| "fsync(volumes)")?;
    remove_tree(staging.dir(), "volume")
}

/// Removes every volume that no container uses (`all`: named ones too). Goes on after a failure.
pub fn prune(dirs: &Dirs, all: bool) -> Result<(Vec<String>, Vec<Error>)> {
    let (volumes, mut failed) = list(dirs)?;
    let mut removed = Vec::new();
    for volume in volumes.into_iter().filter(|volume| all || volume.anonymous) {
        if users(dirs, &volume.name)?.is_empty() {
            match remove(dirs, volume.name.as_str()) {
                Ok(()) => removed.push(volume.name.to_string()),
                Err(e) => failed.push(e),
            }
        }
    }
    Ok((removed, failed))
}

/// The error of a volume that does not exist.
pub fn unknown_volume(name: &str) -> Error {
    Error::not_found(format_args!("no volume {name}")).hint(format_args!(
        "List volumes with `coracle volume ls`, or make it with `coracle volume create {name}`."
    ))
}
