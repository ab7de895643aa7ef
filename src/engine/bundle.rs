//! An image as an OCI runtime bundle: config.json and rootfs in a directory that needs coracle no more.
//!
//! ```text
//! write (the user)                             unpack (inside the store's user namespace)
//!   image, user, maps, config.json
//!   DIR's staging directory ── coracle bundle --files-only ──▶ layers or squashfs mounted, copied to STAGING/rootfs
//!   renamed to DIR ◀───────────────────────────── done
//! ```
//! The maps in config.json are those that the files' owners were written with, from the host's point of view: `coracle-oci`
//! makes a container of it for the same user, on this machine and on every other one where that user has the same
//! subordinate ids. With one id (`--single-uid`, or because there are no others) all files are the user's, and the bundle
//! works for that user everywhere.
//!
//! A batch system decides about network, limits and cgroup, so config.json asks for none of its own.

use super::filter::{self, Ids};
use super::options::CreateOptions;
use super::options::{MountKind, MountOption};
use super::specgen::{self, Facts, ManagedFiles, PreparedMount};
use super::{idchoice, source, users};
use crate::error::{Context, Error, Result};
use crate::host;
use crate::id::{ContainerId, ContainerName};
use crate::ondisk::container::NetworkMode;
use crate::paths::Dirs;
use crate::store::rootfs::{Merge, Owners, copy_out};
use crate::store::squash::{SquashFile, mount};
use crate::store::staging::Staging;
use crate::store::{self, Store};
use crate::sys::CallContext;
use crate::userns::{self, IdMaps, IdRange, StoreMap};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The name of the root file system in a bundle.
const ROOTFS: &str = "rootfs";

/// What is run where neither the image nor the command line names a command. A batch system puts its own in that place.
const COMMAND: &str = "/bin/sh";

/// Writes the bundle of `options.source` to `target`, which does not exist or is empty.
pub fn write(dirs: &Dirs, options: &CreateOptions, target: &Path, single: bool) -> Result<()> {
    let what = || format!("cannot make the bundle {}", target.display());
    let partial = Partial::new(target).what(what)?;
    partial.remove_dead(dirs, target);
    let map = map(single).what(what)?;
    let file = source::image_file(options)?;
    let image = match &options.source {
        super::options::Source::Image { name, .. } => name.clone(),
        super::options::Source::File { path, .. } => path.clone(),
        _ => {
            return Err(Error::usage("an image of its own is needed")
                .hint("Name an image or a file, for example `coracle bundle debian DIR`."))
            .what(what);
        }
    };
    let source = source::prepare(dirs, options, file.as_ref())?;
    let config = config(options, &source, &map).what(what)?;
    let text = serde_json::to_string_pretty(&config).map_err(Error::internal)?;
    let at = partial.path.join("config.json");
    File::create(&at)
        .and_then(|mut file| file.write_all((text + "\n").as_bytes()))
        .call(|| format!("write({at:?})"))
        .what(what)?;

    let mut args = dirs.to_args();
    args.extend(["bundle".into(), "--files-only".into()]);
    args.extend(map.is_single().then(|| "--single-uid".into()));
    args.extend([source.image_id.unwrap_or(image).into(), partial.path.clone().into()]);
    let code = userns::run_in_store(dirs, &args)?;
    if code != 0 {
        return Err(Error::already_said(code));
    }
    partial.publish(target).what(what)
}

/// The user namespace of the bundle's containers.
fn map(single: bool) -> Result<StoreMap> {
    if !single {
        return userns::store_map();
    }
    if crate::paths::is_real_root() {
        return Err(Error::usage("--single-uid is for ordinary users")
            .cause("root's containers never have the host's uid 0")
            .hint("Leave it out, or make the bundle as the user who will run it."));
    }
    let only = |outside| vec![IdRange { inside: 0, outside, count: 1 }];
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    Ok(StoreMap::SingleUid {
        maps: IdMaps { uids: only(uid.as_raw()), gids: only(gid.as_raw()) },
        reason: "--single-uid was given".to_owned(),
    })
}

