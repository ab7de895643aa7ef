//! Puts store, network, monitor and runtime together (podman's libpod).

pub mod image;
pub mod options;
