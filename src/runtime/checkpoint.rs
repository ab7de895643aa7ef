//! `checkpoint`: criu writes a container's processes to files, and the container is gone (or goes on, if asked for).
//!
//! criu walks the container's mounts: whatever comes from outside of it (binds, the cgroup's directories in the hierarchies of
//! v1, the host's /dev/null over a masked file) is named beforehand, by where it really is: a destination may be a symlink of
//! the rootfs. So are namespaces that others made. Where stdio was connected is written down beside the images
//! (`descriptors.json`, as runc does), so that `restore` can put its own in their place.

use super::args::Context;
use super::plan::target::Target;
use super::state::{StateDir, Status, no_such_container};
use super::{create, delete, maps, plan, sources};
use crate::error::{Context as _, Error, Result};
use crate::external::criu::{Criu, Fields, Task, field};
use crate::id::RuntimeId;
use crate::ondisk::runtime_state::{DESCRIPTORS, RuntimeState};
use crate::ondisk::{self, Durability};
use crate::spec::runtime as spec;
use crate::sys::CallContext;
use crate::sys::fs::{Symlinks, path_below};
use oci_spec::runtime::{LinuxNamespaceType, Mount, Spec};
use rustix::fs::{Mode, OFlags};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What `checkpoint` and `restore` have in common.
#[derive(Debug, Clone, Default)]
pub struct CriuArgs {
    /// Where the images are.
    pub images: PathBuf,
    /// Where criu writes its log; the images' folder by default.
    pub work: Option<PathBuf>,
    pub tcp_established: bool,
    pub ext_unix_sk: bool,
    pub shell_job: bool,
    pub file_locks: bool,
    pub link_remap: bool,
    pub auto_dedup: bool,
    pub lazy_pages: bool,
    /// criu_cg_mode; none: soft.
    pub cgroups_mode: Option<u64>,
    /// CLONE_NEW* of namespaces whose contents are left out.
    pub empty_ns: u64,
}

/// What only `checkpoint` has.
#[derive(Debug, Clone, Default)]
pub struct CheckpointArgs {
    pub criu: CriuArgs,
    pub leave_running: bool,
    pub pre_dump: bool,
    pub tcp_skip_in_flight: bool,
    /// Relative to the images.
    pub parent: Option<String>,
    /// Address and port.
    pub page_server: Option<(String, u16)>,
    pub status_fd: Option<i32>,
}

/// `--manage-cgroups-mode`.
pub fn cgroups_mode(text: &str) -> Result<u64> {
    Ok(match text {
        "ignore" => 0,
        "soft" => 3,
        "full" => 4,
        "strict" => 5,
        _ => {
            return Err(Error::usage(format_args!("invalid manage-cgroups-mode value: {text:?}"))
                .hint("Use soft, full, strict or ignore."));
        }
    })
}

/// The folders, open, and the options that both requests begin with.
#[derive(Debug)]
pub struct Session {
    pub images: OwnedFd,
    _work: OwnedFd,
    pub log: PathBuf,
    pub options: Fields,
}

/// Opens the folders.
pub fn begin(args: &CriuArgs, log: &str, config: &Spec) -> Result<Session> {
    let (images, _) = folder(&args.images)?;
    let (work, path) = folder(args.work.as_deref().unwrap_or(&args.images))?;
    let mut options = Fields::default();
    options
        .number(field::IMAGES_DIR_FD, images.as_raw_fd().unsigned_abs().into())
        .number(field::WORK_DIR_FD, work.as_raw_fd().unsigned_abs().into())
        .number(field::LOG_LEVEL, 4)
        .text(field::LOG_FILE, log)
        .flag(field::NOTIFY_SCRIPTS, true)
        .flag(field::ORPHAN_PTS_MASTER, true)
        .flag(field::EXT_MASTERS, true)
        .flag(field::TCP_ESTABLISHED, args.tcp_established)
        .flag(field::EXT_UNIX_SK, args.ext_unix_sk)
        .flag(field::SHELL_JOB, args.shell_job)
        .flag(field::FILE_LOCKS, args.file_locks)
        .flag(field::LINK_REMAP, args.link_remap)
        .flag(field::AUTO_DEDUP, args.auto_dedup)
        .flag(field::LAZY_PAGES, args.lazy_pages)
        .flag(field::MANAGE_CGROUPS, true)
        .number(field::MANAGE_CGROUPS_MODE, args.cgroups_mode.unwrap_or(3));
    if args.empty_ns != 0 {
        options.number(field::EMPTY_NS, args.empty_ns);
    }
    if let Some(file) = spec::annotation(config, "org.criu.config") {
        options.text(field::CONFIG_FILE, file);
    }
    Ok(Session { images, _work: work, log: path.join(log), options })
}

