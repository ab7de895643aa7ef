//! Removing a container: stopped first if it must be, then removed as its monitor would do it (`monitor::remove`).
//!
//! Needs the store's namespace, where the container's files can be removed.

use super::{lookup, stop};
use crate::error::{Context, Error, Kind, Result};
use crate::id::ContainerId;
use crate::monitor;
use crate::ondisk::container::{Container, Status};
use crate::paths::Dirs;
use crate::store::{Store, collect::Removed};
use crate::userns;
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// How long a forced removal waits for a monitor before it looks again whether the container runs.
const A_GLANCE: Duration = Duration::from_millis(200);

/// What may be removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Stop it first.
    pub force: bool,
    /// Seconds for the stop; none: the container's own patience.
    pub timeout: Option<i64>,
    /// Its anonymous volumes too.
    pub volumes: bool,
}

/// Removes one container. Running without `force`: exit code 2, as podman has it.
pub fn remove(dirs: &Dirs, c: &Container, options: RemoveOptions) -> Result<()> {
    let what = || format!("cannot remove container {}", c.name);
    let state = lookup::state(dirs, c)?;
    let running = matches!(state.status, Status::Running | Status::Paused | Status::Stopping);
    if running && !options.force {
        return Err(still_running(c, state.status));
    }
    let until = Instant::now() + stop::LAST_MOMENTS;
    let mut patience = stop::LAST_MOMENTS;
    loop {
        if options.force {
            stop::stop(dirs, c, options.timeout).what(what)?;
            // One that was about to be started runs now: then it is stopped again.
            patience = A_GLANCE.min(until.saturating_duration_since(Instant::now()));
        }
        return match monitor::remove::remove(dirs, c, options.volumes, patience) {
            // With --rm its monitor was faster, or another command.
            Err(e) if e.kind() == Kind::NotFound && !dirs.container(&c.id).exists() => Ok(()),
            Err(e) if e.kind() == Kind::InUse && e.errno().is_none() => {
                if options.force && !patience.is_zero() {
                    continue;
                }
                Err(still_running(c, Status::Running))
            }
            other => other.what(what),
        };
    }
}

fn still_running(c: &Container, status: Status) -> Error {
    let word = if status == Status::Paused { "paused" } else { "running" };
    Error::in_use(format_args!(
        "cannot remove container {} as it is {word} - running or paused containers cannot be removed without force: container state improper",
        c.name
    ))
    .hint(format_args!("Stop it first with `coracle stop {}`, or use `coracle rm --force {}`.", c.name, c.name))
    .with_exit_code(2)
}

/// For `--replace`: the old container of that name goes, by a process in the store's namespace.
pub fn remove_replaced(dirs: &Dirs, id: &ContainerId) -> Result<()> {
    let mut args = dirs.to_args();
    args.extend(["rm", "--quiet", "--force", "--volumes", id.as_str()].map(OsString::from));
    match userns::run_in_store(dirs, &args)? {
        0 => Ok(()),
        code => Err(Error::already_said(code)),
    }
}

/// Removes an image, or one of its names; `force` takes all names, `containers` the containers that use it, too.
pub fn remove_image(
    dirs: &Dirs,
    store: &Store,
    name: &str,
    force: bool,
    containers: bool,
) -> Result<Removed> {
    if containers && let Some(image) = store.find_own_image(name)? {
        for user in store.image_users(&image.id)? {
            let options = RemoveOptions { force: true, timeout: None, volumes: true };
            remove(dirs, &lookup::find(dirs, &user)?, options)?;
        }
    }
    store.remove_image(name, force)
}
