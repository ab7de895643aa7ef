//! Puts store, network, monitor and runtime together (podman's libpod).

pub mod doctor;
pub mod info;
pub mod options;
