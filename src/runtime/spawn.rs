//! The clone of a container's first process, and what its parent does for it meanwhile: id maps, cgroup, oom score, network
//! devices.

use super::agent;
use super::child::init::{self, Waits};
use super::child::stage::{self, not_born_there};
use super::child::{Files, Inherited};
use super::handshake::{self, Message};
use super::idmap;
use super::maps;
use super::net_devices;
use super::plan::Plan;
use super::plan::namespaces::NEWUSER;
use super::plan::process::ProcessPlan;
use super::words;
use crate::cgroup::fs::Cgroup;
use crate::error::{Context, Error, Result};
use crate::sys::process::{Cloned, clone_child};
use crate::sys::{self, CallContext, pidfd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{DupFlags, Errno};
use rustix::process::{DumpableBehavior, Pid, WaitId, WaitIdOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

impl std::fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Cgroup(_) => "Cgroup",
            Self::After(_) => "After",
        })
    }
}

/// The running child, as its parent holds it.
#[derive(Debug)]
pub struct Child {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// Our end of the handshake.
    pub socket: OwnedFd,
    /// The state document, up to and after the pid.
    pub state: (Vec<u8>, Vec<u8>),
}

/// How the child comes into its cgroup.
#[allow(missing_debug_implementations, reason = "it holds a closure")]
pub enum Place<'a> {
    None,
    /// Born in it.
    Cgroup(&'a Cgroup),
    /// Moved by somebody else (systemd), who must know the pid first.
    After(&'a mut dyn FnMut(i32) -> Result<()>),
}

/// Clones the first process of a container into its cgroup and lets it go.
pub fn spawn(plan: &Plan, place: Place<'_>, files: Files<'_>) -> Result<Child> {
    let (cgroup, after) = match place {
        Place::None => (None, None),
        Place::Cgroup(cgroup) => (Some(cgroup), None),
        Place::After(after) => (None, Some(after)),
    };
    let (mut ours, theirs) = handshake::pair().call(|| "socketpair(SOCK_SEQPACKET)")?;
    let staged = plan.namespaces.needs_stage();
    // Linux 6.14 and later kill whoever is born in a cgroup that was emptied by cgroup.kill before (it counts the kills,
    // and compares with those of the parent's cgroup): one that is used again is moved into.
    let used = cgroup.is_some_and(Cgroup::existed);
    let by_hand = used || cgroup.is_some_and(|cgroup| !cgroup.v1().is_empty());
    let writes = plan.namespaces.new_user() || !plan.net_devices.is_empty();
    let mut waits = Waits { go: staged || by_hand || after.is_some() || writes, joined: staged };
    let flags = plan.namespaces.create;
    let inherited = Inherited { socket: theirs.as_fd(), files };
    // Somebody is in a namespace that is joined, and must not be able to look into us there (R8). With a new user
    // namespace nobody is in it before we say so, and its maps can be written by a user only while we are dumpable.
    if !plan.namespaces.join.is_empty()
        && (!plan.namespaces.new_user() || rustix::process::geteuid().is_root())
    {
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .call(|| "prctl(PR_SET_DUMPABLE, 0)")?;
    }
    let mut attempt = |into: Option<BorrowedFd<'_>>, waits: Waits| {
        let child = || {
            take_over(&theirs, &mut ours);
            if staged {
                stage::run(&plan.joined, flags, into, &inherited, || init::run(plan, &inherited, waits));
            }
            init::run(plan, &inherited, waits)
        };
        if staged { clone_child(0, None, child) } else { clone_child(flags, into, child) }
    };
    let cloned = match attempt(cgroup.filter(|_| !used).and_then(Cgroup::birthplace), waits) {
        // No clone3, or not allowed to be born there (the common ancestor is not ours): moved after the clone instead.
        Err(e) if cgroup.is_some() && not_born_there(e) => {
            waits.go = true;
            attempt(None, waits)
        }
        other => other,
    }
    .call(|| format!("clone3({flags:#x})"))
    .what(|| "cannot make the container's namespaces")
    .map_err(|e| explain(e, plan))?;
    drop(theirs);
    let in_cgroup = cloned.in_cgroup || staged && !waits.go;
    let mut child = adopt(cloned, ours, staged, plan)?;
    child.state = (files.hook_state.0.to_vec(), files.hook_state.1.to_vec());
    let placed = after.map_or(Ok(()), |after| after(child.pid));
    let prepared = placed
        .and_then(|()| prepare(plan, &child, cgroup.map(|cgroup| (cgroup, in_cgroup)), files.proc, waits));
    if let Err(e) = prepared {
        kill_and_reap(&child);
        return Err(e);
    }
    Ok(child)
}

