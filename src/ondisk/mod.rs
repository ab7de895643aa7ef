//! Every format that outlives a process, and the only way to publish one.
//!
//! A record is one small JSON file with a schema `version`. It is written to a temporary name in its own directory,
//! synced, renamed over the old one, and the directory is synced: a reader sees the old or the new record, never half,
//! also after power loss. A record of a newer version is refused and left as it is; unknown fields are ignored.
//! Runtime-directory records (`Durability::Volatile`) skip the syncs: they do not outlive a boot. What can be made again from
//! the old one (`Durability::Whole`) is synced before it takes the name: without that some file systems leave an empty file.

pub mod above;
pub mod atomic;
pub mod container;
pub mod image;
pub mod layer;
pub mod owners;
pub mod ranks;
pub mod runtime_state;
pub mod seed;
pub mod sif;
pub mod squash;
pub mod toolbox;
pub mod volume;

pub use atomic::{Durability, Readers, publish, publish_bytes_for, publish_for, read, read_opt};

/// The schema version that this build writes.
pub const VERSION: u32 = 1;
