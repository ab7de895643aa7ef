//! cgroup v2: files, limits, delegation, systemd scopes.

pub mod dbus;
pub mod delegate;
pub mod fs;
pub mod limits;
pub mod scope;
