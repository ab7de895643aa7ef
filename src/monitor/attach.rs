//! The clients of a running container: who gets its output, who may write to it, who waits for its end.
//!
//! A socket's own buffer is the only queue in good times. When it is full the one chunk that was read waits here, and no
//! further output is read (`is_full`), so the payload blocks as it would on a full pipe.

use super::protocol::{self, event};
use crate::error::Error;
use crate::sys::socket;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// A client on `ctl` that takes nothing for so long is dropped: it must not hold the payload up for ever.
const STALLED: Duration = Duration::from_secs(10);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It has not sent its request yet.
    New,
    /// The CLI that started the container in the foreground: it may be stopped as long as it lives.
    Owner,
    Attached,
    /// Only the exit code.
    Waiter,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    pub socket: OwnedFd,
    pub role: Role,
    waiting: VecDeque<(u8, Vec<u8>)>,
    stalled_since: Option<Instant>,
    pub closed: bool,
}

impl Client {
    pub(super) fn new(socket: OwnedFd, role: Role) -> Self {
        Self { socket, role, waiting: VecDeque::new(), stalled_since: None, closed: false }
    }

    fn gets_output(&self) -> bool {
        matches!(self.role, Role::Owner | Role::Attached) && !self.closed
    }

    /// Sends a packet, or keeps it when the socket is full.
    pub(super) fn send(&mut self, tag: u8, data: &[u8]) {
        if !self.waiting.is_empty() {
            self.waiting.push_back((tag, data.to_vec()));
            return;
        }
        match socket::send(self.socket.as_fd(), &[tag], data, &[], SendFlags::DONTWAIT) {
            Ok(()) => {}
            Err(Errno::AGAIN) => {
                self.waiting.push_back((tag, data.to_vec()));
                self.stalled_since = Some(Instant::now());
            }
            Err(_) => self.closed = true,
        }
    }

    pub(super) fn send_error(&mut self, error: &Error) {
        self.send(event::ERROR, &protocol::encode_error(error));
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn flush(&mut self) {
        while let Some((tag, data)) = self.waiting.front() {
            match socket::send(self.socket.as_fd(), &[*tag], data, &[], SendFlags::DONTWAIT) {
                Ok(()) => {
                    self.waiting.pop_front();
                    self.stalled_since = Some(Instant::now());
                }
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
        self.waiting = VecDeque::new();
        self.stalled_since = None;
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When this client must have taken something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stalled_since.filter(|_| self.role != Role::Owner).map(|since| since + STALLED)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Clients(pub Vec<Client>);

impl Clients {
    /// A chunk of output for everybody who wants it.
    pub(super) fn output(&mut self, tag: u8, data: &[u8]) {
        self.0.iter_mut().filter(|client| client.gets_output()).for_each(|client| client.send(tag, data));
    }

    /// Somebody has not taken the last chunk: no more output may be read.
    pub(super) fn is_full(&self) -> bool {
        self.0.iter().any(Client::is_waiting)
    }

    /// Forgets those who have gone or take nothing.
    pub(super) fn sweep(&mut self) {
        let now = Instant::now();
        self.0.retain(|client| !client.closed && client.deadline().is_none_or(|deadline| now < deadline));
    }

    /// The next moment at which `sweep` has work.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(Client::deadline).min()
    }

    /// The last word to everybody, after the output that still waits for them. Their sockets are closed then.
    /// The container is over and recorded: a client that is stopped holds up nothing but this process.
    pub(super) fn finish(mut self, tag: u8, data: &[u8]) {
        for client in &mut self.0 {
            client.send(tag, data);
            while client.is_waiting() && !client.closed {
                if let Some(patience) = client.deadline()
                    && Instant::now() >= patience
                {
                    break;
                }
                wait_for_room(client.socket.as_fd(), client.deadline());
                client.flush();
            }
        }
    }
}

fn wait_for_room(socket: BorrowedFd<'_>, deadline: Option<Instant>) {
    let timeout =
        deadline.map(|deadline| super::events::timespec(deadline.saturating_duration_since(Instant::now())));
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
    let _ = rustix::event::poll(&mut fds, timeout.as_ref());
}
