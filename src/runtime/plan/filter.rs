//! The container's seccomp profile as the kernel takes it.

use crate::error::{Error, Result};
use crate::seccomp;
use crate::sys::seccomp::Instruction;
use oci_spec::runtime::LinuxSeccomp;

/// A finished program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub program: Vec<Instruction>,
    pub flags: u32,
}

/// Compiles `seccomp`.
pub fn compile(seccomp: &LinuxSeccomp) -> Result<Filter> {
    if seccomp::uses_notify(seccomp) {
        return Err(Error::usage("seccomp: SCMP_ACT_NOTIFY is not supported yet"));
    }
    let instruction =
        |i: seccomp::SockFilter| Instruction { code: i.code, jump_true: i.jt, jump_false: i.jf, k: i.k };
    let program = seccomp::compile(seccomp)?.0.into_iter().map(instruction).collect();
    Ok(Filter { program, flags: seccomp::flags(seccomp)? })
}
