//! The other side of the monitor: what the command line asks of a container's monitor, and how it stays with it.
//!
//! A connection can break at any moment because the monitor can be killed; then `recover` says what became of the
//! container. So a client never guesses: no answer means asking the records.

mod exec;
mod launch;
mod logs;
mod relay;

pub use exec::{ExecRequest, exec};
pub use launch::launch;
pub use logs::{LogOptions, LogStream, read_log};

use super::protocol::{self, MAX_PACKET, Request, event};
use super::{control, lock, recover};
use crate::error::{Context, Error, Result};
use crate::id::ContainerId;
use crate::ondisk::container::{Container, Status};
use crate::paths::Dirs;
use crate::sys::{CallContext, socket, tty};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketType};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How the caller stays with a container.
#[derive(Debug, Clone)]
pub struct LaunchOptions {
    /// Relay stdio until it ends.
    pub attach: bool,
    /// The caller's stdin too.
    pub stdin: bool,
    /// Keys that leave it running; empty: none.
    pub detach_keys: Vec<u8>,
    /// Pass signals on to the payload (without a terminal).
    pub sig_proxy: bool,
    /// Ask systemd for a scope.
    pub scope: bool,
}

/// How it went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It runs, and nobody is attached.
    Started,
    Exited(i32),
    /// The user left with the detach keys.
    Detached,
}

/// Whether the container's monitor lives.
pub fn is_alive(dirs: &Dirs, id: &ContainerId) -> Result<bool> {
    match open_run(dirs, id)? {
        Some(run) => lock::is_held(run),
        None => Ok(false),
    }
}

/// Attaches to a running container.
pub fn attach(dirs: &Dirs, container: &Container, options: &LaunchOptions) -> Result<Outcome> {
    let what = || format!("cannot attach to container {}", container.name);
    let not_running = || Error::in_use(what()).cause("it is not running");
    let size = container.tty.then(|| tty::size(rustix::stdio::stdout())).flatten();
    let connection = request(dirs, &container.id, &Request::Attach { size }, &[])?.ok_or_else(not_running)?;
    relay::relay(connection, dirs, container, options).what(what)
}

/// Waits until the container has ended, and returns its exit code. One that has ended answers at once.
pub fn wait_exit(dirs: &Dirs, id: &ContainerId) -> Result<i32> {
    if let Some(connection) = request(dirs, id, &Request::Wait, &[])?
        && let Some(code) = exit_code(&connection, None)?
    {
        return Ok(code);
    }
    // The monitor had ended already, or was killed.
    Ok(recover::recover(dirs, id)?.exit_code.unwrap_or(0))
}

/// Sends a signal to the payload's init. With `stop` the end is wanted: no restart follows.
pub fn signal(dirs: &Dirs, container: &Container, signal: i32, stop: bool) -> Result<()> {
    simple_request(dirs, container, "signal", &Request::Signal { signal, stop })
}

/// Freezes the container.
pub fn pause(dirs: &Dirs, container: &Container) -> Result<()> {
    simple_request(dirs, container, "pause", &Request::Pause)
}

/// Lets a frozen container go on.
pub fn resume(dirs: &Dirs, container: &Container) -> Result<()> {
    simple_request(dirs, container, "unpause", &Request::Resume)
}

/// Stops the container: its stop signal, then after `patience` SIGKILL. Returns whether SIGKILL was needed.
pub fn stop(dirs: &Dirs, container: &Container, patience: Duration) -> Result<bool> {
    let id = &container.id;
    // Waits before it signals: the container may be gone (`--rm`) before a second connection is made.
    let Some(waiter) = request(dirs, id, &Request::Wait, &[])? else {
        recover::recover(dirs, id)?;
        return Ok(false);
    };
    signal(dirs, container, container.stop_signal, true)?;
    if ends_within(&waiter, patience)? {
        return Ok(false);
    }
    match signal(dirs, container, libc::SIGKILL, true) {
        Ok(()) => {}
        Err(_) if !is_alive(dirs, id)? => {}
        Err(error) => return Err(error),
    }
    exit_code(&waiter, None)?;
    Ok(true)
}

