//! /dev/null, and in the place of stdio: who outlives its caller keeps no terminal or pipe of the caller's.

use super::{CallContext, Result};
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;

/// For reading and writing.
pub fn open() -> Result<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .call(|| "open(\"/dev/null\")")
}

/// Lets go of stdin, stdout and stderr.
pub fn leave_stdio() -> Result<()> {
    let null = open()?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .call(|| "dup2(/dev/null)")
}
