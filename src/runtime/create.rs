//! `create`: from a bundle to a process that waits for `start`. `run` shares all of it but the waiting.
//!
//! Order, and what a kill at any point leaves:
//! the state directory is claimed (an empty one: `delete --force` removes it) → bundle and cgroup are noted → the cgroup
//! is made (noted: found by delete) → clone (the child ends itself when we do) → the record → `Commit`: only now may the
//! child live without us.

use super::args::{Context, CreateArgs};
use super::child::Files;
use super::handshake::{self, Message};
use super::hooks::{self, HookState};
use super::limits::Wanted;
use super::notify::{self, Notify};
use super::plan::mounts::MountPlan;
use super::plan::{self, Facts, Plan};
use super::spawn::{self, Child, Place};
use super::state::{self, StateDir, Status};
use super::{console, deliver, door, home, idmap, limits, maps, rdt, selfexe, sources};
use crate::cgroup::fs::Cgroup;
use crate::cgroup::{delegate, v1};
use crate::error::{Context as _, Error, Result};
use crate::ondisk::runtime_state::{BUNDLE, CGROUP, FIFO, MARKER, RuntimeState};
use crate::ondisk::{self, Durability};
use crate::spec::runtime as spec;
use crate::sys::fds::cloexec_from;
use crate::sys::{CallContext, creds};
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::fs::{FileType, FlockOperation, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Whether the child waits for `start` or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Create,
    Run { detach: bool },
}

/// A container whose first process is ready (create), or executing its command (run).
#[derive(Debug)]
pub struct Born {
    pub dir: StateDir,
    pub record: RuntimeState,
    pub child: Child,
    pub plan: Plan,
    /// Our end of the console pair, of a foreground run with a terminal.
    pub console: Option<OwnedFd>,
    /// Of a run: where its READY is awaited.
    pub notify: Option<Notify>,
}

/// `create`.
pub fn create(context: &Context, args: &CreateArgs) -> Result<()> {
    selfexe::protect()?;
    bear(context, args, Mode::Create).map(drop)
}

/// Makes the container; on failure nothing of it stays.
pub fn bear(context: &Context, args: &CreateArgs, mode: Mode) -> Result<Born> {
    // What the caller left open is for nobody, but for what --preserve-fds names (R7).
    cloexec_from(3 + args.preserve_fds)?;
    let bundle = std::path::absolute(&args.bundle).call(|| "getcwd()")?;
    let (mut config, unknown) = spec::load_telling(&bundle, args.config.as_deref())?;
    context.warn_of_capabilities(&unknown);
    let dir = StateDir::claim(context, &args.id)?;
    let mut made = Made::default();
    if let Some(manager) = &args.notify_socket {
        let prepared = notify::prepare(&mut config, &dir).and_then(|()| match mode {
            Mode::Create => Ok(None),
            Mode::Run { .. } => Notify::open(&dir, manager),
        });
        made.notify = prepared.inspect_err(|_| drop(dir.remove()))?;
    }
    let request = Request { context, args, bundle: &bundle, config: &config };
    match build(&request, mode, &dir, &mut made) {
        Ok((record, plan)) => {
            let child = made.child.ok_or_else(|| Error::internal("no child"))?;
            Ok(Born { dir, record, child, plan, console: made.console, notify: made.notify })
        }
        Err(e) => {
            if let Some(child) = &made.child {
                spawn::kill_and_reap(child);
            }
            if let Some(cgroup) = &made.cgroup {
                let _ = cgroup.remove();
            }
            rdt::remove(&dir);
            let _ = dir.remove();
            Err(e)
        }
    }
}

/// What is to be undone when a later step fails.
#[derive(Debug, Default)]
struct Made {
    child: Option<Child>,
    cgroup: Option<Cgroup>,
    console: Option<OwnedFd>,
    notify: Option<Notify>,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub context: &'a Context,
    pub args: &'a CreateArgs,
    /// Absolute.
    pub bundle: &'a Path,
    pub config: &'a Spec,
}

