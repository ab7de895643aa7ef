//! Commands of the host from inside a box (`coracle host`), for boxes that were made with `--host-exec`.
//!
//! ```text
//! in the box:  coracle host CMD ──/run/coracle/host──▶ server (a process of the user's on the host) ──▶ CMD
//!                   └── its stdin, stdout, stderr, or the master of a new terminal of CMD's ──────────┘
//! ```
//! - The **server** lives as long as one run of the box. The first `toolbox enter` or `run` starts it, every one tells it the
//!   caller's environment, and a later one replaces it if it was killed. It listens in the box's own directory (`live`).
//! - Whom it serves: processes with the user's own id in the box's user namespace or one made in it. The host's own
//!   processes may only bring an environment. Another box, which may see the socket below /run/host, gets nothing.
//! - An isolated box has neither the directory nor the flag.
//! - The bytes of a command do not pass through the server: the command has the client's own fds. With a terminal on both
//!   sides it has a new one on the host, in a session of its own, and the client relays (`monitor::client`).
//! - A client that goes away, killed or with the box, is a hang-up for its command.

pub mod client;
pub mod server;
mod words;

use super::live;
use crate::error::{Context, Error, Result};
use crate::monitor::records;
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::sys::{CallContext, socket};
use crate::userns;
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The socket in the directory `live`.
pub const SOCKET: &str = "host";

/// A file in boxes that were made for it.
pub const MARK: &str = "/run/.coracle-host-exec";

/// The role process.
pub const ROLE: &str = "host";

/// Largest request, in bytes: arguments and environment.
const MAX_REQUEST: u64 = 8 << 20;

/// The first packet of a connection is this byte, with the request as a file.
const REQUEST: u8 = b'r';

/// Server → client, beside the tags of `monitor::protocol`: a word for the user.
const NOTE: u8 = b'N';

#[derive(Debug, Serialize, Deserialize)]
enum Request {
    /// Of the session that enters the box.
    Environment(BTreeMap<String, String>),
    Run(Command),
}

/// What is to run on the host. Its fds: without a terminal stdin, stdout and stderr.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub args: Vec<String>,
    /// `coracle` itself, the one that the box belongs to; `args` has no program.
    pub own: bool,
    /// The client's directory in the box.
    pub cwd: String,
    /// A directory of the host's instead.
    pub directory: Option<String>,
    /// In the place of the session's.
    pub env: Vec<(String, String)>,
    pub unset: Vec<String>,
    /// Nothing of the session's.
    pub clear: bool,
    /// A terminal of its own.
    pub terminal: bool,
    pub size: Option<(u16, u16)>,
}

/// Lets the box's processes run commands on the host, in this environment, until the box ends.
pub fn offer(dirs: &Dirs, c: &Container, environment: &BTreeMap<String, String>) -> Result<()> {
    let what = || format!("cannot offer the host's commands to box {}", c.name);
    let wanted = Request::Environment(environment.clone());
    // One at a time: two would both start a server.
    let _records = records::lock(dirs, &c.id)?;
    let path = dirs.container(&c.id).join(live::DIRECTORY);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})")).what(what)?;
    if tell(&dir, &wanted).is_ok() {
        return Ok(());
    }
    let args = [dirs.data.clone().into(), dirs.run.clone().into(), c.id.as_str().into()];
    let child = userns::spawn_role(ROLE, &args, &[]).what(what)?;
    let mut answer = [0u8; 4096];
    let read = socket::recv(child.sync.as_fd(), &mut answer, &mut Vec::new(), RecvFlags::empty())
        .call(|| "recvmsg(host)")
        .what(what)?;
    match answer.get(..read).unwrap_or_default() {
        [REQUEST] => tell(&dir, &wanted).what(what),
        [] => Err(Error::internal("its process ended without a word").wrap(what())),
        error => Err(Error::from_wire(error).wrap(what())),
    }
}

/// Sends it and waits until it is taken.
fn tell(dir: &OwnedFd, request: &Request) -> Result<()> {
    let connection = socket::connect_at(dir.as_fd(), SOCKET, SocketType::SEQPACKET)?;
    send(&connection, request, &[])?;
    let mut answer = [0u8; 1];
    match socket::recv(connection.as_fd(), &mut answer, &mut Vec::new(), RecvFlags::empty()) {
        Ok(1) => Ok(()),
        _ => Err(Error::internal("no answer from the process of the box on the host")),
    }
}

fn send(connection: &OwnedFd, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<()> {
    let json = serde_json::to_vec(request)
        .map_err(|e| Error::internal(format_args!("cannot encode a request: {e}")))?;
    let fd = rustix::fs::memfd_create("request", MemfdFlags::CLOEXEC).call(|| "memfd_create(\"request\")")?;
    let mut file = File::from(fd);
    file.write_all(&json).call(|| "write(\"request\")")?;
    let all: Vec<BorrowedFd<'_>> = std::iter::once(file.as_fd()).chain(fds.iter().copied()).collect();
    match socket::send(connection.as_fd(), &[REQUEST], &[], &all, SendFlags::empty()) {
        // Refused already: the answer says why.
        Ok(()) | Err(Errno::PIPE) => Ok(()),
        Err(e) => Ok(Err(e).call(|| "sendmsg(host)")?),
    }
}

/// The request in the file that came with the first packet.
fn receive(file: OwnedFd) -> Result<Request> {
    let bad = || Error::internal("a request that cannot be read");
    if rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).is_err() {
        return Err(bad());
    }
    let mut json = Vec::new();
    File::from(file).take(MAX_REQUEST).read_to_end(&mut json).call(|| "read(\"request\")")?;
    serde_json::from_slice(&json).map_err(|e| bad().cause(e))
}

/// Whether this process is in a box.
pub fn in_a_box() -> bool {
    Path::new(super::places::PROGRAM).exists()
}
