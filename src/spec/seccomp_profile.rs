//! The default seccomp profile, as data.
//!
//! The default answers ENOSYS to whatever it does not name: libcs and language runtimes then fall back. It allows what
//! podman's default allows, and is stricter where a container of an ordinary user gains nothing:
//! - no new namespaces and no mounts without CAP_SYS_ADMIN (a user namespace opens much of the kernel to its creator);
//!   clone3 hides its flags in memory, so it does not exist and libcs use clone;
//! - no AF_ALG and AF_VSOCK sockets, no io_uring, kernel keyrings, userfaultfd, bpf, perf events;
//! - no socketcall: i386's way to make a socket out of sight of a filter; its libcs have had the direct calls for long;
//! - no TIOCSTI and TIOCLINUX: they type into the terminal of whoever looks at it.
//!
//! The kernel reads these arguments as 32-bit numbers, so they are compared as such: a 64-bit comparison lets a caller
//! through who sets a bit above. And the entries of one syscall never overlap with different actions, because no
//! implementation promises which of them wins: "all but these values" is written as masks ([`all_but`]). So the profile
//! means the same to us and to libseccomp under another runtime.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompOperator,
    LinuxSyscall,
};

/// Allowed whatever the arguments and capabilities.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "_llseek", "_newselect", "accept", "accept4", "access", "adjtimex", "alarm", "arch_prctl", "arm_fadvise64_64",
    "arm_sync_file_range", "bind", "breakpoint", "brk", "cacheflush", "cachestat", "capget", "capset", "chdir",
    "chmod", "chown", "chown32", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64",
    "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "close", "close_range",
    "connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve",
    "execveat", "exit", "exit_group", "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate",
    "fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl",
    "fcntl64", "fdatasync", "fgetxattr", "file_getattr", "file_setattr", "flistxattr", "flock", "fork",
    "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
    "ftruncate64", "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake", "futimesat",
    "get_mempolicy", "get_robust_list", "get_thread_area", "get_tls", "getcpu", "getcwd", "getdents", "getdents64",
    "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32", "getitimer",
    "getpeername", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32",
    "getresuid", "getresuid32", "getrlimit", "getrusage", "getsid", "getsockname", "getsockopt", "gettid",
    "gettimeofday", "getuid", "getuid32", "getxattr", "getxattrat", "inotify_add_watch", "inotify_init",
    "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy", "io_getevents", "io_setup", "io_submit",
    "ioprio_get", "ioprio_set", "ipc", "kill", "landlock_add_rule", "landlock_create_ruleset",
    "landlock_restrict_self", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listen", "listmount", "listxattr",
    "listxattrat", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lsm_get_self_attr", "lsm_list_modules",
    "lstat", "lstat64", "madvise", "map_shadow_stack", "mbind", "membarrier", "memfd_create", "memfd_secret",
    "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "modify_ldt",
    "mprotect", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend",
    "mq_timedsend_time64", "mq_unlink", "mremap", "mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock",
    "munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat", "nice", "open", "openat", "openat2",
    "pause", "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "pkey_alloc", "pkey_free",
    "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl", "pread64", "preadv", "preadv2", "prlimit64",
    "process_mrelease", "process_vm_readv", "process_vm_writev", "pselect6", "pselect6_time64", "ptrace", "pwrite64",
    "pwritev", "pwritev2", "read", "readahead", "readdir", "readlink", "readlinkat", "readv", "reboot", "recv",
    "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr", "removexattrat",
    "rename", "renameat", "renameat2", "restart_syscall", "rmdir", "rseq", "rt_sigaction", "rt_sigpending",
    "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
    "sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp", "select",
    "semctl", "semget", "semop", "semtimedop", "semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg",
    "sendmsg", "sendto", "set_mempolicy", "set_mempolicy_home_node", "set_robust_list", "set_thread_area",
    "set_tid_address", "set_tls", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32",
    "setgroups", "setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32", "setresgid",
    "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit", "setsid", "setsockopt",
    "setuid", "setuid32", "setxattr", "setxattrat", "shmat", "shmctl", "shmdt", "shmget", "shutdown", "sigaction",
    "sigaltstack", "signal", "signalfd", "signalfd4", "sigpending", "sigprocmask", "sigreturn", "sigsuspend",
    "socketpair", "splice", "stat", "stat64", "statfs", "statfs64", "statmount", "statx", "symlink", "symlinkat",
    "sync", "sync_file_range", "sync_file_range2", "syncfs", "sysinfo", "syslog", "tee", "tgkill", "time",
    "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
    "timer_settime64", "timerfd", "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
    "timerfd_settime64", "times", "tkill", "truncate", "truncate64", "ugetrlimit", "umask", "uname", "unlink",
    "unlinkat", "uretprobe", "utime", "utimensat", "utimensat_time64", "utimes", "vfork", "wait4", "waitid",
    "waitpid", "write", "writev",
];

