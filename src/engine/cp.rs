//! `coracle cp`: between the host and a container, running or not, and to and from a tar stream. docker's rules.
//!
//! Runs inside the store's user namespace. A stopped container is reached by mounting its rootfs in our own mount
//! namespace, a running one by its root directory: whoever starts us opens it (`running_root`), because a user namespace of
//! our own gives no access to processes in the monitor's. Owners are the same in both: they have the same map. Paths in the
//! container are resolved by openat2 in its root.

use super::copy::{Recorded, archive, tree};
use crate::error::{Context, Error, Kind, Result};
use crate::ondisk::container::{Container, Driver, Rootfs};
use crate::paths::Dirs;
use crate::store;
use crate::sys::CallContext;
use crate::sys::fs::{Symlinks, open_below};
use rustix::fs::{FileType, Mode, OFlags};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One end of a copy.
#[derive(Debug)]
pub enum Place {
    /// A path of the host.
    Host(String),
    /// A path in a container, and its root directory when it is running.
    Container { container: Box<Container>, root: Option<OwnedFd>, path: String },
    /// stdin or stdout, as tar.
    Stream,
}

/// How to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyOptions {
    /// Keep owners.
    pub archive: bool,
    /// Let a file replace a directory and the other way round.
    pub overwrite: bool,
}

/// A tree in which paths are looked up.
pub(super) struct Tree {
    /// None: the host, where paths mean what they mean to the user.
    root: Option<OwnedFd>,
    mounted: Option<store::rootfs::Mounted>,
}

/// The root directory of a running container; `None` when it is not running. Called outside the store's namespace, where
/// the user owns the container's namespaces.
pub fn running_root(dirs: &Dirs, container: &Container) -> Result<Option<OwnedFd>> {
    let Some(pid) = super::lookup::state(dirs, container)?.pid else { return Ok(None) };
    let path = format!("/proc/{pid}/root");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&path, flags, Mode::empty())
        .call(|| format!("open({path:?})"))
        .what(|| format!("cannot look into container {}", container.name))?;
    Ok(Some(root))
}

/// The user namespace of a running container's monitor, where only its members can use the container's files: those that
/// fuse-overlayfs or squashfuse shows. Called where `running_root` is.
pub fn running_namespace(dirs: &Dirs, container: &Container) -> Result<Option<OwnedFd>> {
    let by_fuse = matches!(
        container.rootfs,
        Rootfs::Layers { driver: Driver::FuseOverlayfs, .. } | Rootfs::Squash { .. }
    );
    if !by_fuse {
        return Ok(None);
    }
    let Some(pid) = super::lookup::state(dirs, container)?.pid else { return Ok(None) };
    let path = format!("/proc/{pid}/ns/user");
    let own = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    // The container's own is nested in it.
    own.call(|| format!("open({path:?})"))
        .and_then(|own| crate::sys::spawn::parent_user_namespace(own.as_fd()))
        .map(Some)
        .what(|| format!("cannot look into container {}", container.name))
}

/// Copies `from` to `to`.
pub fn copy(dirs: &Dirs, from: &Place, to: &Place, options: CopyOptions) -> Result<()> {
    let source = Tree::open(dirs, from)?;
    let target = Tree::open(dirs, to)?;
    let done = copy_between(dirs, (&source, from), (&target, to), options);
    source.close();
    target.close();
    done
}

fn copy_between(
    dirs: &Dirs,
    (source, from): (&Tree, &Place),
    (target, to): (&Tree, &Place),
    options: CopyOptions,
) -> Result<()> {
    match (from.path(), to.path()) {
        (None, None) => Err(Error::usage("cannot copy from stdin to stdout")),
        (None, Some(path)) => {
            let dir = target.open_directory(path).what(|| format!("cannot unpack into {path}"))?;
            archive::extract(std::io::stdin().lock(), dir.as_fd(), options.archive)
        }
        (Some(path), None) => {
            let end = source.find(path)?.ok_or_else(|| missing(from))?;
            let mut tar = tar::Builder::new(std::io::stdout().lock());
            let shown = PathBuf::from(OsStr::from_bytes(end.name.as_bytes()));
            let owners = source.recorded(dirs, from)?;
            match contents_only(path) {
                true => archive::pack_contents(open_named(&end)?.as_fd(), Path::new(""), &owners, &mut tar)?,
                false => archive::pack(end.parent.as_fd(), &end.name, &shown, &owners, &mut tar)?,
            }
            tar.finish().call(|| "write(stdout)")?;
            Ok(())
        }
        (Some(path), Some(into)) => {
            let end = source.find(path)?.ok_or_else(|| missing(from))?;
            // As podman: what is copied out gets the name of what a link led to, what is copied in the link's.
            let name = match source.root {
                None if end.name.as_c_str() != c"." => {
                    Path::new(path).file_name().and_then(|name| CString::new(name.as_bytes()).ok())
                }
                _ => None,
            };
            let name = name.unwrap_or_else(|| end.name.clone());
            // What comes to the host is the user's (podman): other owners could not even be removed there.
            let archive = options.archive && target.root.is_some();
            let how = tree::How {
                owners: archive,
                of_the_host: source.root.is_none(),
                overwrite: options.overwrite,
                path: PathBuf::from(path),
            };
            copy_paths(&end, &name, how, (target, to), into)
        }
    }
}

