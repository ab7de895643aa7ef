//! Making a container: resolve the source, the user, the mounts; write the records; publish. Nothing runs yet.
//!
//! Everything that can be refused is refused here, before a file exists. The directory is built in `staging/` and published
//! by rename under its name (`names`). A container that goes away by itself (`--rm`) is not synced to disk: after power
//! loss it would be removed anyway.

use super::options::{CreateOptions, MountKind, NamespaceMode, SeccompOption, UsernsMode};
use super::source::{self, Prepared};
use super::specgen::{self, Facts, PreparedMount};
use super::{files, names, users};
use crate::config::containers::Containers;
use crate::error::{Context, Error, Result};
use crate::id::{ContainerId, ContainerName, VolumeName};
use crate::ondisk::container::{Cgroups, Container, MountRecord, NetworkMode, State, VolumeUse};
use crate::ondisk::seed::Seed;
use crate::ondisk::{self, Durability};
use crate::paths::Dirs;
use crate::store::squash::SquashFile;
use crate::store::{self, volume};
use crate::sys::CallContext;
use crate::userns::{self, IdMaps, StoreMap, idmap};
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
    let file = source::image_file(&options.source)?;
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
    let mut warnings = notices(dirs, &store_map);
    let source = source::prepare(dirs, options, file)?;
    let name = free_name(dirs, options)?;
    let mut user = users::resolve(&source.view, &user_spec(options, &source), &options.process.groups)?;
    if store_map.is_single() || options.namespaces.userns == UsernsMode::OnlyMe {
        // Where one group is mapped, groups cannot be set (user_namespaces(7)).
        user.groups.clear();
    }
    let maps = container_maps(options, &store_map)?;
    check_mapped(&user, &maps, &store_map)?;
    check_workdir(options, &source)?;
    let seed = super::keepid::seed(dirs, options, &source, &maps, &mut user);
    let (network, note) = super::netchoice::decide(dirs, options, &source)?;
    warnings.extend(note);

    check_cgroup(options)?;

    let staged = Staged::new(dirs, &id)?;
    let owner = (
        idmap::to_outside(&maps.uids, user.uid).unwrap_or(0),
        idmap::to_outside(&maps.gids, user.gid).unwrap_or(0),
    );
    let gifts = super::cdi::resolve(dirs, &options.devices, &source.view)?;
    warnings.extend(gifts.warnings.iter().cloned());
    let volumes = prepare_mounts(dirs, options, &source, owner)?;
    let rootfs = source.make_rootfs(&staged.dir, &maps)?;
    warnings.extend(rootfs.note.and_then(|text| super::notice::once(dirs, "shifted-copy", text)));
    let hostname = hostname(options, &id);
    let container_dir = dirs.container(&id);
    let files = files::write(&files::Request {
        staged: &staged.dir,
        container_dir: &container_dir,
        options,
        view: &source.view,
        hostname: &hostname,
        name: &name,
        id: &id,
        network: &network,
        image: &source.name,
        single_with_apt: store_map.is_single() && source.view.has_directory(files::APT_CONF_DIR),
        image_id: source.image_id.as_deref(),
    })?;
    let init_path = options.process.init.then(super::programs::runtime_path).transpose()?;
    let mounts: Vec<PreparedMount> = source.mounts.iter().chain(&volumes.mounts).cloned().collect();
    let facts = Facts {
        id: &id,
        name: &name,
        image: &source.image,
        user: &user,
        maps: &maps,
        hostname: &hostname,
        rootfs: &rootfs.path,
        host_network: network.mode == NetworkMode::Host,
        mounts: &mounts,
        gifts: &gifts,
        files: &files,
        init_path: init_path.as_ref().and_then(|p| p.to_str()),
        console_size: None,
        seccomp: seccomp(options, user.uid, store_map.is_single())?,
        block_io: super::blockio::block_io(&options.limits)?,
    };
    let config = specgen::config_json(options, &facts)?;
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
        network,
        tty: options.process.tty,
        interactive: options.process.interactive,
        auto_remove: options.auto_remove,
        restart: options.restart.clone(),
        stop_signal: stop_signal(options, &source)?,
        stop_timeout: options.stop_timeout,
        log: options.log.clone(),
        runtime: options.runtime.clone(),
        needs_cgroup: options.limits != super::options::Limits::default(),
        default_pids_limit: default_pids_limit(dirs, options)?,
        cgroups: options.cgroups,
        volumes: volumes.used,
        mounts: volumes.records,
        hostname,
        machine_id: super::machine_id(),
        create_command: options.create_command.clone(),
        exposed_ports: exposed(options, &source),
        timeout: options.timeout,
        pid_file: options.pid_file.clone(),
    };
    let durability = if options.auto_remove { Durability::Volatile } else { Durability::Durable };
    ondisk::publish(&staged.dir, "config.json", &config, durability)?;
    ondisk::publish(&staged.dir, "state.json", state, durability)?;
    put_extra(&staged.dir, options, seed.as_ref(), durability)?;
    ondisk::publish(&staged.dir, "container.json", &container, durability)?;
    names::publish(dirs, &id, &name, &staged.name, durability)?;
    staged.published();
    Ok(Created { container, warnings })
}

