//! System calls: what a pid 1 needs (signals taken one by one, a child with the old mask, reaping), and what a subreaper
//! needs that a container's processes are left to: the end of all of them.

#![allow(
    unsafe_code,
    reason = "sigwait, posix_spawn attributes and waitpid(-1) have no safe face that fits a pid 1"
)]

use super::{Error, Result};
use rustix::process::{Pid, Signal, WaitOptions};
use std::ffi::{CStr, CString};
use std::io;

/// All signals blocked, and the mask from before.
#[derive(Debug)]
pub struct Signals {
    all: libc::sigset_t,
    before: libc::sigset_t,
}

impl Signals {
    /// Blocks every signal of the process. SIGTTIN and SIGTTOU are ignored, so that taking the terminal cannot stop us.
    pub fn block_all() -> Result<Self> {
        // SAFETY: sigfillset and sigprocmask write to sets that live here; ignoring a signal installs no handler.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            if libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before) != 0 {
                return Err(last("sigprocmask(SIG_SETMASK)"));
            }
            libc::signal(libc::SIGTTIN, libc::SIG_IGN);
            libc::signal(libc::SIGTTOU, libc::SIG_IGN);
            Ok(Self { all, before })
        }
    }

    /// The next signal.
    pub fn wait(&self) -> Result<i32> {
        loop {
            // SAFETY: the set lives in self; no information is asked for (null is allowed by sigwaitinfo(2)).
            let signal = unsafe { libc::sigwaitinfo(&raw const self.all, std::ptr::null_mut()) };
            if signal > 0 {
                return Ok(signal);
            }
            let error = last("sigwaitinfo()");
            if error.raw_os_error() != libc::EINTR {
                return Err(error);
            }
        }
    }
}

/// Starts `program` (looked for in PATH) in a process group of its own, in the terminal's foreground when there is one,
/// with the signal mask from before.
pub fn start(program: &CStr, argv: &[CString], signals: &Signals) -> Result<i32> {
    let mut pointers: Vec<*mut libc::c_char> = argv.iter().map(|a| a.as_ptr().cast_mut()).collect();
    pointers.push(std::ptr::null_mut());
    let mut pid = 0;
    // SAFETY: attributes are initialised before use and destroyed after; all pointers are to NUL-terminated data that
    // outlives the call; the environment is never changed in this crate.
    let errno = unsafe {
        let mut attributes: libc::posix_spawnattr_t = std::mem::zeroed();
        libc::posix_spawnattr_init(&raw mut attributes);
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETPGROUP;
        libc::posix_spawnattr_setflags(&raw mut attributes, i16::try_from(flags).unwrap_or_default());
        libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const signals.before);
        let mut defaults: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut defaults);
        libc::sigaddset(&raw mut defaults, libc::SIGTTIN);
        libc::sigaddset(&raw mut defaults, libc::SIGTTOU);
        libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const defaults);
        libc::posix_spawnattr_setpgroup(&raw mut attributes, 0);
        let errno = libc::posix_spawnp(
            &raw mut pid,
            program.as_ptr(),
            std::ptr::null(),
            &raw const attributes,
            pointers.as_ptr(),
            environ.cast_const(),
        );
        libc::posix_spawnattr_destroy(&raw mut attributes);
        errno
    };
    if errno != 0 {
        return Err(Error::new(format_args!("posix_spawnp({program:?})"), errno));
    }
    // SAFETY: a number and a pid; fails with ENOTTY where there is no terminal, which is fine.
    unsafe { libc::tcsetpgrp(0, pid) };
    Ok(pid)
}

unsafe extern "C" {
    static environ: *mut *mut libc::c_char;
}

/// Sends a signal to the command's process group.
pub fn pass_on(child: i32, signal: i32) {
    // SAFETY: plain numbers; a group that is gone gives ESRCH.
    unsafe { libc::kill(-child, signal) };
}

/// Reaps every child that has ended. The status to end with, once `child` is among them.
pub fn reap_all(child: i32) -> Option<u8> {
    let mut end = None;
    loop {
        let mut status = 0;
        // SAFETY: the status is written to a local.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if pid <= 0 {
            return end;
        }
        if pid != child {
            continue;
        }
        if libc::WIFEXITED(status) {
            end = u8::try_from(libc::WEXITSTATUS(status)).ok();
        } else if libc::WIFSIGNALED(status) {
            end = u8::try_from(128 + libc::WTERMSIG(status)).ok();
        }
    }
}

/// Reaps every child that has ended but `child`: what was orphaned to us as the nearest subreaper.
pub fn reap_others(child: i32) {
    loop {
        // SAFETY: plain data, for which zeros are a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: what is found is written to a local; no child is reaped.
        let found = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, how) };
        // SAFETY: after waitid it is that of a child, or zero where none has ended.
        let pid = unsafe { info.si_pid() };
        // When it is `child`, its end is the next thing that is asked for.
        if found != 0 || pid == child {
            return;
        }
        let Some(pid) = Pid::from_raw(pid) else { return };
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
    }
}

/// Rounds of killing: each one reaches the children of the processes that the round before killed.
const MAX_ROUNDS: usize = 10_000;

/// Kills and reaps all children of the calling process but who is spared, and theirs in turn, which become ours as the nearest
/// subreaper. A child's pid cannot be reused before we reap it, so none but our own is hit.
pub fn kill_children(is_spared: impl Fn(Pid) -> bool) {
    for _ in 0..MAX_ROUNDS {
        let mut any = false;
        for child in children().into_iter().filter(|child| !is_spared(*child)) {
            any = true;
            let _ = rustix::process::kill_process(child, Signal::KILL);
            let _ = rustix::process::waitpid(Some(child), WaitOptions::empty());
        }
        if !any {
            return;
        }
    }
}

/// Whether a process is outside of our user namespace and those made in it: of such a one the kernel shows no namespace.
pub fn is_a_stranger(pid: Pid) -> bool {
    rustix::fs::stat(format!("/proc/{}/ns/user", pid.as_raw_nonzero())).is_err()
}

/// The pids of our children (proc(5): reliable for a process that starts none meanwhile).
pub fn children() -> Vec<Pid> {
    let me = rustix::process::getpid().as_raw_nonzero();
    let list = std::fs::read_to_string(format!("/proc/self/task/{me}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
}

fn last(call: &str) -> Error {
    Error::new(call, io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}
