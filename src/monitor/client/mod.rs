//! The other side of the monitor: what the command line asks of a container's monitor, and how it stays with it.
//!
//! A connection can break at any moment because the monitor can be killed; then `recover` says what became of the
//! container. So a client never guesses: no answer means asking the records.

mod exec;
mod launch;
mod logs;
mod relay;

pub use exec::{ExecRequest, exec, relay_terminal};
pub use launch::{HeadStart, announce, launch, launch_with};
pub use logs::{LogOptions, LogStream, read_log};
pub use relay::poll;

use super::protocol::{self, MAX_PACKET, Request, event};
use super::{control, lock, recover};
use crate::error::{Context, Error, Result};
use crate::id::ContainerId;
use crate::ondisk::container::{Container, Status};
use crate::paths::Dirs;
use crate::sys::{CallContext, socket, tty};
use crate::userns;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketType};
use std::os::fd::{AsFd, OwnedFd};

/// How the caller stays with a container.
#[derive(Debug)]
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
    /// For the payload, from number 3 on.
    pub preserved: Vec<OwnedFd>,
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

/// Whether a monitor listens to requests: one that is dead, or about to end, does not.
pub fn listens(dirs: &Dirs, id: &ContainerId) -> Result<bool> {
    let Some(run) = open_run(dirs, id)? else { return Ok(false) };
    Ok(connect(&run).is_ok_and(|connection| connection.is_some()))
}

/// Attaches to a running container.
pub fn attach(dirs: &Dirs, container: &Container, options: &LaunchOptions) -> Result<Outcome> {
    let what = || format!("cannot attach to container {}", container.name);
    let size = container.tty.then(tty::own_size).flatten();
    let connection =
        request(dirs, &container.id, &Request::Attach { size }, &[])?.ok_or_else(not_running).what(what)?;
    relay::relay(connection, dirs, container, options).what(what)
}

/// Waits until the container has ended, and returns its exit code. One that has ended answers at once.
pub fn wait_exit(dirs: &Dirs, id: &ContainerId) -> Result<i32> {
    if let Some(connection) = request(dirs, id, &Request::Wait, &[])?
        && let Some(code) = exit_code(&connection)?
    {
        return Ok(code);
    }
    // The monitor had ended already, or was killed.
    Ok(recover::recover(dirs, id)?.exit_code.unwrap_or(0))
}

/// A connection that has something to read when the container ends. `None`: it has ended.
pub fn watch(dirs: &Dirs, id: &ContainerId) -> Result<Option<OwnedFd>> {
    request(dirs, id, &Request::Wait, &[])
}

/// Sends a signal to the payload's init. With `stop` the end is wanted: no restart follows.
pub fn signal(dirs: &Dirs, id: &ContainerId, signal: i32, stop: bool) -> Result<()> {
    simple_request(dirs, id, &Request::Signal { signal, stop })
}

/// Returns when the container is not in the middle of a start: one that begins later reads its config.json later. A
/// monitor answers nothing, not even to a signal that is none, before it has brought its payload up.
pub fn settle(dirs: &Dirs, id: &ContainerId) {
    let _ = signal(dirs, id, 0, false);
}

/// Freezes the container.
pub fn pause(dirs: &Dirs, id: &ContainerId) -> Result<()> {
    simple_request(dirs, id, &Request::Pause)
}

/// Lets a frozen container go on.
pub fn resume(dirs: &Dirs, id: &ContainerId) -> Result<()> {
    simple_request(dirs, id, &Request::Resume)
}

/// A request that is answered with OK or an error.
fn simple_request(dirs: &Dirs, id: &ContainerId, wanted: &Request) -> Result<()> {
    let Some(connection) = request(dirs, id, wanted, &[])? else { return Err(not_running()) };
    let mut packet = vec![0u8; MAX_PACKET];
    let received = receive(&connection, &mut packet, &mut Vec::new())?;
    match received.split_first() {
        Some((&event::OK, _)) => Ok(()),
        Some((&event::ERROR, json)) => Err(protocol::decode_error(json)),
        // It ended between the two.
        _ => Err(not_running()),
    }
}

fn not_running() -> Error {
    Error::in_use("it is not running")
}

/// Connects to the monitor and sends a request. `None`: there is no monitor.
fn request(
    dirs: &Dirs,
    id: &ContainerId,
    request: &Request,
    fds: &[std::os::fd::BorrowedFd<'_>],
) -> Result<Option<OwnedFd>> {
    let Some(run) = open_run(dirs, id)? else { return Ok(None) };
    let Some(connection) = connect(&run)? else { return Ok(None) };
    protocol::send_json(connection.as_fd(), request, fds)?;
    Ok(Some(connection))
}

/// `None`: nobody listens.
fn connect(run: &OwnedFd) -> Result<Option<OwnedFd>> {
    let nobody = [Errno::NOENT, Errno::CONNREFUSED].map(Errno::raw_os_error);
    userns::root::as_store_owner(|| {
        match socket::connect_at(run.as_fd(), control::SOCKET, SocketType::SEQPACKET) {
            Ok(connection) => Ok(Some(connection)),
            Err(e) if nobody.contains(&e.raw_os_error()) => Ok(None),
            Err(e) => Err(e.into()),
        }
    })
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
fn exit_code(connection: &OwnedFd) -> Result<Option<i32>> {
    let mut packet = vec![0u8; MAX_PACKET];
    loop {
        let received = receive(connection, &mut packet, &mut Vec::new())?;
        match received.split_first() {
            None => return Ok(None),
            Some((&event::EXITED, code)) => return Ok(protocol::number(code)),
            Some((&event::ERROR, json)) => return Err(protocol::decode_error(json)),
            Some(_) => {}
        }
    }
}

/// What became of a container whose monitor went away without a word.
fn outcome_from_record(dirs: &Dirs, id: &ContainerId) -> Result<Outcome> {
    match recover::recover_dead(dirs, id) {
        Ok(state) if state.status == Status::Exited => Ok(Outcome::Exited(state.exit_code.unwrap_or(137))),
        // Removed by the guard (`--rm`): it was killed, or there would have been a word.
        Err(error) if error.kind() == crate::error::Kind::NotFound => Ok(Outcome::Exited(137)),
        Ok(_) => {
            Err(Error::internal(format_args!("the monitor of container {} ended without a word", id.short())))
        }
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
