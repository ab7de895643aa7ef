//! The default profile for a container with one mapped id: changes of owner and identity succeed and do nothing.
//!
//! Package managers unpack files of many owners, make device nodes and take on other identities; with one id the kernel
//! refuses all of that, and the installation fails for files that belong to the user either way. So those calls are answered
//! with success, as `fakeroot` and other one-user runtimes do. Nothing is remembered: `stat` and `getuid` tell the truth.
//! Nobody gains by it: whoever asks to be another user stays the one that they are, the caller's own.

use super::seccomp_profile::{allow, compare, entry, errno, is};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompOperator, LinuxSyscall};

/// Answered with success, whatever their arguments.
#[rustfmt::skip]
const PRETENDED: &[&str] = &[
    "chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32", "setfsgid", "setfsgid32", "setfsuid",
    "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setregid", "setregid32", "setresgid",
    "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setuid", "setuid32",
];
/// The calls that make nodes, and where their mode and device stand among the arguments.
const NODES: [(&str, usize, usize); 2] = [("mknod", 1, 2), ("mknodat", 2, 3)];

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
}
