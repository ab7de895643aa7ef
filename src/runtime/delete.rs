//! `delete`: whatever is left of a container goes, also of one whose create was killed half way.

use super::args::Context;
use super::hooks::{self, HookState};
use super::kill::out_of_reach;
use super::rdt;
use super::spawn::pidfd_of;
use super::state::{StateDir, Status, is_alive, no_such_container};
use crate::cgroup::fs::Cgroup;
use crate::error::{Context as _, Error, Kind, Result};
use crate::id::RuntimeId;
use crate::ondisk::runtime_state::{CGROUP, RuntimeState};
use crate::sys::{CallContext, pidfd};
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// `delete`. With `force`, a container that is not there is gone already.
pub fn delete(context: &Context, id: &RuntimeId, force: bool) -> Result<()> {
    let Some(dir) = StateDir::open(context, id)? else {
        return if force { Ok(()) } else { Err(no_such_container()) };
    };
    let record = dir.record().or_else(|e| if force { Ok(None) } else { Err(e) })?;
    let status = dir.status(record.as_ref());
    match status {
        Status::Stopped | Status::Created => {}
        _ if force => {}
        other => {
            return Err(Error::in_use(format_args!(
                "cannot delete container {id} that is not stopped: {}",
                other.as_str()
            )));
        }
    }
    remove(context, &dir, record.as_ref(), force)
}

/// `delete --regex`: each of them, whatever becomes of the others. What has gone meanwhile is gone.
pub fn delete_all(context: &Context, ids: &[RuntimeId], force: bool) -> Result<()> {
    let still_there = |id: &RuntimeId| !matches!(StateDir::look(context, id), Ok(None));
    let failed: Vec<(Kind, String)> = ids
        .iter()
        .filter_map(|id| delete(context, id, force).err().map(|e| (id, e)))
        .filter(|(id, _)| still_there(id))
        .map(|(id, e)| (e.kind(), format!("{id}: {e}")))
        .collect();
    let Some((kind, _)) = failed.first() else { return Ok(()) };
    let counted = format!("{} of {} containers are still there", failed.len(), ids.len());
    Err(failed.iter().fold(Error::new(*kind, counted), |error, (_, words)| error.cause(words)))
}

/// Kills what lives, removes cgroup and state, runs the poststop hooks.
pub fn remove(context: &Context, dir: &StateDir, record: Option<&RuntimeState>, force: bool) -> Result<()> {
    let cgroup = dir.noted(CGROUP)?.map(|path| Cgroup::open(&path)).transpose()?.flatten();
    if let Some(record) = record {
        kill_init(record, cgroup.as_ref())?;
    }
    if let Some(cgroup) = cgroup {
        if force || record.is_none_or(|record| !record.own_pid_namespace) {
            cgroup.kill_all()?;
        }
        cgroup.remove()?;
    }
    rdt::remove(dir);
    dir.remove()?;
    if let Some(record) = record {
        let state = HookState {
            id: &record.id,
            status: Status::Stopped,
            pid: 0,
            bundle: Path::new(&record.bundle),
            annotations: &record.annotations,
        };
        // "If any `poststop` hook fails, the runtime MUST log a warning, but the remaining hooks and lifecycle continue as if
        // the hook had succeeded" (runtime.md).
        hooks::run_all(context, "poststop", &record.poststop, state);
    }
    Ok(())
}

/// Kills the first process and waits for its end: until then its mounts are busy and its cgroup is not empty.
fn kill_init(record: &RuntimeState, cgroup: Option<&Cgroup>) -> Result<()> {
    let Ok(held) = pidfd_of(record.pid) else { return Ok(()) };
    if !is_alive(record) {
        return Ok(());
    }
    match (pidfd::signal(held.as_fd(), libc::SIGKILL), cgroup) {
        (Ok(()) | Err(Errno::SRCH), _) => {}
        // Its user is one of a user namespace beside ours (each `buildah unshare` has its own), but its cgroup may be ours.
        (Err(_), Some(cgroup)) => {
            cgroup.kill_all().what(|| format!("cannot end container {}", record.id))?;
        }
        (sent, None) => sent
            .call(|| format!("pidfd_send_signal({}, SIGKILL)", record.pid))
            .map_err(out_of_reach)
            .what(|| format!("cannot end container {}", record.id))?,
    }
    // The freezer of v1 holds a killed process too: its own may be frozen, or it was put under another one.
    if let (Ok(false), Some(cgroup)) = (pidfd::wait(held.as_fd(), Duration::from_millis(100)), cgroup) {
        let _ = cgroup.thaw();
        let _ = cgroup.add_v1(record.pid);
    }
    match pidfd::wait(held.as_fd(), Duration::from_secs(10)) {
        Ok(false) => Err(Error::host(format_args!("container {} does not end", record.id))
            .cause(format_args!("process {} is still there 10 s after SIGKILL", record.pid))),
        _ => Ok(()),
    }
}
