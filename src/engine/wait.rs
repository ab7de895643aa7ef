//! Waiting for a container's state.
//!
//! The end is waited for on the monitor's lifetime lock, without polling. Other states are looked at now and then.

use crate::error::{Error, Kind, Result};
use crate::monitor::client;
use crate::ondisk::container::{Container, Status};
use crate::paths::Dirs;
use std::time::Duration;

/// A word of `--condition`.
pub fn condition(text: &str) -> Result<Status> {
    Status::parse(if text == "removing" { "exited" } else { text }).ok_or_else(|| {
        Error::usage(format_args!(
            "invalid condition {text:?}: not one of created, running, paused, stopping, exited"
        ))
    })
}

/// Blocks until the container is in one of the states (none: until it is not running), and gives its exit code.
pub fn wait(dirs: &Dirs, c: &Container, conditions: &[Status], interval: Duration) -> Result<i32> {
    let only_the_end = conditions.iter().all(|s| *s == Status::Exited);
    loop {
        let state = match super::lookup::state(dirs, c) {
            // Removed by --rm: its end has been.
            Err(e) if e.kind() == Kind::NotFound && !dirs.container(&c.id).exists() => return Ok(-1),
            other => other?,
        };
        let ended = matches!(state.status, Status::Exited)
            || (conditions.is_empty() && state.status == Status::Created);
        let reached = if conditions.is_empty() { ended } else { conditions.contains(&state.status) };
        if reached {
            // podman: 0 for a container that never ran, -1 for a state that is no end.
            let otherwise = if conditions.is_empty() { 0 } else { -1 };
            return Ok(if state.status == Status::Exited { state.exit_code.unwrap_or(0) } else { otherwise });
        }
        if only_the_end && matches!(state.status, Status::Running | Status::Stopping | Status::Paused) {
            return client::wait_exit(dirs, &c.id);
        }
        std::thread::sleep(interval.max(Duration::from_millis(1)));
    }
}
