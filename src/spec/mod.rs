//! OCI documents as data.

pub mod seccomp_profile;
pub mod runtime;
