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

pub use mounts::set_attributes;

use super::handshake::{self, Message};
use super::step::{Fail, Step, fail};
use crate::sys::process::exit_now;
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// What the child inherits besides the plan.
#[derive(Debug, Clone, Copy)]
pub struct Inherited<'a> {
    /// Our end of the handshake.
    pub socket: BorrowedFd<'a>,
    /// The file whose lock says that this process has not executed its command yet, and that keeps a late failure.
    pub marker: Option<BorrowedFd<'a>>,
    /// Where `start` is awaited.
    pub fifo: Option<BorrowedFd<'a>>,
    /// Connected console socket.
    pub console: Option<BorrowedFd<'a>>,
    /// The host's /proc, checked.
    pub proc: BorrowedFd<'a>,
    /// The state document that hooks read, up to and after the pid.
    pub hook_state: (&'a [u8], &'a [u8]),
}

/// Reports the failure and ends the process.
pub fn give_up(inherited: &Inherited<'_>, failure: Fail) -> ! {
    if let Some(marker) = inherited.marker {
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
