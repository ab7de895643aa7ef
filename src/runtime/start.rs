//! `start`: one byte to the process that waits, then wait until it has executed its command (or has failed to); where a
//! service manager wants to know, until it says that it is ready.

use super::args::Context;
use super::hooks::{self, HookState};
use super::notify::Notify;
use super::spawn::pidfd_of;
use super::state::{StateDir, Status, is_alive, no_such_container};
use super::step::Fail;
use super::words;
use crate::error::{Context as _, Error, Result};
use crate::id::RuntimeId;
use crate::ondisk::runtime_state::{FIFO, RuntimeState};
use crate::spec::runtime as spec;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// `start`.
pub fn start(context: &Context, id: &RuntimeId, notify_socket: Option<&OsStr>) -> Result<()> {
    let dir = StateDir::get(context, id)?;
    let record = created(&dir)?;
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fifo = match rustix::fs::openat(&dir.fd, FIFO, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Err(Error::in_use("cannot start an already running container")),
        // Nobody reads: it died since we looked.
        Err(Errno::NXIO) => return Err(Error::in_use("cannot start a container that has stopped")),
        other => other.call(|| format!("openat({FIFO:?})"))?,
    };
    // Two starts at once: the second waits here, and then finds the container running.
    rustix::fs::flock(&fifo, FlockOperation::LockExclusive).call(|| format!("flock({FIFO:?})"))?;
    refuse_unless_created(dir.status(Some(&record)))?;
    let notify = notify_socket.map(|socket| Notify::open(&dir, socket)).transpose()?.flatten();
    rustix::io::write(&fifo, b"\0").call(|| format!("write({FIFO:?})"))?;
    wait_for_exec(&dir, &record)?;
    let _ = rustix::fs::unlinkat(&dir.fd, FIFO, AtFlags::empty());
    poststart_or_stop(&record)?;
    notify.map_or(Ok(()), |notify| notify.wait(&record))
}

/// Hooks after the start. A container whose poststart hook fails is stopped, says the specification.
pub fn poststart_or_stop(record: &RuntimeState) -> Result<()> {
    run_poststart(record).inspect_err(|_| {
        if let Ok(pidfd) = pidfd_of(record.pid)
            && is_alive(record)
        {
            crate::sys::pidfd::kill(pidfd.as_fd());
        }
    })
}

/// Hooks after the start; where one fails the caller stops the container.
pub fn run_poststart(record: &RuntimeState) -> Result<()> {
    let state = HookState {
        id: &record.id,
        status: Status::Running,
        pid: record.pid,
        bundle: Path::new(&record.bundle),
        annotations: &record.annotations,
    };
    hooks::run("poststart", &record.poststart, state)
}

/// The record, once a `create` that is at work has written it: who saw the container in `state` may start it.
fn created(dir: &StateDir) -> Result<RuntimeState> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let record = dir.record()?;
        let status = dir.status(record.as_ref());
        if status == Status::Creating && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        refuse_unless_created(status)?;
        return record.ok_or_else(no_such_container);
    }
}

fn refuse_unless_created(status: Status) -> Result<()> {
    match status {
        Status::Created => Ok(()),
        Status::Running | Status::Paused => Err(Error::in_use("cannot start an already running container")),
        Status::Stopped => Err(Error::in_use("cannot start a container that has stopped")),
        Status::Creating => Err(Error::in_use("cannot start a container that is still being created")),
    }
}

/// Waits until the marker's lock is gone: the process executes its command, or is dead.
pub fn wait_until_executed(dir: &StateDir) {
    if let Some(marker) = dir.marker() {
        let _ = rustix::fs::flock(&marker, FlockOperation::LockShared);
    }
}

/// The marker is unlocked by execve (it is close-on-exec) and by death; a failure is written in it before death.
fn wait_for_exec(dir: &StateDir, record: &RuntimeState) -> Result<()> {
    let marker = dir.marker().ok_or_else(no_such_container)?;
    rustix::fs::flock(&marker, FlockOperation::LockShared).call(|| "flock(init)")?;
    let mut bytes = [0u8; 12];
    let len = rustix::io::pread(&marker, &mut bytes, 0).call(|| "pread(init)")?;
    let Some(fail) = bytes.get(..len).filter(|bytes| bytes.len() == 12).and_then(Fail::from_bytes) else {
        return Ok(());
    };
    let command = spec::load(Path::new(&record.bundle), None)
        .ok()
        .and_then(|config| config.process().as_ref()?.args().as_ref()?.first().cloned())
        .unwrap_or_default();
    Err(words::of_started(fail, &command)).what(|| "unable to start container process")
}
