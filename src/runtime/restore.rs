//! `restore`: a container from what `checkpoint` has written. criu makes its namespaces, mounts and processes; ours are the
//! state, the cgroup, the stdio, and what criu asks for on the way.
//!
//! criu wants the root file system to be a mount point. It becomes one in a mount namespace of this process's own, so nothing
//! of it stays, however we end. criu itself is put in the container's cgroup: what it restores is born there.

use super::args::{Context, CreateArgs, RunArgs};
use super::checkpoint::{self, CriuArgs};
use super::create::{self, Request};
use super::foreground::{self, Beside, Signals};
use super::limits::{self, Wanted};
use super::plan::target::Target;
use super::spawn::{Child, kill_and_reap, pidfd_of};
use super::state::StateDir;
use super::{child, delete, deliver, plan, sources};
use crate::cgroup::fs::Cgroup;
use crate::error::{Context as _, Error, Result};
use crate::external::criu::{Criu, FIRST_FD, Fields, Said, Task, field};
use crate::ondisk::runtime_state::{CGROUP, DESCRIPTORS, MARKER, RuntimeState, STATE};
use crate::ondisk::{self, Durability};
use crate::spec::runtime as spec;
use crate::sys::mount::{self, MS_SLAVE, MountAttr};
use crate::sys::{self, CallContext, null};
use oci_spec::runtime::{LinuxNamespaceType, Mount, Spec};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::thread::UnshareFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What only `restore` has.
#[derive(Debug, Clone, Default)]
pub struct RestoreArgs {
    pub criu: CriuArgs,
    pub lsm_profile: Option<String>,
    pub lsm_mount_context: Option<String>,
}

/// What is to be undone when a later step fails.
#[derive(Debug, Default)]
struct Made {
    cgroup: Option<Cgroup>,
    child: Option<Child>,
}

/// `restore`. In the foreground: returns the container's exit code, and removes it.
pub fn restore(context: &Context, args: &CreateArgs, how: &RunArgs, restore: &RestoreArgs) -> Result<i32> {
    checkpoint::need_root("restore")?;
    let bundle = std::path::absolute(&args.bundle).call(|| "getcwd()")?;
    let config = spec::load(&bundle, args.config.as_deref())?;
    let signals = if how.detach { None } else { Some(Signals::catch()?) };
    let dir = StateDir::claim(context, &args.id)?;
    let mut made = Made::default();
    let request = Request { context, args, bundle: &bundle, config: &config };
    let record = match bring_back(&request, restore, &dir, &mut made) {
        Ok(record) => record,
        Err(e) => {
            made.child.iter().for_each(kill_and_reap);
            if let Some(cgroup) = &made.cgroup {
                let _ = cgroup.remove();
            }
            let _ = dir.remove();
            return Err(e);
        }
    };
    let child = made.child.ok_or_else(|| Error::internal("no child"))?;
    super::start::poststart_or_stop(&record)?;
    let Some(signals) = signals else { return Ok(0) };
    let code = foreground::follow(&child, &signals, Beside::default())?;
    if !how.keep {
        delete::remove(context, &dir, Some(&record), true)?;
    }
    Ok(code)
}

