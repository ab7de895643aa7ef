//! The listener of a seccomp filter goes to the agent that the configuration names: its fd over the agent's socket, with the
//! container process state of the runtime specification.

use super::deliver;
use super::plan::filter::Agent;
use crate::error::{Error, Result};
use std::os::fd::{AsFd, OwnedFd};

/// Connects and sends. `state` is the state document of hooks, up to and after the pid.
pub fn hand_over(agent: &Agent, state: &(Vec<u8>, Vec<u8>), pid: i32, listener: &OwnedFd) -> Result<()> {
    let whole = [state.0.as_slice(), pid.to_string().as_bytes(), state.1.as_slice()].concat();
    let state: serde_json::Value = serde_json::from_slice(&whole).map_err(Error::internal)?;
    let document = serde_json::json!({
        "ociVersion": super::OCI_VERSION,
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": agent.metadata,
        "state": state,
    });
    let text = document.to_string();
    deliver::fd(&agent.path, text.as_bytes(), listener.as_fd(), "failed to connect with seccomp agent")
}
