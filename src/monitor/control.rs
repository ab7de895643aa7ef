//! Requests on the `ctl` socket, and the packets of those who are attached.
//!
//! The socket is a path socket with mode 0600 in a directory with mode 0700, and the peer's uid must be ours as well.

use super::attach::{Client, Role};
use super::events::Monitor;
use super::protocol::{self, MAX_PACKET, Request, event, input};
use crate::error::{Error, Result};
use crate::external::runtime::plain_args;
use crate::ondisk::container::Status;
use crate::sys::{self, socket, tty};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::os::fd::{AsFd, OwnedFd};

/// The name of the socket in the container's runtime directory.
pub(super) const SOCKET: &str = "ctl";

/// Takes a new connection; its request comes as its first packet.
pub(super) fn accept(monitor: &mut Monitor) {
    let Ok(connection) = socket::accept(monitor.listener.as_fd()) else { return };
    let me = rustix::process::geteuid().as_raw();
    if socket::peer_uid(connection.as_fd()) == Ok(me) {
        monitor.clients.0.push(Client::new(connection, Role::New));
    }
}

/// Reads one packet of the client at `index`.
pub(super) fn receive(monitor: &mut Monitor, index: usize) {
    let Some(client) = monitor.clients.0.get_mut(index) else { return };
    // On the heap: 64 KiB of stack would stay with this process for ever.
    let mut packet = vec![0u8; MAX_PACKET];
    let mut fds = Vec::new();
    let received = match socket::recv(client.socket.as_fd(), &mut packet, &mut fds, RecvFlags::DONTWAIT) {
        Err(Errno::AGAIN) => return,
        Ok(0) | Err(_) => {
            client.closed = true;
            return;
        }
        Ok(received) => received,
    };
    let packet = packet.get(..received).unwrap_or_default();
    match client.role {
        Role::New => request(monitor, index, packet, fds),
        Role::Owner | Role::Attached => data(monitor, packet),
        Role::Waiter => {}
    }
}

fn request(monitor: &mut Monitor, index: usize, packet: &[u8], fds: Vec<OwnedFd>) {
    let Ok(request) = serde_json::from_slice::<Request>(packet) else {
        monitor.clients.0.remove(index);
        return;
    };
    let answer = match request {
        Request::Attach { size } => {
            let running = monitor.payload.as_ref().map_or(0, |payload| payload.pid);
            resize(monitor, size);
            let Some(client) = monitor.clients.0.get_mut(index) else { return };
            client.role = Role::Attached;
            client.send(event::STARTED, &running.to_le_bytes());
            return;
        }
        Request::Wait => {
            if let Some(client) = monitor.clients.0.get_mut(index) {
                client.role = Role::Waiter;
            }
            return;
        }
        Request::Exec { tty, size } => {
            let client = monitor.clients.0.remove(index);
            monitor.start_exec(client.socket, fds, tty, size);
            return;
        }
        Request::Signal { signal, stop } => monitor.signal(signal, stop),
        Request::Pause => pause(monitor, "pause", Status::Paused),
        Request::Resume => pause(monitor, "resume", Status::Running),
    };
    let mut client = monitor.clients.0.remove(index);
    match answer {
        Ok(()) => client.send(event::OK, &[]),
        Err(error) => client.send_error(&error),
    }
}

fn data(monitor: &mut Monitor, packet: &[u8]) {
    let Some((tag, data)) = packet.split_first() else { return };
    match *tag {
        input::STDIN => monitor.stdio.write(data),
        input::END => monitor.stdio.end_input(),
        input::RESIZE => resize(monitor, protocol::rows_and_columns(data)),
        // The client forwards what it got; the payload may have ended meanwhile.
        input::SIGNAL => drop(protocol::number(data).map(|signal| monitor.signal(signal, false))),
        _ => {}
    }
}

fn resize(monitor: &Monitor, size: Option<(u16, u16)>) {
    if let (true, Some(master), Some(size)) = (monitor.stdio.tty, &monitor.stdio.stdout, size) {
        let _ = tty::set_size(master, size);
    }
}

fn pause(monitor: &mut Monitor, verb: &str, status: Status) -> Result<()> {
    if monitor.state.status == status {
        return Err(Error::in_use(format_args!("cannot {verb} container {}", monitor.container.name)).cause(
            format_args!("it is {} already", if status == Status::Paused { "paused" } else { "running" }),
        ));
    }
    if monitor.cgroup.is_none() {
        return Err(Error::host("it has no cgroup of its own, so nothing can freeze it")
            .hint("See why with `coracle doctor`."));
    }
    monitor.runtime.run(&plain_args(verb, monitor.container.id.as_str()))?;
    monitor.state.status = status;
    monitor.publish()
}

impl Monitor {
    /// Sends a signal to the payload's init. With `stop` its end is what the user wants.
    pub(super) fn signal(&mut self, signal: i32, stop: bool) -> Result<()> {
        self.state.stop_requested |= stop;
        let Some(payload) = &self.payload else {
            return if stop { Ok(()) } else { Err(Error::in_use("it is not running")) };
        };
        let sent =
            sys::signal::valid(signal).and_then(|signal| sys::signal::send(payload.pidfd.as_fd(), signal));
        match sent {
            Err(e) if e.raw_os_error() == Errno::SRCH.raw_os_error() => Ok(()),
            other => Ok(other?),
        }
    }
}
