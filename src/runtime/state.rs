//! The state directory of a container: claiming it, reading it, and finding out what became of the container.

use super::args::Context;
use crate::cgroup::v1;
use crate::error::{Context as _, Error, Result};
use crate::id::RuntimeId;
use crate::ondisk::runtime_state::{BUNDLE, CGROUP, MARKER, RuntimeState, STATE};
use crate::ondisk::{self};
use crate::sys::CallContext;
use oci_spec::runtime::Hook;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Words of the specification, and `paused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    /// As printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// What `state` and `list` show.
#[derive(Debug, Clone, Serialize)]
pub struct StateView {
    #[serde(rename = "ociVersion")]
    pub oci_version: String,
    pub id: String,
    pub pid: i32,
    pub status: String,
    pub bundle: String,
    pub rootfs: String,
    pub created: String,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub annotations: HashMap<String, String>,
    pub owner: String,
}

/// An opened state directory.
#[derive(Debug)]
pub struct StateDir {
    pub fd: OwnedFd,
    pub path: PathBuf,
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl StateDir {
    /// Makes the directory of a new container; it must not exist.
    pub fn claim(context: &Context, id: &RuntimeId) -> Result<Self> {
        let path = context.root.join(id);
        let made = match rustix::fs::mkdir(&path, Mode::from(0o700)) {
            Err(Errno::NOENT) => {
                make_root(&context.root)?;
                rustix::fs::mkdir(&path, Mode::from(0o700))
            }
            other => other,
        };
        match made {
            Err(Errno::EXIST) => return Err(Error::in_use("container with given ID already exists")),
            other => other.call(|| format!("mkdir({path:?})"))?,
        }
        let fd = rustix::fs::open(&path, DIRECTORY, Mode::empty()).call(|| format!("open({path:?})"))?;
        Ok(Self { fd, path })
    }

    /// Opens the directory of a container to look at it, whoever it belongs to; none when there is no such container.
    pub fn look(context: &Context, id: &RuntimeId) -> Result<Option<Self>> {
        let path = context.root.join(id);
        match rustix::fs::open(&path, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e).call(|| format!("open({path:?})"))?,
        }
    }

    /// The same, to act on it. What is in it is acted on with our rights: hooks are executed, processes killed. So real root
    /// acts on no state that somebody else may write (a batch system's daemon would, for the containers of its users).
    pub fn open(context: &Context, id: &RuntimeId) -> Result<Option<Self>> {
        let Some(found) = Self::look(context, id)? else { return Ok(None) };
        if v1::is_real_root() {
            let owner = rustix::fs::fstat(&found.fd).call(|| "fstat(state directory)")?.st_uid;
            if owner != 0 {
                return Err(Error::usage(format_args!("container {id} is not root's"))
                    .cause(format_args!("{:?} belongs to user {owner}, who could have written anything there", found.path))
                    .hint(format_args!(
                        "Act as that user, for example `setpriv --reuid {owner} --clear-groups coracle-oci ...`."
                    )));
            }
        }
        Ok(Some(found))
    }

    /// The same; a missing container is an error that engines recognise.
    pub fn get(context: &Context, id: &RuntimeId) -> Result<Self> {
        Self::open(context, id)?.ok_or_else(no_such_container)
    }

    /// The record; none while it is not written.
    pub fn record(&self) -> Result<Option<RuntimeState>> {
        ondisk::read_opt(&self.fd, STATE)
    }

    /// Leaves a trace that survives a kill at any moment.
    pub fn note(&self, name: &str, value: &Path) -> Result<()> {
        rustix::fs::symlinkat(value, &self.fd, name).call(|| format!("symlinkat({value:?}, {name:?})"))?;
        Ok(())
    }

    /// Takes it back.
    pub fn forget(&self, name: &str) {
        let _ = rustix::fs::unlinkat(&self.fd, name, AtFlags::empty());
    }

    /// Reads such a trace; none when it was not left. Another failure is one: what it names would be left for good.
    pub fn noted(&self, name: &str) -> Result<Option<PathBuf>> {
        match rustix::fs::readlinkat(&self.fd, name, Vec::new()) {
            Ok(target) => Ok(Some(PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes())))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e).call(|| format!("readlinkat({name:?})"))?,
        }
    }

    /// Opens the marker; none before it is made.
    pub fn marker(&self) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, MARKER, flags, Mode::empty()).ok()
    }

    /// Removes the directory and what is in it. It is gone at once for others: it is renamed away first.
    pub fn remove(&self) -> Result<()> {
        let _ = empty(self.fd.as_fd());
        match rustix::fs::rmdir(&self.path) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e).call(|| format!("rmdir({:?})", self.path))?,
        }
    }

    /// What became of the container.
    pub fn status(&self, record: Option<&RuntimeState>) -> Status {
        let marker = self.marker();
        let before_exec = marker.as_ref().is_some_and(|marker| is_locked(marker.as_fd()));
        let Some(record) = record else {
            return if before_exec { Status::Creating } else { Status::Stopped };
        };
        if !is_alive(record) {
            return Status::Stopped;
        }
        if before_exec {
            let mut first = [0u8; 2];
            let len = marker.as_ref().map_or(0, |m| rustix::io::pread(m, &mut first, 0).unwrap_or(0));
            return if len == 0 { Status::Creating } else { Status::Created };
        }
        if record.cgroup.as_ref().is_some_and(|path| is_frozen(path)) {
            return Status::Paused;
        }
        Status::Running
    }
}

/// The error of an id that nobody knows; engines match the words.
pub fn no_such_container() -> Error {
    Error::not_found("container does not exist")
}

/// `--root`, made private; sticky, so that cleaners of /run leave it alone.
fn make_root(root: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .call(|| format!("mkdir({root:?})"))
        .what(|| "cannot make the directory for the state of containers")?;
    let _ = rustix::fs::chmod(root, Mode::from(0o1700));
    Ok(())
}

fn empty(dir: BorrowedFd<'_>) -> rustix::io::Result<()> {
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            let name = entry.file_name();
            if let Err(Errno::ISDIR) = rustix::fs::unlinkat(dir, name, AtFlags::empty())
                && let Ok(below) = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())
            {
                let _ = empty(below.as_fd());
                let _ = rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR);
            }
        }
    }
    Ok(())
}

/// Whether somebody holds the lock. Asked with a shared lock, so that two who ask do not see each other.
pub fn is_locked(marker: BorrowedFd<'_>) -> bool {
    match rustix::fs::flock(marker, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            let _ = rustix::fs::flock(marker, FlockOperation::Unlock);
            false
        }
        Err(e) => e == Errno::WOULDBLOCK,
    }
}

/// Whether the process of the record is there and not a zombie.
pub fn is_alive(record: &RuntimeState) -> bool {
    matches!(process_stat(record.pid), Some((state, start)) if start == record.pid_start && !matches!(state, b'Z' | b'X'))
}

/// State letter and start time of a process.
pub fn process_stat(pid: i32) -> Option<(u8, u64)> {
    if pid <= 0 {
        return None;
    }
    let path = format!("/proc/{pid}/stat");
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = [0u8; 1024];
    let len = rustix::io::read(&fd, &mut bytes).ok()?;
    parse_stat(bytes.get(..len)?)
}

/// The name may hold spaces and parentheses: fields are counted after the last one.
fn parse_stat(stat: &[u8]) -> Option<(u8, u64)> {
    let after = stat.iter().rposition(|byte| *byte == b')')? + 2;
    let mut fields = std::str::from_utf8(stat.get(after..)?).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    // Field 3 was the state; the start time is field 22.
    let start = fields.nth(18)?.parse().ok()?;
    Some((state, start))
}

fn is_frozen(cgroup: &str) -> bool {
    let path = Path::new(cgroup).join("cgroup.freeze");
    let fd = match rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return v1::is_frozen(&v1::beside(Path::new(cgroup))),
        Err(_) => return false,
    };
    let mut byte = [0u8; 1];
    rustix::io::read(&fd, &mut byte).is_ok_and(|len| len == 1) && byte == *b"1"
}

/// `state`.
pub fn state(context: &Context, id: &RuntimeId) -> Result<StateView> {
    let dir = StateDir::get(context, id)?;
    view(&dir, id)
}

fn view(dir: &StateDir, id: &RuntimeId) -> Result<StateView> {
    let record = dir.record()?;
    let status = dir.status(record.as_ref());
    let bundle = || {
        let noted = dir.noted(BUNDLE).ok().flatten();
        noted.unwrap_or_else(|| PathBuf::from("/")).to_string_lossy().into_owned()
    };
    Ok(match record {
        Some(record) => StateView {
            oci_version: record.oci_version,
            id: record.id,
            pid: if status == Status::Stopped { 0 } else { record.pid },
            status: status.as_str().to_owned(),
            bundle: record.bundle,
            rootfs: record.rootfs,
            created: record.created,
            annotations: record.annotations,
            owner: record.owner.to_string(),
        },
        // A create at work, or one that was killed.
        None => StateView {
            oci_version: super::OCI_VERSION.to_owned(),
            id: id.to_string(),
            pid: 0,
            status: status.as_str().to_owned(),
            bundle: bundle(),
            rootfs: String::new(),
            created: jiff::Timestamp::now().to_string(),
            annotations: HashMap::new(),
            owner: String::new(),
        },
    })
}

/// The ids of all containers, of half-made and damaged ones too.
pub fn ids(context: &Context) -> Result<Vec<RuntimeId>> {
    let dir = match rustix::fs::open(&context.root, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty()) {
        Ok(dir) => dir,
        Err(Errno::NOENT) if !context.root_given => return Ok(Vec::new()),
        Err(e) => Err(e).call(|| format!("open({:?})", context.root))?,
    };
    let mut ids = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir).call(|| "getdents()")? {
        let entry = entry.call(|| "getdents()")?;
        ids.extend(entry.file_name().to_str().ok().and_then(|name| RuntimeId::parse(name).ok()));
    }
    ids.sort();
    Ok(ids)
}

/// `list`: every container; a damaged one never hides the others.
pub fn list(context: &Context) -> Result<Vec<StateView>> {
    let ids = ids(context)?;
    let seen = |id: &RuntimeId| view(&StateDir::look(context, id).ok()??, id).ok();
    Ok(ids.iter().filter_map(seen).collect())
}

/// The container's cgroup, as it was noted when it was made.
pub fn cgroup_of(context: &Context, id: &RuntimeId) -> Result<Option<PathBuf>> {
    StateDir::get(context, id)?.noted(CGROUP)
}

/// The document that hooks read, in two parts: up to the pid, and after it.
pub fn hook_document(
    id: &str,
    status: Status,
    bundle: &Path,
    annotations: &HashMap<String, String>,
) -> (Vec<u8>, Vec<u8>) {
    let text = |value: serde_json::Value| value.to_string();
    let head = format!(
        r#"{{"ociVersion":"{}","id":{},"status":"{}","pid":"#,
        super::OCI_VERSION,
        text(id.into()),
        status.as_str()
    );
    let tail = format!(
        r#","bundle":{},"annotations":{}}}"#,
        text(bundle.to_string_lossy().into()),
        text(serde_json::to_value(annotations).unwrap_or_default())
    );
    (head.into_bytes(), tail.into_bytes())
}

/// Hooks of one point, as an owned list.
pub fn hooks_of(hooks: Option<&Vec<Hook>>) -> Vec<Hook> {
    hooks.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_after_the_name() {
        let line =
            b"7 (a) b (c)) S 1 7 7 0 -1 4194560 97 0 0 0 0 0 0 0 20 0 1 0 4242 1 1 18446744073709551615 0";
        assert_eq!(parse_stat(line), Some((b'S', 4242)));
        assert_eq!(parse_stat(b"7 (x"), None);
        let own = process_stat(std::process::id() as i32).unwrap();
        assert!(own.1 > 0);
    }

    #[test]
    fn the_hook_document_is_json_around_a_pid() {
        let annotations = HashMap::from([("a\"b".to_owned(), "c".to_owned())]);
        let (head, tail) = hook_document("x", Status::Creating, Path::new("/b"), &annotations);
        let whole = [head.as_slice(), b"12", tail.as_slice()].concat();
        let value: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(value["pid"], 12);
        assert_eq!(value["annotations"]["a\"b"], "c");
        assert_eq!(value["status"], "creating");
    }
}
