//! Hooks that run in the container's namespaces: createContainer (before the pivot, so that their paths are the host's)
//! and startContainer (after it). Each reads the state document on stdin, one after the other. What they write goes where the
//! parent says, else where the payload's output goes.

use super::Inherited;
use crate::runtime::plan::HookPlan;
use crate::runtime::step::{self, Fail, Step, fail};
use crate::sys::pidfd;
use crate::sys::process::{clone_child, execve, exit_now, reset_signals};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{MemfdFlags, SeekFrom};
use rustix::io::{Errno, Result};
use rustix::process::{WaitId, WaitIdOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Runs them in order; the first that fails ends it.
/// `dir` is where they start; `/` without one.
pub fn run(
    hooks: &[HookPlan],
    inherited: &Inherited<'_>,
    pid: i32,
    dir: Option<BorrowedFd<'_>>,
    step: Step,
) -> std::result::Result<(), Fail> {
    for (index, hook) in hooks.iter().enumerate() {
        one(hook, inherited, pid, dir).map_err(|e| fail(step, index, e))?;
    }
    Ok(())
}

fn one(hook: &HookPlan, inherited: &Inherited<'_>, pid: i32, dir: Option<BorrowedFd<'_>>) -> Result<()> {
    let stdin = document(inherited.files.hook_state, pid)?;
    let [stdout, stderr] = inherited.files.hook_output;
    let run = || {
        let _ = reset_signals();
        let moved = match dir {
            Some(dir) => rustix::process::fchdir(dir),
            None => rustix::process::chdir(c"/"),
        };
        let given = rustix::stdio::dup2_stdin(&stdin)
            .and_then(|()| stdout.map_or(Ok(()), rustix::stdio::dup2_stdout))
            .and_then(|()| stderr.map_or(Ok(()), rustix::stdio::dup2_stderr));
        if given.is_ok() && moved.is_ok() {
            let _ = execve(&hook.path, &hook.argv, &hook.env);
        }
        exit_now(127)
    };
    let child = clone_child(0, None, run)?;
    if let (Some(seconds), Some(held)) = (hook.timeout, &child.pidfd) {
        let limit = Timespec { tv_sec: i64::from(seconds), tv_nsec: 0 };
        let mut fds = [PollFd::new(held, PollFlags::IN)];
        if rustix::event::poll(&mut fds, Some(&limit))? == 0 {
            pidfd::kill(held.as_fd());
            let _ = wait(child.pid);
            return Err(Errno::TIMEDOUT);
        }
    }
    match wait(child.pid)? {
        None => Ok(()),
        // The number of the signal, or of the exit status, instead of an errno: see `words`.
        Some(how) => Err(Errno::from_raw_os_error(how)),
    }
}

/// None for success; see `step::ended_by` for the others.
fn wait(pid: i32) -> Result<Option<i32>> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    loop {
        match rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
            Ok(status) => {
                let code = status.as_ref().and_then(|s| s.exit_status());
                let signal = status.as_ref().and_then(|s| s.terminating_signal());
                return Ok((code != Some(0)).then(|| step::ended_as(code, signal)));
            }
        }
    }
}

/// The state as a file, the pid printed into its hole.
fn document((head, tail): (&[u8], &[u8]), pid: i32) -> Result<OwnedFd> {
    let file = rustix::fs::memfd_create(c"state", MemfdFlags::CLOEXEC)?;
    let mut digits = [0u8; 10];
    let mut rest = pid.unsigned_abs();
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    for part in [head, digits.get(10 - used..).unwrap_or_default(), tail] {
        let mut left = part;
        while !left.is_empty() {
            let written = rustix::io::write(file.as_fd(), left)?;
            left = left.get(written..).unwrap_or_default();
        }
    }
    rustix::fs::seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}
