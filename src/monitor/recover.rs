//! Putting a container right whose monitor died without writing its end. Done by the guard, else by the next command.
//!
//! The order is fixed: lock, kill, wait until dead, only then the record. Both doers may run at once; the lock lets one in,
//! and the other finds a terminal record. A container of another host (shared home) is never touched: its lock is there.

use super::lock::Lifetime;
use super::{cgroup, ctr_log, lock, remove};
use crate::error::{Context, Error, Kind, Result};
use crate::external::runtime::{Runtime, delete_args};
use crate::id::ContainerId;
use crate::ondisk::container::{Container, State, Status};
use crate::ondisk::{Durability, publish, read, read_opt};
use crate::paths::Dirs;
use crate::sys::{self, CallContext};
use crate::userns;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How long the dead are waited for. Only a process in an uninterruptible sleep takes so long.
const DEATH: Duration = Duration::from_secs(10);

/// Exit code of a container whose end nobody saw: as if killed.
const KILLED: i32 = 137;

/// The state of a container, put right first when its monitor is gone.
pub fn recover(dirs: &Dirs, id: &ContainerId) -> Result<State> {
    let bundle = open_bundle(dirs, id)?;
    let state = read_state(&bundle)?;
    let run = dirs.container_run(id);
    let leftover = run.join("oci").join(id).exists();
    if is_terminal(&state) && !leftover && !is_abandoned(&state) {
        return Ok(state);
    }
    if !super::client::is_alive(dirs, id)? {
        return recover_dead(dirs, id);
    }
    if is_terminal(&state) || state.monitor_pid.is_some_and(is_running) || super::client::listens(dirs, id)? {
        return Ok(state);
    }
    // Somebody writes its end just now: the guard, another command, or the monitor with its last breath.
    match recover_dead(dirs, id) {
        Err(e) if e.kind() == Kind::InUse => Ok(state),
        other => other,
    }
}

/// The same when the monitor is known to be dead: waits for another one who is at it (the guard).
pub fn recover_dead(dirs: &Dirs, id: &ContainerId) -> Result<State> {
    let bundle = open_bundle(dirs, id)?;
    let container: Container = read(&bundle, "container.json")?;
    if container.machine_id != machine_id() {
        return read_state(&bundle);
    }
    let run = remove::make_run(dirs, id)?;
    let Some(lock) = Lifetime::acquire(run.as_fd(), DEATH)? else {
        return Err(Error::in_use(format_args!("cannot recover container {}", container.name))
            .cause("another process works on it"));
    };
    // Another one may have been faster.
    let state = read_state(&bundle)?;
    let abandoned = is_abandoned(&state);
    if is_terminal(&state) && !abandoned && !dirs.container_run(id).join("oci").join(id).exists() {
        return Ok(state);
    }
    let state =
        end(dirs, &container, state).what(|| format!("cannot recover container {}", container.name))?;
    if (abandoned || state.status == Status::Exited) && container.auto_remove {
        // The monitor would have removed it. Files of other ids need the store's namespace.
        if userns::inside_store() {
            remove::remove_locked(dirs, &container, true)?;
        } else {
            drop(lock);
            remove::in_store(dirs, id)?;
        }
        return Ok(state);
    }
    match publish(&bundle, "state.json", &state, Durability::Durable) {
        // The next one writes it. Else nobody could see the container, or remove it to make room.
        Err(e) if matches!(e.errno(), Some(libc::ENOSPC | libc::EDQUOT)) => {}
        other => other?,
    }
    remove::clean_run_dir(&run);
    drop(lock);
    Ok(state)
}

/// The guard's call: the monitor is dead, at whatever point of its life. `--rm` counts also before the payload ran.
pub(super) fn after_death(dirs: &Dirs, id: &ContainerId) {
    let state = recover_dead(dirs, id);
    if state.is_ok_and(|state| state.status == Status::Created)
        && let Ok(container) =
            open_bundle(dirs, id).and_then(|bundle| read::<Container>(&bundle, "container.json"))
        && container.auto_remove
    {
        let _ = remove::remove(dirs, &container, true, lock::LOOKERS);
    }
}