fn folder(path: &Path) -> Result<(OwnedFd, PathBuf)> {
    let cannot = || format!("cannot use the checkpoint's folder {}", path.display());
    let path = std::path::absolute(path).call(|| "getcwd()")?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path)
        .call(|| format!("mkdir({path:?})"))
        .what(cannot)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})")).what(cannot)?;
    Ok((fd, path))
}

/// criu needs to be root for what containers hold.
pub fn need_root(verb: &str) -> Result<()> {
    let proc = sources::open_proc()?;
    if rustix::process::geteuid().is_root() && maps::in_initial_user_namespace(proc.as_fd()) {
        return Ok(());
    }
    Err(Error::usage(format_args!("{verb} requires root")).cause("criu reads and writes what only root may"))
}

/// `checkpoint`.
pub fn checkpoint(context: &Context, id: &RuntimeId, args: &CheckpointArgs) -> Result<()> {
    need_root("checkpoint")?;
    let dir = StateDir::get(context, id)?;
    let record = dir.record()?.ok_or_else(no_such_container)?;
    match dir.status(Some(&record)) {
        Status::Running | Status::Paused => {}
        other => {
            return Err(Error::in_use(format_args!(
                "container cannot be checkpointed in {} state",
                other.as_str()
            )));
        }
    }
    let config = spec::load(Path::new(&record.bundle), None)?;
    let mut session = begin(&args.criu, "dump.log", &config)?;
    let root = PathBuf::from(format!("/proc/{}/root", record.pid));
    session
        .options
        .number(field::PID, record.pid.unsigned_abs().into())
        .text(field::ROOT, &record.rootfs)
        .flag(field::LEAVE_RUNNING, args.leave_running)
        .flag(field::TCP_SKIP_IN_FLIGHT, args.tcp_skip_in_flight)
        .flag(field::TRACK_MEM, args.pre_dump || args.parent.is_some());
    if let Some(parent) = &args.parent {
        check_parent(&session.images, parent)?;
        session.options.text(field::PARENT_IMG, parent);
    }
    if let Some((address, port)) = &args.page_server {
        let mut server = Fields::default();
        server.text(1, address).number(2, u64::from(*port));
        session.options.message(field::PAGE_SERVER, &server);
    }
    if let Some(fd) = args.status_fd {
        session.options.number(field::STATUS_FD, fd.unsigned_abs().into());
    }
    for (kind, key) in shared_namespaces(&config) {
        let inode = std::fs::metadata(format!("/proc/{}/ns/{kind}", record.pid))
            .call(|| format!("stat(/proc/{}/ns/{kind})", record.pid))?
            .ino();
        session.options.text(field::EXTERNAL, &format!("{kind}[{inode}]:{key}"));
    }
    // The mount, and the name that `restore` will say the source of.
    let cgroup = record.cgroup.as_deref().map(Path::new);
    for (inside, _) in bound(&config, Path::new(&record.bundle), cgroup)? {
        session.options.pair(field::EXT_MNT, &inside, &inside);
    }
    for inside in masked_files(&config, &root)? {
        session.options.pair(field::EXT_MNT, &inside, DEV_NULL);
    }
    if !args.pre_dump {
        write_descriptors(&session.images, &record)?;
    }
    let task = if args.pre_dump { Task::PreDump } else { Task::Dump };
    Criu::start(&[])?.run(task, &session.options, &session.log, &mut |_, _| Ok(()))?;
    if args.leave_running || args.pre_dump {
        return Ok(());
    }
    delete::remove(context, &dir, Some(&record), true)
}

/// criu says nothing of a folder that is not there.
fn check_parent(images: &OwnedFd, parent: &str) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(images, parent, flags, Mode::empty())
        .call(|| format!("openat({parent:?})"))
        .what(|| format!("cannot use --parent-path {parent}"))
        .map(drop)
        .map_err(|e| e.hint("It starts at --image-path: ../before, for example."))
}

