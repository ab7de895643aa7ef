//! Safe faces over the kernel: the only module of the crate with unsafe code.
//!
//! Rules: nothing here imports the rest of the crate; rustix first, libc only where rustix lacks the call (the line says
//! so); every fd is born CLOEXEC and owned by type; a `SAFETY` note states the obligation and why it holds.
//! Functions that run after clone return a bare `rustix::io::Result`; the others return `sys::Result`, which prints the
//! whole call. rustix's own safe functions may be used anywhere in the crate, with `.call(..)` for the message.

mod alloc;
pub mod bpf;
pub mod cpus;
pub mod creds;
mod error;
pub mod exact;
pub mod fds;
pub mod fork;
pub mod fs;
pub mod mark;
pub mod memory;
pub mod mount;
pub mod mountinfo;
pub mod net;
pub mod netlink;
pub mod notif;
pub mod ns;
pub mod null;
pub mod pidfd;
pub mod process;
pub mod quota;
pub mod reap;
pub mod resolve;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod sparse;
pub mod spawn;
pub mod tree;
pub mod tty;
#[cfg(all(panic = "abort", target_env = "musl", not(debug_assertions)))]
mod unwind;

pub use error::{CallContext, ErrnoText, Error, Result};
