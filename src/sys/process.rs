//! Processes: the one clone, execve, and what a process sets on itself.
//!
//! `clone_child` is the only fork of the product (besides std's `Command` in `external`). Everything in this file that
//! runs after it returns a bare errno and allocates nothing.

#![allow(unsafe_code)] // clone3, execve, keyctl: rustix has none of them as safe calls

use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_ulong};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// A process made by `clone_child`.
#[derive(Debug)]
pub struct Cloned {
    /// In the caller's pid namespace.
    pub pid: i32,
    /// None where the kernel has no pidfds.
    pub pidfd: Option<OwnedFd>,
    /// Whether it was born in the cgroup that was asked for (kernels without clone3 cannot).
    pub in_cgroup: bool,
}

/// Clones the caller without sharing memory and runs `child` in the new process, which ends with it (status 70).
///
/// `namespaces` are CLONE_NEW* flags, and CLONE_PARENT. With `cgroup`, the child is born in that cgroup. EINVAL when the
/// caller has a second thread: then a lock could be held for ever in the child. `child` keeps the rules of
/// `runtime::child` all the same.
pub fn clone_child(namespaces: u64, cgroup: Option<BorrowedFd<'_>>, child: impl FnOnce()) -> Result<Cloned> {
    // SAFETY: unshares nothing: with one thread CLONE_VM is a no-op, with more it is EINVAL, which is the question.
    check(unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_VM) })?;
    let mut pidfd: RawFd = -1;
    let shared_parent = namespaces & libc::CLONE_PARENT as u64 != 0;
    let mut args = CloneArgs {
        flags: namespaces | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        // With CLONE_PARENT the signal is the caller's own and must not be given.
        exit_signal: if shared_parent { 0 } else { libc::SIGCHLD as u64 },
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` lives across the call; no CLONE_VM and no stack, so the child returns here on its own copy of this
    // stack, like fork. That there is one thread was asked above, so no lock of another one is copied.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    let (pid, in_cgroup) = match pid {
        // Without clone3 nobody is born in a cgroup: the caller decides what then. Old container engines' filters say
        // EPERM; where it means what it says, clone says it too.
        -1 if matches!(errno(), Errno::NOSYS | Errno::PERM) && cgroup.is_none() => {
            // SAFETY: as above.
            let pid = unsafe { old_clone(args.flags, args.exit_signal, &raw mut pidfd) };
            (pid, false)
        }
        pid => (pid, cgroup.is_some()),
    };
    match pid {
        -1 => Err(errno()),
        0 => {
            let _never_beyond = ExitOnDrop;
            #[cfg(debug_assertions)]
            super::alloc::forbid();
            child();
            exit_now(70)
        }
        pid => {
            // SAFETY: the kernel wrote a new fd that nobody else owns; -1 means that it did not.
            let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
            Ok(Cloned { pid: pid as i32, pidfd, in_cgroup })
        }
    }
}

/// A panic in the child must not unwind into the caller's frames.
struct ExitOnDrop;

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        exit_now(70);
    }
}

/// clone(2) for kernels and seccomp filters without clone3.
///
/// # Safety
/// As `clone_child`.
unsafe fn old_clone(flags: u64, exit_signal: u64, pidfd: *mut RawFd) -> c_long {
    let flags = (flags | exit_signal) as c_ulong;
    let none = std::ptr::null_mut::<c_int>();
    // SAFETY: no stack: as fork. The order of the last two arguments differs between machines, and both are null.
    unsafe { libc::syscall(libc::SYS_clone, flags, none, pidfd, none, none) }
}

/// linux/sched.h, struct clone_args, version 2.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

fn errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

fn check(returned: c_long) -> Result<c_long> {
    if returned == -1 { Err(errno()) } else { Ok(returned) }
}

/// Strings as execve wants them: built before clone, so that the child only passes pointers.
pub struct ExecStrings {
    strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl ExecStrings {
    /// Takes the strings; their addresses stay as they are.
    pub fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        Self { strings, pointers }
    }

    /// The strings.
    pub fn strings(&self) -> &[CString] {
        &self.strings
    }
}

impl std::fmt::Debug for ExecStrings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.strings.fmt(f)
    }
}

/// Replaces the process; returns only when that failed.
pub fn execve(path: &CStr, argv: &ExecStrings, envp: &ExecStrings) -> Errno {
    // SAFETY: both arrays end with a null pointer and their strings live in the same values, which are borrowed here.
    unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()) };
    errno()
}

/// Replaces the process by the program behind `fd`, which is a binary, not a script; returns only when that failed. Where
/// there is no execveat (a seccomp filter around us), by way of /proc, which is as good while it is the kernel's own.
pub fn fexecve(fd: BorrowedFd<'_>, argv: &ExecStrings, envp: &ExecStrings) -> Errno {
    let (argv, envp) = (argv.pointers.as_ptr(), envp.pointers.as_ptr());
    // SAFETY: as in `execve`.
    unsafe {
        libc::syscall(libc::SYS_execveat, fd.as_raw_fd(), c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH)
    };
    let failed = errno();
    if !matches!(failed, Errno::NOSYS | Errno::PERM) {
        return failed;
    }
    let Ok(path) = CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())) else { return failed };
    // SAFETY: as in `execve`.
    unsafe { libc::execve(path.as_ptr(), argv, envp) };
    errno()
}

/// Ends the process at once, without destructors.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(status) }
}

/// Whether the kernel can name the working directory below the root. It cannot for one that was reached through an fd
/// of another mount namespace.
pub fn cwd_is_below_root() -> Result<bool> {
    let mut path = [0u8; 4096];
    // SAFETY: the kernel writes at most the given length.
    let len = check(unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) })?;
    Ok(len > 0 && path.first() == Some(&b'/'))
}

/// The signal state a program expects: nothing blocked, and nothing ignored. Rust's start ignores SIGPIPE, a shell without
/// job control SIGINT and SIGQUIT in its background jobs, nohup SIGHUP; execve would hand all of that on.
pub fn reset_signals() -> Result<()> {
    /// The kernel's `_NSIG`, and the size of its signal set.
    const SIGNALS: c_int = 64;
    const SET: usize = 8;
    // The kernel's sigaction, at most 32 bytes: all zero is SIG_DFL without flags. Not by libc, which keeps some numbers
    // to itself.
    let default = [0u64; 4];
    for signal in (1..=SIGNALS).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        let old = std::ptr::null_mut::<u64>();
        // SAFETY: the kernel reads one sigaction from the array, which is as long as one. No handler is installed.
        check(unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), old, SET) })?;
    }
    let none = 0u64;
    let old = std::ptr::null_mut::<u64>();
    // SAFETY: the kernel reads a set of 8 bytes.
    check(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, old, SET) })
        .map(drop)
}

/// Lets `signal` end this process. A pid 1 is not ended by the default: the kernel drops what it has no handler for.
pub fn end_by(signal: c_int) -> Result<()> {
    extern "C" fn end(signal: c_int) {
        exit_now(128 + signal)
    }
    // SAFETY: plain data, and zero is valid: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = end as extern "C" fn(c_int) as libc::sighandler_t;
    // SAFETY: the handler only calls _exit, which is safe in a handler; the old action is not asked for.
    check(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }.into()).map(drop)
}

/// Joins a new session keyring of this name (keyctl).
pub fn join_session_keyring(name: &CStr) -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: c_int = 1;
    // SAFETY: the kernel copies the string.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) }).map(drop)
}

/// Sets the execution domain (personality).
pub fn set_personality(persona: u32) -> Result<()> {
    // SAFETY: plain number.
    check(unsafe { libc::syscall(libc::SYS_personality, c_ulong::from(persona)) }).map(drop)
}

/// A policy of set_mempolicy(2): its mode with flags, and its nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryPolicy {
    pub mode: i32,
    nodes: [u64; Self::MAX_NODE / 64],
}

impl MemoryPolicy {
    /// Nodes are numbers below this.
    pub const MAX_NODE: usize = 1024;

    /// Adds a node.
    pub fn add(&mut self, node: usize) {
        if let Some(word) = self.nodes.get_mut(node / 64) {
            *word |= 1 << (node % 64);
        }
    }
}

/// Sets the memory policy of the caller.
pub fn set_memory_policy(policy: &MemoryPolicy) -> Result<()> {
    let nodes = policy.nodes.as_ptr();
    // The kernel takes one bit less than it is told.
    let bits = (MemoryPolicy::MAX_NODE + 1) as c_ulong;
    let empty = policy.nodes.iter().all(|word| *word == 0);
    let (nodes, bits) = if empty { (std::ptr::null(), 0) } else { (nodes, bits) };
    // SAFETY: the kernel reads `bits - 1` bits, which is what the array has, or nothing.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, policy.mode, nodes, bits) }).map(drop)
}

/// Sets the io priority of the caller (ioprio_set): class and level.
pub fn set_io_priority(class: u16, level: u16) -> Result<()> {
    const IOPRIO_WHO_PROCESS: c_int = 1;
    let value = c_int::from(class) << 13 | c_int::from(level);
    // SAFETY: plain numbers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) }).map(drop)
}

/// Scheduling attributes (linux/sched/types.h, struct sched_attr, version 0).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedAttr {
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// Sets the scheduling of the caller.
pub fn set_scheduler(attr: &SchedAttr) -> Result<()> {
    // SAFETY: `attr` has the layout the kernel expects and says its size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(attr), 0) }).map(drop)
}

/// Sends a signal by pid, for processes that a cgroup lists; or by the negative pid of a leader to all of its group.
pub fn signal(pid: i32, signal: i32) -> Result<()> {
    if matches!(pid, -1 | 0) {
        return Err(Errno::INVAL);
    }
    // SAFETY: plain numbers; neither the caller's own group (0) nor everybody (-1).
    check(c_long::from(unsafe { libc::kill(pid, signal) })).map(drop)
}