/// Refused with EPERM: they exist, programs know how to do without, and ENOSYS would be a lie about the kernel.
#[rustfmt::skip]
const REFUSED: &[&str] = &[
    "add_key", "bdflush", "io_pgetevents", "io_pgetevents_time64", "kexec_file_load", "kexec_load", "keyctl",
    "migrate_pages", "move_pages", "nfsservctl", "oldfstat", "oldlstat", "oldolduname", "oldstat", "olduname",
    "request_key", "sgetmask", "socketcall", "ssetmask", "swapoff", "swapon", "sysfs", "uselib", "userfaultfd",
    "ustat", "vm86", "vm86old", "vmsplice",
];

/// Allowed with one of the capabilities, else refused with EPERM.
const BY_CAPABILITY: &[(&[&str], &[&str])] = &[
    (&["CAP_DAC_READ_SEARCH"], &["open_by_handle_at"]),
    (
        &["CAP_SYS_ADMIN"],
        &[
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "open_tree_attr",
            "pivot_root",
            "quotactl",
            "quotactl_fd",
            "setdomainname",
            "sethostname",
            "setns",
            "umount",
            "umount2",
        ],
    ),
    (&["CAP_SYS_ADMIN", "CAP_BPF"], &["bpf"]),
    (&["CAP_SYS_ADMIN", "CAP_PERFMON"], &["perf_event_open"]),
    (&["CAP_SYS_CHROOT"], &["chroot"]),
    (&["CAP_SYS_MODULE"], &["delete_module", "finit_module", "init_module"]),
    (&["CAP_SYS_PACCT"], &["acct"]),
    (&["CAP_SYS_PTRACE"], &["kcmp", "process_madvise"]),
    (&["CAP_SYS_RAWIO"], &["ioperm", "iopl"]),
    (&["CAP_SYS_TIME"], &["clock_settime", "clock_settime64", "settimeofday", "stime"]),
    (&["CAP_SYS_TTY_CONFIG"], &["vhangup"]),
];

/// personality(2): PER_LINUX, PER_LINUX32, each with UNAME26, and the question.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// CLONE_NEW{CGROUP,UTS,IPC,USER,PID,NET,NS}.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;
/// CLONE_NEWTIME: in clone's flags these bits are the exit signal.
const CLONE_NEWTIME: u64 = 0x80;

const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;

const AF_NETLINK: u64 = 16;
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;
const NETLINK_AUDIT: u64 = 9;

const LOW_WORD: u64 = 0xffff_ffff;

const EPERM: u32 = libc::EPERM as u32;
const EINVAL: u32 = libc::EINVAL as u32;
const ENOSYS: u32 = libc::ENOSYS as u32;

