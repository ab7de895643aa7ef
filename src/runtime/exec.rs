//! `exec`: one more process in a running container.
//!
//! The pid namespace must be joined before the clone, by whoever clones: we do it ourselves where we may (it changes only
//! where our next children go), else a stage does. All other namespaces are joined by the new process, in one setns on
//! the pidfd of the container's first process. It is born in the container's cgroup. It executes at once: the handshake
//! only tells whether it could.

use super::args::{Context, ExecArgs, ExecCommand, ExecWhat};
use super::child::join::{self, Joining};
use super::child::stage::not_born_there;
use super::child::{Files, Inherited};
use super::foreground::{self, Beside, Signals};
use super::handshake::{self, Message};
use super::placement::Placement;
use super::plan::namespaces::{NEWPID, NEWTIME, NEWUSER, flag_of};
use super::plan::process::{self, ProcessPlan, ProcessScope};
use super::shield::Shield;
use super::spawn::{self, Child, pidfd_of};
use super::state::{self, StateDir, Status, is_alive, no_such_container};
use super::{console, create, deliver, door, home, selfexe, sources, words};
use crate::caps;
use crate::error::{Context as _, Error, Result};
use crate::ondisk::runtime_state::RuntimeState;
use crate::spec::runtime as spec;
use crate::sys::fds::cloexec_from;
use crate::sys::process::clone_child;
use crate::sys::{CallContext, creds, pidfd};
use oci_spec::runtime::{Capability, ExecCPUAffinity, LinuxCapabilities, Process, Spec};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::DupFlags;
use rustix::process::{DumpableBehavior, Pid, WaitId, WaitIdOptions};
use rustix::thread::CpuSet;
use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// `exec`. In the foreground: returns the process's exit code.
pub fn exec(context: &Context, args: &ExecArgs) -> Result<i32> {
    selfexe::protect()?;
    cloexec_from(3 + args.preserve_fds)?;
    let dir = StateDir::get(context, &args.id)?;
    let record = dir.record()?.ok_or_else(no_such_container)?;
    match dir.status(Some(&record)) {
        Status::Stopped => return Err(Error::in_use("cannot exec in a stopped container")),
        Status::Paused if !args.ignore_paused => {
            return Err(Error::in_use("cannot exec in a paused container (use --ignore-paused to override)"));
        }
        Status::Creating => {
            return Err(Error::in_use("cannot exec in a container that is still being created"));
        }
        _ => {}
    }
    let config = spec::load(Path::new(&record.bundle), None)?;
    let process = wanted(context, &args.what, &config)?;
    let mut plan = plan(&process, &config, &record)?;
    plan.warnings.iter().for_each(|text| context.warn(text.clone()));
    plan.terminal.iter_mut().for_each(|terminal| terminal.plain = !args.detach);
    let console = console::connect(plan.terminal.is_some(), args.detach, args.console_socket.as_deref())?;
    let (theirs, ours) = console.into_parts();
    // Before the new process leaves for the container's cgroup: it is ours that it begins with.
    if let Some(cpus) = process::cpus(affinity_of(&process, &config).and_then(|a| a.initial().as_ref()))? {
        rustix::thread::sched_setaffinity(None, &cpus)
            .call(|| "sched_setaffinity()")
            .what(|| "cannot set process.execCPUAffinity.initial")?;
        context.stage(format_args!("nsexec: affinity: {:#x}", mask(&cpus)));
    }
    let signals = Signals::wanted(args.detach, args.dies_with_us)?;
    let shield = Shield::raise(args.dies_with_us)?;
    let child = spawn(&plan, &dir, &record, &config, args, theirs.as_ref());
    shield.lower();
    let child = child?;
    drop(theirs);
    context.stage(format_args!("nsexec container setup: process {} has joined the container", child.pid));
    context.stage(format_args!("child process in init(): credentials"));
    let sent = args
        .pidfd_socket
        .as_deref()
        .map_or(Ok(()), |path| deliver::fd(path, b"pidfd", child.pidfd.as_fd(), "cannot send a pidfd to"));
    if let Err(e) = sent.and_then(|()| create::write_pid_file(args.pid_file.as_deref(), child.pid)) {
        spawn::kill_and_reap(&child);
        return Err(e);
    }
    heard(&child, &plan)?;
    context.stage(format_args!("setns_init: about to exec: done, the command is executed"));
    let Some(signals) = signals else { return Ok(0) };
    let terminal = ours.as_ref().map(console::receive).transpose()?;
    foreground::follow(&child, &signals, Beside { terminal, shield, ..Beside::default() })
}

