//! The guard: the monitor's parent, which waits for it and finishes its work if it was killed. See `monitor`.
//!
//! It keeps no fd open (least of all the lifetime lock), allocates nothing while it waits, and gives back the pages that
//! the start needed.

use super::{cgroup, recover};
use crate::id::ContainerId;
use crate::paths::Dirs;
use crate::sys;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Rounds of killing: each one reaches the children of the processes that the round before killed.
const MAX_ROUNDS: usize = 10_000;

/// What the guard knows of the container.
#[derive(Debug)]
pub(super) struct Ward {
    pub dirs: Dirs,
    pub id: ContainerId,
    pub cgroup: Option<String>,
}

/// Waits for the monitor. A clean end (status 0) means that it did everything itself.
pub(super) fn watch(monitor: Pid, ward: &Ward) -> ExitCode {
    let _ = rustix::thread::set_name(c"coracle-guard");
    sys::fork::forget_code();
    loop {
        match rustix::process::waitid(WaitId::Pid(monitor), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            Ok(Some(status)) if status.exit_status() == Some(0) => return ExitCode::SUCCESS,
            _ => break,
        }
    }
    // Its children are ours now.
    if let Some(cgroup) = ward.cgroup.as_deref().and_then(|cgroup| cgroup::open(cgroup).ok()) {
        cgroup::kill(cgroup.as_fd(), cgroup::PAYLOAD);
    }
    kill_children(None);
    recover::after_death(&ward.dirs, &ward.id);
    ExitCode::SUCCESS
}

/// Kills and reaps all children of the calling process but `spare`, and theirs in turn, which become ours as the nearest
/// subreaper. A child's pid cannot be reused before we reap it, so none but our own is hit.
pub(super) fn kill_children(spare: Option<Pid>) {
    for _ in 0..MAX_ROUNDS {
        let children = children();
        let mut any = false;
        for child in children.into_iter().filter(|child| Some(*child) != spare) {
            any = true;
            let _ = rustix::process::kill_process(child, Signal::KILL);
            let _ = rustix::process::waitpid(Some(child), WaitOptions::empty());
        }
        if !any {
            return;
        }
    }
}

/// The pids of our children (proc(5): reliable for a process that starts none meanwhile).
fn children() -> Vec<Pid> {
    let me = rustix::process::getpid().as_raw_nonzero();
    let list = std::fs::read_to_string(format!("/proc/self/task/{me}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
}
