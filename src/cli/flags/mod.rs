//! Groups of flags that several commands share, and their way into typed options.

pub mod attach;
pub mod container;
pub mod create;
pub mod hpc;
pub mod modules;
pub mod mounts;
pub mod network;
pub mod process;
pub mod resources;
pub mod security;
pub mod select;
pub mod unsupported;
