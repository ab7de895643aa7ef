//! The guard: the monitor's parent, which waits for it and finishes its work if it was killed. See `monitor`.
//!
//! It keeps no fd open (least of all the lifetime lock), allocates nothing while it waits, and gives back the pages that
//! the start needed.

use super::{cgroup, recover};
use crate::id::ContainerId;
use crate::paths::Dirs;
use crate::sys;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions};
use std::os::fd::AsFd;
use std::process::ExitCode;

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
    sys::reap::kill_children(|_| false);
    recover::after_death(&ward.dirs, &ward.id);
    ExitCode::SUCCESS
}
