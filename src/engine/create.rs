//! Making a container: decide what it is (`decide`), write the records, publish. Nothing runs yet.
//!
//! What can be refused is refused before a file of it exists. The directory is built in `staging/` and published
//! by rename under its name (`names`). A container that goes away by itself (`--rm`) is not synced to disk: after power
//! loss it would be removed anyway.

use super::decide::{Documents, Place, decide};
use super::filter::{Ids, ids};
use super::names;
use super::options::{CreateOptions, Systemd};
use super::source::{self, Prepared};
use super::specgen;
use crate::config::containers::Containers;
use crate::error::{Context, Result};
use crate::id::{ContainerId, ContainerName};
use crate::ondisk::container::{Cgroups, Container, State};
use crate::ondisk::seed::Seed;
use crate::ondisk::{self, Durability};
use crate::paths::Dirs;
use crate::store;
use crate::store::squash::SquashFile;
use crate::sys::CallContext;
use crate::userns::{self, StoreMap};
use rustix::fs::FlockOperation;
use std::os::fd::OwnedFd;

/// A container that was made, and what the user should know about it.
#[derive(Debug)]
pub struct Created {
    pub container: Container,
    pub warnings: Vec<String>,
}

/// Makes a container.
pub fn create(dirs: &Dirs, options: &CreateOptions) -> Result<Created> {
    let file = source::image_file(options)?;
    create_as(dirs, ContainerId::random()?, options, &State::created(), file.as_ref())
}

/// The same with an id that the caller has drawn, a record that says from its first moment what is going on with it, and
/// the image where that is one file.
pub(super) fn create_as(
    dirs: &Dirs,
    id: ContainerId,
    options: &CreateOptions,
    state: &State,
    file: Option<&SquashFile>,
) -> Result<Created> {
    let store_map = userns::store_map()?;
    let source = source::prepare(dirs, options, file)?;
    let mut warnings = Vec::from_iter(only_one_id(dirs, &store_map));
    let name = free_name(dirs, options)?;
    let decided = decide(dirs, options, &source, &store_map)?;
    warnings.extend(decided.warnings.iter().cloned());

    let staged = Staged::new(dirs, &id)?;
    let rootfs = source.make_rootfs(&staged.dir, &decided.maps)?;
    warnings.extend(rootfs.note.and_then(|text| super::notice::once(dirs, "shifted-copy", text)));
    let ids = ids(options, decided.user.uid, &rootfs.record, store_map.is_single());
    let dir = dirs.container(&id);
    let place = Place { id: &id, name: &name, dir: &dir, rootfs: &rootfs.path, ids };
    let Documents { config, files, hostname } = decided.documents(&place)?;
    files.write(&staged.dir)?;
    let container = Container {
        version: ondisk::VERSION,
        id: id.clone(),
        name: name.clone(),
        created: super::now(),
        image: source.name.clone(),
        image_id: source.image_id.clone(),
        rootfs: rootfs.record,
        command: specgen::command(options, &source.image)?,
        labels: labels(options, &source),
        annotations: options.annotations.clone(),
        network: decided.network,
        tty: options.process.tty,
        interactive: options.process.interactive,
        auto_remove: options.auto_remove,
        restart: options.restart.clone(),
        stop_signal: stop_signal(options, &source, decided.systemd)?,
        stop_timeout: options.stop_timeout,
        log: options.log.clone(),
        runtime: options.runtime.clone(),
        needs_cgroup: options.limits != super::options::Limits::default(),
        systemd: decided.systemd && options.systemd == Systemd::Always,
        default_pids_limit: default_pids_limit(dirs, options)?,
        cgroups: options.cgroups,
        volumes: decided.volumes.used,
        mounts: decided.volumes.records,
        hostname,
        machine_id: super::machine_id(),
        create_command: options.create_command.clone(),
        exposed_ports: exposed(options, &source),
        timeout: options.timeout,
        pid_file: options.pid_file.clone(),
        records_owners: ids == Ids::Recorded,
    };
    let durability = if options.auto_remove { Durability::Volatile } else { Durability::Durable };
    ondisk::publish(&staged.dir, "config.json", &config, durability)?;
    ondisk::publish(&staged.dir, "state.json", state, durability)?;
    put_extra(&staged.dir, options, decided.seed.as_ref(), durability)?;
    ondisk::publish(&staged.dir, "container.json", &container, durability)?;
    names::publish(dirs, &id, &name, &staged.name, durability)?;
    staged.published();
    Ok(Created { container, warnings })
}

