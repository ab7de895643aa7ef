//! The command line of coracle.

pub mod oci;