fn heard(child: &Child, plan: &ProcessPlan) -> Result<()> {
    let word = spawn::next(child, plan).inspect_err(|_| spawn::kill_and_reap(child))?;
    match word {
        None => Ok(()),
        Some(Message::Fail(fail)) => {
            spawn::kill_and_reap(child);
            Err(words::of_process(fail, plan)).what(|| "unable to start container process")
        }
        Some(other) => Err(Error::internal(format_args!("unexpected message {other:?} from the child"))),
    }
}

fn plan(process: &Process, config: &Spec, record: &RuntimeState) -> Result<ProcessPlan> {
    let linux = config.linux().as_ref();
    let user = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/user")).ok();
    let own_user = user("self").is_some_and(|own| Some(own) == user(&record.pid.to_string()));
    let scope = ProcessScope {
        personality: linux.and_then(|l| l.personality().as_ref()),
        memory_policy: linux.and_then(|l| l.memory_policy().as_ref()),
        affinity: process::cpus(affinity_of(process, config).and_then(|a| a.cpu_affinity_final().as_ref()))?,
        filter: process::filter_of(linux.and_then(|l| l.seccomp().as_ref()))?,
        capabilities: if own_user { creds::permitted_capabilities().ok() } else { None },
        inherits_cpus: spec::inherits_cpus(config),
        in_cpuset: spec::cpuset(config).is_some(),
        keyring_of: None,
        keep_groups: spec::annotation(config, spec::ANNOTATION_GROUPS) == Some("1"),
        selinux: create::has_selinux(),
        home: home_of(process, record, config),
        extra_env: Vec::new(),
    };
    process::plan(process, scope)
}

/// The first 64 of them.
fn mask(cpus: &CpuSet) -> u64 {
    (0..64).filter(|cpu| cpus.is_set(*cpu)).map(|cpu| 1 << cpu).sum()
}

/// `execCPUAffinity` of the process, else of the container's own.
fn affinity_of<'a>(process: &'a Process, config: &'a Spec) -> Option<&'a ExecCPUAffinity> {
    let own = || config.process().as_ref().and_then(|process| process.exec_cpu_affinity().as_ref());
    process.exec_cpu_affinity().as_ref().or_else(own)
}

/// HOME from the /etc/passwd of the running container, when the environment has none.
fn home_of(process: &Process, record: &RuntimeState, config: &Spec) -> Option<String> {
    if home::is_set(process) {
        return None;
    }
    let root = PathBuf::from(format!("/proc/{}/root", record.pid));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let text = match rustix::fs::open(root, flags, Mode::empty()) {
        Ok(root) => home::read_from(root.as_fd()),
        // Before `start`, a user without root may not look into it.
        Err(_) => home::read_passwd(config, Path::new(&record.bundle)),
    };
    let found = text.and_then(|text| home::home_in(&text, process.user().uid()));
    Some(found.unwrap_or_else(|| "/".to_owned()))
}

/// The namespaces to join: those of the configuration, without a user namespace that is ours already; and that of the
/// clocks, which criu makes for what it restores.
fn kinds(config: &Spec, proc: BorrowedFd<'_>, pid: i32, theirs: Option<u64>) -> u64 {
    let listed = spec::namespaces(config).iter().fold(0, |all, ns| all | flag_of(ns.typ()).0);
    let clocks = |who: &str| namespace_of(proc, who, "time");
    let moved = clocks(&pid.to_string()).is_some_and(|clocks_there| Some(clocks_there) != clocks("self"));
    let listed = if moved { listed | NEWTIME } else { listed };
    match (namespace_of(proc, "self", "user"), theirs) {
        (Some(ours), Some(theirs)) if ours == theirs => listed & !NEWUSER,
        (Some(_), Some(_)) => listed | NEWUSER,
        _ => listed,
    }
}

/// A namespace of a process; none where we may not look at it.
fn namespace_of(proc: BorrowedFd<'_>, who: &str, kind: &str) -> Option<u64> {
    rustix::fs::statat(proc, format!("{who}/ns/{kind}"), AtFlags::empty()).ok().map(|stat| stat.st_ino)
}