/// docker's rules for what the target means.
fn copy_paths(
    end: &End,
    called: &CStr,
    how: tree::How,
    (target, to): (&Tree, &Place),
    into: &str,
) -> Result<()> {
    let is_dir = end.kind == FileType::Directory;
    let there = target.find(into)?;
    let into_directory = matches!(&there, Some(t) if t.kind == FileType::Directory);
    if into_directory {
        let dir = target.open_directory(into)?;
        if is_dir && how.path.to_str().is_some_and(contents_only) {
            return tree::copy_contents(open_named(end)?.as_fd(), dir.as_fd(), how);
        }
        return tree::copy(end.parent.as_fd(), &end.name, dir.as_fd(), called, how);
    }
    if is_dir && there.is_some() && !how.overwrite {
        let path = how.path.display();
        return Err(Error::usage(format_args!("cannot copy the directory {path} over the file {into}"))
            .hint("Use --overwrite."));
    }
    if !is_dir && into.ends_with('/') {
        return Err(no_directory(to, Path::new(into)));
    }
    let (parent, name) = match there {
        Some(t) => (t.parent, t.name),
        None => target.parent_of(into).map_err(|e| match e.kind() {
            Kind::NotFound => no_directory(to, Path::new(into).parent().unwrap_or(Path::new("/"))),
            _ => e,
        })?,
    };
    tree::copy(end.parent.as_fd(), &end.name, parent.as_fd(), &name, how)
}

/// Only the last name of a target may be new.
fn no_directory(to: &Place, dir: &Path) -> Error {
    let dir = dir.display();
    match to {
        Place::Container { container, .. } => {
            Error::not_found(format_args!("there is no directory {dir} in container {}", container.name))
                .hint(format_args!("Make it first: `coracle exec {} mkdir -p {dir}`.", container.name))
        }
        _ => Error::not_found(format_args!("there is no directory {dir} on the host"))
            .hint(format_args!("Make it first: `mkdir -p {dir}`.")),
    }
}

/// `dir/.`: what is in it, not the directory itself.
fn contents_only(path: &str) -> bool {
    path.ends_with("/.") || path == "."
}

fn missing(place: &Place) -> Error {
    match place {
        Place::Container { container, path, .. } => Error::not_found(format_args!(
            "{path:?} could not be found in container {}: no such file or directory",
            container.name
        )),
        Place::Host(path) => Error::not_found(format_args!(
            "{path:?} could not be found on the host: no such file or directory"
        )),
        Place::Stream => Error::internal("a stream has no path"),
    }
}

fn open_named(end: &End) -> Result<OwnedFd> {
    Ok(super::copy::open_dir(end.parent.as_fd(), &end.name)?)
}

impl Place {
    fn path(&self) -> Option<&str> {
        match self {
            Self::Host(path) | Self::Container { path, .. } => Some(path),
            Self::Stream => None,
        }
    }
}

/// The end of a path: its directory, its name in there, and what it is (a symlink only from `find_itself`).
struct End {
    parent: OwnedFd,
    name: CString,
    kind: FileType,
}

