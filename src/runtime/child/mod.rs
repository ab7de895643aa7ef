//! Code after clone. Rules:
//!
//! - no allocation, no locks, no logging, no environment, nothing that can panic; only `sys`, rustix and the plan;
//! - each step is a function that returns `Result<_, Fail>`; `init` and `exec` are the ordered lists of steps;
//! - a failure is (step, index, errno), sent once; the runtime, which has the plan too, makes the words;
//! - the only ways out are execve and `_exit`.
//!
//! Why so strict, although one thread makes malloc safe after fork: it keeps this folder small and auditable, and pushes
//! every decision into the plan, where it is tested.

mod creds;
mod devices;
pub mod door;
mod exec;
mod hooks;
pub mod init;
pub mod join;
mod masks;
mod mounts;
mod namespaces;
mod paths;
mod rootfs;
pub mod stage;
mod terminal;

pub use paths::{Make, ensure};

use super::handshake::{self, Message};
use super::step::{Fail, OrFail, Step, fail};
use crate::sys::fds::{close_from, close_one, is_passed_on};
use crate::sys::process::exit_now;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::Signal;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What the child inherits besides the plan.
#[derive(Debug, Clone, Copy)]
pub struct Inherited<'a> {
    /// Our end of the handshake.
    pub socket: BorrowedFd<'a>,
    pub files: Files<'a>,
}

/// What is known of it before there is a handshake.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// The file whose lock says that this process has not executed its command yet, and that keeps a late failure.
    pub marker: Option<BorrowedFd<'a>>,
    /// Where `start` is awaited.
    pub fifo: Option<BorrowedFd<'a>>,
    /// Where namespaces are handed out until then.
    pub door: Option<BorrowedFd<'a>>,
    /// Connected console socket.
    pub console: Option<BorrowedFd<'a>>,
    /// The host's /proc, checked.
    pub proc: BorrowedFd<'a>,
    /// How many fds from 3 on the caller passes to the payload.
    pub preserved: u32,
    /// The state document that hooks read, up to and after the pid.
    pub hook_state: (&'a [u8], &'a [u8]),
    /// Where their stdout and stderr go.
    pub hook_output: [Option<BorrowedFd<'a>>; 2],
    /// The process is killed when the runtime ends.
    pub dies_with_us: bool,
}

/// Closes everything of the runtime's but what is still needed: the handshake, the marker, the fifo, the door, what hooks
/// write to, none of them a directory. From here on the container has a say in paths (its working directory, its command, links in its root), and
/// `/proc/self/fd/N` of a directory of the host would lead out of the root (R7; CVE-2024-21626). Close-on-exec comes too
/// late: execve looks its path up first.
fn let_go(inherited: &Inherited<'_>, door: Option<&door::Door<'_>>) -> Result<(), Fail> {
    let mut needed = [0; MAX_NEEDED];
    let own = [Some(inherited.socket), inherited.files.marker, inherited.files.fifo];
    let own = own.into_iter().chain(inherited.files.hook_output).map(|fd| fd.map_or(0, |fd| fd.as_raw_fd()));
    let all = own.chain(door.into_iter().flat_map(door::Door::numbers));
    needed.iter_mut().zip(all).for_each(|(slot, fd)| *slot = fd);
    let passed_until = 3i32.saturating_add_unsigned(inherited.files.preserved).min(MAX_PASSED);
    // Where the caller passed less than it said, fds of our own have taken those numbers.
    for fd in (3..passed_until).filter(|fd| !needed.contains(fd) && !is_passed_on(*fd)) {
        close_one(fd);
    }
    close_from(passed_until, &needed, inherited.files.proc).or_fail(Step::Descriptors, 0)
}

/// After the change of credentials, which would take it back. The runtime may have ended before: then its end of the
/// handshake is closed.
fn die_with_runtime(inherited: &Inherited<'_>) -> Result<(), Fail> {
    if !inherited.files.dies_with_us {
        return Ok(());
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).or_fail(Step::Handshake, 0)?;
    let mut fds = [PollFd::from_borrowed_fd(inherited.socket, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match rustix::event::poll(&mut fds, Some(&now)) {
        Ok(0) => Ok(()),
        _ => exit_now(1),
    }
}

/// Handshake, marker and fifo, the two of hooks, the door's listener and namespaces.
const MAX_NEEDED: usize = 6 + door::KINDS.len();

/// No process has so many (fs.nr_open).
const MAX_PASSED: i32 = 1 << 20;

/// Reports the failure and ends the process.
pub fn give_up(inherited: &Inherited<'_>, failure: Fail) -> ! {
    if let Some(marker) = inherited.files.marker {
        let _ = rustix::io::pwrite(marker, &failure.to_bytes(), 0);
    }
    let _ = handshake::send(inherited.socket, Message::Fail(failure));
    exit_now(1)
}

/// Waits for `wanted`. The runtime's death, or any other word, ends the process: nothing of it is recorded.
fn expect(socket: BorrowedFd<'_>, wanted: impl Fn(Message) -> bool) -> Result<Message, Fail> {
    match handshake::receive(socket) {
        Ok(Some(message)) if wanted(message) => Ok(message),
        Ok(Some(_)) => Err(fail(Step::Handshake, 0, Errno::PROTO)),
        Ok(None) => exit_now(1),
        Err(e) => Err(fail(Step::Handshake, 0, e)),
    }
}

fn tell(socket: BorrowedFd<'_>, message: Message) -> Result<(), Fail> {
    handshake::send(socket, message).map_err(|e| fail(Step::Handshake, 0, e))
}
