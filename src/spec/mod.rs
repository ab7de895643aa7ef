//! OCI documents as data.

pub mod image;
pub mod seccomp_profile;
pub mod runtime;
pub mod seccomp_profile;
