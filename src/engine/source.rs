//! Where the root file system comes from: an image of the store (pulled when it must be), a directory, or the host's /usr.

use super::options::{CreateOptions, PullPolicy, Source};
use super::specgen::{self, ImageDefaults, PreparedMount};
use super::view::View;
use crate::error::{Context, Error, Result};
use crate::ondisk::container::{Driver, Rootfs};
use crate::paths::Dirs;
use crate::spec::image::{ImageConfig, Platform};
use crate::store::squash::{Kind, SquashFile, Tables};
use crate::store::{Image, Store};
use crate::sys::CallContext;
use crate::userns::{IdMaps, IdRange};
use rustix::fs::{FileType, Mode};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// A source that was found.
#[derive(Debug)]
pub struct Prepared {
    /// As `ps` shows it.
    pub name: String,
    pub image_id: Option<String>,
    pub image: ImageDefaults,
    /// Its files, before the start.
    pub view: View,
    /// Mounts that the source itself needs (`host:`).
    pub mounts: Vec<PreparedMount>,
    /// What is to be said about it.
    pub note: Option<String>,
    /// What the tables of an image in one file say, where that is asked for.
    tables: Option<Tables>,
    /// Its layers are for all users, and have to be shown by what is stated of them.
    stated: bool,
    pub(super) rootfs: Rootfs,
}

/// What the container's record and config.json say about the rootfs.
#[derive(Debug)]
pub struct MadeRootfs {
    /// `root.path`: absolute, or relative to the bundle.
    pub path: String,
    pub record: Rootfs,
    /// What is to be said once about it.
    pub note: Option<String>,
}

/// The image, open, where the source is one file.
pub fn image_file(options: &CreateOptions) -> Result<Option<SquashFile>> {
    let Source::File { path, .. } = &options.source else { return Ok(None) };
    let mut file = SquashFile::open(path)?;
    let image = file.trailer.as_ref().map(|(_, config)| config_defaults(&config.config)).unwrap_or_default();
    file.programs = specgen::programs(options, &image);
    Ok(Some(file))
}

/// Finds the source; `file` is what `image_file` gave.
pub fn prepare(dirs: &Dirs, options: &CreateOptions, file: Option<&SquashFile>) -> Result<Prepared> {
    let note = match &options.source {
        Source::Image { .. } => None,
        other => super::site::check_source(other, None)?,
    };
    let prepared = match &options.source {
        Source::File { overlay, .. } => {
            let file = file.ok_or_else(|| Error::internal("an image file that was not opened"))?;
            one_file(dirs, file, overlay.clone(), options)
        }
        Source::Host => host(),
        Source::Rootfs(path) => directory(path),
        Source::Image { name, pull, platform } => image(dirs, name, *pull, platform.as_deref(), options),
    }?;
    Ok(Prepared { note: prepared.note.or(note), ..prepared })
}

impl Prepared {
    /// Its files are an image's, below an upper directory.
    pub fn has_layers(&self) -> bool {
        matches!(self.rootfs, Rootfs::Layers { .. })
    }

    /// What stands at this path when the container starts: nothing, or whether it is a directory. A tree that cannot be looked
    /// at has whatever is asked for.
    pub fn stands_at(&self, path: &str) -> Option<bool> {
        if self.view.is_directory(path) && self.tables.is_none() || self.is_above(path) {
            return Some(true);
        }
        match &self.tables {
            None => self.view.lookup(Path::new(path)).map(|_| false),
            Some(tables) => match tables.follow(path.as_bytes()) {
                Ok(found) => found.map(|inode| matches!(inode.kind, Kind::Directory(_))),
                Err(_) => Some(true),
            },
        }
    }

    /// Whether an earlier container has made that directory, in an overlay that stays.
    fn is_above(&self, path: &str) -> bool {
        let Rootfs::Squash { overlay: Some(dir), .. } = &self.rootfs else { return false };
        View::open([Path::new(dir).join("upper")]).is_ok_and(|view| view.is_directory(path))
    }

