//! Where things are: the store, the runtime directory, configuration. Nothing else reads HOME, XDG_* or TMPDIR.
//!
//! An ordinary user has `$XDG_DATA_HOME/coracle` and `$XDG_RUNTIME_DIR/coracle`. Real root has `/var/lib/coracle` and
//! `/run/coracle`. A runtime directory that is missing, or that belongs to somebody else, is replaced by one of our own,
//! `/tmp/coracle-run-<uid>`, which must be a directory (no symlink) of ours with mode 0700, or we refuse (R22).

use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The directories of one user (or of one `--root`/`--runroot`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// The store: images, layers, containers, volumes. Survives reboots.
    pub data: PathBuf,
    /// Sockets, locks, pid files. Local file system, lost at reboot.
    pub run: PathBuf,
    /// The user's own configuration, `$XDG_CONFIG_HOME` (without a `coracle` below it: other tools' files are read too).
    pub config: PathBuf,
    /// The user's home, when there is one.
    pub home: Option<PathBuf>,
    /// A note for the user when the runtime directory is not the usual one.
    pub run_note: Option<String>,
    /// Most bytes that the images of the store may take (`engine::limit`).
    pub max_size: Option<u64>,
    /// Stores of others that are looked into for images as well, and never written.
    pub stores: Vec<PathBuf>,
}

impl Dirs {
    /// From the environment, with `--root` and `--runroot` in front.
    pub fn discover(root: Option<&Path>, runroot: Option<&Path>) -> Result<Self> {
        let uid = rustix::process::geteuid();
        let base = directories::BaseDirs::new();
        let home = base.as_ref().map(|b| b.home_dir().to_owned()).filter(|h| h.is_absolute());
        let config = base.as_ref().map_or_else(|| PathBuf::from("/etc"), |b| b.config_dir().to_owned());
        let real_root = is_real_root();
        let data = match (root, real_root, &base) {
            (Some(root), _, _) => absolute(root)?,
            (None, true, _) => PathBuf::from("/var/lib/coracle"),
            (None, false, Some(base)) => base.data_dir().join("coracle"),
            (None, false, None) => {
                return Err(Error::host("no place for the store")
                    .cause("HOME is not set and the user has no entry in /etc/passwd")
                    .hint("Set HOME or XDG_DATA_HOME, or give --root DIR."));
            }
        };
        let (run, run_note) = match runroot {
            Some(dir) => (absolute(dir)?, None),
            None if real_root => (PathBuf::from("/run/coracle"), None),
            None => runtime_dir(base.as_ref().and_then(|b| b.runtime_dir()), uid.as_raw()),
        };
        Ok(Self { data, run, config, home, run_note, max_size: None, stores: Vec::new() })
    }

    /// Of a process that has a store and a runtime directory, and needs nothing of the user's.
    pub fn only(data: PathBuf, run: PathBuf) -> Self {
        let config = PathBuf::new();
        Self { data, run, config, home: None, run_note: None, max_size: None, stores: Vec::new() }
    }

    /// As flags, for another coracle that is to use them.
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> =
            vec!["--root".into(), self.data.clone().into(), "--runroot".into(), self.run.clone().into()];
        for store in &self.stores {
            let mut value = OsString::from("additionalimagestore=");
            value.push(store);
            args.extend(["--storage-opt".into(), value]);
        }
        args.extend(
            self.max_size.iter().flat_map(|max| ["--storage-opt".into(), format!("max_size={max}").into()]),
        );
        args
    }

    /// Opens the store directory, made with mode 0700 when missing.
    pub fn open_data(&self) -> Result<OwnedFd> {
        open_private(&self.data, "the store")
    }

    /// Opens the runtime directory, made with mode 0700 when missing.
    pub fn open_run(&self) -> Result<OwnedFd> {
        open_private(&self.run, "the runtime directory")
    }

    /// `containers/<id>` of the store.
    pub fn container(&self, id: &crate::id::ContainerId) -> PathBuf {
        self.data.join("containers").join(id)
    }

    /// The runtime directory of one container: lock, sockets, pid file.
    pub fn container_run(&self, id: &crate::id::ContainerId) -> PathBuf {
        self.run.join(id)
    }
}

/// Whether the caller is root of the machine, not of a user namespace.
pub fn is_real_root() -> bool {
    rustix::process::geteuid().is_root() && crate::sys::spawn::in_initial_user_namespace()
}

/// The user's runtime directory if it is really the user's, else a private one in /tmp, with the reason.
fn runtime_dir(given: Option<&Path>, uid: u32) -> (PathBuf, Option<String>) {
    let fallback = |why: String| {
        let dir = PathBuf::from(format!("/tmp/coracle-run-{uid}"));
        let note = format!("{why}; using {}", dir.display());
        (dir, Some(note))
    };
    let Some(dir) = given else {
        let usual = PathBuf::from(format!("/run/user/{uid}"));
        if is_mine(&usual, uid) {
            return (usual.join("coracle"), None);
        }
        return fallback("XDG_RUNTIME_DIR is not set".to_owned());
    };
    if is_mine(dir, uid) {
        return (dir.join("coracle"), None);
    }
    let usual = PathBuf::from(format!("/run/user/{uid}"));
    let why = format!("XDG_RUNTIME_DIR={} is not a directory of uid {uid}", dir.display());
    if is_mine(&usual, uid) {
        let note = format!("{why}; using {}", usual.display());
        return (usual.join("coracle"), Some(note));
    }
    fallback(why)
}

