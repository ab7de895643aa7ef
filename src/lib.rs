//! coracle: containers for one user, with no root, no daemon and no setuid program of its own. **The architecture.**
//!
//! # Bird's eye
//!
//! Two static binaries on this one library. `coracle` is a podman-compatible command line; `coracle-oci` is a
//! runc-compatible OCI runtime that knows nothing of images, names or registries: a bundle and an id go in.
//!
//! ```text
//! coracle run ──spawn──▶ monitor (store's user namespace, own mount namespace) ──exec──▶ coracle-oci create/start
//!      ▲ sync socket: output, exit status  │ │ │                                             │ clone3
//!      └───────────────────────────────────┘ │ └─▶ slirp4netns, fuse-overlayfs              ▼
//!                                            └─▶ guard: kills all when the monitor dies     init ──execve──▶ payload
//!                                                                           (nested user namespace of the container)
//! ```
//!
//! - The **command line** parses, resolves the image, writes the container's record and config.json, starts the monitor,
//!   runs newuidmap for it, asks systemd for a scope, relays the terminal. Its death ends nothing.
//! - The **monitor** (one per container, a single-threaded poll loop) holds the lifetime lock, mounts the rootfs, drives
//!   the OCI runtime, owns log, pty, attach and control sockets, network helper and exit record, and removes the
//!   container when `--rm` was given. `exec` is a request to it: only it is inside the container's cgroup.
//! - What needs nobody to look after it (`run --rm --hpc` of a file) has no monitor: the command line itself becomes the
//!   runtime, and the payload dies with it (`engine::alone`).
//! - The **guard** is a tiny process that waits for the monitor's end and kills the container within a second of it.
//! - The **runtime** works as decide → freeze → clone → apply: config.json and host facts become a pure `Plan`; one clone3
//!   call site; the child applies the plan, allocates nothing, logs nothing, returns (step, index, errno); the parent
//!   makes the words.
//!
//! # Two levels of user namespaces
//!
//! The *store's* (root ↔ the user, subordinate ids above; or root ↔ the user alone where there are none): monitor, guard,
//! unpacker, overlay mount, FUSE server, network helper live here. The *container's* is nested in it, with maps written
//! by the runtime from config.json. It is never shared with the monitor: a payload with full capabilities in the
//! monitor's namespace could ptrace it. Real root maps a subordinate range, never host uid 0.
//!
//! # Map of the code
//!
//! | module | what it is |
//! |---|---|
//! | `cli` | clap definitions, one small file per subcommand, all printing |
//! | `toolbox` | boxes to live in: what the user has on the host, in any image |
//! | `engine` | puts the rest together: options → records and config.json, lifecycle, recovery |
//! | `store` | layers, images, references, volumes, rootfs drivers, unpacking, images in one file |
//! | `registry` | the distribution protocol; the only module with tokio and TLS |
//! | `network` | what a container's network is made of: helper, ports, resolv.conf, hosts |
//! | `monitor` | the per-container process, its guard, its sockets, and their client side |
//! | `runtime` | the OCI runtime core behind `coracle-oci`; `runtime/child` is the code after clone |
//! | `seccomp` | profile → BPF, pure |
//! | `cgroup` | v2 files, limits, delegation, systemd scopes |
//! | `userns` | subordinate ids, id maps, entering the store's namespace |
//! | `host` | probes by outcome, with the hint when they fail (`doctor`, `info`) |
//! | `external` | every program that is started and is not the container |
//! | `ondisk` | every format that outlives a process |
//! | `spec` | OCI documents as data: the questions we ask of them, the default seccomp profile |
//! | `paths`, `config`, `id`, `error` | where things are, what is configured, validated names, the one error |
//! | `sys` | safe faces over the kernel; the only unsafe code |
//!
//! # Invariants
//!
//! Checked by `tests/it/tidy.rs`, which holds the import table, and by clippy (`.clippy.toml`):
//!
//! 1. Imports point downward in the order of the table in `tidy.rs`; siblings do not import each other.
//! 2. `unsafe` only in `sys`. Programs are started only by `external`. Only `cli::ui` prints.
//! 3. `runtime` never reads an image, a name or a registry; it works as `podman --runtime coracle-oci`.
//! 4. Nothing in `runtime/child` allocates. Nothing that clones has a second thread.
//! 5. Paths below a rootfs, layer or volume are resolved by fd with openat2; mounts are made by fd; every fd is CLOEXEC.
//! 6. Persistent formats live in `ondisk`; a record is published by write, sync, rename, sync.
//! 7. A command first recovers what it touches; there is no reset, and nothing to migrate.
//!
//! # Cross-cutting
//!
//! Errors: `error.rs`. Locks: kernel flocks on per-object files, image before layer, a container's records before the
//! claims of names, by name, never held while waiting for a network. Tests run the built binaries as an unprivileged user
//! on the real kernel: `tests/run`.

pub mod caps;
pub mod cgroup;
pub mod cli;
pub mod config;
pub mod engine;
pub mod error;
pub mod external;
pub mod host;
pub mod id;
pub mod monitor;
pub mod network;
pub mod ondisk;
pub mod paths;
pub mod registry;
pub mod runtime;
pub mod seccomp;
pub mod spec;
pub mod store;
pub mod sys;
pub mod toolbox;
pub mod userns;