fn check_cgroup(options: &CreateOptions) -> Result<()> {
    if options.cgroups == Cgroups::Disabled && options.limits != super::options::Limits::default() {
        return Err(Error::usage("limits need a cgroup, and --cgroups=disabled asks for none")
            .hint("Leave out one of the two."));
    }
    Ok(())
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
            return Err(Error::in_use(format_args!(
                "container name {:?} is in use by {}",
                name.as_str(),
                owner.short()
            ))
            .hint(format_args!("Remove it with `coracle rm {name}`, or use --replace.")));
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

/// What is said once: single-uid mode and a runtime directory in another place.
fn notices(dirs: &Dirs, map: &StoreMap) -> Vec<String> {
    let single = match map {
        StoreMap::SingleUid { reason, .. } => Some(format!(
            "only your own user id is mapped ({reason}): every file in the container belongs to you, and changes of owner or user seem to succeed and do nothing; see `coracle doctor`"
        )),
        StoreMap::Subordinate(_) | StoreMap::Direct(_) => None,
    };
    let notes = [("single-uid", single), ("run-dir", dirs.run_note.clone())];
    notes.into_iter().filter_map(|(key, text)| super::notice::once(dirs, key, text?)).collect()
}

fn user_spec(options: &CreateOptions, source: &Prepared) -> String {
    if let Some(user) = &options.process.user {
        return user.clone();
    }
    match options.namespaces.userns {
        UsernsMode::OnlyMe => {
            format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
        }
        // keep-id without --user: the user stays who they are (podman).
        UsernsMode::KeepId { uid, gid } => format!(
            "{}:{}",
            uid.unwrap_or_else(|| rustix::process::getuid().as_raw()),
            gid.unwrap_or_else(|| rustix::process::getgid().as_raw())
        ),
        UsernsMode::Host | UsernsMode::NoMap => source.image.user.clone().unwrap_or_default(),
    }
}

/// The nested maps: inside ↔ ids of the store's namespace.
fn container_maps(options: &CreateOptions, store: &StoreMap) -> Result<IdMaps> {
    let whole = wanted_maps(options, store)?;
    let outer = store.maps();
    Ok(IdMaps {
        uids: idmap::split_along(&whole.uids, &outer.uids),
        gids: idmap::split_along(&whole.gids, &outer.gids),
    })
}

fn wanted_maps(options: &CreateOptions, store: &StoreMap) -> Result<IdMaps> {
    let sizes = (idmap::size(&store.maps().uids), idmap::size(&store.maps().gids));
    match options.namespaces.userns {
        UsernsMode::Host => Ok(IdMaps { uids: idmap::identity(sizes.0), gids: idmap::identity(sizes.1) }),
        UsernsMode::KeepId { uid, gid } => {
            let uid = uid.unwrap_or_else(|| rustix::process::getuid().as_raw());
            let gid = gid.unwrap_or_else(|| rustix::process::getgid().as_raw());
            if store.is_single() {
                let only = |inside| vec![userns::IdRange { inside, outside: 0, count: 1 }];
                return Ok(IdMaps { uids: only(uid), gids: only(gid) });
            }
            let maps = || -> Result<IdMaps> {
                Ok(IdMaps { uids: idmap::keep_id(uid, sizes.0)?, gids: idmap::keep_id(gid, sizes.1)? })
            };
            maps().what(|| "cannot map the ids of --userns keep-id")
        }
        UsernsMode::OnlyMe => {
            let only = |inside| vec![userns::IdRange { inside, outside: 0, count: 1 }];
            Ok(IdMaps {
                uids: only(rustix::process::getuid().as_raw()),
                gids: only(rustix::process::getgid().as_raw()),
            })
        }
        UsernsMode::NoMap => {
            if store.is_single() {
                return Err(
                    Error::host("cannot use --userns nomap").cause("only your own user id can be mapped")
                );
            }
            Ok(IdMaps { uids: idmap::without_own_id(sizes.0), gids: idmap::without_own_id(sizes.1) })
        }
    }
}

/// A user id outside the map cannot be taken on; say so before anything is made.
pub(super) fn check_mapped(user: &users::User, maps: &IdMaps, store: &StoreMap) -> Result<()> {
    let uid = idmap::to_outside(&maps.uids, user.uid);
    let gid = idmap::to_outside(&maps.gids, user.gid);
    if uid.is_some() && gid.is_some() {
        return Ok(());
    }
    let what = format!("cannot run as user {}:{}", user.uid, user.gid);
    Err(match store {
        StoreMap::SingleUid { reason, .. } => Error::host(what)
            .cause(format_args!("only one id is mapped: {reason}"))
            .hint("Leave --user out, or ask the administrator for a range: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`."),
        StoreMap::Subordinate(m) | StoreMap::Direct(m) => Error::host(what)
            .cause(format_args!("the id maps have {} user ids and {} group ids", idmap::size(&m.uids), idmap::size(&m.gids)))
            .hint("Choose smaller ids, or ask the administrator for a larger subordinate range."),
    })
}

/// podman: `-w` that does not exist is exit code 126; the image's own WORKDIR is made by the runtime.
fn check_workdir(options: &CreateOptions, source: &Prepared) -> Result<()> {
    let Some(dir) = &options.process.workdir else { return Ok(()) };
    if !dir.starts_with('/') {
        return Err(Error::usage(format_args!("invalid working directory {dir:?}"))
            .cause("it must be an absolute path in the container"));
    }
    let below = |m: &str| std::path::Path::new(dir).starts_with(m) && m != "/";
    let mounted = options.mounts.iter().any(|m| below(&m.destination))
        || source.mounts.iter().any(|m| below(&m.destination));
    if mounted
        || source.view.is_directory(dir)
        || ["/proc", "/sys", "/dev", "/run", "/tmp"].iter().any(|m| below(m))
    {
        return Ok(());
    }
    let what = if source.view.lookup(std::path::Path::new(dir)).is_some() {
        "is not a directory"
    } else {
        "does not exist"
    };
    Err(Error::new(
        crate::error::Kind::CannotInvoke,
        format_args!("workdir {dir:?} {what} in {}", source.name),
    )
    .hint("Make it in the image, or mount something there with -v."))
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

fn hostname(options: &CreateOptions, id: &ContainerId) -> String {
    if let Some(name) = &options.process.hostname {
        return name.clone();
    }
    if options.namespaces.uts == NamespaceMode::Host {
        return rustix::system::uname().nodename().to_string_lossy().into_owned();
    }
    id.short().to_owned()
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

fn stop_signal(options: &CreateOptions, source: &Prepared) -> Result<i32> {
    match (options.stop_signal, &source.image.stop_signal) {
        (Some(signal), _) => Ok(signal),
        (None, Some(name)) => super::signals::parse(name).what(|| "the image's STOPSIGNAL cannot be used"),
        (None, None) => Ok(libc::SIGTERM),
    }
}

/// `single`: one id is mapped; then the default profile pretends what cannot be done with one.
pub(super) fn seccomp(options: &CreateOptions, uid: u32, single: bool) -> Result<Option<serde_json::Value>> {
    let capabilities = specgen::bounding_capabilities(options, uid)?;
    let profile = match &options.security.seccomp {
        SeccompOption::Unconfined => return Ok(None),
        SeccompOption::Default if options.security.privileged => return Ok(None),
        SeccompOption::Pretending => crate::seccomp::pretend(crate::seccomp::default_profile(&capabilities)),
        SeccompOption::Default if single => {
            crate::seccomp::pretend(crate::seccomp::default_profile(&capabilities))
        }
        SeccompOption::Default => crate::seccomp::default_profile(&capabilities),
        SeccompOption::File(path) => {
            let json = std::fs::read(path)
                .call(|| format!("open({path:?})"))
                .what(|| "cannot read the seccomp profile")?;
            crate::seccomp::parse_profile(&json, &capabilities)
                .what(|| format!("cannot use the seccomp profile {path}"))?
        }
    };
    serde_json::to_value(profile)
        .map(Some)
        .map_err(|e| Error::internal(format_args!("cannot encode the seccomp profile: {e}")))
}

struct Volumes {
    mounts: Vec<PreparedMount>,
    used: Vec<VolumeUse>,
    records: Vec<MountRecord>,
}

/// A bind that does not say otherwise takes along what is mounted below its source.
pub(super) fn with_what_is_below(options: &mut Vec<String>) {
    if !options.iter().any(|o| o == "bind" || o == "rbind") {
        options.insert(0, "rbind".to_owned());
    }
}

/// Checks bind sources, makes missing volumes, and turns everything into mounts of host paths. `owner`: whom the
/// container runs as, in ids of the store's namespace.
fn prepare_mounts(
    dirs: &Dirs,
    options: &CreateOptions,
    source: &Prepared,
    owner: (u32, u32),
) -> Result<Volumes> {
    let mut all = options.mounts.clone();
    all.extend(super::imagevolumes::from_image(options, &source.image.volumes));
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = all.iter().find(|m| !seen.insert(m.destination.trim_end_matches('/').to_owned())) {
        return Err(Error::usage(format_args!("{}: duplicate mount destination", twice.destination)));
    }
    let mut out = Volumes { mounts: Vec::new(), used: Vec::new(), records: Vec::new() };
    for mount in &all {
        let (kind, host, volume) = match &mount.kind {
            MountKind::Bind(host) => {
                rustix::fs::stat(host.as_str())
                    .call(|| format!("stat({host:?})"))
                    .what(|| format!("cannot mount {host} at {}", mount.destination))
                    .map_err(|e| match e.errno() {
                        Some(libc::EACCES) => e,
                        _ => e.hint(format_args!("Make the directory first, for example `mkdir -p {host}`.")),
                    })?;
                ("bind", host.clone(), None)
            }
            MountKind::Tmpfs => ("tmpfs", "tmpfs".to_owned(), None),
            MountKind::Devpts => ("devpts", "devpts".to_owned(), None),
            MountKind::Volume(name) => {
                let anonymous = name.is_none();
                let name = match name {
                    Some(name) => VolumeName::parse(name)?,
                    None => VolumeName::parse(ContainerId::random()?.as_str())?,
                };
                volume::ensure(dirs, &name, anonymous)?;
                let path = volume::data_path(dirs, &name).to_string_lossy().into_owned();
                out.used.push(VolumeUse { name: name.to_string(), anonymous });
                ("bind", path, Some(name.to_string()))
            }
        };
        let mut mount_options = mount.options.clone();
        if kind == "tmpfs" && mount.copy_up && !mount_options.iter().any(|o| o == "tmpcopyup") {
            mount_options.push("tmpcopyup".into());
        }
        if kind == "bind" {
            with_what_is_below(&mut mount_options);
        }
        out.records.push(MountRecord {
            kind: if volume.is_some() { "volume" } else { kind }.to_owned(),
            name: volume,
            source: host.clone(),
            destination: mount.destination.clone(),
            options: mount_options.clone(),
            copy_up: mount.copy_up,
            owner,
        });
        out.mounts.push(PreparedMount {
            kind,
            source: host,
            destination: mount.destination.clone(),
            options: mount_options,
        });
    }
    Ok(out)
}
