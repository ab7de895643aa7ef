//! What systemd needs as a container's first process, beside a cgroup that is its own: the places that it writes to in memory,
//! its cgroup writable, /sys read-only (by which it knows that the devices are the host's), and a number of its machine.
//!
//! The rules are podman's: when a command counts as an init, and which places are in memory.

use super::{ImageDefaults, command};
use crate::engine::options::{CreateOptions, Systemd};
use crate::error::Result;
use crate::id::ContainerId;
use crate::ondisk::container::Cgroups;

/// SIGRTMIN+3: systemd ends its services, and itself.
pub const STOP_SIGNAL: i32 = 37;

/// Commands that are an init; so is every program by the name of systemd.
const INITS: [&str; 3] = ["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"];

/// In memory.
pub const PLACES: [&str; 4] = ["/run", "/run/lock", "/tmp", "/var/log/journal"];

/// Whether the container is prepared for it.
pub fn is_wanted(options: &CreateOptions, image: &ImageDefaults) -> Result<bool> {
    Ok(match options.systemd {
        Systemd::Never => false,
        Systemd::Always => true,
        Systemd::ByCommand => {
            let argv = command(options, image)?;
            let program = argv.first().map_or("", String::as_str);
            options.cgroups != Cgroups::Disabled
                && !options.process.init
                && (INITS.contains(&program) || program.rsplit('/').next() == Some("systemd"))
        }
    })
}

/// `container_uuid`, of which systemd makes the machine's id where the image has none.
pub fn uuid(id: &ContainerId) -> String {
    id.as_str().chars().take(32).collect()
}
