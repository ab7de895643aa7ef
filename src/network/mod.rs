//! What a container's network is made of.
//!
//! # Theory of operation
//!
//! The OCI runtime makes the network namespace (or joins one); this module gives it a way out. A helper belongs to one run
//! of the payload: the monitor starts it between `create` and `start`, and it ends with the monitor (`--exit-fd`), whoever
//! kills whom. Nothing of it is on disk. Files of the container (`hosts`, `resolv.conf`) are rendered here as text; the
//! engine writes them.

pub mod hosts;
pub mod ports;
pub mod resolv;
pub mod slirp4netns;
