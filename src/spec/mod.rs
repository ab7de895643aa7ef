//! OCI documents as data.

pub mod cdi;
pub mod image;
pub mod runtime;
pub mod seccomp_file;
pub mod seccomp_pretend;
pub mod seccomp_profile;