fn build(request: &Request<'_>, mode: Mode, dir: &StateDir, made: &mut Made) -> Result<(RuntimeState, Plan)> {
    let Request { context, args, bundle, config } = *request;
    let proc = sources::open_proc()?;
    dir.note(BUNDLE, bundle)?;
    let wanted = limits::decide(context, config, &args.id)?;
    let terminal = config.process().as_ref().is_some_and(|p| p.terminal().unwrap_or(false));
    let detached = !matches!(mode, Mode::Run { detach: false });
    let console = console::connect(terminal, detached, args.console_socket.as_deref())?;
    let marker = make_marker(dir)?;
    let waits = mode == Mode::Create;
    let fifo = if waits { Some(make_fifo(dir)?) } else { None };
    let door =
        if waits && !rustix::process::geteuid().is_root() { Some(door::make(dir.fd.as_fd())?) } else { None };
    if let Wanted::Path(path) = &wanted {
        dir.note(CGROUP, path)?;
        made.cgroup = limits::create(context, path, config, proc.as_fd())?;
        if made.cgroup.is_none() {
            // Somebody else's may be there: it is none of ours to end and to remove.
            dir.forget(CGROUP);
        }
    }
    made.cgroup.iter().for_each(|cgroup| limits::delegate(cgroup, config));
    let cgroup_dir = made.cgroup.as_ref().map(Cgroup::path);
    let mut plan = plan::plan(config, &facts(args, bundle, config, cgroup_dir, proc.as_fd()))?;
    let rdt = rdt::create(config, &args.id, dir)?;
    // Now: a mount may show the cgroup.
    sources::open(&mut plan, proc.as_fd())?;
    plan.process.terminal.iter_mut().for_each(|terminal| terminal.plain = !detached);
    let has_cgroup = made.cgroup.is_some() || matches!(wanted, Wanted::Scope(_));
    limits::warn_of_strays(context, plan.namespaces.has(plan::namespaces::NEWPID), has_cgroup, proc.as_fd());
    plan.process.warnings.iter().for_each(|text| context.warn(text.clone()));
    let no_annotations = Default::default();
    let annotations = config.annotations().as_ref().unwrap_or(&no_annotations);
    let hook_state = state::hook_document(args.id.as_str(), Status::Creating, bundle, annotations);
    let hooks_inside = !(plan.create_container_hooks.is_empty() && plan.start_container_hooks.is_empty());
    let hook_output = if hooks_inside { hooks::output(annotations)? } else { [None, None] };
    let (console_theirs, console_ours) = console.into_parts();
    made.console = console_ours;
    let files = Files {
        marker: Some(marker.as_fd()),
        fifo: fifo.as_ref().map(AsFd::as_fd),
        door: door.as_ref().map(AsFd::as_fd),
        console: console_theirs.as_ref().map(AsFd::as_fd),
        proc: proc.as_fd(),
        preserved: args.preserve_fds,
        hook_state: (&hook_state.0, &hook_state.1),
        hook_output: hook_output.each_ref().map(|file| file.as_ref().map(AsFd::as_fd)),
        dies_with_us: args.dies_with_us,
    };
    let mut by_systemd = None;
    let mut after = |pid: i32| {
        let Wanted::Scope(name) = &wanted else { return Ok(()) };
        let cgroup = limits::create_scope(name, &args.id, pid, config, proc.as_fd())?;
        dir.note(CGROUP, cgroup.path())?;
        limits::delegate(&cgroup, config);
        by_systemd = Some(cgroup);
        Ok(())
    };
    let place = match (&wanted, made.cgroup.as_ref()) {
        (Wanted::Scope(_), _) => Place::After(&mut after),
        (_, Some(cgroup)) => Place::Cgroup(cgroup),
        (_, None) => Place::None,
    };
    let spawned = spawn::spawn(&plan, place, files);
    made.cgroup = by_systemd.or(made.cgroup.take());
    let child = made.child.insert(spawned?);
    context.stage(format_args!("nsexec container setup: process {} is in its namespaces", child.pid));
    let record = record(request, child.pid, made.cgroup.as_ref())?;
    ondisk::publish(&dir.fd, crate::ondisk::runtime_state::STATE, &record, Durability::Volatile)?;
    rdt.map_or(Ok(()), |group| group.enter(child.pid))?;
    for receiver in receivers(args, config) {
        deliver::fd(receiver, b"pidfd", child.pidfd.as_fd(), "cannot send a pidfd to")?;
    }
    let word = if mode == Mode::Create { Message::Commit } else { Message::Start };
    if mode != Mode::Create {
        write_pid_file(args.pid_file.as_deref(), child.pid)?;
    }
    commit(request, child, &plan, &record, word)?;
    context.stage(format_args!("init: closing the pipe to signal completion"));
    if mode == Mode::Create {
        write_pid_file(args.pid_file.as_deref(), child.pid)?;
    }
    Ok((record, plan))
}

