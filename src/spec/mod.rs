//! OCI documents as data.
pub mod image;
