//! OCI documents as data.

pub mod runtime;
pub mod seccomp_profile;
