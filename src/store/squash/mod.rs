//! Images in one file: what is checked before one is used, how it is mounted, and how all containers of a machine share
//! one mount of it.
//!
//! # Theory of operation
//!
//! ```text
//! CLI ─spawn──▶ holder ─spawn──▶ squashfuse           one of each for an image, however many containers use it
//!  │             │ owns a user namespace (the store's map) and a mount namespace with the image mounted at
//!  │             │ <run>/squash/<key>/mnt-<generation>
//!  └─fds──▶ monitor: joins that user namespace, makes a mount namespace of its own, clones the mount into it
//! ```
//! Holder and monitor start at the same time, and while newuidmap and systemd work for the holder the container's records
//! are made. The monitor is let go when squashfuse has greeted the kernel. Before that nobody but the holder reaches the mount:
//! of an image without extended attributes it is said then, once for all, that it has none (`attributes`).
//!
//! The kernel counts: the file system lives as long as any mount of it does, the container's among them, and squashfuse
//! ends by itself when the last one is gone. The mount namespace that squashfuse itself is in has no mount of it, so it
//! keeps nothing alive. Nobody unmounts anything for anybody else: a container that is killed takes its own mount away, and
//! a holder that is killed takes away only its own; the next container then starts another holder.
//!
//! The user namespace is shared because a FUSE file system lets in only processes of the namespace in which it was mounted,
//! and of those nested in it.
//!
//! **How long a holder lives.** Whoever uses the mount holds the file `users-<generation>` flocked shared, and marks the time.
//! The holder waits for the exclusive lock: it has it in the moment when the last user is gone, in whatever way. Then it
//! waits a little for another one (`idle`). Was there none, it takes the locks, removes its record and ends. Whoever has got
//! the shared lock has made that impossible.
//!
//! ```text
//! <run>/squash/<key>/     key: which file (device, inode, size, time of change), and in a Slurm step, which step
//!     lock                    around starting a holder, and around a holder's end, with which the directory goes (`place`)
//!     holder                  JSON: generation and pids
//!     alive-<generation>      flocked by the holder for as long as it lives: its pids are its own
//!     users-<generation>      flocked shared by each user; not empty where the last one waits for the server's end (`leave`)
//!     mnt-<generation>/       where it is mounted, in the holder's and the users' namespaces
//! ```
//! A Slurm step has its own, because Slurm kills every process of a step at its end. So have those of one cgroup that have
//! one id and no monitor (`engine::alone`): they start their holder where they are themselves.

mod ahead;
mod attributes;
mod file;
mod holder;
mod idle;
mod leave;
pub mod mount;
mod place;
mod shared;
mod tables;

pub use file::SquashFile;
pub use holder::{HOLDER_ROLE, holder_main};
pub use leave::let_go;
pub use shared::{Begun, Coming, Shared};
pub use tables::{Kind, Tables};
