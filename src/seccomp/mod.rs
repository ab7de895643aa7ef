//! Seccomp: an OCI profile becomes a finished BPF program. Pure: no kernel call, no file, tested without a container.
//!
//! # Theory of operation
//!
//! ```text
//! LinuxSeccomp ──rules──▶ per ABI: number → Return(action) | Choose(conditions) ──compile──▶ one tree per kernel arch ──asm──▶ BPF
//! ```
//!
//! - `abi`: the five ABIs (x86_64, x86, x32, aarch64, arm), their audit numbers and `table`, their syscall numbers.
//! - `rules`: what the profile means, with libseccomp's semantics, so that a profile does here what it does under runc
//!   and crun: an entry whose action is the default says nothing; an entry without arguments beats all entries with; the
//!   arguments of one entry are ANDed, entries ORed, and two conditions on one argument make every condition a rule of
//!   its own; unknown names are skipped; x86, x32 and arm compare 32 bits. Where two conditional entries with different actions
//!   overlap libseccomp promises no order: here the first one in the document wins.
//! - `compile`: numbers of equal fate become ranges, and a balanced binary tree finds the range: 7 comparisons for the
//!   default profile. A syscall that is allowed without looking at its arguments costs nothing on kernels ≥ 5.11: they
//!   run the program once per number at load and keep a bitmap of the always-allowed; it understands just the few
//!   instructions that `asm` writes (ld, and, jumps, ret), so the vocabulary must stay that small. Beside libseccomp's
//!   program for the default profile, ours is two thirds as long, installs in a quarter of the time (the kernel's dry runs
//!   are what takes it) and adds half as much to an ioctl.
//! - `asm`: writes from the last instruction to the first, so every jump's target is known; far jumps get a stepping stone.
//!
//! An ABI that is not listed is killed, as libseccomp does: its numbers mean other calls. A profile that answers
//! unknown calls with an errno other than ENOSYS gets ENOSYS for numbers above the newest it knows (runc's stub):
//! libcs probe new calls and fall back on ENOSYS only.

mod abi;
mod asm;
mod compile;
mod rules;
mod table;
#[cfg(test)]
mod tests;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag};

use crate::error::Result;
pub use crate::spec::seccomp_file::parse_profile;
pub use crate::spec::seccomp_pretend::{pretend, record};
pub use crate::spec::seccomp_profile::default_profile;

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SockFilter {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// A program that seccomp(2) accepts: at most 4096 instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(pub Vec<SockFilter>);

/// Compiles a profile for the ABIs it lists and the native one.
pub fn compile(seccomp: &LinuxSeccomp) -> Result<Program> {
    compile::program(seccomp)
}

/// `SECCOMP_FILTER_FLAG_*` for seccomp(2), without NEW_LISTENER: ask [`uses_notify`].
pub fn flags(seccomp: &LinuxSeccomp) -> Result<u32> {
    const LOG: u32 = 1 << 1;
    const SPEC_ALLOW: u32 = 1 << 2;
    const WAIT_KILLABLE_RECV: u32 = 1 << 5;
    let mut bits = 0;
    for flag in seccomp.flags().iter().flatten() {
        bits |= match flag {
            // Nothing to do: whoever installs the filter has one thread, and the kernel refuses TSYNC with a listener.
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => LOG,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => SPEC_ALLOW,
            // EINVAL without a listener.
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv if uses_notify(seccomp) => {
                WAIT_KILLABLE_RECV
            }
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 0,
        };
    }
    Ok(bits)
}

/// Whether a listener must be made (`SECCOMP_FILTER_FLAG_NEW_LISTENER`) and sent to `listenerPath`.
pub fn uses_notify(seccomp: &LinuxSeccomp) -> bool {
    seccomp.syscalls().iter().flatten().any(|s| s.action() == LinuxSeccompAction::ScmpActNotify)
}