    /// Makes what the rootfs needs in the container's directory. With a shifted map (keep-id) layers are shown shifted, and
    /// those of a store for all users as is stated of them, neither of which the kernel's overlay can do without real root:
    /// by fuse-overlayfs, else as a copy with the right owners.
    pub fn make_rootfs(&self, staged: &OwnedFd, maps: &IdMaps) -> Result<MadeRootfs> {
        let mut record = self.rootfs.clone();
        let mut note = None;
        if matches!(record, Rootfs::Squash { .. }) && is_shifted(maps) {
            return Err(Error::host("cannot show an image file with shifted ids")
                .cause("--userns was given, and a squashfs is shown with the owners that it has")
                .hint("Leave out --userns, or load the image into the store."));
        }
        if let Rootfs::Layers { driver, id_map, .. } = &mut record
            && (is_shifted(maps) || self.stated)
        {
            let copied = *driver == Driver::Vfs;
            let usable = !copied && crate::store::rootfs::fuse::usable();
            let of = if self.stated { "of an image of a shared store" } else { "with --userns keep-id" };
            note = (!copied && !usable).then(|| format!("each container {of} {COPIED}"));
            *driver = if usable { Driver::FuseOverlayfs } else { Driver::Vfs };
            *id_map = is_shifted(maps).then(|| maps.clone());
        }
        let path = match &self.rootfs {
            Rootfs::Layers { .. } | Rootfs::Squash { .. } => "merged".to_owned(),
            Rootfs::Directory { path } => path.clone(),
            Rootfs::Host => {
                make_skeleton(staged).what(|| "cannot make the skeleton of host:")?;
                "rootfs".to_owned()
            }
        };
        Ok(MadeRootfs { path, record, note })
    }
}

const COPIED: &str =
    "gets a copy of the image, because fuse-overlayfs or /dev/fuse cannot be used; see `coracle doctor`";

/// Where one id is mapped, all files are its owner's, whatever it is called inside.
fn is_shifted(maps: &IdMaps) -> bool {
    let single = |map: &[IdRange]| matches!(map, [only] if only.count == 1 && only.outside == 0);
    !(single(&maps.uids) && single(&maps.gids))
        && maps.uids.iter().chain(&maps.gids).any(|r| r.inside != r.outside)
}

fn image(
    dirs: &Dirs,
    name: &str,
    pull: PullPolicy,
    platform: Option<&str>,
    options: &CreateOptions,
) -> Result<Prepared> {
    let store = Store::open(dirs)?;
    let found = find(dirs, &store, name, pull, platform, &options.pull_flags)?;
    // A store that should have been looked into, where the image was not in the user's own.
    let lost = store.lost().first().map(ToString::to_string);
    let note = super::site::check_source(&options.source, Some(&found))?.or(lost);
    let layers: Vec<String> = found.record.layers.iter().rev().map(ToString::to_string).collect();
    if found.store.is_none() {
        store.touch_image(&found.id);
    }
    let from = store.of(&found)?;
    let stated = from.is_stated(&store, &found.record.layers).what(|| format!("cannot use image {name}"))?;
    let view =
        View::of_layers(&from.dirs.data, &layers).what(|| format!("cannot read the layers of {name}")).hint(
            || format!("Check the store with `coracle system check --repair`, then `coracle pull {name}`."),
        )?;
    let driver = match options.driver {
        Some(driver) => driver,
        None => store.driver()?.0,
    };
    // Under the name that was asked for, of several.
    let asked = from.full_name(name)?;
    let shown = asked.or_else(|| found.names.first().cloned()).unwrap_or_else(|| name.to_owned());
    Ok(Prepared {
        name: shown,
        image_id: Some(found.id.to_string()),
        image: defaults(&found),
        view,
        mounts: Vec::new(),
        note,
        tables: None,
        stated,
        rootfs: Rootfs::Layers {
            driver,
            layers,
            read_only: options.read_only,
            id_map: None,
            store: found.store.as_ref().map(|path| path.to_string_lossy().into_owned()),
        },
    })
}

/// The image in the store, pulled when it must be.
fn find(
    dirs: &Dirs,
    store: &Store,
    name: &str,
    pull: PullPolicy,
    platform: Option<&str>,
    flags: &[String],
) -> Result<Image> {
    let found = if is_transport(name) { None } else { store.find_image(name)? };
    let wanted = platform.map(Platform::parse).transpose()?;
    let fits = |image: &Image| wanted.as_ref().is_none_or(|p| p.holds(&image.document));
    if let (Some(image), PullPolicy::Never) = (&found, pull)
        && !fits(image)
    {
        return Err(other_platform(name, image, platform.unwrap_or_default()));
    }
    match (found.filter(fits), pull) {
        (Some(image), PullPolicy::Missing | PullPolicy::Never) => Ok(image),
        (None, PullPolicy::Never) => Err(Error::not_found(format_args!("image {name} is not here"))
            .cause("--pull=never was given")
            .hint(format_args!("Get it with `coracle pull {name}`."))),
        (_, PullPolicy::Missing | PullPolicy::Always | PullPolicy::Newer) => {
            let policy = if pull == PullPolicy::Newer { "newer" } else { "always" };
            pulled(dirs, store, name, platform, policy, flags)
        }
    }
}

