//! OCI documents as data.

pub mod seccomp_profile;
