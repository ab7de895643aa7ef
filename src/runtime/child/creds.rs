//! What the process may do: limits, ids, capabilities, labels, filter. In the one order that works:
//! bounding set before CAP_SETPCAP is gone, groups before the user, capabilities after the user, the filter last; but a
//! filter without no_new_privs needs CAP_SYS_ADMIN, so it goes before the capabilities.

use super::{Inherited, expect};
use crate::runtime::handshake::{self, Message};
use crate::runtime::plan::filter::Filter;
use crate::runtime::plan::process::{Cpus, ProcessPlan};
use crate::runtime::step::{Fail, OrFail, Step, fail};
use crate::sys;
use crate::sys::creds;
use rustix::fs::{FileType, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, Result};
use rustix::thread::CpuSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Everything that can be done before `start`.
pub fn become_user(process: &ProcessPlan, inherited: &Inherited<'_>) -> std::result::Result<(), Fail> {
    own_null();
    hand_over_stdio(process).or_fail(Step::Stdio, 0)?;
    schedule(process)?;
    for (index, (resource, limit)) in process.rlimits.iter().enumerate() {
        rustix::process::setrlimit(*resource, *limit).or_fail(Step::Rlimit, index)?;
    }
    if let (false, Some(filter)) = (process.no_new_privileges, &process.filter) {
        install(filter, inherited)?;
    }
    creds::limit_bounding(process.caps.bounding).or_fail(Step::Bounding, 0)?;
    rustix::thread::set_keep_capabilities(true).or_fail(Step::Capabilities, 0)?;
    if !process.keep_groups {
        match rustix::thread::set_thread_groups(&process.groups) {
            // Where a user may not drop groups (setgroups is `deny`), there are none to be added either.
            Err(Errno::PERM) if process.groups.is_empty() => {}
            other => other.or_fail(Step::Groups, 0)?,
        }
    }
    creds::set_gid(process.gid).or_fail(Step::Gid, 0)?;
    creds::set_uid(process.uid).or_fail(Step::Uid, 0)?;
    rustix::thread::set_keep_capabilities(false).or_fail(Step::Capabilities, 0)?;
    let caps = &process.caps;
    creds::set_capabilities(caps.effective, caps.permitted, caps.inheritable)
        .or_fail(Step::Capabilities, 1)?;
    creds::set_ambient(caps.ambient).or_fail(Step::Ambient, 0)?;
    rustix::process::umask(Mode::from(process.umask & 0o777));
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).or_fail(Step::NoNewPrivileges, 0)?;
    }
    Ok(())
}

/// The filter of a process with no_new_privs: the last thing before execve.
pub fn install_last(process: &ProcessPlan, inherited: &Inherited<'_>) -> std::result::Result<(), Fail> {
    match &process.filter {
        Some(filter) if process.no_new_privileges => install(filter, inherited),
        _ => Ok(()),
    }
}

fn install(filter: &Filter, inherited: &Inherited<'_>) -> std::result::Result<(), Fail> {
    let listener = sys::seccomp::install(&filter.program, filter.flags).or_fail(Step::Filter, 0)?;
    let Some(listener) = listener else { return Ok(()) };
    handshake::send_fd(inherited.socket, Message::Listener, listener.as_fd()).or_fail(Step::Filter, 1)?;
    drop(listener);
    // Until somebody holds the listener, every call that it is asked about would fail.
    expect(inherited.socket, |m| m == Message::Continue).map(drop)
}

/// The host's /dev/null as stdio becomes the container's: a file of the host is one that nobody inside can name, and criu
/// neither. Where the container has none, the host's stays.
fn own_null() {
    let null = rustix::fs::makedev(1, 3);
    let is_null = |stat: &rustix::fs::Stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == null
    };
    let standard = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    let hosts = standard.map(|fd| rustix::fs::fstat(fd).is_ok_and(|stat| is_null(&stat)));
    let there = rustix::fs::statat(rustix::fs::CWD, c"/dev/null", rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
    if !hosts.contains(&true) || !there.is_ok_and(|stat| is_null(&stat)) {
        return;
    }
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(own) = rustix::fs::open(c"/dev/null", flags, Mode::empty()) else { return };
    if !rustix::fs::fstat(&own).is_ok_and(|stat| is_null(&stat)) {
        return;
    }
    let [stdin, stdout, stderr] = hosts;
    let _ = !stdin || rustix::stdio::dup2_stdin(&own).is_ok();
    let _ = !stdout || rustix::stdio::dup2_stdout(&own).is_ok();
    let _ = !stderr || rustix::stdio::dup2_stderr(&own).is_ok();
}

