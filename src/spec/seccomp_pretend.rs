//! The default profile for a container with one mapped id: changes of owner and identity succeed and do nothing.
//!
//! Package managers unpack files of many owners, make device nodes and take on other identities; with one id the kernel
//! refuses all of that, and the installation fails for files that belong to the user either way. So those calls are answered
//! with success, as `fakeroot` and other one-user runtimes do. Nobody gains by it: whoever asks to be another user stays
//! the one that they are, the caller's own.
//!
//! With `pretend` nothing is remembered: `stat` and `getuid` tell the truth. With `record` somebody is asked (SCMP_ACT_NOTIFY)
//! who remembers owners, devices and identities, and has `stat` and `getuid` give them back: `monitor::owners`. What makes a
//! file or executes a program is asked about too: whose the file is and who the program is run by is part of that.

use super::seccomp_profile::{allow, compare, entry, errno, is};
use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag, LinuxSeccompOperator, LinuxSyscall,
};

/// Answered with success, whatever their arguments.
#[rustfmt::skip]
const PRETENDED: &[&str] = &[
    "chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32", "setfsgid", "setfsgid32", "setfsuid",
    "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setregid", "setregid32", "setresgid",
    "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setuid", "setuid32",
];
/// Of those, the ones that change owners of files: asked about where they are recorded, as are …
const OWNERS: &[&str] = &["chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32"];
/// … the ones that tell owners.
const TELLERS: &[&str] =
    &["fstat", "fstat64", "fstatat64", "lstat", "lstat64", "newfstatat", "stat", "stat64", "statx"];
/// Calls that change who a process is, and that tell it. Not the two of file servers (setfsuid): they tell by changing.
#[rustfmt::skip]
const IDENTITIES: &[&str] = &[
    "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32", "getresgid",
    "getresgid32", "getresuid", "getresuid32", "getuid", "getuid32", "setgid", "setgid32", "setgroups", "setgroups32",
    "setregid", "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32",
    "setuid", "setuid32",
];
/// Calls that make a file, which is the caller's, or execute a program, which may be somebody's.
const MAKERS: &[&str] = &["creat", "execve", "execveat", "mkdir", "mkdirat", "symlink", "symlinkat"];
/// Calls that make a file when their flags, the argument of this number, say so. openat2 has its flags in memory.
const OPENERS: [(&str, usize); 2] = [("open", 1), ("openat", 2)];
/// PR_SET_KEEPCAPS: the one prctl that decides whether privileges stay when the user changes.
const KEEP: u64 = 8;
/// The calls that make nodes, and where their mode and device stand among the arguments.
const NODES: [(&str, usize, usize); 2] = [("mknod", 1, 2), ("mknodat", 2, 3)];

const CREATE: u64 = libc::O_CREAT as u64;
const TYPE: u64 = libc::S_IFMT as u64;
/// Types of files that every user may make; 0 is a regular file too.
const PLAIN: [u64; 4] = [0, libc::S_IFREG as u64, libc::S_IFIFO as u64, libc::S_IFSOCK as u64];

/// `profile` with those calls pretended.
pub fn pretend(mut profile: LinuxSeccomp) -> LinuxSeccomp {
    let ours = |name: &String| PRETENDED.contains(&name.as_str()) || NODES.iter().any(|node| node.0 == name);
    let mut syscalls: Vec<LinuxSyscall> = Vec::new();
    for mut call in profile.syscalls().clone().unwrap_or_default() {
        let names: Vec<String> = call.names().iter().filter(|name| !ours(name)).cloned().collect();
        if !names.is_empty() {
            call.set_names(names);
            syscalls.push(call);
        }
    }
    syscalls.push(entry(PRETENDED, LinuxSeccompAction::ScmpActErrno, Some(0), vec![]));
    for (name, mode, device) in NODES {
        syscalls.extend(PLAIN.map(|kind| allow(name, vec![is(mode, TYPE, kind)])));
        let block = is(mode, TYPE, libc::S_IFBLK.into());
        let character = is(mode, TYPE, libc::S_IFCHR.into());
        syscalls.push(errno(name, 0, vec![block]));
        // Device 0:0 is a mark of overlays, which every user may make.
        let mark = compare(device, LinuxSeccompOperator::ScmpCmpEq, 0);
        let other = compare(device, LinuxSeccompOperator::ScmpCmpNe, 0);
        syscalls.push(allow(name, vec![character, mark]));
        syscalls.push(errno(name, 0, vec![character, other]));
    }
    profile.set_syscalls(Some(syscalls));
    profile
}

