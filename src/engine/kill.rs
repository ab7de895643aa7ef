//! Sending a signal to a container's first process, pausing and unpausing it: requests to its monitor.

use super::lookup;
use crate::error::{Context, Error, Result};
use crate::monitor::client;
use crate::ondisk::container::{Container, Status};
use crate::paths::Dirs;

/// Sends `signal`. One that means the end also ends the restart policy.
pub fn kill(dirs: &Dirs, c: &Container, signal: i32) -> Result<()> {
    let state = lookup::state(dirs, c)?;
    if !matches!(state.status, Status::Running | Status::Stopping | Status::Paused) {
        return Err(wrong_state(c, "kill", state.status, "can only kill running containers"));
    }
    let final_signal = signal == libc::SIGKILL || signal == libc::SIGTERM || signal == c.stop_signal;
    client::signal(dirs, &c.id, signal, final_signal).what(|| format!("cannot kill container {}", c.name))
}

/// Freezes all its processes.
pub fn pause(dirs: &Dirs, c: &Container) -> Result<()> {
    match lookup::state(dirs, c)?.status {
        Status::Running => client::pause(dirs, &c.id).what(|| format!("cannot pause container {}", c.name)),
        status => Err(wrong_state(c, "pause", status, "can only pause running containers")),
    }
}

/// Lets a paused container go on.
pub fn unpause(dirs: &Dirs, c: &Container) -> Result<()> {
    match lookup::state(dirs, c)?.status {
        Status::Paused => client::resume(dirs, &c.id).what(|| format!("cannot unpause container {}", c.name)),
        status => Err(wrong_state(c, "unpause", status, "can only unpause paused containers")),
    }
}

/// The error of an action that the container's state forbids, with podman's words in it.
pub fn wrong_state(c: &Container, action: &str, status: Status, rule: &str) -> Error {
    Error::in_use(format_args!("cannot {action} container {}", c.name))
        .cause(format_args!("it is {status:?}; {rule}: container state improper").to_string().to_lowercase())
}