fn bring_back(
    request: &Request<'_>,
    restore: &RestoreArgs,
    dir: &StateDir,
    made: &mut Made,
) -> Result<RuntimeState> {
    let Request { args, bundle, config, .. } = *request;
    let proc = sources::open_proc()?;
    dir.note(crate::ondisk::runtime_state::BUNDLE, bundle)?;
    // Held until the container runs.
    let _marker = create::make_marker(dir)?;
    let rootfs = plan::rootfs_path(config, bundle)?;
    own_mounts(&rootfs)?;
    make_targets(config, bundle, &rootfs)?;
    let mut session = checkpoint::begin(&restore.criu, "restore.log", config)?;
    let options = &mut session.options;
    options
        .flag(field::EVASIVE_DEVICES, true)
        .flag(field::RST_SIBLING, true)
        .text(field::ROOT, &rootfs.to_string_lossy());
    options.pair(field::EXT_MNT, checkpoint::DEV_NULL, checkpoint::DEV_NULL);
    if let Some(profile) = &restore.lsm_profile {
        options.text(field::LSM_PROFILE, profile);
    }
    if let Some(context) = &restore.lsm_mount_context {
        options.text(field::LSM_MOUNT_CONTEXT, context);
    }
    let namespaces = namespaces(config)?;
    let inherited = inherited(&session.images, &namespaces, options);
    let criu = Criu::start(&inherited)?;
    made.cgroup = place(request, dir, criu.pid(), proc.as_fd())?;
    for (inside, source) in checkpoint::bound(config, bundle, made.cgroup.as_ref().map(Cgroup::path))? {
        options.pair(field::EXT_MNT, &inside, &source);
    }
    let mut record = None;
    let log = session.log.clone();
    let said = criu.run(Task::Restore, &session.options, &log, &mut |said, fd| {
        hear(request, said, fd, made.cgroup.as_ref(), dir, &mut record)
    })?;
    let pid = said.pid;
    // Nobody holds the other end of a handshake.
    let child = Child { pid, pidfd: pidfd_of(pid)?, socket: null::open()?, state: (Vec::new(), Vec::new()) };
    let child = made.child.insert(child);
    if let Some(receiver) = &args.pidfd_socket {
        deliver::fd(receiver, b"pidfd", child.pidfd.as_fd(), "cannot send a pidfd to")?;
    }
    let record = match record {
        Some(record) => record,
        None => publish(request, pid, made.cgroup.as_ref(), dir)?,
    };
    create::write_pid_file(args.pid_file.as_deref(), pid)?;
    Ok(record)
}

/// What criu asks for on the way.
fn hear(
    request: &Request<'_>,
    said: &Said,
    fd: Option<OwnedFd>,
    cgroup: Option<&Cgroup>,
    dir: &StateDir,
    record: &mut Option<RuntimeState>,
) -> Result<()> {
    match said.script.as_str() {
        "setup-namespaces" => {
            let made = create::record(request, said.pid, cgroup)?;
            create::run_hooks(request.config, &made, request.bundle)
        }
        "post-restore" => {
            *record = Some(publish(request, said.pid, cgroup, dir)?);
            Ok(())
        }
        "orphan-pts-master" => {
            let fd = fd.ok_or_else(|| Error::internal("criu sent no terminal"))?;
            let socket = request.args.console_socket.as_deref().ok_or_else(|| {
                Error::usage("cannot allocate tty if runc will detach without setting console socket")
            })?;
            deliver::fd(socket, b"/dev/ptmx", fd.as_fd(), "cannot send the terminal to")
        }
        _ => Ok(()),
    }
}

/// From here on others find the container, and `delete` its processes.
fn publish(request: &Request<'_>, pid: i32, cgroup: Option<&Cgroup>, dir: &StateDir) -> Result<RuntimeState> {
    let record = create::record(request, pid, cgroup)?;
    ondisk::publish(&dir.fd, STATE, &record, Durability::Volatile)?;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let marker = rustix::fs::openat(&dir.fd, MARKER, flags, Mode::empty()).call(|| "openat(init)")?;
    rustix::io::write(&marker, child::init::READY).call(|| "write(init)")?;
    Ok(record)
}

/// The root file system as a mount point, for us and criu alone.
fn own_mounts(rootfs: &Path) -> Result<()> {
    let cannot = || format!("cannot mount the root file system {}", rootfs.display());
    sys::ns::unshare(UnshareFlags::NEWNS).call(|| "unshare(CLONE_NEWNS)")?;
    let slave = MountAttr { propagation: MS_SLAVE, ..MountAttr::default() };
    mount::set_attr_at(CWD, c"/", &slave, true).call(|| "mount_setattr(\"/\", MS_SLAVE)").what(cannot)?;
    let path = plan::target::c_string(&rootfs.to_string_lossy())?;
    let tree = mount::clone_tree(CWD, &path, true).call(|| format!("open_tree({rootfs:?})")).what(cannot)?;
    mount::attach_at(&tree, &path).call(|| format!("move_mount({rootfs:?})")).what(cannot)
}