fn is_mine(dir: &Path, uid: u32) -> bool {
    rustix::fs::lstat(dir)
        .is_ok_and(|st| st.st_uid == uid && rustix::fs::FileType::from_raw_mode(st.st_mode).is_dir())
}

/// Whether a directory is really the user's, or can still be made.
pub fn is_mine_or_missing(dir: &Path) -> bool {
    match rustix::fs::lstat(dir) {
        Err(e) => e == rustix::io::Errno::NOENT,
        Ok(_) => is_mine(dir, rustix::process::geteuid().as_raw()),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    Ok(std::path::absolute(path).call(|| format!("getcwd() for {}", path.display()))?)
}

/// Opens `dir`, made (with parents) when missing. It must be a real directory of ours that nobody else can write.
fn open_private(dir: &Path, what: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match rustix::fs::open(dir, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => {
            make_private(dir).what(|| format!("cannot make {what}"))?;
            rustix::fs::open(dir, flags, Mode::empty())
        }
        other => other,
    }
    .call(|| format!("open({dir:?}, O_DIRECTORY|O_NOFOLLOW)"))
    .what(|| format!("cannot open {what}"))?;
    let st = rustix::fs::fstat(&fd).call(|| format!("fstat({dir:?})"))?;
    let me = rustix::process::geteuid().as_raw();
    // Real root's store belongs to the first id of its range (lib.rs): whoever owns it, root may use it.
    if st.st_uid != me && me != 0 {
        return Err(Error::host(format_args!("cannot use {what} {}", dir.display()))
            .cause(format_args!("it belongs to uid {}, not to uid {me}", st.st_uid))
            .hint(
                "Choose another place with --root and --runroot, or unset XDG_DATA_HOME and XDG_RUNTIME_DIR.",
            ));
    }
    if st.st_mode & 0o022 != 0 {
        return Err(Error::host(format_args!("cannot use {what} {}", dir.display()))
            .cause(format_args!("others may write it (mode {:04o})", st.st_mode & 0o7777))
            .hint(format_args!("Take their permission away with `chmod 700 {}`.", dir.display())));
    }
    Ok(fd)
}

fn make_private(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .call(|| format!("mkdir({dir:?}, 0700)"))
        .hint(|| "Choose another place with --root and --runroot.")?;
    Ok(())
}

/// Where the user's own programs are (`~/.local/bin`), and the data of desktop programs (`$XDG_DATA_HOME`).
pub fn user_places() -> Option<(PathBuf, PathBuf)> {
    let base = directories::BaseDirs::new()?;
    Some((base.executable_dir()?.to_owned(), base.data_dir().to_owned()))
}

/// `$XDG_RUNTIME_DIR`, where it is really the user's.
pub fn own_runtime_dir() -> Option<PathBuf> {
    let dir = directories::BaseDirs::new()?.runtime_dir()?.to_owned();
    is_mine(&dir, rustix::process::geteuid().as_raw()).then_some(dir)
}

/// The caller's PATH as directories.
#[allow(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// A variable of the environment, for the facts that probes report and the sockets that a login offers. An empty one
/// counts as not set.
#[allow(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub fn env(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Refuses a default place of `coracle-oci`'s state that somebody else has made: who can write there can have hooks run
/// as us (R22). A place that is not there yet is made by us.
pub fn check_runtime_root(root: &Path) -> Result<()> {
    let me = rustix::process::geteuid().as_raw();
    let st = match rustix::fs::lstat(root) {
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        other => other.call(|| format!("lstat({root:?})"))?,
    };
    let is_dir = rustix::fs::FileType::from_raw_mode(st.st_mode).is_dir();
    let why = if !is_dir {
        "it is no directory".to_owned()
    } else if st.st_uid != me {
        format!("it belongs to uid {}, not to uid {me}", st.st_uid)
    } else if st.st_mode & 0o022 != 0 {
        format!("others may write it (mode {:04o})", st.st_mode & 0o7777)
    } else {
        return Ok(());
    };
    Err(Error::host(format_args!("cannot use {} for the state of containers", root.display()))
        .cause(why)
        .hint("Set XDG_RUNTIME_DIR to a directory of your own, or give --root DIR."))
}

/// Where `coracle-oci` keeps its state when `--root` is not given: `/run/coracle-oci` for real root, else
/// `$XDG_RUNTIME_DIR/coracle-oci`, else a private directory in /tmp. Engines give `--root` or the variable.
#[allow(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub fn runtime_root() -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        Some(dir) if uid != 0 || is_mine(&dir, uid) => dir.join("coracle-oci"),
        _ if uid == 0 => PathBuf::from("/run/coracle-oci"),
        _ => PathBuf::from(format!("/tmp/coracle-oci-{uid}")),
    }
}