/// Closes the parent's end in the child by putting our own over it: else the child would never see the parent's end.
fn take_over(theirs: &OwnedFd, ours: &mut OwnedFd) {
    let _ = rustix::io::dup3(theirs, ours, DupFlags::CLOEXEC);
}

/// The child as ours: of a stage, its pid comes as a message, and the stage itself is reaped.
fn adopt(cloned: Cloned, socket: OwnedFd, staged: bool, plan: &Plan) -> Result<Child> {
    let cannot = || "cannot make the container's namespaces";
    let pid = if staged {
        let word = handshake::receive(&socket).call(|| "recv(handshake)")?;
        reap(cloned.pid);
        match word {
            Some(Message::Cloned(pid)) => pid,
            Some(Message::Fail(fail)) => return Err(words::of_init(fail, plan)),
            _ => return Err(Error::internal(cannot()).cause("the stage process died")),
        }
    } else {
        cloned.pid
    };
    let pidfd = match cloned.pidfd.filter(|_| !staged) {
        Some(pidfd) => pidfd,
        None => pidfd_of(pid)?,
    };
    Ok(Child { pid, pidfd, socket, state: (Vec::new(), Vec::new()) })
}

/// A pidfd of a process that cannot be reaped by others: our child, or one whose start time is compared afterwards.
pub fn pidfd_of(pid: i32) -> Result<OwnedFd> {
    Ok(pidfd::open(pid).call(|| format!("pidfd_open({pid})"))?)
}

fn prepare(
    plan: &Plan,
    child: &Child,
    cgroup: Option<(&Cgroup, bool)>,
    proc: BorrowedFd<'_>,
    waits: Waits,
) -> Result<()> {
    if let Some((cgroup, born)) = cgroup {
        let moved = if born { cgroup.add_v1(child.pid) } else { cgroup.add(child.pid) };
        moved.what(|| format!("cannot move the container to its cgroup {}", cgroup.path().display()))?;
    }
    if plan.namespaces.new_user() {
        maps::write(child.pid, &plan.namespaces, proc)?;
    }
    if let Some(score) = plan.process.oom_score_adj {
        set_oom_score(child.pid, score, proc)?;
    }
    if plan.namespaces.has(NEWUSER) {
        raise_limits(child.pid, plan);
    }
    net_devices::give(plan, child.pid, proc)?;
    if waits.go {
        match handshake::send(&child.socket, Message::Go(child.pid)) {
            // It died already; the reason waits in our end.
            Ok(()) | Err(Errno::PIPE) => {}
            Err(e) => Err(e).call(|| "send(handshake)")?,
        }
    }
    Ok(())
}

/// The child, root of a user namespace only (a new one, or one that it joined), may lower its limits and not raise them: where the caller may, it raises
/// the hard ones first. Where it may not, the child's own attempt says so.
fn raise_limits(pid: i32, plan: &Plan) {
    for (resource, wanted) in &plan.process.rlimits {
        let now = rustix::process::getrlimit(*resource);
        let higher = match (wanted.maximum, now.maximum) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(wanted), Some(now)) => wanted > now,
        };
        if higher {
            let raised = rustix::process::Rlimit { current: now.current, maximum: wanted.maximum };
            let _ = rustix::process::prlimit(Pid::from_raw(pid), *resource, raised);
        }
    }
}

