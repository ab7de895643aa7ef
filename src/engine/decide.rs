//! What a container is, as far as that can be said before anything of it is there: from the options, the image and the
//! machine. Whatever can be refused is refused here.
//!
//! `create` makes records of it, `alone` runs it without any. Both then say what it is called and where it is, and get its
//! documents: config.json, and the files that are bound over the image's.

use super::cdi::{self, Gifts};
use super::files::{self, Files};
use super::filter::{Ids, seccomp};
use super::mounts::Volumes;
use super::options::{CreateOptions, Limits, NamespaceMode, Systemd};
use super::source::Prepared;
use super::specgen::{self, Facts, PreparedMount};
use super::users::User;
use super::{blockio, idchoice, keepid, mounts, netchoice, notice, programs};
use crate::error::{Error, Result};
use crate::id::{ContainerId, ContainerName};
use crate::ondisk::container::{Cgroups, Network, NetworkMode};
use crate::ondisk::seed::Seed;
use crate::paths::Dirs;
use crate::userns::{IdMaps, StoreMap, idmap};
use std::path::Path;

/// A container to be.
#[derive(Debug)]
pub(super) struct Decided<'a> {
    options: &'a CreateOptions,
    source: &'a Prepared,
    pub user: User,
    /// Of the nested namespace: inside ↔ ids of the store's namespace.
    pub maps: IdMaps,
    /// What is put into the image's files, so that the user has a name.
    pub seed: Option<Seed>,
    pub network: Network,
    /// Its first process is systemd, and it is prepared for that.
    pub systemd: bool,
    gifts: Gifts,
    pub volumes: Volumes,
    pub warnings: Vec<String>,
}

/// What is said of it last.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub id: &'a ContainerId,
    pub name: &'a ContainerName,
    /// Where its files will be.
    pub dir: &'a Path,
    /// `root.path`.
    pub rootfs: &'a str,
    pub ids: Ids,
}

#[derive(Debug)]
pub(super) struct Documents {
    pub config: serde_json::Value,
    pub files: Files,
    pub hostname: String,
}

/// Decides, with `store` for the map of the store's namespace. Volumes that are not there are made.
pub(super) fn decide<'a>(
    dirs: &Dirs,
    options: &'a CreateOptions,
    source: &'a Prepared,
    store: &StoreMap,
) -> Result<Decided<'a>> {
    let said_once = dirs.run_note.clone().and_then(|text| notice::once(dirs, "run-dir", text));
    let mut warnings: Vec<String> = said_once.into_iter().chain(source.note.clone()).collect();
    let (mut user, maps) = idchoice::decide(options, source, store)?;
    check_workdir(options, source)?;
    let seed = keepid::seed(dirs, options, source, &maps, &mut user);
    let (network, note) = netchoice::decide(dirs, options, source)?;
    warnings.extend(note);
    check_cgroup(options)?;
    check_program(options, source)?;
    let systemd = specgen::wants_systemd(options, &source.image)?;
    cdi::check_nodes(&options.devices)?;
    let gifts = cdi::resolve(dirs, &options.devices, &source.view)?;
    warnings.extend(gifts.warnings.iter().cloned());
    let volumes = mounts::prepare(dirs, options, source, owner(&maps, &user))?;
    Ok(Decided { options, source, user, maps, seed, network, systemd, gifts, volumes, warnings })
}

impl Decided<'_> {
    /// Its config.json and its files.
    pub(super) fn documents(&self, place: &Place<'_>) -> Result<Documents> {
        let (options, source) = (self.options, self.source);
        let hostname = hostname(options, place.id);
        let files = files::make(&files::Request {
            container_dir: place.dir,
            options,
            view: &source.view,
            hostname: &hostname,
            name: place.name,
            id: place.id,
            network: &self.network,
            image: &source.name,
            single_with_apt: place.ids != Ids::Mapped && source.view.has_directory(files::APT_CONF_DIR),
            image_id: source.image_id.as_deref(),
        })?;
        let init_path = options.process.init.then(programs::runtime_path).transpose()?;
        let mounts: Vec<PreparedMount> = source.mounts.iter().chain(&self.volumes.mounts).cloned().collect();
        let facts = Facts {
            id: place.id,
            name: place.name,
            image: &source.image,
            user: &self.user,
            maps: &self.maps,
            hostname: &hostname,
            rootfs: place.rootfs,
            host_network: self.network.mode == NetworkMode::Host,
            mounts: &mounts,
            gifts: &self.gifts,
            systemd: self.systemd,
            files: &files.paths,
            init_path: init_path.as_ref().and_then(|p| p.to_str()),
            seccomp: seccomp(options, self.user.uid, place.ids)?,
            block_io: blockio::block_io(&options.limits)?,
        };
        Ok(Documents { config: specgen::config_json(options, &facts)?, files, hostname })
    }
}

/// Whom the container runs as, in ids of the store's namespace.
fn owner(maps: &IdMaps, user: &User) -> (u32, u32) {
    let outside = |map, id| idmap::to_outside(map, id).unwrap_or(0);
    (outside(&maps.uids, user.uid), outside(&maps.gids, user.gid))
}

fn check_cgroup(options: &CreateOptions) -> Result<()> {
    if options.cgroups == Cgroups::Disabled && options.limits != Limits::default() {
        return Err(Error::usage("limits need a cgroup, and --cgroups=disabled asks for none")
            .hint("Leave out one of the two."));
    }
    if options.cgroups == Cgroups::Disabled && options.systemd == Systemd::Always {
        return Err(Error::usage("systemd needs a cgroup, and --cgroups=disabled asks for none")
            .hint("Leave out one of the two."));
    }
    Ok(())
}

fn check_program(options: &CreateOptions, source: &Prepared) -> Result<()> {
    let Some(program) = options.extra.program else { return Ok(()) };
    match source.view.lookup(std::path::Path::new(program)) {
        Some(_) => Ok(()),
        None => Err(Error::not_found(format_args!("{} cannot be started by an init", source.name))
            .cause(format_args!("there is no {program} in it"))
            .hint(
                "Leave out --init, or take an image with systemd (the packages systemd and systemd-sysv).",
            )),
    }
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
    if mounted || ["/proc", "/sys", "/dev", "/run", "/tmp"].iter().any(|m| below(m)) {
        return Ok(());
    }
    let what = match source.stands_at(dir) {
        Some(true) => return Ok(()),
        Some(false) => "is not a directory",
        None => "does not exist",
    };
    Err(Error::new(
        crate::error::Kind::CannotInvoke,
        format_args!("workdir {dir:?} {what} in {}", source.name),
    )
    .hint("Make it in the image, or mount something there with -v."))
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