fn other_platform(name: &str, image: &Image, wanted: &str) -> Error {
    let has = format!("{}/{}", image.document.os, image.document.architecture);
    Error::not_found(format_args!("image {name} is not here for {wanted}"))
        .cause(format_args!("it is here for {has}, and --pull=never was given"))
        .hint(format_args!("Get it with `coracle pull --platform {wanted} {name}`."))
}

/// An image's labels. It is pulled when it is not here.
pub fn labels(dirs: &Dirs, name: &str) -> Result<BTreeMap<String, String>> {
    let store = Store::open(dirs)?;
    Ok(defaults(&find(dirs, &store, name, PullPolicy::Missing, None, &[])?).labels)
}

/// An image in one file: its config and the users' names are in its trailer; nothing is mounted to read them.
fn one_file(
    dirs: &Dirs,
    file: &SquashFile,
    overlay: Option<String>,
    options: &CreateOptions,
) -> Result<Prepared> {
    let driver = match options.driver {
        Some(driver) => driver,
        None => Store::open(dirs)?.driver()?.0,
    };
    let (image, files) = match &file.trailer {
        Some((trailer, config)) => (config_defaults(&config.config), trailer.files.clone()),
        None => (ImageDefaults::default(), std::collections::BTreeMap::new()),
    };
    Ok(Prepared {
        name: file.path.clone(),
        image_id: None,
        image,
        view: View::of_files(files),
        mounts: Vec::new(),
        note: None,
        tables: options.process.workdir.as_ref().and_then(|_| Tables::open(file).ok()),
        stated: false,
        rootfs: Rootfs::Squash {
            file: file.path.clone(),
            stamp: file.stamp.clone(),
            driver,
            overlay,
            read_only: options.read_only,
        },
    })
}

fn is_transport(name: &str) -> bool {
    ["oci:", "oci-archive:", "docker-archive:", "docker://"].iter().any(|t| name.starts_with(t))
}

/// Runs `coracle pull` inside the store's namespace. Its progress goes to stderr; it leaves the name behind.
fn pulled(
    dirs: &Dirs,
    store: &Store,
    name: &str,
    platform: Option<&str>,
    policy: &str,
    flags: &[String],
) -> Result<Image> {
    let mut args = dirs.to_args();
    args.extend(["pull".into(), "--policy".into(), policy.into(), "--id-file".into()]);
    let answer = dirs.run.join(format!(".pulled-{}", std::process::id()));
    args.push(answer.clone().into());
    args.extend(platform.iter().flat_map(|p| [OsString::from("--platform"), OsString::from(p)]));
    args.extend(flags.iter().map(OsString::from));
    args.push(name.into());
    dirs.open_run()?;
    let code = crate::userns::run_in_store(dirs, &args)?;
    let id = std::fs::read_to_string(&answer);
    let _ = std::fs::remove_file(&answer);
    if code != 0 {
        return Err(Error::already_said(code));
    }
    let id = id.call(|| format!("open({})", answer.display()))?;
    store
        .find_image(id.trim())?
        .ok_or_else(|| Error::internal(format_args!("the image {name} is gone after its pull")))
}

fn defaults(image: &Image) -> ImageDefaults {
    config_defaults(&image.config)
}

fn config_defaults(config: &ImageConfig) -> ImageDefaults {
    ImageDefaults {
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        workdir: config.working_dir.clone().filter(|w| !w.is_empty()),
        user: config.user.clone().filter(|u| !u.is_empty()),
        volumes: config.volumes.clone(),
        exposed_ports: config.exposed_ports.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
    }
}

fn directory(path: &str) -> Result<Prepared> {
    let view = View::open([path]).what(|| format!("cannot use the rootfs {path}"))?;
    Ok(Prepared {
        name: path.to_owned(),
        image_id: None,
        image: ImageDefaults::default(),
        view,
        mounts: Vec::new(),
        note: None,
        tables: None,
        stated: false,
        rootfs: Rootfs::Directory { path: path.to_owned() },
    })
}