/// `profile` with those calls pretended that nobody remembers, and the others asked about at `socket`. `waits`: the kernel
/// knows how to let a call that is being answered wait through signals; a device would else be made by a call that fails.
pub fn record(profile: LinuxSeccomp, socket: &str, waits: bool) -> LinuxSeccomp {
    let mut profile = pretend(profile);
    let asked = [OWNERS, TELLERS, IDENTITIES, MAKERS].concat();
    let mut syscalls = profile.syscalls().clone().unwrap_or_default();
    for call in &mut syscalls {
        let makes = call.names().iter().any(|name| NODES.iter().any(|node| node.0 == name));
        let by_kind = call.args().as_ref().is_some_and(|args| args.len() == 1);
        if makes && (by_kind || call.action() == LinuxSeccompAction::ScmpActErrno) {
            call.set_action(LinuxSeccompAction::ScmpActNotify).set_errno_ret(None);
        }
        let ours = |name: &String| {
            asked.contains(&name.as_str()) || name == "prctl" || OPENERS.iter().any(|opener| opener.0 == name)
        };
        let names = call.names().iter().filter(|name| !ours(name)).cloned().collect();
        call.set_names(names);
    }
    syscalls.retain(|call| !call.names().is_empty());
    let notify = LinuxSeccompAction::ScmpActNotify;
    syscalls.push(entry(&asked, notify, None, vec![]));
    syscalls.push(entry(&["prctl"], notify, None, vec![compare(0, LinuxSeccompOperator::ScmpCmpEq, KEEP)]));
    syscalls.push(allow("prctl", vec![compare(0, LinuxSeccompOperator::ScmpCmpNe, KEEP)]));
    for (name, flags) in OPENERS {
        syscalls.push(entry(&[name], notify, None, vec![is(flags, CREATE, CREATE)]));
        syscalls.push(allow(name, vec![is(flags, CREATE, 0)]));
    }
    profile.set_syscalls(Some(syscalls));
    profile.set_listener_path(Some(socket.into()));
    if waits {
        profile.set_flags(Some(vec![LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv]));
    }
    profile
}

#[cfg(test)]
mod tests {
    use super::super::seccomp_profile::default_profile;
    use super::*;

    #[test]
    fn no_call_has_an_unconditional_rule_beside_a_pretended_one() {
        let profile = pretend(default_profile(&["CAP_CHOWN".to_owned(), "CAP_MKNOD".to_owned()]));
        for call in profile.syscalls().clone().unwrap() {
            let plain = call.args().as_ref().is_none_or(Vec::is_empty);
            let pretended = call.errno_ret() == Some(0);
            for name in call.names() {
                assert!(!plain || pretended || !PRETENDED.contains(&name.as_str()), "{name}");
                assert!(!plain || NODES.iter().all(|node| node.0 != name), "{name}");
            }
        }
    }

    #[test]
    fn each_call_that_is_asked_about_has_one_rule() {
        let profile = record(default_profile(&[]), "/s", true);
        let syscalls = profile.syscalls().clone().unwrap();
        for name in OWNERS.iter().chain(TELLERS).chain(IDENTITIES).chain(MAKERS) {
            let rules: Vec<_> =
                syscalls.iter().filter(|call| call.names().iter().any(|n| n == name)).collect();
            assert_eq!(rules.len(), 1, "{name}");
            assert_eq!(rules[0].action(), LinuxSeccompAction::ScmpActNotify, "{name}");
        }
        // Of nodes each kind is asked about, and nothing pretended; of prctl one option, of open one flag.
        let asked = |name: &str| {
            let rules = syscalls.iter().filter(|call| call.names().iter().any(|n| n == name));
            rules.filter(|call| call.action() == LinuxSeccompAction::ScmpActNotify).count()
        };
        assert_eq!(["mknod", "mknodat", "prctl", "open", "openat"].map(asked), [6, 6, 1, 1, 1]);
        let pretended = syscalls.iter().filter(|call| call.errno_ret() == Some(0));
        let names: Vec<_> = pretended.flat_map(|call| call.names().clone()).collect();
        assert_eq!(names, ["setfsgid", "setfsgid32", "setfsuid", "setfsuid32"]);
    }
}
