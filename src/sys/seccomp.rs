//! Installing a finished BPF program.

#![allow(unsafe_code)] // seccomp(2): rustix lacks it

use rustix::io::{Errno, Result};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// One BPF instruction, as the kernel reads it (struct sock_filter).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub jump_true: u8,
    pub jump_false: u8,
    pub k: u32,
}

/// struct sock_fprog.
#[repr(C)]
struct Program {
    len: u16,
    filter: *const Instruction,
}

/// SECCOMP_FILTER_FLAG_NEW_LISTENER.
pub const FLAG_NEW_LISTENER: u32 = 1 << 3;
/// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: once somebody answers a call, only a deadly signal ends the waiting.
pub const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// Installs `program` on the caller. Needs no_new_privs or CAP_SYS_ADMIN. With FLAG_NEW_LISTENER, returns its fd.
pub fn install(program: &[Instruction], flags: u32) -> Result<Option<OwnedFd>> {
    const SECCOMP_SET_MODE_FILTER: u32 = 1;
    let len = u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?;
    let header = Program { len, filter: program.as_ptr() };
    // SAFETY: the kernel copies `len` instructions from `filter` before it returns, and `program` is borrowed.
    let returned =
        unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &raw const header) };
    match returned {
        -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
        // SAFETY: with this flag the kernel returns a new fd, owned by nobody else.
        fd if flags & FLAG_NEW_LISTENER != 0 => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })),
        _ => Ok(None),
    }
}