impl Tree {
    pub(super) fn open(dirs: &Dirs, place: &Place) -> Result<Self> {
        let Place::Container { container, root, .. } = place else {
            return Ok(Self { root: None, mounted: None });
        };
        if let Some(root) = root {
            let root = root.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
            return Ok(Self { root: Some(root), mounted: None });
        }
        if super::lookup::state(dirs, container)?.pid.is_some() {
            return Err(Error::in_use(format_args!("container {} has just been started", container.name))
                .hint("Try again."));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let (path, mounted) = match &container.rootfs {
            Rootfs::Layers { .. } | Rootfs::Squash { .. } => {
                let mounted = store::rootfs::mount(dirs, container)?;
                (mounted.path.clone(), Some(mounted))
            }
            Rootfs::Directory { path } => (PathBuf::from(path), None),
            Rootfs::Host => (dirs.container(&container.id).join("rootfs"), None),
        };
        let root = rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})"))?;
        Ok(Self { root: Some(root), mounted })
    }

    /// The owners of its files that are written down.
    fn recorded(&self, dirs: &Dirs, place: &Place) -> Result<Recorded> {
        match (&self.root, place) {
            (Some(root), Place::Container { container, .. }) => Recorded::of(dirs, container, root.as_fd()),
            _ => Ok(Recorded::default()),
        }
    }

    /// Unmounts what was mounted. A failure leaves a mount in our own namespace, which ends with us.
    pub(super) fn close(self) {
        drop(self.root);
        if let Some(mounted) = self.mounted {
            let _ = mounted.umount();
        }
    }

    fn open_at(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        match &self.root {
            Some(root) => {
                let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| rustix::io::Errno::INVAL)?;
                open_below(root.as_fd(), &path, flags, Symlinks::InRoot)
            }
            None => rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()),
        }
    }

    pub(super) fn open_directory(&self, path: &str) -> Result<OwnedFd> {
        Ok(self
            .open_at(Path::new(path), OFlags::RDONLY | OFlags::DIRECTORY)
            .call(|| format!("openat2({path:?}, O_DIRECTORY)"))?)
    }

    /// What stands at `path`, if anything does; a symlink at its end is followed, as podman does.
    fn find(&self, path: &str) -> Result<Option<End>> {
        /// The kernel's own limit.
        const MAX_LINKS: usize = 40;
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            let Some(end) = self.find_itself(&path)? else { return Ok(None) };
            if end.kind != FileType::Symlink {
                return Ok(Some(end));
            }
            let link = rustix::fs::readlinkat(&end.parent, &end.name, Vec::new())
                .call(|| format!("readlinkat({:?})", end.name))?;
            let link =
                link.to_str().map_err(|_| Error::usage(format_args!("the link {path:?} is not UTF-8")))?;
            path = match path.trim_end_matches('/').rsplit_once('/') {
                Some((parent, _)) if !link.starts_with('/') => format!("{parent}/{link}"),
                _ => link.to_owned(),
            };
        }
        Err(Error::usage(format_args!("cannot follow {path:?}: too many links")))
    }

    /// What stands at `path`: the link itself, when it is one.
    fn find_itself(&self, path: &str) -> Result<Option<End>> {
        let trimmed = path.trim_end_matches("/.").trim_end_matches('/');
        let trimmed = if trimmed.is_empty() { "/" } else { trimmed };
        if trimmed == "/" || trimmed == "." {
            let parent = self
                .open_at(Path::new(trimmed), OFlags::PATH | OFlags::DIRECTORY)
                .call(|| format!("open({path:?})"))?;
            return Ok(Some(End { parent, name: c".".to_owned(), kind: FileType::Directory }));
        }
        let (parent, name) = match self.parent_of(trimmed) {
            Ok(found) => found,
            Err(e) if e.kind() == Kind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        match super::copy::stat(parent.as_fd(), &name) {
            Ok(meta) => Ok(Some(End { parent, name, kind: meta.kind })),
            Err(e) if e.raw_os_error() == libc::ENOENT => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The directory of `path`, and the last name.
    fn parent_of(&self, path: &str) -> Result<(OwnedFd, CString)> {
        let path = Path::new(path);
        let name = path
            .file_name()
            .ok_or_else(|| Error::usage(format_args!("invalid path {:?}", path.display().to_string())))?;
        let name = CString::new(name.as_bytes()).map_err(|_| Error::usage("a path contains a NUL byte"))?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ if self.root.is_some() => Path::new("/"),
            _ => Path::new("."),
        };
        let parent = self
            .open_at(parent, OFlags::PATH | OFlags::DIRECTORY)
            .call(|| format!("openat2({:?})", parent.display()))?;
        let readable = reopen(parent.as_fd())?;
        Ok((readable, name))
    }
}

/// An O_PATH fd as one that can be listed.
fn reopen(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(fd, ".", flags, Mode::empty()).call(|| "openat(\".\")")?)
}