/// An unprivileged user may raise it, not lower it: then it stays, as with every engine.
fn set_oom_score(pid: i32, score: i32, proc: BorrowedFd<'_>) -> Result<()> {
    let path = format!("{pid}/oom_score_adj");
    let open = rustix::fs::openat(proc, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    match open.and_then(|file| rustix::io::write(&file, score.to_string().as_bytes())) {
        Ok(_) | Err(Errno::ACCESS | Errno::PERM) => Ok(()),
        Err(e) => Err(e).call(|| format!("write(/proc/{path}, {score})")).what(|| "cannot set the oom score"),
    }
}

/// Ends a child that must not live on, and takes its status.
pub fn kill_and_reap(child: &Child) {
    pidfd::kill(child.pidfd.as_fd());
    reap(child.pid);
}

fn reap(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    while matches!(rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED), Err(Errno::INTR)) {}
}

/// Where the clone itself fails, the user namespace is nearly always the reason.
fn explain(error: Error, plan: &Plan) -> Error {
    if plan.namespaces.new_user() && error.errno() == Some(libc::ENOSPC) {
        return crate::userns::limit_reached(Error::host(error.what()), "clone3()");
    }
    if !plan.namespaces.new_user() || error.errno() != Some(libc::EPERM) {
        return error;
    }
    let limit = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    if limit.trim() == "0" {
        return error.hint("Ask the administrator to set the sysctl user.max_user_namespaces above 0.");
    }
    error.hint("Ask the administrator to allow user namespaces for this program, see coracle-rootless(7).")
}

/// The child's next word. The listener of its filter is handed on meanwhile.
pub fn next(child: &Child, process: &ProcessPlan) -> Result<Option<Message>> {
    next_of(child, process, None)
}

/// The same of a container's first process, which may have ids mapped meanwhile.
fn next_of(child: &Child, process: &ProcessPlan, plan: Option<&Plan>) -> Result<Option<Message>> {
    loop {
        match handshake::receive_fd(&child.socket).call(|| "recv(handshake)")? {
            Some((Message::Listener, Some(listener))) => {
                let agent = process.filter.as_ref().and_then(|filter| filter.agent.as_ref());
                let agent = agent.ok_or_else(|| Error::internal("a listener without an agent"))?;
                agent::hand_over(agent, &child.state, child.pid, &listener)?;
                handshake::send(&child.socket, Message::Continue).call(|| "send(handshake)")?;
            }
            Some((Message::Tree(index), Some(tree))) => {
                let mount = plan.and_then(|plan| Some((plan, plan.mounts.get(index as usize)?)));
                let (plan, mount) = mount.ok_or_else(|| Error::internal("a tree without a mount"))?;
                idmap::apply_to(tree.as_fd(), mount, plan)?;
                handshake::send(&child.socket, Message::Continue).call(|| "send(handshake)")?;
            }
            other => return Ok(other.map(|(message, _)| message)),
        }
    }
}

/// The child's next word; its death is an error.
pub fn hear(child: &Child, plan: &Plan) -> Result<Message> {
    match next_of(child, &plan.process, Some(plan))? {
        Some(Message::Fail(fail)) => Err(words::of_init(fail, plan)),
        Some(message) => Ok(message),
        None => Err(Error::internal("the container's first process died before it was ready")
            .cause(how_it_ended(child))),
    }
}

fn how_it_ended(child: &Child) -> String {
    pidfd::kill(child.pidfd.as_fd());
    let ended = Pid::from_raw(child.pid).and_then(|pid| {
        rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            .ok()
            .flatten()
    });
    match ended {
        Some(status) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (_, Some(signal)) => format!("signal {signal}"),
            _ => "unknown status".to_owned(),
        },
        None => sys::ErrnoText(libc::ECHILD).to_string(),
    }
}

/// Waits until the child has executed its command: the handshake closes with it.
pub fn hear_exec(child: &Child, plan: &Plan) -> Result<()> {
    match next(child, &plan.process)? {
        None => Ok(()),
        Some(Message::Fail(fail)) => {
            Err(words::of_init(fail, plan)).what(|| "unable to start container process")
        }
        Some(other) => Err(Error::internal(format_args!("unexpected message {other:?} from the child"))),
    }
}
