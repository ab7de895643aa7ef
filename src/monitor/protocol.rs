//! The words between the monitor and its clients, and those of `toolbox::host`: one message is one SOCK_SEQPACKET packet.
//!
//! The first packet of a client is a `Request` as JSON (the starting CLI sends `Launch` on the sync socket instead). After
//! that every packet is a tag byte and data, in both directions: no parsing where the bytes of a payload flow. Both ends
//! are of the same build only as long as a container lives, so there is no version: an unknown tag is ignored.

use crate::error::{Error, Result};
use crate::sys::{CallContext, socket};
use rustix::net::SendFlags;
use serde::{Deserialize, Serialize};
use std::os::fd::BorrowedFd;

/// Bytes of output that one packet carries.
pub(super) const CHUNK: usize = 32 << 10;

/// Largest packet.
pub const MAX_PACKET: usize = 64 << 10;

/// The first packet of the CLI that starts the container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Launch {
    /// The container's cgroup, relative to the cgroup2 mount.
    pub cgroup: Option<String>,
    /// Stay as a client: output comes over the sync socket.
    pub attach: bool,
    /// Rows and columns of the CLI's terminal.
    pub size: Option<(u16, u16)>,
}

/// The first packet on the `ctl` socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Request {
    /// Output from now on, input as data packets.
    Attach {
        size: Option<(u16, u16)>,
    },
    /// The exit code, when it ends.
    Wait,
    /// A process in the container. Fds: its process.json, then (without a tty) stdin, stdout, stderr, then those of
    /// `--preserve-fds`.
    Exec {
        tty: bool,
        size: Option<(u16, u16)>,
    },
    /// A signal to the payload's init. `stop`: the user wants it to end, no restart.
    Signal {
        signal: i32,
        stop: bool,
    },
    Pause,
    Resume,
}

/// Monitor → client.
pub mod event {
    /// It runs: pid of init (4 bytes).
    pub const STARTED: u8 = b'S';
    pub const STDOUT: u8 = b'1';
    pub const STDERR: u8 = b'2';
    /// It ended: exit code (4 bytes), and behind it an error as JSON where its files had gone.
    pub const EXITED: u8 = b'X';
    /// It failed: an error as JSON.
    pub const ERROR: u8 = b'E';
    /// Done.
    pub const OK: u8 = b'O';
    /// The pty master of an exec, as the fd of this packet.
    pub const TERMINAL: u8 = b'T';
}

/// Client → monitor.
pub mod input {
    pub const STDIN: u8 = b'i';
    /// No more input.
    pub const END: u8 = b'e';
    /// Rows, columns (2 bytes each).
    pub const RESIZE: u8 = b'w';
    /// A signal for init (4 bytes).
    pub const SIGNAL: u8 = b's';
}

pub fn encode_error(error: &Error) -> Vec<u8> {
    error.to_wire()
}

pub fn decode_error(bytes: &[u8]) -> Error {
    Error::from_wire(bytes)
}

/// Sends a JSON packet and waits for room.
pub(super) fn send_json<T: Serialize>(to: BorrowedFd<'_>, value: &T, fds: &[BorrowedFd<'_>]) -> Result<()> {
    let json = serde_json::to_vec(value)
        .map_err(|e| Error::internal(format_args!("cannot encode a request: {e}")))?;
    Ok(socket::send(to, &json, &[], fds, SendFlags::empty()).call(|| "sendmsg(monitor)")?)
}

/// Sends a tagged packet and waits for room.
pub fn send(to: BorrowedFd<'_>, tag: u8, data: &[u8]) -> rustix::io::Result<()> {
    socket::send(to, &[tag], data, &[], SendFlags::empty())
}

/// The number in a packet, or `None` when it is too short.
pub fn number(data: &[u8]) -> Option<i32> {
    data.first_chunk().map(|bytes| i32::from_le_bytes(*bytes))
}

/// Rows and columns in a packet.
pub(super) fn rows_and_columns(data: &[u8]) -> Option<(u16, u16)> {
    let (rows, rest) = data.split_first_chunk::<2>()?;
    Some((u16::from_le_bytes(*rows), u16::from_le_bytes(*rest.first_chunk::<2>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn an_error_survives_the_way_to_the_client() {
        let error = Error::new(Kind::CommandNotFound, "cannot start container web")
            .cause("exec: \"nope\": executable file not found in $PATH")
            .hint("Give a command.");
        let back = decode_error(&encode_error(&error));
        assert_eq!(back.kind(), Kind::CommandNotFound);
        assert_eq!(back.exit_code(), 127);
        assert_eq!((back.what(), back.causes(), back.hints()), (error.what(), error.causes(), error.hints()));
        assert_eq!(decode_error(b"{").kind(), Kind::Internal);
    }

    #[test]
    fn short_packets_are_no_numbers() {
        assert_eq!(number(&[1, 0, 0]), None);
        assert_eq!(number(&7i32.to_le_bytes()), Some(7));
        assert_eq!(rows_and_columns(&[24, 0, 80, 0]), Some((24, 80)));
        assert_eq!(rows_and_columns(&[24, 0, 80]), None);
    }
}