/// The state of a container that the calling process is about to start. With it, if we are killed before a monitor has
/// the lifetime lock, the next command finds nobody left and removes (`--rm`) what nobody else would.
pub fn starting() -> State {
    let me = rustix::process::getpid().as_raw_nonzero().get();
    State { monitor_pid: Some(me), pid_start: start_time(me), boot_id: Some(boot_id()), ..State::created() }
}

/// Of whom nobody is left, when no monitor lives: a start whose command is dead, or the pause before a restart.
fn is_abandoned(state: &State) -> bool {
    let same_boot = || state.boot_id.as_deref() == Some(boot_id().as_str());
    match (state.status, state.monitor_pid) {
        (Status::Created, Some(pid)) => start_time(pid) != state.pid_start || !same_boot(),
        (Status::Exited, monitor) => monitor.is_some(),
        _ => false,
    }
}

fn is_terminal(state: &State) -> bool {
    matches!(state.status, Status::Created | Status::Exited)
}

/// The record, which a container that was never started need not have.
fn read_state(bundle: &OwnedFd) -> Result<State> {
    Ok(read_opt(bundle, "state.json")?.unwrap_or_else(State::created))
}

/// Kills what is left and says what became of it.
fn end(dirs: &Dirs, container: &Container, mut state: State) -> Result<State> {
    let this_boot = state.boot_id.is_none() || state.boot_id.as_deref() == Some(boot_id().as_str());
    if this_boot {
        let group = state.cgroup.as_deref().and_then(|group| cgroup::open(group).ok());
        if let Some(group) = &group {
            cgroup::kill(group.as_fd(), cgroup::PAYLOAD);
            // The guard runs in `supervisor` itself; its helpers are its children and dead by now.
            if !userns::inside_store() {
                cgroup::kill(group.as_fd(), cgroup::SUPERVISOR);
            }
        }
        if let (Some(pid), Some(start)) = (state.pid, state.pid_start) {
            kill_process(pid, start)?;
        }
        delete_from_runtime(dirs, container);
        if let Some(group) = &group {
            cgroup::remove(group.as_fd(), cgroup::PAYLOAD);
        }
    }
    if state.status != Status::Created && state.status != Status::Exited {
        state.status = Status::Exited;
        state.exit_code = Some(KILLED);
        state.finished = Some(ctr_log::now());
        state.error = Some(if this_boot { "monitor killed" } else { "the machine was restarted" }.to_owned());
    }
    state.pid = None;
    state.pid_start = None;
    state.monitor_pid = None;
    Ok(state)
}

/// SIGKILL for init (with it goes its whole pid namespace), and waits for its end.
fn kill_process(pid: i32, start: u64) -> Result<()> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    // Asked after pidfd_open: the pid cannot change hands any more.
    if start_time(pid.as_raw_nonzero().get()) != Some(start) {
        return Ok(());
    }
    let _ = sys::signal::send(pidfd.as_fd(), libc::SIGKILL);
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    match rustix::event::poll(&mut fds, Some(&super::events::timespec(DEATH))) {
        Ok(0) => Err(Error::host(format_args!("process {} does not die", pid.as_raw_nonzero()))
            .cause(format_args!("it still exists {} s after SIGKILL", DEATH.as_secs()))),
        _ => Ok(()),
    }
}

/// The runtime's own records, and whatever a half-done `create` left.
fn delete_from_runtime(dirs: &Dirs, container: &Container) {
    let root = dirs.container_run(&container.id).join("oci");
    if root.join(&container.id).exists()
        && let Ok(runtime) = Runtime::open(container.runtime.as_deref(), root, true)
    {
        let _ = runtime.run(&delete_args(container.id.as_str()));
    }
}

fn open_bundle(dirs: &Dirs, id: &ContainerId) -> Result<OwnedFd> {
    let path = dirs.container(id);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})"))?)
}

/// Whether a process is there and no zombie. Another pid namespace shows it not.
fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, after_name)| !after_name.starts_with(" Z"))
}

/// Field 22 of /proc/PID/stat: with it a pid means one process for ever (until the next boot).
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain spaces and parentheses itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// This boot.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// This host, for stores on a shared home.
pub fn machine_id() -> String {
    std::fs::read_to_string("/etc/machine-id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn our_own_start_time_is_known() {
        let me = std::process::id().try_into().unwrap();
        assert!(super::start_time(me).unwrap() > 0);
        assert_eq!(super::start_time(i32::MAX), None);
    }
}
