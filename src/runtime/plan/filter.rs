//! The container's seccomp profile as the kernel takes it.

use crate::error::{Context, Error, Result};
use crate::seccomp;
use crate::sys::seccomp::{FLAG_NEW_LISTENER, Instruction};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction};
use std::path::PathBuf;

/// A finished program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub program: Vec<Instruction>,
    pub flags: u32,
    /// Who is asked, when an action is to ask.
    pub agent: Option<Agent>,
}

/// The program behind SCMP_ACT_NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its socket.
    pub path: PathBuf,
    pub metadata: String,
}

/// Calls that a process makes between its filter and its agent's first answer, so nobody can be asked about them. runc
/// refuses `write` for the same reason, and callers know it.
const BEFORE_THE_AGENT: [&str; 2] = ["write", "sendmsg"];

/// The agent of a profile that has SCMP_ACT_NOTIFY.
fn agent(profile: &LinuxSeccomp) -> Result<Option<Agent>> {
    if !seccomp::uses_notify(profile) {
        return Ok(None);
    }
    let refused = |words: String| Error::usage("cannot use the seccomp profile").cause(words);
    if profile.default_action() == LinuxSeccompAction::ScmpActNotify {
        return Err(refused("SCMP_ACT_NOTIFY cannot be used as default action".into()));
    }
    let asks = |entry: &&oci_spec::runtime::LinuxSyscall| entry.action() == LinuxSeccompAction::ScmpActNotify;
    let names = profile.syscalls().iter().flatten().filter(asks).flat_map(|entry| entry.names());
    if let Some(name) = names.into_iter().find(|name| BEFORE_THE_AGENT.contains(&name.as_str())) {
        return Err(refused(format!("SCMP_ACT_NOTIFY cannot be used for the {name} syscall")));
    }
    let path = profile.listener_path().clone().filter(|path| !path.as_os_str().is_empty());
    let path = path.ok_or_else(|| refused("SCMP_ACT_NOTIFY needs linux.seccomp.listenerPath".into()))?;
    Ok(Some(Agent { path, metadata: profile.listener_metadata().clone().unwrap_or_default() }))
}

/// Compiles `profile`.
pub fn compile(profile: &LinuxSeccomp) -> Result<Filter> {
    let agent = agent(profile)?;
    let cannot = || "cannot use the seccomp profile";
    let program = seccomp::compile(profile).what(cannot)?.0;
    let instruction =
        |i: &seccomp::SockFilter| Instruction { code: i.code, jump_true: i.jt, jump_false: i.jf, k: i.k };
    Ok(Filter {
        program: program.iter().map(instruction).collect(),
        flags: seccomp::flags(profile).what(cannot)? | agent.as_ref().map_or(0, |_| FLAG_NEW_LISTENER),
        agent,
    })
}
