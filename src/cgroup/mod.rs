//! cgroup v2: files, limits, delegation, systemd scopes.