fn send(child: &Child, message: Message) -> Result<()> {
    match handshake::send(&child.socket, message) {
        // Dead: its last word is still to be heard.
        Ok(()) | Err(Errno::PIPE) => Ok(()),
        Err(e) => Err(e).call(|| "send(handshake)")?,
    }
}

fn facts<'a>(
    args: &'a CreateArgs,
    bundle: &'a Path,
    config: &Spec,
    cgroup_path: Option<&'a Path>,
    proc: std::os::fd::BorrowedFd<'_>,
) -> Facts<'a> {
    let root = rustix::process::geteuid().is_root();
    let caller = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Facts {
        id: args.id.as_str(),
        caller,
        bundle,
        cgroup_dir: cgroup_path,
        hierarchies: hierarchies(config, cgroup_path),
        cgroup_tree: delegate::tree().map(|tree| Path::new(tree.mount)),
        can_mknod: root && maps::in_initial_user_namespace(proc),
        no_pivot: args.no_pivot,
        kernel_mounts: if args.no_pivot { kernel_mounts() } else { Vec::new() },
        new_keyring: !args.no_new_keyring,
        home: home::of(config, bundle),
        extra_env: args.env.clone(),
        capabilities: creds::permitted_capabilities().ok(),
        selinux: has_selinux(),
        default_maps: (!root && spec::namespace(config, LinuxNamespaceType::User).is_none())
            .then(|| idmap::default_maps(inside(config), caller)),
    }
}

/// Whether labels of SELinux mean something here.
pub fn has_selinux() -> bool {
    rustix::fs::access("/sys/fs/selinux/enforce", rustix::fs::Access::EXISTS).is_ok()
}

/// Who the payload will be: the caller, seen from inside, where the configuration leaves the maps to us.
fn inside(config: &Spec) -> (u32, u32) {
    config.process().as_ref().map_or((0, 0), |process| (process.user().uid(), process.user().gid()))
}

/// Who gets a pidfd: `--pidfd-socket`, and crun's annotation.
fn receivers<'a>(args: &'a CreateArgs, config: &'a Spec) -> impl Iterator<Item = &'a Path> {
    let annotation = spec::annotation(config, "run.oci.pidfd_receiver").map(Path::new);
    args.pidfd_socket.as_deref().into_iter().chain(annotation)
}

/// The cgroup's directories of v1, and that of v2 beside them, as a container sees them. Without root v1 gives a container
/// none of its own: it is in ours, and without a cgroup namespace that is what it sees.
pub fn hierarchies(config: &Spec, path: Option<&Path>) -> Vec<(String, PathBuf)> {
    let mut v1 = path.map_or_else(Vec::new, v1::beside);
    let shows = || {
        let mounts = config.mounts().iter().flatten();
        mounts.into_iter().any(|mount| mount.typ().as_deref() == Some("cgroup"))
    };
    let own_namespace = || spec::namespaces(config).iter().any(|ns| ns.typ() == LinuxNamespaceType::Cgroup);
    if v1.is_empty() && !v1::is_real_root() && shows() && !own_namespace() {
        v1 = v1::own();
    }
    let mut all: Vec<(String, PathBuf)> =
        v1.iter().flat_map(|dir| dir.names().into_iter().map(|name| (name, dir.path.clone()))).collect();
    let unified = path.map(Path::to_path_buf).or_else(delegate::own_dir);
    all.extend(unified.filter(|_| !v1.is_empty()).map(|dir| ("unified".into(), dir)));
    all
}

/// Where proc and sysfs are mounted. The names of mountinfo are quoted; such a one is none that we could unmount.
fn kernel_mounts() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let point = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let kind = right.split(' ').next()?;
        ["proc", "sysfs"].contains(&kind).then(|| left.split(' ').nth(4).unwrap_or("/proc").to_owned())
    };
    text.lines().rev().filter_map(point).collect()
}

/// Locked for as long as the process that holds it has not executed its command.
pub fn make_marker(dir: &StateDir) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let marker = rustix::fs::openat(&dir.fd, MARKER, flags, rustix::fs::Mode::from(0o600))
        .call(|| format!("openat({MARKER:?})"))?;
    rustix::fs::flock(&marker, FlockOperation::NonBlockingLockExclusive)
        .call(|| format!("flock({MARKER:?})"))?;
    Ok(marker)
}