/// criu mounts only on what is there. Below a bind that is the bound directory of the host.
fn make_targets(config: &Spec, bundle: &Path, rootfs: &Path) -> Result<()> {
    let mounts = config.mounts().as_deref().unwrap_or_default();
    for (at, mount) in mounts.iter().enumerate() {
        let below = |other: &&Mount| mount.destination().starts_with(other.destination());
        let (root, destination) = match mounts.iter().take(at).rev().find(below) {
            None => (rootfs.to_owned(), mount.destination().as_path()),
            // In a file system of the container's own: what was there comes back with it.
            Some(other) if !checkpoint::is_bind(other) => continue,
            Some(other) => {
                let rest = mount.destination().strip_prefix(other.destination());
                (bundle.join(other.source().clone().unwrap_or_default()), rest.unwrap_or(Path::new("")))
            }
        };
        let is_file = checkpoint::is_bind(mount)
            && mount.source().as_ref().is_some_and(|source| {
                std::fs::metadata(bundle.join(source)).is_ok_and(|meta| !meta.is_dir())
            });
        let make = if is_file { child::Make::File } else { child::Make::Directory };
        let target = Target::new(destination)?;
        if target.is_root() {
            continue;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&root, flags, Mode::empty()).call(|| format!("open({root:?})"))?;
        child::ensure(root.as_fd(), &target, make, crate::sys::fs::Symlinks::InRoot)
            .call(|| format!("mkdirat({:?})", target.shown))
            .what(|| "cannot make the target of a mount")?;
    }
    Ok(())
}

/// Namespaces that others made, open.
fn namespaces(config: &Spec) -> Result<Vec<(&'static str, OwnedFd)>> {
    let open = |(kind, key): (&'static str, &'static str)| {
        let typ = if kind == "net" { LinuxNamespaceType::Network } else { LinuxNamespaceType::Pid };
        let path = spec::namespace(config, typ).and_then(|ns| ns.path().clone()).unwrap_or_default();
        let fd = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .call(|| format!("open({path:?})"))
            .what(|| format!("cannot join the namespace {}", path.display()))?;
        Ok((key, fd))
    };
    checkpoint::shared_namespaces(config).into_iter().map(open).collect()
}

/// Namespaces and stdio for the restored processes: each is named in the request, and placed from `FIRST_FD` on.
fn inherited<'a>(
    images: &OwnedFd,
    namespaces: &'a [(&'static str, OwnedFd)],
    options: &mut Fields,
) -> Vec<BorrowedFd<'a>> {
    let mut placed: Vec<BorrowedFd<'a>> = Vec::new();
    let mut pass = |key: &str, fd: BorrowedFd<'a>| {
        let mut one = Fields::default();
        one.text(1, key).number(2, u64::from(FIRST_FD.unsigned_abs()) + placed.len() as u64);
        options.message(field::INHERIT_FD, &one);
        placed.push(fd);
    };
    for (key, fd) in namespaces {
        pass(key, fd.as_fd());
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let before: Vec<String> = rustix::fs::openat(images, DESCRIPTORS, flags, Mode::empty())
        .ok()
        .and_then(|file| spec::parse(std::fs::File::from(file)).ok())
        .unwrap_or_default();
    let stdio = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    for (name, fd) in before.iter().zip(stdio).filter(|(name, _)| name.starts_with("pipe:")) {
        pass(name, fd);
    }
    placed
}

/// criu in the container's cgroup, which is made.
fn place(request: &Request<'_>, dir: &StateDir, pid: i32, proc: BorrowedFd<'_>) -> Result<Option<Cgroup>> {
    let Request { context, args, config, .. } = *request;
    match limits::decide(context, config, &args.id)? {
        Wanted::None => Ok(None),
        Wanted::Path(path) => {
            dir.note(CGROUP, &path)?;
            let cgroup = limits::create(context, &path, config, proc)?;
            cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.add(pid))?;
            Ok(cgroup)
        }
        Wanted::Scope(name) => {
            let cgroup = limits::create_scope(&name, &args.id, pid, config, proc)?;
            dir.note(CGROUP, cgroup.path())?;
            Ok(Some(cgroup))
        }
    }
}