/// The container's user namespace, and where only its first process can open them, all of its namespaces.
fn look(proc: BorrowedFd<'_>, pid: i32, dir: &StateDir) -> (Option<u64>, Vec<(u64, OwnedFd)>) {
    let by_pid = || namespace_of(proc, &pid.to_string(), "user");
    if let Some(user) = by_pid() {
        return (Some(user), Vec::new());
    }
    match door::ask(dir.fd.as_fd()) {
        Some(namespaces) => {
            let user = namespaces.iter().find(|(kind, _)| *kind == NEWUSER);
            let user = user.and_then(|(_, fd)| rustix::fs::fstat(fd).ok()).map(|stat| stat.st_ino);
            (user, namespaces)
        }
        // It was started meanwhile, or it never had a door.
        None => (by_pid(), Vec::new()),
    }
}

fn spawn(
    plan: &ProcessPlan,
    dir: &StateDir,
    record: &RuntimeState,
    config: &Spec,
    args: &ExecArgs,
    console: Option<&OwnedFd>,
) -> Result<Child> {
    // From here on we may be in the container's pid namespace: nothing of us may be read from there (R8).
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .call(|| "prctl(PR_SET_DUMPABLE)")?;
    let proc = sources::open_proc()?;
    let target = pidfd_of(record.pid)?;
    let directory = pidfd::directory(record.pid).call(|| format!("open(\"/proc/{}\")", record.pid))?;
    if !is_alive(record) {
        return Err(Error::in_use("cannot exec in a stopped container"));
    }
    let (theirs, namespaces) = look(proc.as_fd(), record.pid, dir);
    let kinds = kinds(config, proc.as_fd(), record.pid, theirs);
    let joined_pid = kinds & NEWPID == 0 || namespaces.is_empty() && join_pid_namespace(&target, &directory);
    let place = Placement::of(record, &args.cgroup)?;
    let (mut ours, theirs) = handshake::pair().call(|| "socketpair(SOCK_SEQPACKET)")?;
    let files = Files {
        marker: None,
        fifo: None,
        door: None,
        console: console.map(AsFd::as_fd),
        proc: proc.as_fd(),
        preserved: args.preserve_fds,
        hook_state: (&[], &[]),
        hook_output: [None; 2],
        dies_with_us: args.dies_with_us,
    };
    let inherited = Inherited { socket: theirs.as_fd(), files };
    let joining = Joining {
        target: target.as_fd(),
        namespaces: &namespaces,
        directory: directory.as_fd(),
        kinds: if joined_pid { kinds & !NEWPID } else { kinds },
        staged: !joined_pid,
        cgroup: None,
    };
    let mut attempt = |into: Option<BorrowedFd<'_>>, go: bool| {
        let joining = Joining { cgroup: into, ..joining };
        clone_child(0, into.filter(|_| joined_pid), || {
            let _ = rustix::io::dup3(&theirs, &mut ours, DupFlags::CLOEXEC);
            join::run(plan, &inherited, joining, go)
        })
    };
    let (cloned, born) = match attempt(place.birthplace(), place.is_to_move()) {
        Err(e) if place.birthplace().is_some() && not_born_there(e) => (attempt(None, true), false),
        other => (other, place.birthplace().is_some()),
    };
    let go = place.is_to_move() || place.birthplace().is_some() && !born;
    let cloned = cloned.call(|| "clone3(0)")?;
    drop(theirs);
    let (child, waits) = if joined_pid {
        let held = cloned.pidfd.map_or_else(|| pidfd_of(cloned.pid), Ok)?;
        (Child { pid: cloned.pid, pidfd: held, socket: ours, state: state_of(record) }, false)
    } else {
        adopt_staged(cloned.pid, ours, plan, record)?
    };
    if (go || waits)
        && let Err(e) = place.enter(child.pid, born && !waits)
    {
        spawn::kill_and_reap(&child);
        return Err(e);
    }
    if go || joining.staged {
        let _ = handshake::send(&child.socket, Message::Go(child.pid));
    }
    Ok(child)
}

fn join_pid_namespace(target: &OwnedFd, directory: &OwnedFd) -> bool {
    pidfd::join(target.as_fd(), directory.as_fd(), NEWPID).is_ok()
}

