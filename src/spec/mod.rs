//! OCI documents as data.
