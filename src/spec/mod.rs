//! OCI documents as data.

pub mod runtime;