/// Namespaces that somebody else made: criu leaves their contents alone. Their kind, and the name that criu knows them by.
pub fn shared_namespaces(config: &Spec) -> Vec<(&'static str, &'static str)> {
    let kinds = [
        (LinuxNamespaceType::Network, "net", "extRootNetNS"),
        (LinuxNamespaceType::Pid, "pid", "extRootPidNS"),
    ];
    let shared = |kind| spec::namespace(config, kind).is_some_and(|ns| ns.path().is_some());
    kinds.into_iter().filter(|(kind, ..)| shared(*kind)).map(|(_, kind, key)| (kind, key)).collect()
}

/// What masks a file; directories are masked by file systems of the container's own.
pub const DEV_NULL: &str = "/dev/null";

/// Mounts that come from outside: where in the container, and what of the host.
pub fn bound(config: &Spec, bundle: &Path, cgroup: Option<&Path>) -> Result<Vec<(String, String)>> {
    let rootfs = plan::rootfs_path(config, bundle)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&rootfs, flags, Mode::empty()).call(|| format!("open({rootfs:?})"))?;
    let hierarchies = create::hierarchies(config, cgroup);
    let mut all = Vec::new();
    for mount in config.mounts().iter().flatten() {
        let at = resolved(&root, plan::mounts::below(&rootfs, mount.destination()).as_ref())?;
        if is_bind(mount) {
            let source = bundle.join(mount.source().clone().unwrap_or_default());
            all.push((at, source.to_string_lossy().into_owned()));
        } else if mount.typ().as_deref() == Some("cgroup") {
            let below = |(name, dir): &(String, PathBuf)| {
                (format!("{at}/{name}"), dir.to_string_lossy().into_owned())
            };
            all.extend(hierarchies.iter().map(below));
        }
    }
    Ok(all)
}

/// Where a destination is, behind the symlinks of the rootfs. What is not there (it is in a file system that is mounted
/// later) stands as it is written.
fn resolved(root: &OwnedFd, destination: &Path) -> Result<String> {
    let name = |fd: &OwnedFd| std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let top = name(root).call(|| "readlink(rootfs)")?;
    let target = Target::new(destination)?;
    let whole = Path::new("/").join(target.path.to_string_lossy().as_ref());
    for there in whole.ancestors() {
        let path = CString::new(there.as_os_str().as_bytes()).unwrap_or_default();
        let Ok(fd) = path_below(root.as_fd(), &path, Symlinks::InRoot) else { continue };
        let found = name(&fd).call(|| "readlink(target)")?;
        let rest = whole.strip_prefix(there).unwrap_or(Path::new(""));
        let at = Path::new("/").join(found.strip_prefix(&top).unwrap_or(there)).join(rest);
        return Ok(at.to_string_lossy().trim_end_matches('/').to_owned());
    }
    Ok(whole.to_string_lossy().into_owned())
}

/// `root` is the container's.
fn masked_files(config: &Spec, root: &Path) -> Result<Vec<String>> {
    let masked = config.linux().as_ref().and_then(|linux| linux.masked_paths().as_ref());
    let mut all = Vec::new();
    for path in masked.into_iter().flatten() {
        let path = inside(Path::new(path))?;
        let there = root.join(path.trim_start_matches('/'));
        if std::fs::symlink_metadata(there).is_ok_and(|meta| !meta.is_dir()) {
            all.push(path);
        }
    }
    Ok(all)
}

fn inside(path: &Path) -> Result<String> {
    Ok(format!("/{}", Target::new(path)?.path.to_string_lossy()))
}

/// Whether it is a tree of the host's.
pub fn is_bind(mount: &Mount) -> bool {
    let words = mount.options().as_deref().unwrap_or_default();
    mount.typ().as_deref() == Some("bind") || words.iter().any(|word| word == "bind" || word == "rbind")
}

/// Where stdio goes.
fn write_descriptors(images: &OwnedFd, record: &RuntimeState) -> Result<()> {
    let link = |fd: i32| {
        let link = rustix::fs::readlink(format!("/proc/{}/fd/{fd}", record.pid), Vec::new());
        link.map_or_else(|_| String::new(), |link| link.to_string_lossy().into_owned())
    };
    let all: Vec<String> = (0..3).map(link).collect();
    ondisk::publish(images, DESCRIPTORS, &all, Durability::Volatile)
}