fn put_extra(
    dir: &OwnedFd,
    options: &CreateOptions,
    seed: Option<&Seed>,
    durability: Durability,
) -> Result<()> {
    if let Some(seed) = seed {
        ondisk::publish(dir, ondisk::seed::NAME, seed, durability)?;
    }
    for (name, record) in &options.extra.records {
        ondisk::publish(dir, name, record, durability)?;
    }
    options.extra.directories.iter().try_for_each(|name| names::subdir(dir, name).map(drop))
}

/// The name that was asked for, or a new one. With --replace its owner goes.
fn free_name(dirs: &Dirs, options: &CreateOptions) -> Result<ContainerName> {
    let name = match &options.name {
        Some(name) => ContainerName::parse(name)?,
        None => names::invent(dirs)?,
    };
    if let Some(owner) = names::owner(dirs, &name)? {
        if !options.replace {
            return Err(names::in_use(&name, &owner, "use --replace"));
        }
        super::rm::remove_replaced(dirs, &owner)?;
    }
    Ok(name)
}

/// A directory below `staging/`, removed again when the creation fails.
struct Staged {
    dir: OwnedFd,
    staging: OwnedFd,
    name: String,
    done: std::cell::Cell<bool>,
}

impl Staged {
    fn new(dirs: &Dirs, id: &ContainerId) -> Result<Self> {
        let data = dirs.open_data()?;
        let staging = names::subdir(&data, "staging")?;
        let name = format!("container-{}", id.as_str());
        // A pull that cleans up after the dead takes what nobody has locked: perhaps ours, before we have locked it.
        let dir = loop {
            let dir = names::subdir(&staging, &name)?;
            rustix::fs::flock(&dir, FlockOperation::LockExclusive)
                .call(|| format!("flock(staging/{name})"))?;
            if rustix::fs::fstat(&dir).call(|| format!("fstat(staging/{name})"))?.st_nlink > 0 {
                break dir;
            }
        };
        Ok(Self { dir, staging, name, done: std::cell::Cell::new(false) })
    }

    fn published(self) {
        self.done.set(true);
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.done.get() {
            use std::os::fd::AsFd;
            let _ = store::remove_tree(self.staging.as_fd(), &self.name);
        }
    }
}

/// What single-uid mode means, said once.
fn only_one_id(dirs: &Dirs, map: &StoreMap) -> Option<String> {
    match map {
        StoreMap::SingleUid { reason, .. } => super::notice::once(
            dirs,
            "single-uid",
            format!(
                "only your own user id is mapped ({reason}): every file in the container belongs to you, and changes of owner or user change only what programs in it see; see `coracle doctor`"
            ),
        ),
        StoreMap::Subordinate(_) | StoreMap::Direct(_) => None,
    }
}

/// podman's default, unless containers.conf says another. None: the user said it, or there is to be none.
fn default_pids_limit(dirs: &Dirs, options: &CreateOptions) -> Result<Option<i64>> {
    const DEFAULT: i64 = 2048;
    let unlimited = options.extra.no_pids_limit || options.cgroups == Cgroups::Disabled;
    if options.limits.pids.is_some() || unlimited {
        return Ok(None);
    }
    let said = Containers::load(dirs)?.pids_limit;
    Ok(Some(said.unwrap_or(DEFAULT)).filter(|limit| *limit > 0))
}

fn labels(options: &CreateOptions, source: &Prepared) -> std::collections::BTreeMap<String, String> {
    let mut labels = source.image.labels.clone();
    labels.extend(options.labels.clone());
    labels
}

fn exposed(options: &CreateOptions, source: &Prepared) -> Vec<String> {
    let mut ports = source.image.exposed_ports.clone();
    ports.extend(options.network.expose.iter().cloned());
    ports.sort();
    ports.dedup();
    ports
}

fn stop_signal(options: &CreateOptions, source: &Prepared, systemd: bool) -> Result<i32> {
    match (options.stop_signal, &source.image.stop_signal) {
        (Some(signal), _) => Ok(signal),
        (None, Some(name)) => super::signals::parse(name).what(|| "the image's STOPSIGNAL cannot be used"),
        (None, None) if systemd => Ok(specgen::SYSTEMD_STOP_SIGNAL),
        (None, None) => Ok(libc::SIGTERM),
    }
}