/// A payload that is not root must be able to reopen its own stdio (/dev/stderr): pipes become its own. Only the nameless
/// ones: a file, a terminal or a named pipe is the caller's, who would find it taken away (`exec -u 5 c cmd >file`).
fn hand_over_stdio(process: &ProcessPlan) -> Result<()> {
    const PIPEFS_MAGIC: rustix::fs::FsWord = 0x5049_5045;
    let standard = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    for fd in standard {
        let stat = match rustix::fs::fstat(fd) {
            Ok(stat) => stat,
            Err(Errno::BADF) => continue,
            Err(e) => return Err(e),
        };
        if stat.st_uid == process.uid || rustix::fs::fstatfs(fd)?.f_type != PIPEFS_MAGIC {
            continue;
        }
        let uid = Some(Uid::from_raw(process.uid));
        match rustix::fs::fchown(fd, uid, None::<Gid>) {
            // Not ours to give, not mapped, or a file on something read-only: it stays as it is.
            Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS | Errno::OVERFLOW) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn schedule(process: &ProcessPlan) -> std::result::Result<(), Fail> {
    match &process.cpus {
        Cpus::Inherited => {}
        Cpus::All => {
            let mut all = CpuSet::new();
            (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
            // Forbidden by a filter around us: then what is around us has bound the container too.
            let _ = rustix::thread::sched_setaffinity(None, &all);
        }
        Cpus::Set(cpus) => rustix::thread::sched_setaffinity(None, cpus).or_fail(Step::Affinity, 0)?,
    }
    if let Some(attr) = &process.scheduler {
        sys::process::set_scheduler(attr).or_fail(Step::Scheduler, 0)?;
    }
    if let Some((class, level)) = process.io_priority {
        sys::process::set_io_priority(class, level).or_fail(Step::IoPriority, 0)?;
    }
    if let Some(policy) = &process.memory_policy {
        sys::process::set_memory_policy(policy).or_fail(Step::MemoryPolicy, 0)?;
    }
    if let Some(persona) = process.personality {
        sys::process::set_personality(persona).or_fail(Step::Personality, 0)?;
    }
    Ok(())
}

/// Labels for the execve to come, written through a directory of the host's proc that was opened before the pivot. The
/// last use of a directory of the host: `let_go` comes next, before a filter could forbid it or ask an agent about it.
pub fn label(process: &ProcessPlan, attr: Option<&OwnedFd>) -> std::result::Result<(), Fail> {
    if process.apparmor.is_none() && process.selinux.is_none() {
        return Ok(());
    }
    let Some(attr) = attr else { return Err(fail(Step::Label, 0, Errno::NOENT)) };
    if let Some(profile) = &process.apparmor {
        let written = match write(attr.as_fd(), c"apparmor/exec", profile.to_bytes()) {
            Err(Errno::NOENT) => write(attr.as_fd(), c"exec", profile.to_bytes()),
            other => other,
        };
        written.or_fail(Step::Label, 0)?;
    }
    if let Some(context) = &process.selinux {
        write(attr.as_fd(), c"exec", context.to_bytes()).or_fail(Step::Label, 1)?;
    }
    Ok(())
}

fn write(dir: BorrowedFd<'_>, name: &std::ffi::CStr, text: &[u8]) -> Result<()> {
    let file = rustix::fs::openat(dir, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text).map(drop)
}

/// /proc/self/attr, when a label has to be written.
pub fn open_attr(process: &ProcessPlan, proc: BorrowedFd<'_>) -> std::result::Result<Option<OwnedFd>, Fail> {
    if process.apparmor.is_none() && process.selinux.is_none() {
        return Ok(None);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(proc, c"self/attr", flags, Mode::empty()).map(Some).or_fail(Step::Label, 0)
}
