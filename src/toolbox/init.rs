//! `--init`: the image's own init, usually systemd, as the first process of a box.
//!
//! It is root of the box, so it may do to the user's files what the user may. What an init does at its start to a machine of
//! its own must therefore not find the user's session:
//!
//! - It has processes, cgroups, /run, /tmp and devices of its own (`places`). Of the session it sees the sockets: the runtime
//!   directory, without that of the host's systemd, and those of X11, read-only. systemd empties /tmp when it starts.
//! - Units that would take terminals, devices, the network or the runtime directory are switched off (`OFF`): by a link to
//!   /dev/null, which the user can replace by a unit.
//!
//! Commands come in as in every box, not as a session of the box's logind.

use super::OTHERS_START;
use crate::engine;
use crate::engine::peek::peek;
use crate::error::{Error, Result};
use crate::ondisk::container::{Container, Status};
use crate::ondisk::seed::Entry;
use crate::paths::Dirs;
use crate::sys::fs::{Symlinks, file_type, open_below};
use rustix::fs::{FileType, OFlags};
use serde_json::{Value, json};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// What is started.
pub const PROGRAM: &str = "/sbin/init";
/// Seconds in which services may end.
pub const STOP_TIMEOUT: u32 = 10;

/// How long `enter` waits for the services.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Made by a unit of ours when the others are started.
const UP: &str = "/run/coracle-up";
const UNIT: &str = "coracle-up.service";
const UNITS: &str = "/etc/systemd/system";

/// Units of systemd that are for a machine of its own.
const OFF: [&str; 40] = [
    "NetworkManager.service",
    "autovt@.service",
    "console-getty.service",
    "container-getty@.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty@.service",
    "kmod-static-nodes.service",
    "networking.service",
    "plymouth-start.service",
    "proc-sys-fs-binfmt_misc.automount",
    "proc-sys-fs-binfmt_misc.mount",
    "serial-getty@.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-homed.service",
    "systemd-journald-audit.socket",
    "systemd-logind.service",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-oomd.service",
    "systemd-resolved.service",
    "systemd-sysctl.service",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-udev-settle.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
    "systemd-vconsole-setup.service",
    "tmp.mount",
    "user-runtime-dir@.service",
    "user@.service",
];

/// What is put into the image's files. `number`: hexadecimal, of which the id of the box's machine is made.
pub fn seeds(number: &str) -> Vec<Entry> {
    let file = |path: String, mode, text: String| Entry::File { path, mode, text };
    let link = |path: String, target: &str| Entry::Link { path, target: target.to_owned(), keep: true };
    let machine: String = number.chars().take(32).collect();
    let unit = format!(
        "[Unit]\nDescription=Tells coracle that the box is up\nDefaultDependencies=no\nAfter=multi-user.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nRuntimeDirectory={}\nExecStart=-/bin/true\n",
        UP.trim_start_matches("/run/")
    );
    let mut all = vec![
        file("/etc/machine-id".to_owned(), 0o444, format!("{machine}\n")),
        file(format!("{UNITS}/{UNIT}"), 0o644, unit),
        link(format!("{UNITS}/multi-user.target.wants/{UNIT}"), &format!("../{UNIT}")),
    ];
    all.extend(OFF.iter().map(|unit| link(format!("{UNITS}/{unit}"), "/dev/null")));
    all
}

/// Waits until the services of a box that was started are there. Returns what the user should know.
pub fn wait(dirs: &Dirs, c: &Container) -> Result<Option<String>> {
    let begun = Instant::now();
    loop {
        match peek(dirs, c, |root| Ok(json!(is_up(&root)))) {
            Ok(Value::Bool(true)) => return Ok(None),
            Ok(_) => {}
            // It is dead, and that is perhaps not written down yet.
            Err(e) if begun.elapsed() > OTHERS_START => return Err(e),
            Err(_) if !is_running(dirs, c)? => return Err(ended(c)),
            Err(_) => {}
        }
        if begun.elapsed() > PATIENCE {
            return Ok(Some(format!(
                "the services of box {0} are still starting; see `coracle toolbox run {0} systemctl list-jobs`",
                c.name
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Another init than systemd has no sign that we would know.
fn is_up(root: &OwnedFd) -> bool {
    let open = |path| open_below(root.as_fd(), path, OFlags::PATH, Symlinks::InRoot).ok();
    let program = open(c"/sbin/init").and_then(|fd| {
        let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
        rustix::fs::readlink(link, Vec::new()).ok()
    });
    let is_systemd = program.is_none_or(|path| path.as_bytes().ends_with(b"/systemd"));
    let up = open(c"/run/coracle-up");
    !is_systemd || up.is_some_and(|fd| file_type(fd.as_fd()) == Ok(FileType::Directory))
}

fn is_running(dirs: &Dirs, c: &Container) -> Result<bool> {
    Ok(engine::lookup::state(dirs, c)?.status == Status::Running)
}

fn ended(c: &Container) -> Error {
    Error::host(format_args!("box {} ended while it started", c.name))
        .cause(format_args!("its init, {PROGRAM}, has ended"))
        .hint(format_args!("See what its init says: `coracle logs {}`.", c.name))
}
