//! A container without a monitor: `run --rm --hpc` of an image in one file, in the foreground, with nothing that somebody
//! would have to look after.
//!
//! Such a container is a command of its caller's: it has the caller's stdio, processes, network and cgroup, nobody lists or
//! joins it, and it is gone with its first process. So this process itself joins the image's mount, makes the root above
//! it, and becomes `coracle-oci`, which waits for the payload, passes signals on, ends what the payload has left behind,
//! and takes the payload, though nothing that this one has started, along when it is killed.
//!
//! ```text
//! coracle run ── setns(holder) ── tmpfs ── overlay ══ coracle-oci alone ── clone ── payload
//!      └─spawn─▶ holder ─spawn─▶ squashfuse            the same process
//! ```
//! Nothing is written to a disk: files, configuration, state and what the payload writes into its root are in one tmpfs of
//! a mount namespace that nobody else has. The image's mount is shared with the others of this kind in the same cgroup
//! (a session, a job): only one id is mapped for it, so newuidmap is not needed, and it needs no scope of its own, for who
//! ends a cgroup ends the containers in it too.

use super::decide::{Documents, Place, decide};
use super::filter::Ids;
use super::names;
use super::options::{CreateOptions, MountKind, NamespaceMode, Source, Systemd, UsernsMode};
use super::source::{self, Prepared};
use super::specgen;
use crate::error::{Context, Result};
use crate::external::runtime::become_alone;
use crate::id::ContainerId;
use crate::ondisk::container::{Driver, NetworkMode, Rootfs};
use crate::ondisk::{self, Durability};
use crate::paths::Dirs;
use crate::store::rootfs::squash as root;
use crate::store::squash::{Begun, Shared, SquashFile, mount};
use crate::userns::{self, StoreMap};
use std::convert::Infallible;
use std::os::fd::AsFd;

/// Linux 6.6: a directory in memory can say that it hides the image's (`user.overlay.opaque`).
const MEMORY_WITH_ATTRIBUTES: (u32, u32) = (6, 6);

/// What is run, when it can be run so.
#[derive(Debug)]
pub struct Alone<'a> {
    file: &'a SquashFile,
    source: Prepared,
}

/// Whether these options make a container that needs no monitor; `file` is what `image_file` gave. None: they do not, or this
/// machine cannot do it.
pub fn prepare<'a>(
    dirs: &Dirs,
    options: &CreateOptions,
    file: Option<&'a SquashFile>,
) -> Result<Option<Alone<'a>>> {
    if !asks_for_nothing(options) || !can_be_done() {
        return Ok(None);
    }
    let Some(file) = file else { return Ok(None) };
    let source = source::prepare(dirs, options, Some(file))?;
    let is_plain =
        matches!(&source.rootfs, Rootfs::Squash { driver: Driver::Overlay | Driver::Vfs, overlay: None, .. });
    let volumes =
        options.image_volumes != super::options::ImageVolumes::Anonymous || source.image.volumes.is_empty();
    let systemd = specgen::wants_systemd(options, &source.image)?;
    Ok((is_plain && volumes && !systemd).then_some(Alone { file, source }))
}

fn asks_for_nothing(options: &CreateOptions) -> bool {
    let namespaces = &options.namespaces;
    let is_own =
        |mount: &super::options::MountOption| matches!(mount.kind, MountKind::Bind(_) | MountKind::Tmpfs);
    matches!(options.source, Source::File { overlay: None, .. })
        && options.auto_remove
        && super::ranks::hindrance(options).is_none()
        && namespaces.userns == UsernsMode::OnlyMe
        && [&namespaces.pid, &namespaces.ipc].into_iter().all(|mode| *mode == NamespaceMode::Host)
        && options.network.mode == Some(NetworkMode::Host)
        && options.mounts.iter().all(is_own)
        && options.systemd != Systemd::Always
        && !options.process.init
        && options.extra.records.is_empty()
        && options.extra.program.is_none()
}

/// Root's containers have ids of their own.
fn can_be_done() -> bool {
    let release = rustix::system::uname();
    let mut numbers = release.release().to_str().unwrap_or_default().split('.').map_while(|n| n.parse().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    !rustix::process::geteuid().is_root() && version >= MEMORY_WITH_ATTRIBUTES
}

impl Alone<'_> {
    /// Runs it: this process becomes the container's. `told` hears the warnings before. `preserved`: how many fds from 3 on the
    /// payload gets.
    pub fn run(
        self,
        dirs: &Dirs,
        options: &CreateOptions,
        preserved: u32,
        told: impl FnOnce(&[String]),
    ) -> Result<Infallible> {
        let me = StoreMap::only_me("--hpc needs no other".to_owned());
        let what = || format!("cannot start a container of {}", self.source.name);
        let begun = Shared::begin_here(dirs, self.file, &me).what(what)?;
        let bundle = begun.path().to_owned();
        let (id, name) = (ContainerId::random()?, names::invent(dirs)?);
        let decided = decide(dirs, options, &self.source, &me)?;
        // As where there are many: who is not root can give no file away in either case.
        let place = Place { id: &id, name: &name, dir: &bundle, rootfs: "merged", ids: Ids::Mapped };
        let documents = decided.documents(&place)?;
        told(&decided.warnings);
        let shared = put(&documents, begun).what(what)?;
        Err(become_alone(&bundle, id.as_str(), preserved, &shared.server, &shared.users)?)
    }
}

/// Joins the image's mount, and puts everything in its place. No thread may be there (setns(CLONE_NEWUSER)).
fn put(documents: &Documents, begun: Begun) -> Result<Shared> {
    let base = begun.path().to_owned();
    let mounted = begun.mounted()?;
    let shared = &mounted.shared;
    userns::join_store(shared.user_namespace.as_fd())?;
    let image = mount::copy_of(shared.mount_namespace.as_fd(), &shared.path)?;
    let made = root::in_one_place(&base, image.as_fd(), &root::ways(&documents.config));
    // Why it does not serve is the deeper reason.
    let shared = mounted.served()?;
    let dir = made?;
    documents.files.write(&dir)?;
    ondisk::publish(&dir, "config.json", &documents.config, Durability::Volatile)?;
    Ok(shared)
}
