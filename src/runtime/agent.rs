//! The listener of a seccomp filter goes to the agent that the configuration names: its fd over the agent's socket, with the
//! container process state of the runtime specification.

use super::plan::filter::Agent;
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// Connects and sends. `state` is the state document of hooks, up to and after the pid.
pub fn hand_over(agent: &Agent, state: &(Vec<u8>, Vec<u8>), pid: i32, listener: &OwnedFd) -> Result<()> {
    let cannot = || format!("failed to connect with seccomp agent {}", agent.path.display());
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .call(|| "socket(AF_UNIX)")?;
    let address = SocketAddrUnix::new(&agent.path).call(|| "sun_path").what(cannot)?;
    rustix::net::connect(&socket, &address).call(|| format!("connect({:?})", agent.path)).what(cannot)?;
    let whole = [state.0.as_slice(), pid.to_string().as_bytes(), state.1.as_slice()].concat();
    let state: serde_json::Value = serde_json::from_slice(&whole).map_err(Error::internal)?;
    let document = serde_json::json!({
        "ociVersion": super::OCI_VERSION,
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": agent.metadata,
        "state": state,
    });
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [listener.as_fd()];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Error::internal("no room for one fd"));
    }
    let text = document.to_string();
    rustix::net::sendmsg(&socket, &[IoSlice::new(text.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)
        .call(|| "sendmsg(seccomp agent)")
        .what(cannot)?;
    Ok(())
}