/// The profile of a container that has these capabilities (`CAP_…`).
pub fn default_profile(caps: &[String]) -> LinuxSeccomp {
    let has = |names: &[&str]| caps.iter().any(|cap| names.contains(&cap.as_str()));
    let mut allowed = ALLOWED.to_vec();
    let mut refused = REFUSED.to_vec();
    for (capabilities, names) in BY_CAPABILITY {
        if has(capabilities) { &mut allowed } else { &mut refused }.extend(*names);
    }
    let mut syscalls = Vec::new();
    if has(&["CAP_SYS_ADMIN"]) {
        allowed.extend(["clone", "clone3", "unshare"]);
    } else {
        syscalls.extend(no_namespaces("clone", CLONE_NAMESPACES));
        syscalls.extend(no_namespaces("unshare", CLONE_NAMESPACES | CLONE_NEWTIME));
        syscalls.push(errno("clone3", ENOSYS, vec![]));
    }
    for persona in PERSONALITIES {
        syscalls.push(allow("personality", vec![is(0, LOW_WORD, persona)]));
    }
    syscalls.extend(ioctls());
    syscalls.extend(sockets(has(&["CAP_AUDIT_WRITE"])));
    // Refusals first: libseccomp makes socketcall rules of `socket` ones, without the arguments it cannot see there, and
    // only a rule that already stands keeps i386's socketcall(SYS_SOCKET, AF_ALG) shut.
    syscalls.insert(0, entry(&refused, LinuxSeccompAction::ScmpActErrno, Some(EPERM), vec![]));
    syscalls.insert(1, entry(&allowed, LinuxSeccompAction::ScmpActAllow, None, vec![]));

    let mut profile = LinuxSeccomp::default();
    profile
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(ENOSYS))
        .set_architectures(Some(native_architectures()))
        .set_syscalls(Some(syscalls));
    profile
}

/// What this machine's kernel can run.
pub(super) fn native_architectures() -> Vec<Arch> {
    if cfg!(target_arch = "x86_64") {
        vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]
    } else if cfg!(target_arch = "aarch64") {
        vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm]
    } else {
        Vec::new()
    }
}

/// The call without any of `flags` in its first argument; EPERM, not ENOSYS, with one of them.
fn no_namespaces(name: &str, flags: u64) -> Vec<LinuxSyscall> {
    let mut entries = vec![allow(name, vec![is(0, flags, 0)])];
    let bits = (0..u32::BITS).map(|bit| 1 << bit).filter(|bit| flags & bit != 0);
    entries.extend(bits.map(|bit| errno(name, EPERM, vec![is(0, bit, bit)])));
    entries
}

fn ioctls() -> Vec<LinuxSyscall> {
    let harmful = [TIOCSTI, TIOCLINUX];
    let mut entries: Vec<_> = all_but(1, &harmful).into_iter().map(|arg| allow("ioctl", vec![arg])).collect();
    entries.extend(harmful.map(|request| errno("ioctl", EPERM, vec![is(1, LOW_WORD, request)])));
    entries
}

fn sockets(audit_write: bool) -> Vec<LinuxSyscall> {
    let harmful = [AF_ALG, AF_VSOCK];
    let mut special = harmful.to_vec();
    let mut entries = Vec::new();
    if !audit_write {
        // EINVAL tells libaudit that the kernel has no audit: sudo, su and cron then go on without.
        special.push(AF_NETLINK);
        let netlink = is(0, LOW_WORD, AF_NETLINK);
        entries
            .push(allow("socket", vec![netlink, compare(2, LinuxSeccompOperator::ScmpCmpNe, NETLINK_AUDIT)]));
        let audit = compare(2, LinuxSeccompOperator::ScmpCmpEq, NETLINK_AUDIT);
        entries.push(errno("socket", EINVAL, vec![netlink, audit]));
    }
    let others = all_but(0, &special).into_iter().map(|arg| allow("socket", vec![arg]));
    entries.splice(0..0, others);
    entries.extend(harmful.map(|family| errno("socket", EPERM, vec![is(0, LOW_WORD, family)])));
    entries
}