fn config(options: &CreateOptions, source: &source::Prepared, map: &StoreMap) -> Result<serde_json::Value> {
    let asked = options.process.user.clone().or_else(|| source.image.user.clone());
    let mut user = users::resolve(&source.view, &asked.unwrap_or_default(), &options.process.groups)?;
    if map.is_single() {
        user.groups.clear();
    }
    let maps = map.maps();
    idchoice::check_mapped(&user, maps, map)?;
    let mut options = options.clone();
    let image = &source.image;
    if specgen::command(&options, image).is_err() {
        options.command.push(COMMAND.to_owned());
    }
    let host_network = options.network.mode == Some(NetworkMode::Host);
    // Each machine's own, at the start.
    let of_host = |path: &str| host_network.then(|| path.to_owned());
    let files = ManagedFiles {
        hosts: of_host("/etc/hosts"),
        resolv_conf: of_host("/etc/resolv.conf"),
        ..ManagedFiles::default()
    };
    let mounts = options.mounts.iter().map(prepared).collect::<Result<Vec<_>>>()?;
    // Nobody stays with a bundle's container who could write owners down.
    let ids = if map.is_single() { Ids::Pretended } else { Ids::Mapped };
    let mut config = specgen::config_json(
        &options,
        &Facts {
            id: &ContainerId::random()?,
            name: &ContainerName::parse("bundle")?,
            image,
            user: &user,
            maps,
            hostname: options.process.hostname.as_deref().unwrap_or("localhost"),
            rootfs: ROOTFS,
            host_network,
            mounts: &mounts,
            gifts: &super::cdi::Gifts::default(),
            systemd: false,
            files: &files,
            init_path: None,
            seccomp: filter::seccomp(&options, user.uid, ids)?,
            block_io: None,
        },
    )?;
    if options.process.hostname.is_none()
        && let Some(env) = config.pointer_mut("/process/env").and_then(|env| env.as_array_mut())
    {
        // The machine that it starts on has the name.
        env.retain(|entry| entry.as_str() != Some("HOSTNAME=localhost"));
    }
    Ok(config)
}

/// A bind or a tmpfs. That the source exists is a matter of the machine where the bundle starts.
fn prepared(mount: &MountOption) -> Result<PreparedMount> {
    let destination = mount.destination.clone();
    let mut options = mount.options.clone();
    match &mount.kind {
        MountKind::Bind(host) => {
            super::mounts::with_what_is_below(&mut options);
            Ok(PreparedMount { kind: "bind", source: host.clone(), destination, options })
        }
        MountKind::Tmpfs => {
            Ok(PreparedMount { kind: "tmpfs", source: "tmpfs".to_owned(), destination, options })
        }
        MountKind::Volume(_) | MountKind::Devpts => {
            Err(Error::usage(format_args!("a bundle has no volumes, and {destination} would be one"))
                .hint(format_args!("Give a directory of the machine: `--volume /DIR:{destination}`.")))
        }
    }
}

/// Copies the files of an image, by id or path, to `rootfs` in `bundle`, and returns what the user should know about them.
/// Inside the store's user namespace.
pub fn unpack(dirs: &Dirs, image: &str, bundle: &Path, single: bool) -> Result<Option<String>> {
    let owners = if single { Owners::Mine } else { Owners::Kept };
    let dir = open(bundle)?;
    rustix::fs::mkdirat(&dir, ROOTFS, Mode::from(0o755)).call(|| format!("mkdirat({ROOTFS:?})"))?;
    let target = store::open_dir(&dir, ROOTFS)?;
    let done = if image.starts_with('/') {
        unpack_file(dirs, image, &target, owners)
    } else {
        unpack_layers(dirs, image, &target, owners)
    };
    if done.is_err() {
        let _ = store::remove_tree(dir.as_fd(), ROOTFS);
    }
    let count = done.what(|| format!("cannot copy the files of {image}"))?;
    Ok((count > 0).then(|| {
        let (kind, _) = host::filesystem_name(bundle);
        format!(
            "{count} files and directories of {image} belong to you instead of their owners: the file system there ({kind}) gives \
             none to your subordinate ids; make the bundle on a disk of this machine, or with --single-uid, which needs none"
        )
    }))
}

fn unpack_layers(dirs: &Dirs, id: &str, target: &OwnedFd, owners: Owners<'_>) -> Result<u64> {
    let store = Store::open(dirs)?;
    let image = store.find_image(id)?.ok_or_else(|| crate::store::image::unknown_image(id))?;
    // Nobody removes a layer while it is read.
    let from = store.of(&image)?;
    let _pins = from.pin_layers(&image.record.layers)?;
    check_room(&store, image.record.size, target)?;
    let layers: Vec<String> = image.record.layers.iter().rev().map(ToString::to_string).collect();
    let time = image.record.created.parse::<jiff::Timestamp>().map_or(0, |time| time.as_second());
    let merge = Merge::mount(dirs, from, &layers, store.driver_for(&image)?, time)
        .what(|| "cannot put the image's layers together")?;
    copy_out(&open(merge.path())?, target, owners)
}

