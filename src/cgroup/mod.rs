//! cgroup v2: files, limits, devices, delegation, systemd scopes; and v1 beside it for real root.

pub mod dbus;
pub mod delegate;
pub mod devices;
pub mod fs;
pub mod leftover;
pub mod limits;
pub mod property;
pub mod scope;
pub mod stats;
pub mod v1;
pub mod v1_limits;