/// Parts of the host's tree that `host:` shows, read-only.
const HOST_TREES: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Files and directories of /etc that programs of /usr need. What identifies the machine or holds secrets is not among them.
const HOST_ETC: [&str; 31] = [
    "alternatives",
    "bash.bashrc",
    "bashrc",
    "bash_completion.d",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "group",
    "gai.conf",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "magic",
    "manpath.config",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki",
    "profile",
    "profile.d",
    "protocols",
    "rpc",
    "services",
    "shells",
    "ssl",
    "terminfo",
];

/// `host:`: the host's own programs below a root of our own.
fn host() -> Result<Prepared> {
    let options = |o: &[&str]| o.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>();
    let bind = |path: &str| PreparedMount {
        kind: "bind",
        source: path.to_owned(),
        destination: path.to_owned(),
        // Recursive: mounts below are locked to their parents in a user namespace.
        options: options(&["rbind", "rprivate", "ro", "nosuid", "nodev"]),
    };
    let tmpfs = |path: &str, mode: &str| PreparedMount {
        kind: "tmpfs",
        source: "tmpfs".to_owned(),
        destination: path.to_owned(),
        options: options(&["nosuid", "nodev", mode]),
    };
    let mut mounts: Vec<PreparedMount> = HOST_TREES
        .iter()
        .filter(|tree| kind_of(tree) == Some(FileType::Directory))
        .map(|tree| bind(tree))
        .collect();
    for name in HOST_ETC {
        let path = format!("/etc/{name}");
        // A link into /usr is made again by the skeleton; only what is really there is bound, by its real place.
        match kind_of(&path) {
            Some(FileType::Directory | FileType::RegularFile) if readable(&path) => mounts.push(bind(&path)),
            _ => {}
        }
    }
    mounts.push(tmpfs("/tmp", "mode=1777"));
    mounts.push(tmpfs("/run", "mode=755"));
    Ok(Prepared {
        name: "host:".to_owned(),
        image_id: None,
        image: ImageDefaults::default(),
        view: View::open(["/"])?,
        mounts,
        note: None,
        tables: None,
        stated: false,
        rootfs: Rootfs::Host,
    })
}

fn kind_of(path: &str) -> Option<FileType> {
    rustix::fs::lstat(path).ok().map(|st| FileType::from_raw_mode(st.st_mode))
}

fn readable(path: &str) -> bool {
    rustix::fs::access(path, rustix::fs::Access::READ_OK).is_ok()
}

/// The empty directories and the links of a root that `host:` mounts on.
fn make_skeleton(staged: &OwnedFd) -> Result<()> {
    let root = super::names::subdir(staged, "rootfs")?;
    rustix::fs::chmodat(staged, "rootfs", Mode::from(0o755), rustix::fs::AtFlags::empty())
        .call(|| "chmod(rootfs)")?;
    for dir in ["dev", "etc", "home", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "var"] {
        make_dir(root.as_fd(), dir)?;
    }
    for dir in ["var/cache", "var/lib", "var/log", "var/tmp"] {
        make_dir(root.as_fd(), dir)?;
    }
    {
        let link = "var/run";
        rustix::fs::symlinkat("/run", &root, link).call(|| format!("symlink(/run, {link})"))?;
    }
    for tree in HOST_TREES {
        let name = tree.trim_start_matches('/');
        match kind_of(tree) {
            Some(FileType::Symlink) => copy_link(tree, root.as_fd(), name)?,
            Some(FileType::Directory) => make_dir(root.as_fd(), name)?,
            _ => {}
        }
    }
    for name in HOST_ETC {
        let path = format!("/etc/{name}");
        if kind_of(&path) == Some(FileType::Symlink) {
            copy_link(&path, root.as_fd(), &format!("etc/{name}"))?;
        }
    }
    Ok(())
}

fn make_dir(root: std::os::fd::BorrowedFd<'_>, name: &str) -> Result<()> {
    rustix::fs::mkdirat(root, name, Mode::from(0o755)).call(|| format!("mkdirat(rootfs/{name})"))?;
    Ok(())
}

fn copy_link(from: &str, root: std::os::fd::BorrowedFd<'_>, name: &str) -> Result<()> {
    let target = rustix::fs::readlink(Path::new(from), Vec::new()).call(|| format!("readlink({from})"))?;
    rustix::fs::symlinkat(target, root, name).call(|| format!("symlinkat(rootfs/{name})"))?;
    Ok(())
}