/// For the agent of a seccomp filter.
fn state_of(record: &RuntimeState) -> (Vec<u8>, Vec<u8>) {
    state::hook_document(&record.id, Status::Running, Path::new(&record.bundle), &record.annotations)
}

/// The stage's child, and whether it could not be born in its cgroup.
fn adopt_staged(
    stage: i32,
    socket: OwnedFd,
    plan: &ProcessPlan,
    record: &RuntimeState,
) -> Result<(Child, bool)> {
    let word = handshake::receive(&socket).call(|| "recv(handshake)")?;
    if let Some(stage) = Pid::from_raw(stage) {
        let _ = rustix::process::waitid(WaitId::Pid(stage), WaitIdOptions::EXITED);
    }
    let child = |pid, socket| -> Result<_> {
        Ok(Child { pid, pidfd: pidfd_of(pid)?, socket, state: state_of(record) })
    };
    match word {
        Some(Message::Cloned(pid)) => Ok((child(pid, socket)?, false)),
        Some(Message::Waiting(pid)) => Ok((child(pid, socket)?, true)),
        Some(Message::Fail(fail)) => Err(words::of_process(fail, plan)),
        _ => Err(Error::internal("cannot join the container's namespaces").cause("the stage process died")),
    }
}

/// The process to run.
fn wanted(context: &Context, what: &ExecWhat, config: &Spec) -> Result<Process> {
    match what {
        ExecWhat::Process(file) => {
            let (process, unknown) = spec::load_process(file)?;
            context.warn_of_capabilities(&unknown);
            Ok(process)
        }
        ExecWhat::Command(command) => {
            let base = config.process().as_ref().ok_or_else(|| Error::usage("config.json has no process"))?;
            changed(context, base.clone(), command)
        }
    }
}

/// The container's own process with the changes of the command line.
fn changed(context: &Context, mut process: Process, command: &ExecCommand) -> Result<Process> {
    process.set_args(Some(command.args.clone())).set_terminal(Some(command.tty)).set_console_size(None);
    if let Some(cwd) = &command.cwd {
        process.set_cwd(cwd.into());
    }
    let env = process.env().iter().flatten().chain(&command.env).cloned().collect();
    process.set_env(Some(env));
    let mut user = process.user().clone();
    if let Some((uid, gid)) = command.user {
        user.set_uid(uid).set_gid(gid.unwrap_or(0)).set_additional_gids(None);
    }
    if !command.additional_gids.is_empty() {
        user.set_additional_gids(Some(command.additional_gids.clone()));
    }
    process.set_user(user);
    if command.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if let Some(label) = &command.process_label {
        process.set_selinux_label(Some(label.clone()));
    }
    if let Some(profile) = &command.apparmor {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    let (added, unknown) = capabilities(&command.caps);
    context.warn_of_capabilities(&unknown);
    if !added.is_empty() {
        let mut caps = process.capabilities().clone().unwrap_or_else(no_capabilities);
        let more =
            |set: &Option<HashSet<Capability>>| Some(set.iter().flatten().chain(&added).copied().collect());
        let (bounding, effective, permitted) =
            (more(caps.bounding()), more(caps.effective()), more(caps.permitted()));
        // Ambient where the container says that it is inherited: never more than it has (R10).
        if caps.inheritable().as_ref().is_some_and(|set| !set.is_empty()) {
            let ambient = more(caps.ambient());
            caps.set_ambient(ambient);
        }
        caps.set_bounding(bounding).set_effective(effective).set_permitted(permitted);
        process.set_capabilities(Some(caps));
    }
    Ok(process)
}

fn no_capabilities() -> LinuxCapabilities {
    let mut caps = LinuxCapabilities::default();
    caps.set_bounding(None).set_effective(None).set_inheritable(None).set_permitted(None).set_ambient(None);
    caps
}

/// Those that there are, and the names of the others.
fn capabilities(names: &[String]) -> (Vec<Capability>, Vec<String>) {
    let mut unknown = Vec::new();
    let known = |name: &String| {
        let found = caps::bit_of(name).and_then(|_| spec::from_document(&name.as_str().into()).ok());
        if found.is_none() {
            unknown.push(name.clone());
        }
        found
    };
    (names.iter().filter_map(known).collect(), unknown)
}
