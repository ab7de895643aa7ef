//! An exec's process, from the clone to execve: the steps, in order.

use super::stage::not_born_there;
use super::terminal;
use super::{Inherited, creds, die_with_runtime, exec, expect, give_up, let_go};
use crate::runtime::handshake::{self, Message};
use crate::runtime::plan::process::ProcessPlan;
use crate::runtime::step::{Fail, OrFail, Step};
use crate::sys::pidfd;
use crate::sys::process::{clone_child, exit_now, join_session_keyring};
use rustix::fs::{Mode, OFlags};
use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What is joined, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Joining<'a> {
    /// pidfd of the container's first process.
    pub target: BorrowedFd<'a>,
    /// Its namespaces, where the way by pid is closed (`runtime::door`), in the order in which they are joined.
    pub namespaces: &'a [(u64, OwnedFd)],
    /// Its directory in /proc.
    pub directory: BorrowedFd<'a>,
    /// CLONE_NEW* flags that are still to be joined.
    pub kinds: u64,
    /// This process is a stage: it joins everything, then clones the one that executes.
    pub staged: bool,
    /// For the clone of a stage.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Never returns.
pub fn run(plan: &ProcessPlan, inherited: &Inherited<'_>, joining: Joining<'_>, go: bool) -> ! {
    let failure = match begin(plan, inherited, joining, go) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    give_up(inherited, failure)
}

fn begin(
    plan: &ProcessPlan,
    inherited: &Inherited<'_>,
    joining: Joining<'_>,
    go: bool,
) -> Result<Infallible, Fail> {
    let attr = creds::open_attr(plan, inherited.files.proc)?;
    // Moved into the cgroup before the join: afterwards nobody outside could tell us apart from the container.
    if go && !joining.staged {
        expect(inherited.socket, |m| matches!(m, Message::Go(_)))?;
    }
    for (_, fd) in joining.namespaces.iter().filter(|(kind, _)| joining.kinds & kind != 0) {
        rustix::thread::move_into_link_name_space(fd.as_fd(), None).or_fail(Step::Join, 0)?;
    }
    if joining.kinds != 0 && joining.namespaces.is_empty() {
        pidfd::join(joining.target, joining.directory, joining.kinds).or_fail(Step::Join, 0)?;
    }
    if !joining.staged {
        return proceed(plan, inherited, attr.as_ref());
    }
    // Always waits: the runtime hears its pid from us before the first word of its own, which comes over the same socket.
    let child = || {
        let ready = expect(inherited.socket, |m| matches!(m, Message::Go(_)));
        match ready.and_then(|_| proceed(plan, inherited, attr.as_ref())) {
            Ok(never) => match never {},
            Err(failure) => give_up(inherited, failure),
        }
    };
    let parent = libc::CLONE_PARENT as u64;
    let (cloned, waits) = match clone_child(parent, joining.cgroup, child) {
        Err(e) if joining.cgroup.is_some() && not_born_there(e) => (clone_child(parent, None, child), true),
        other => (other, false),
    };
    let pid = cloned.or_fail(Step::Stage, 0)?.pid;
    let word = if waits { Message::Waiting(pid) } else { Message::Cloned(pid) };
    handshake::send(inherited.socket, word).or_fail(Step::Handshake, 0)?;
    exit_now(0)
}

fn proceed(
    plan: &ProcessPlan,
    inherited: &Inherited<'_>,
    attr: Option<&std::os::fd::OwnedFd>,
) -> Result<Infallible, Fail> {
    let _ = rustix::process::setsid();
    rustix::process::umask(Mode::empty());
    if let Some(name) = &plan.keyring {
        let _ = join_session_keyring(name);
    }
    if let Some(size) = plan.terminal {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(c"/", flags, Mode::empty()).or_fail(Step::Terminal, 0)?;
        terminal::open_in(root.as_fd(), plan, size, inherited, None)?;
    }
    creds::label(plan, attr)?;
    let_go(inherited, None)?;
    let early = exec::try_directory(plan);
    creds::become_user(plan, inherited)?;
    exec::change_directory(plan, early)?;
    let command = exec::find(plan)?;
    die_with_runtime(inherited)?;
    exec::seal(plan, inherited)?;
    Err(exec::execute(plan, command))
}