/// Masks that together match every 32-bit value but these: one for each way to leave the tree of their bits.
///
/// The deepest come first: small neighbours of the values, which are what programs use.
fn all_but(index: usize, values: &[u64]) -> Vec<LinuxSeccompArg> {
    let mut masks = Vec::new();
    for depth in 0..u32::BITS {
        // Bits above `bit` are fixed, `bit` is the first to differ.
        let bit = 1_u64 << depth;
        let mask = LOW_WORD & !(bit - 1);
        let mut exits: Vec<u64> = values.iter().map(|value| (value & mask) ^ bit).collect();
        exits.sort_unstable();
        exits.dedup();
        exits.retain(|exit| !values.iter().any(|value| value & mask == *exit));
        masks.extend(exits.into_iter().map(|exit| is(index, mask, exit)));
    }
    masks
}

pub(super) fn is(index: usize, mask: u64, value: u64) -> LinuxSeccompArg {
    argument(index, LinuxSeccompOperator::ScmpCmpMaskedEq, mask, value)
}

pub(super) fn compare(index: usize, op: LinuxSeccompOperator, value: u64) -> LinuxSeccompArg {
    argument(index, op, value, 0)
}

fn argument(index: usize, op: LinuxSeccompOperator, value: u64, value_two: u64) -> LinuxSeccompArg {
    let builder = LinuxSeccompArgBuilder::default().index(index).op(op).value(value).value_two(value_two);
    // Every field has a default: there is nothing that could be missing.
    builder.build().unwrap_or_default()
}

pub(super) fn allow(name: &str, args: Vec<LinuxSeccompArg>) -> LinuxSyscall {
    entry(&[name], LinuxSeccompAction::ScmpActAllow, None, args)
}

pub(super) fn errno(name: &str, errno: u32, args: Vec<LinuxSeccompArg>) -> LinuxSyscall {
    entry(&[name], LinuxSeccompAction::ScmpActErrno, Some(errno), args)
}

pub(super) fn entry(
    names: &[&str],
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Vec<LinuxSeccompArg>,
) -> LinuxSyscall {
    let mut entry = LinuxSyscall::default();
    entry
        .set_names(names.iter().map(|name| (*name).to_owned()).collect())
        .set_action(action)
        .set_errno_ret(errno_ret)
        .set_args((!args.is_empty()).then_some(args));
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_covers_every_value_once_and_no_forbidden_one() {
        let values = [TIOCSTI, TIOCLINUX];
        let masks = all_but(1, &values);
        let hits =
            |value: u64| masks.iter().filter(|m| value & m.value() == m.value_two().unwrap_or(0)).count();
        for value in (0..=0xffff).chain([LOW_WORD, 0x8000_5412, 0x1_0000]) {
            assert_eq!(hits(value), usize::from(!values.contains(&value)), "{value:#x}");
        }
        // Bits above the word the kernel reads do not help.
        assert_eq!(hits(TIOCSTI | 1 << 32), 0);
    }

    #[test]
    fn capabilities_move_calls_from_refused_to_allowed() {
        let names = |caps: &[String], action| -> Vec<String> {
            let profile = default_profile(caps);
            let entries = profile.syscalls().iter().flatten();
            entries
                .filter(|e| e.action() == action && e.args().is_none())
                .flat_map(|e| e.names().clone())
                .collect()
        };
        let plain = names(&[], LinuxSeccompAction::ScmpActErrno);
        assert!(plain.contains(&"mount".to_owned()) && plain.contains(&"chroot".to_owned()));
        let admin = names(&["CAP_SYS_ADMIN".to_owned()], LinuxSeccompAction::ScmpActAllow);
        assert!(admin.contains(&"mount".to_owned()) && admin.contains(&"clone3".to_owned()));
        assert!(!admin.contains(&"chroot".to_owned()));
    }
}
