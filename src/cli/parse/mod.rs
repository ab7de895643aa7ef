//! Flag values as text → types. Pure: what depends on the caller's directory or environment is passed in.
//!
//! Every error names the wrong value and shows a right one.

pub mod capability;
pub mod csv;
pub mod detach;
pub mod device;
pub mod env;
pub mod label;
pub mod limits;
pub mod log;
pub mod mount;
pub mod namespace;
pub mod network;
pub mod platform;
pub mod port;
pub mod restart;
pub mod security;
pub mod size;
pub mod time;
pub mod ulimit;
pub mod volume;

use crate::error::Error;

/// `invalid WHAT "TEXT": WHY` with a right example.
pub fn invalid(what: &str, text: &str, why: impl std::fmt::Display, example: &str) -> Error {
    let error = Error::usage(format_args!("invalid {what} {text:?}: {why}"));
    if example.is_empty() { error } else { error.hint(format_args!("For example: `{example}`.")) }
}

/// `container:NAME` and `ns:PATH` of a namespace. podman's containers are all children of one user namespace; ours each have a parent of
/// their own, and nobody may join what belongs to the parent of another (`setns` wants CAP_SYS_ADMIN there).
pub fn shared(flag: &str, text: &str, instead: &str) -> Error {
    unsupported(format_args!("{flag} {text}"))
        .cause("every container has a user namespace of its own, and the kernel lets it join nothing that belongs to another")
        .hint(format_args!("Share the host's with `{instead}`, or run both programs in one container (`coracle exec`)."))
}

/// A form or a value that podman knows and coracle does not (yet).
pub fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::usage(format_args!("{what} is not supported yet"))
}
