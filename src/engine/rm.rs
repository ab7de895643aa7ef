//! Removing a container: stopped first if it must be, then its name, its files, its anonymous volumes.
//!
//! Needs the store's namespace, where the container's files can be removed.

use super::{lookup, stop};
use crate::error::{Context, Error, Result};
use crate::id::ContainerId;
use crate::monitor;
use crate::ondisk::container::{Container, Status};
use crate::paths::Dirs;
use std::ffi::OsString;

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
    if matches!(state.status, Status::Running | Status::Paused | Status::Stopping) {
        if !options.force {
            return Err(Error::in_use(format_args!(
                "cannot remove container {} as it is {} - running or paused containers cannot be removed without force: container state improper",
                c.name,
                if state.status == Status::Paused { "paused" } else { "running" }
            ))
            .hint(format_args!("Stop it first with `coracle stop {}`, or use `coracle rm --force`.", c.name))
            .with_exit_code(2));
        }
        stop::stop(dirs, c, options.timeout).what(what)?;
    }
    monitor::remove::remove(dirs, c, options.volumes).what(what)
}

/// For `--replace`: the old container of that name goes, by a process in the store's namespace.
pub fn remove_replaced(dirs: &Dirs, id: &ContainerId) -> Result<()> {
    let mut args: Vec<OsString> = vec!["--root".into(), dirs.data.clone().into(), "--runroot".into(), dirs.run.clone().into()];
    args.extend(["rm", "--force", "--volumes", id.as_str()].map(OsString::from));
    match super::in_store_quietly(dirs, &args)? {
        0 => Ok(()),
        code => Err(Error::already_said(code)),
    }
}
