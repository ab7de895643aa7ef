//! The OCI runtime core behind coracle-oci: a bundle and an id go in. **Theory of operation.**
//!
//! ```text
//!  coracle-oci create                                 container's first process (C)
//!    decide   config.json + facts of the host → Plan       (plan/: pure)
//!    freeze   open sources, namespaces, marker, fifo        (sources, create)
//!    clone ───────────────────────────────────────────────▶ waits for Go, when maps or a scope are still to come
//!             id maps, scope, oom score ──── Go ───────────▶ joins, mounts, devices, hooks, pivot, credentials
//!             state.json ─────────────────── Commit ───────▶ (read when it gets there: nobody waits for anybody)
//!    ◀────────────────────────────────────── Ready ──────── everything applied, the command found
//!    pid file, exit                                         waits for one byte in exec.fifo
//!  coracle-oci start ──────────────── one byte ───────────▶ seccomp, execve
//!    waits for the marker's lock to go                      (close-on-exec)
//! ```
//!
//! - **One process does it.** All new namespaces come from one clone3 in the right order (a new user namespace owns the
//!   others), in the right cgroup. There is no intermediate process, but where a pid or user namespace is joined: then a
//!   stage joins and clones C as its sibling, so that C is inherited by the caller's subreaper either way.
//! - **The parent opens, the child attaches.** Bind sources and the rootfs become detached trees with their attributes
//!   set, before the clone, with the caller's rights. C attaches them by fd on targets that it resolves below the rootfs
//!   fd. An unprivileged caller may not copy mounts: then C does, in its own mount namespace.
//! - **Who may die.** Before `Commit` C ends with the runtime (end of file on the socket), after it the record knows C.
//!   What a killed runtime leaves is found by what it noted beforehand (`ondisk::runtime_state`): `delete --force` works
//!   at every point. Statuses are found out, not written: the marker's lock is held until execve.
//! - **Who may look.** C is not dumpable from the moment others could be in its namespaces; every fd is close-on-exec;
//!   our binary is out of a container's reach (`selfexe`).
//! - **Who speaks.** C returns (step, index, errno); `words` makes the sentence, with the texts that engines look for.
//!
//! | file | |
//! |---|---|
//! | `create` `run` `start` `exec` `kill` `delete` `state` | the operations |
//! | `plan/` | decisions, pure |
//! | `child/` | code after clone: no allocation |
//! | `spawn` `maps` `limits` `console` `hooks` `sources` `home` | what the parent does around the clone |
//! | `handshake` `step` `words` | messages, failures, their text |
//! | `checkpoint` `restore` | to files and back, by criu |
//! | `foreground` | a process attended by us: signals, terminal, exit code |
//! | `events` | statistics, and word of a lack of memory |
//! | `rdt` | linux.intelRdt |
//! | `net_devices` | linux.netDevices |
//! | `door` | exec before start, without root |
//! | `placement` | the cgroup of an exec's process |
//! | `selfexe` | CVE-2019-5736 |
//! | `agent` `deliver` | the program behind SCMP_ACT_NOTIFY gets its listener, others a pidfd |
//! | `notify` | a service manager hears that the payload is ready |
//! | `idmap` | the user namespaces behind idmapped mounts, and the one of a caller who gave none |
//! | `reaper` | the tiny pid 1 behind `--init` |
//! | `holder` | what keeps a container alive while there are ranks in it |

pub mod agent;
pub mod args;
pub mod checkpoint;
pub mod child;
pub mod console;
pub mod create;
pub mod delete;
pub mod deliver;
pub mod door;
pub mod events;
pub mod exec;
pub mod foreground;
pub mod handshake;
pub mod holder;
pub mod home;
pub mod hooks;
pub mod idmap;
pub mod kill;
pub mod limits;
pub mod maps;
pub mod net_devices;
pub mod notify;
pub mod placement;
pub mod plan;
pub mod rdt;
pub mod reaper;
pub mod restore;
pub mod run;
pub mod selfexe;
mod shield;
pub mod sources;
pub mod spawn;
pub mod start;
pub mod state;
pub mod step;
pub mod words;

pub use args::{Context, CreateArgs, ExecArgs, ExecCommand, ExecWhat, RunArgs, Stages};

/// The specification that is implemented.
pub const OCI_VERSION: &str = "1.3.0";
