//! The container's seccomp profile as the kernel takes it.

use crate::error::{Context, Error, Result};
use crate::seccomp;
use crate::sys::seccomp::Instruction;
use oci_spec::runtime::LinuxSeccomp;

/// A finished program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub program: Vec<Instruction>,
    pub flags: u32,
}

/// Compiles `profile`.
pub fn compile(profile: &LinuxSeccomp) -> Result<Filter> {
    if seccomp::uses_notify(profile) {
        return Err(
            Error::usage("cannot use the seccomp profile").cause("SCMP_ACT_NOTIFY is not supported yet")
        );
    }
    let cannot = || "cannot use the seccomp profile";
    let program = seccomp::compile(profile).what(cannot)?.0;
    let instruction =
        |i: &seccomp::SockFilter| Instruction { code: i.code, jump_true: i.jt, jump_false: i.jf, k: i.k };
    Ok(Filter {
        program: program.iter().map(instruction).collect(),
        flags: seccomp::flags(profile).what(cannot)?,
    })
}
