//! The process that stays with one container for its whole life (conmon's job), its guard, and their client side.
//!
//! # Theory of operation
//!
//! ```text
//! CLI ──spawn_role──▶ guard ──fork──▶ monitor ──exec──▶ coracle-oci create ──▶ init (payload)
//!  │                   │ subreaper       │ subreaper        (exits; init becomes the monitor's child)
//!  └── sync socket ────────────────────▶ │ ◀── pipes or pty: the payload's stdio
//!                      └── waitid ──────▶│ ◀── <run>/<id>/ctl: attach, wait, exec, signal, pause
//! ```
//! - **role** and **start** are the order of a start: enter the store's namespace, take the lifetime lock, mount the rootfs
//!   while the CLI asks systemd for a scope, enter the scope, split in guard and monitor; then run the OCI runtime's
//!   create, bring the network up, record `running`, run start, answer the CLI.
//! - **events** is the one poll loop. No threads; nothing in it blocks, except a start or an end of the container.
//! - The CLI is needed until the commit (just before `start`): if it dies earlier, everything is undone. After that it is
//!   a client like others, on a socket with the same messages. Its death ends nothing.
//! - **Back-pressure**: output is read only when every client has taken the last chunk; so at most one chunk per client
//!   waits in memory, whatever the payload writes. The log has the chunk before any client. A client on `ctl` that takes
//!   nothing for ten seconds is dropped; the one that started the container may be stopped as long as its user likes.
//! - **Signals**: SIGCHLD, SIGTERM and others arrive through a signalfd. SIGTERM (systemd stops the scope, a logout) is a
//!   request to stop the container. SIGPIPE stays ignored: EPIPE tells us.
//! - **exec** starts here because only we are inside the container's cgroup. Its stdio are the client's own fds, passed by
//!   SCM_RIGHTS; of a pty the client gets the master. So its bytes do not pass through us.
//!
//! # Who dies first
//!
//! The *guard* is the monitor's parent and does nothing but wait for it. PDEATHSIG could not do its work: it is cleared by
//! a change of credentials, and by the payload. When the monitor is killed, its children become the guard's (the nearest
//! subreaper), so that the guard finds all of them without any record, even with the host's pid namespace and no cgroup;
//! a process cannot leave that tree. It kills the payload's cgroup and all its children until none is left, then writes
//! the exit record (137). When both are killed, the next command does the same from the records (`recover`).
//!
//! The guard is forked, not executed: both share the pages that the loader relocated, and fit in one MiB together.
//!
//! The **lifetime lock** (`lock`) is taken by the monitor on a file of its own, close-on-exec; the guard closes its copy at
//! once. A free lock with a status that is not terminal means: recovery may start.

mod attach;
mod blame;
mod cgroup;
pub mod client;
mod control;
mod ctr_log;
mod ctr_stdio;
mod events;
mod exec;
mod exit;
mod guard;
mod image;
pub mod lock;
mod oom;
pub mod owners;
pub mod protocol;
pub mod records;
pub mod recover;
pub mod remove;
mod role;
mod start;

pub use role::role_main;