/// On the store's own file system the copy may share the bytes of the original; elsewhere it has to have room.
fn check_room(store: &Store, needed: u64, target: &OwnedFd) -> Result<()> {
    let device = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).map(|st| st.st_dev).ok();
    let Ok(fs) = rustix::fs::fstatvfs(target) else { return Ok(()) };
    let free = crate::sys::fs::free_bytes(&fs);
    if free >= needed || device(store.data()) == device(target.as_fd()) {
        return Ok(());
    }
    Err(Error::host("there is no room for them")
        .cause(format_args!("they have {needed} bytes, and {free} bytes are free where the bundle would be"))
        .hint("Choose a directory on another disk, or run the image without a copy: `coracle run`."))
}

fn unpack_file(dirs: &Dirs, path: &str, target: &OwnedFd, owners: Owners<'_>) -> Result<u64> {
    let image = SquashFile::open(path)?;
    let store = Store::open(dirs)?;
    let staging = Staging::new(&store)?;
    rustix::fs::mkdirat(staging.dir(), "lower", Mode::from(0o700)).call(|| "mkdirat(lower)")?;
    let at = dirs.data.join("staging").join(staging.name()).join("lower");
    let served = mount::mount(image.fd(), image.offset, &at);
    let copied = served.and_then(|server| {
        let count = copy_out(&open(&at)?, target, owners)
            .hint(|| "The file may be damaged: compare its checksum with the original's.".to_owned())?;
        mount::unmount(&at);
        store::rootfs::fuse::end(server.pidfd.as_fd())?;
        Ok(count)
    });
    mount::unmount(&at);
    copied
}

fn open(dir: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(dir, flags, Mode::empty()).call(|| format!("open({dir:?})"))?)
}

/// The bundle while it is made: beside its place, removed unless it is published. Its lock says that somebody is at it.
struct Partial {
    path: PathBuf,
    _lock: OwnedFd,
    done: bool,
}

impl Partial {
    fn new(target: &Path) -> Result<Self> {
        match std::fs::read_dir(target).map(|mut entries| entries.next().is_some()) {
            Ok(true) => {
                return Err(Error::in_use("it exists and is not empty").hint(format_args!(
                    "Choose another directory, or remove that one: `coracle unshare rm -rf {}`.",
                    target.display()
                )));
            }
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Ok(Err(e).call(|| format!("open({target:?}, O_DIRECTORY)"))?);
            }
            _ => {}
        }
        let begin = Self::begin(target).ok_or_else(|| Error::usage("it is no name of a directory"))?;
        loop {
            let mut random = [0u8; 8];
            crate::id::random_bytes(&mut random)?;
            let path = target.with_file_name(format!("{begin}{}", crate::id::hex(&random)));
            std::fs::create_dir(&path).call(|| format!("mkdir({path:?})"))?;
            let lock = open(&path)?;
            flock(&lock, FlockOperation::LockExclusive).call(|| format!("flock({path:?})"))?;
            // Who came before the lock has taken it for a dead one.
            if path.exists() {
                return Ok(Self { path, _lock: lock, done: false });
            }
        }
    }

    /// What the name of an unfinished one begins with.
    fn begin(target: &Path) -> Option<String> {
        Some(format!(".{}.", target.file_name()?.to_string_lossy()))
    }

    /// Removes what calls that were killed have left for this place: nobody has their locks.
    fn remove_dead(&self, dirs: &Dirs, target: &Path) {
        let (Some(begin), Some(parent)) = (Self::begin(target), self.path.parent()) else { return };
        let is_ours = |name: &str| {
            name.strip_prefix(&begin)
                .is_some_and(|end| end.len() == 16 && end.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let path = entry.path();
            if path == self.path || !entry.file_name().to_str().is_some_and(is_ours) {
                continue;
            }
            let Ok(lock) = open(&path) else { continue };
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let mut args = dirs.to_args();
                args.extend(["unshare", "rm", "-rf", "--"].map(OsString::from));
                args.push(path.into());
                let _ = userns::run_in_store(dirs, &args);
            }
        }
    }

    fn publish(mut self, target: &Path) -> Result<()> {
        std::fs::rename(&self.path, target).call(|| format!("rename({:?}, {target:?})", self.path))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.done {
            // Its rootfs was removed by who made it.
            let _ = std::fs::remove_file(self.path.join("config.json"));
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}