/// Whether the peer says or does anything within `patience`.
fn ends_within(waiter: &OwnedFd, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        let left = super::events::timespec(deadline.saturating_duration_since(Instant::now()));
        let mut fds = [PollFd::new(waiter, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).call(|| "poll(monitor)").map_err(Error::from),
        }
    }
}

/// A request that is answered with OK or an error.
fn simple_request(dirs: &Dirs, container: &Container, verb: &str, wanted: &Request) -> Result<()> {
    let what = || format!("cannot {verb} container {}", container.name);
    let not_running = || Error::in_use(what()).cause("it is not running");
    let connection = request(dirs, &container.id, wanted, &[])?.ok_or_else(not_running)?;
    let mut packet = vec![0u8; MAX_PACKET];
    let received = receive(&connection, &mut packet, &mut Vec::new()).what(what)?;
    match received.split_first() {
        Some((&event::OK, _)) => Ok(()),
        Some((&event::ERROR, json)) => Err(protocol::decode_error(json)),
        // It ended between the two.
        _ if matches!(verb, "signal") && !is_alive(dirs, &container.id)? => Ok(()),
        _ => Err(Error::internal(what()).cause("its monitor ended without an answer")),
    }
}

/// Connects to the monitor and sends a request. `None`: there is no monitor.
fn request(
    dirs: &Dirs,
    id: &ContainerId,
    request: &Request,
    fds: &[std::os::fd::BorrowedFd<'_>],
) -> Result<Option<OwnedFd>> {
    let Some(run) = open_run(dirs, id)? else { return Ok(None) };
    let connection = match socket::connect_at(run.as_fd(), control::SOCKET, SocketType::SEQPACKET) {
        Ok(connection) => connection,
        Err(e) if [Errno::NOENT, Errno::CONNREFUSED].map(Errno::raw_os_error).contains(&e.raw_os_error()) => {
            return Ok(None);
        }
        Err(e) => return Err(e.into()),
    };
    protocol::send_json(connection.as_fd(), request, fds)?;
    Ok(Some(connection))
}

/// The next packet; empty: the other end is gone.
fn receive<'a>(connection: &OwnedFd, packet: &'a mut [u8], fds: &mut Vec<OwnedFd>) -> Result<&'a [u8]> {
    let received = match socket::recv(connection.as_fd(), packet, fds, RecvFlags::empty()) {
        Err(Errno::CONNRESET) => 0,
        other => other.call(|| "recvmsg(monitor)")?,
    };
    Ok(packet.get(..received).unwrap_or_default())
}

/// Waits for the exit code, passing over other packets. `None`: the monitor is gone without one.
fn exit_code(connection: &OwnedFd, exec: Option<&str>) -> Result<Option<i32>> {
    let mut packet = vec![0u8; MAX_PACKET];
    loop {
        let received = receive(connection, &mut packet, &mut Vec::new())?;
        match received.split_first() {
            None => return Ok(None),
            Some((&event::EXITED, code)) => return Ok(protocol::number(code)),
            Some((&event::ERROR, json)) => {
                let error = protocol::decode_error(json);
                return Err(match exec {
                    Some(what) => error.wrap(what),
                    None => error,
                });
            }
            Some(_) => {}
        }
    }
}

/// What became of a container whose monitor went away without a word.
fn outcome_from_record(dirs: &Dirs, container: &Container) -> Result<Outcome> {
    match recover::recover(dirs, &container.id) {
        Ok(state) if state.status == Status::Exited => Ok(Outcome::Exited(state.exit_code.unwrap_or(137))),
        // Removed by the guard (`--rm`): it was killed, or there would have been a word.
        Err(error) if error.kind() == crate::error::Kind::NotFound => Ok(Outcome::Exited(137)),
        Ok(_) => Err(Error::internal(format_args!(
            "the monitor of container {} ended without a word",
            container.name
        ))),
        Err(error) => Err(error),
    }
}

/// The container's runtime directory, when there is one.
fn open_run(dirs: &Dirs, id: &ContainerId) -> Result<Option<OwnedFd>> {
    let path = dirs.container_run(id);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e).call(|| format!("open({path:?})")).map_err(Error::from),
    }
}