/// Open for reading and writing: the reader never sees an end of file.
fn make_fifo(dir: &StateDir) -> Result<OwnedFd> {
    rustix::fs::mknodat(&dir.fd, FIFO, FileType::Fifo, rustix::fs::Mode::from(0o600), 0)
        .call(|| format!("mkfifoat({FIFO:?})"))?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(&dir.fd, FIFO, flags, rustix::fs::Mode::empty())
        .call(|| format!("openat({FIFO:?})"))?)
}

/// The record of a container whose first process is `pid`.
pub fn record(request: &Request<'_>, pid: i32, cgroup: Option<&Cgroup>) -> Result<RuntimeState> {
    let Request { args, bundle, config, .. } = *request;
    let own_pid = spec::namespace(config, LinuxNamespaceType::Pid)
        .is_some_and(|ns| ns.path().as_ref().is_none_or(|path| path.as_os_str().is_empty()));
    let hooks = config.hooks().as_ref();
    let rootfs: PathBuf = plan::rootfs_path(config, bundle)?;
    Ok(RuntimeState {
        version: ondisk::VERSION,
        id: args.id.to_string(),
        pid,
        pid_start: state::process_stat(pid).map_or(0, |(_, start)| start),
        bundle: bundle.to_string_lossy().into_owned(),
        rootfs: rootfs.to_string_lossy().into_owned(),
        created: jiff::Timestamp::now().to_string(),
        owner: rustix::process::getuid().as_raw(),
        cgroup: cgroup.map(|cgroup| cgroup.path().to_string_lossy().into_owned()),
        own_pid_namespace: own_pid,
        oci_version: config.version().clone(),
        annotations: config.annotations().clone().unwrap_or_default(),
        poststart: state::hooks_of(hooks.and_then(|h| h.poststart().as_ref())),
        poststop: state::hooks_of(hooks.and_then(|h| h.poststop().as_ref())),
    })
}

/// Gives the child its last word, and waits until it is ready. It may have to hear of hooks and of mounts before.
fn commit(
    request: &Request<'_>,
    child: &Child,
    plan: &Plan,
    record: &RuntimeState,
    word: Message,
) -> Result<()> {
    // The word lies ready for the child, which reads it when it gets there; unless it has to hear something before.
    let asks = plan.mounts.iter().any(MountPlan::asks)
        || plan.process.filter.as_ref().is_some_and(|filter| filter.agent.is_some());
    if !plan.waits_for_hooks && !asks {
        send(child, word)?;
    }
    request.context.stage(format_args!("child process in init(): mounts, devices, hooks, credentials"));
    loop {
        match spawn::hear(child, plan)? {
            Message::Ready if asks => return send(child, word),
            Message::Ready => return Ok(()),
            Message::AtHooks => {
                run_hooks(request.config, record, request.bundle)?;
                send(child, Message::Continue)?;
                if !asks {
                    send(child, word)?;
                }
            }
            other => {
                return Err(Error::internal(format_args!("unexpected message {other:?} from the child")));
            }
        }
    }
}

/// The hooks between the namespaces and the pivot that are run outside.
pub fn run_hooks(config: &Spec, record: &RuntimeState, bundle: &Path) -> Result<()> {
    let Some(all) = config.hooks().as_ref() else { return Ok(()) };
    let state = HookState {
        id: &record.id,
        status: Status::Creating,
        pid: record.pid,
        bundle,
        annotations: &record.annotations,
    };
    #[allow(deprecated, reason = "engines still send prestart hooks")]
    let prestart = all.prestart();
    hooks::run("prestart", prestart.as_deref().unwrap_or_default(), state)?;
    hooks::run("createRuntime", all.create_runtime().as_deref().unwrap_or_default(), state)
}

/// Digits without a newline, under a temporary name first: a reader never sees a part.
pub fn write_pid_file(path: Option<&Path>, pid: i32) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let cannot = || format!("cannot write the pid file {}", path.display());
    let name = path.file_name().ok_or_else(|| Error::usage(cannot()))?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(parent, flags, rustix::fs::Mode::empty())
        .call(|| format!("open({parent:?})"))
        .what(cannot)?;
    let temporary = format!(".{}", name.to_string_lossy());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&dir, &temporary, flags, rustix::fs::Mode::from(0o644))
        .call(|| format!("openat({temporary:?})"))
        .what(cannot)?;
    rustix::io::write(&file, pid.to_string().as_bytes())
        .call(|| format!("write({temporary:?})"))
        .what(cannot)?;
    rustix::fs::renameat(&dir, &temporary, &dir, name)
        .call(|| format!("renameat({temporary:?})"))
        .what(cannot)
}
