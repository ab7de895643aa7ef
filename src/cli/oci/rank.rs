//! `coracle-oci rank ROOT ID FD N PARENT`: what a rank becomes (`engine::ranks`); nobody else calls it.
//!
//! An `exec` in the foreground, of the process that FD holds, in the container ID below ROOT, with N fds from 3 on; but it
//! talks and counts as `coracle` does, in whose place it is, and the process is killed when it ends itself. It holds the
//! rank's lock without knowing of it: by an open file that it inherits and does not pass on.

use crate::error::{Error, Result};
use crate::external::runtime::{RANK_VERB, classify};
use crate::id::RuntimeId;
use crate::runtime::{self, ExecArgs, ExecWhat};
use std::ffi::OsString;

pub(super) const VERB: &str = RANK_VERB;

/// Returns the exit code.
pub(super) fn main(args: &[OsString]) -> u8 {
    super::as_coracle(run(args))
}

fn run(args: &[OsString]) -> Result<i32> {
    let [root, id, process, preserve_fds, parent] = args else {
        return Err(Error::internal("the verb wants ROOT ID FD N PARENT"));
    };
    if parent != "0" {
        die_with_parent(&parent.to_string_lossy())?;
    }
    let context = super::context_at(root.into());
    let args = ExecArgs {
        id: RuntimeId::parse(&id.to_string_lossy())?,
        what: ExecWhat::Process(format!("/proc/self/fd/{}", process.to_string_lossy()).into()),
        detach: false,
        pid_file: None,
        console_socket: None,
        pidfd_socket: None,
        preserve_fds: preserve_fds.to_string_lossy().parse().map_err(|_| Error::internal("no number"))?,
        ignore_paused: true,
        dies_with_us: true,
        cgroup: Vec::new(),
    };
    runtime::exec::exec(&context, &args).map_err(|error| {
        let kind = classify(&error.to_string());
        error.with_kind(kind).wrap("cannot start the command of a rank")
    })
}

/// `coracle fanout` does not leave ranks behind, however it ends; it may have ended before we asked to end with it.
fn die_with_parent(parent: &str) -> Result<()> {
    crate::sys::spawn::die_with_parent(libc::SIGKILL)?;
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if now.to_string() == parent {
        return Ok(());
    }
    Err(Error::internal("the command that started this rank ended too early"))
}
