//! Which cgroup a container gets, and what happens where it cannot have one.
//!
//! A limit that was asked for is set or it is an error that says what is missing. Without limits a cgroup is welcome, not
//! needed: an unprivileged caller who may not make one gets a container without (runc does the same).

use super::args::Context;
use super::maps;
use crate::cgroup;
use crate::cgroup::fs::Cgroup;
use crate::error::{Error, Result};
use crate::id::RuntimeId;
use oci_spec::runtime::{LinuxResources, Spec};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// The cgroup's path; none where there is no tree, or none is wanted.
pub fn path(context: &Context, config: &Spec, id: &RuntimeId) -> Result<Option<PathBuf>> {
    if context.cgroups_disabled {
        return Ok(None);
    }
    let asked =
        config.linux().as_ref().and_then(|linux| linux.cgroups_path().as_ref()).map(|p| p.to_string_lossy());
    if context.systemd_cgroup {
        return Err(Error::host("cannot use --systemd-cgroup")
            .cause("it is not supported yet")
            .hint("Use a cgroupsPath that is a path, without --systemd-cgroup."));
    }
    let path = cgroup::fs::resolve(asked.as_deref(), id.as_str())?;
    match (&path, resources(config)) {
        (None, Some(resources)) if has_limits(resources)? => {
            Err(Error::host("cannot set limits").cause("no cgroup v2 tree is mounted"))
        }
        _ => Ok(path),
    }
}

/// Makes the cgroup and writes the limits.
pub fn create(context: &Context, path: &Path, config: &Spec, proc: BorrowedFd<'_>) -> Result<Option<Cgroup>> {
    let resources = resources(config);
    let limited = resources.map(has_limits).transpose()?.unwrap_or(false);
    let cgroup = match Cgroup::create(path) {
        Ok(cgroup) => cgroup,
        Err(e) if !limited && is_rootless(context, proc) && is_denied(&e) => return Ok(None),
        Err(e) => return Err(e),
    };
    if let Some(resources) = resources
        && let Err(e) = cgroup.apply(resources)
    {
        let _ = cgroup.remove();
        return Err(e);
    }
    Ok(Some(cgroup))
}

fn resources(config: &Spec) -> Option<&LinuxResources> {
    config.linux().as_ref().and_then(|linux| linux.resources().as_ref())
}

/// Device rules are no limit here: they are always in the document.
fn has_limits(resources: &LinuxResources) -> Result<bool> {
    Ok(!cgroup::limits::settings(resources, |_| true)?.iter().all(cgroup::limits::Setting::is_unlimited))
}

fn is_denied(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EACCES | libc::EPERM | libc::EROFS | libc::ENOENT))
}

/// `--rootless`, else: not root, or root of a user namespace only.
fn is_rootless(context: &Context, proc: BorrowedFd<'_>) -> bool {
    context
        .rootless
        .unwrap_or_else(|| !rustix::process::geteuid().is_root() || !maps::in_initial_user_namespace(proc))
}
