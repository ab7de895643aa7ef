//! Which cgroup a container gets, and what happens where it cannot have one.
//!
//! A limit or a cgroupsPath that was asked for is set or it is an error that says what is missing. Without either a cgroup
//! is welcome, not needed: an unprivileged caller who may not make one gets a container without (runc does the same).

use super::args::Context;
use super::maps;
use crate::cgroup;
use crate::cgroup::fs::Cgroup;
use crate::cgroup::property::Property;
use crate::cgroup::scope::{Manager, Scope};
use crate::error::{Error, Kind, Result};
use crate::id::RuntimeId;
use crate::spec::runtime as spec;
use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, LinuxResources, Mount, Spec};
use std::borrow::Cow;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    None,
    /// A directory that we make.
    Path(PathBuf),
    /// A scope that systemd makes around the first process.
    Scope(ScopeName),
}

/// `slice:prefix:name` as units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeName {
    /// None: the manager's default.
    pub slice: Option<String>,
    pub unit: String,
}

impl Wanted {
    /// The directory, where it is known beforehand.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            _ => None,
        }
    }
}

/// Decides; none where there is no tree, or no cgroup is wanted.
pub fn decide(context: &Context, config: &Spec, id: &RuntimeId) -> Result<Wanted> {
    if context.cgroups_disabled {
        return Ok(Wanted::None);
    }
    let asked = asked_path(config);
    if context.systemd_cgroup {
        properties(config)?;
        return scope_name(asked.as_deref(), id.as_str()).map(Wanted::Scope);
    }
    let path = cgroup::fs::resolve(asked.as_deref(), id.as_str())?;
    match (path, resources(config)) {
        (Some(path), _) => Ok(Wanted::Path(path)),
        (None, Some(resources)) if has_limits(resources) => {
            Err(Error::host("cannot set limits").cause("no cgroup tree is mounted"))
        }
        (None, _) => Ok(Wanted::None),
    }
}

/// Slice names are written as they are nested: `a-b.slice` is `a.slice/a-b.slice`, which systemd knows by itself.
fn scope_name(path: Option<&str>, id: &str) -> Result<ScopeName> {
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return Ok(ScopeName { slice: None, unit: format!("coracle-{id}.scope") });
    };
    let parts: Vec<&str> = path.split(':').collect();
    let &[slice, prefix, name] = parts.as_slice() else {
        return Err(Error::usage(format_args!("invalid cgroupsPath {path:?}"))
            .cause("with --systemd-cgroup it must be slice:prefix:name"));
    };
    let bad = |part: &str| part.contains('/') || part.contains("..");
    if name.is_empty() || bad(slice) || bad(prefix) || bad(name) {
        return Err(
            Error::usage(format_args!("invalid cgroupsPath {path:?}")).cause("a part of it is no unit name")
        );
    }
    let unit = if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") };
    Ok(ScopeName { slice: (!slice.is_empty() && slice != "-.slice").then(|| slice.to_owned()), unit })
}

/// Makes the container's root the owner of its cgroup, where the container can write there: one that is mounted writable, in
/// a cgroup namespace of its own, with ids of its own. An init system needs it. What cannot be given stays as it is: the
/// container sees its cgroup and cannot change it.
pub fn delegate(cgroup: &Cgroup, config: &Spec) {
    let own = |typ| spec::namespace(config, typ).is_some_and(|ns| ns.path().is_none());
    let writable = |mount: &Mount| {
        let read_only = mount.options().iter().flatten().any(|option| option == "ro");
        mount.typ().as_deref() == Some("cgroup") && !read_only
    };
    let shown = config.mounts().iter().flatten().any(writable);
    if !shown || !own(LinuxNamespaceType::User) || !own(LinuxNamespaceType::Cgroup) {
        return;
    }
    let Some(linux) = config.linux() else { return };
    let root = |map: &Option<Vec<LinuxIdMapping>>| {
        let root = map.iter().flatten().find(|range| range.container_id() == 0 && range.size() > 0);
        root.map(LinuxIdMapping::host_id)
    };
    if let (Some(uid), Some(gid)) = (root(linux.uid_mappings()), root(linux.gid_mappings())) {
        let _ = cgroup::delegate::give(cgroup.path(), uid, gid);
    }
}

/// Asks systemd for the scope around `pid` and writes the limits.
pub fn create_scope(
    name: &ScopeName,
    id: &RuntimeId,
    pid: i32,
    config: &Spec,
    proc: BorrowedFd<'_>,
) -> Result<Cgroup> {
    let root = rustix::process::geteuid().is_root() && maps::in_initial_user_namespace(proc);
    let manager = if root { Manager::System } else { Manager::User };
    let description = format!("container {id}");
    let properties = properties(config)?;
    let scope = Scope { name: name.unit.clone(), pid, description, slice: name.slice.clone(), properties };
    let path = cgroup::scope::create_in(manager, scope)?.ok_or_else(|| {
        Error::host(format_args!("cannot make the scope {}", name.unit))
            .cause("no systemd manager answers")
            .hint("Use a cgroupsPath that is a path, without --systemd-cgroup.")
    })?;
    let tree = cgroup::delegate::tree().ok_or_else(|| Error::host("no cgroup v2 tree is mounted"))?;
    let dir = cgroup::delegate::dir_of(tree, &path)
        .ok_or_else(|| Error::host(format_args!("cgroup {path} is out of sight")))?;
    let cgroup =
        Cgroup::open(&dir)?.ok_or_else(|| Error::host(format_args!("cgroup {} is gone", dir.display())))?;
    cgroup.v1().iter().try_for_each(cgroup::v1::Dir::create)?;
    if let Some(resources) = resources(config) {
        cgroup.apply(resources)?;
    }
    cgroup.apply_devices(resources(config))?;
    cgroup.add_v1(pid)?;
    Ok(cgroup)
}

/// The properties that annotations ask for, by name.
pub fn properties(config: &Spec) -> Result<Vec<Property>> {
    let mut all: Vec<_> = config.annotations().iter().flatten().collect();
    all.sort();
    all.into_iter().filter_map(|(key, value)| Property::of(key, value).transpose()).collect()
}

/// Makes the cgroup and writes the limits.
pub fn create(context: &Context, path: &Path, config: &Spec, proc: BorrowedFd<'_>) -> Result<Option<Cgroup>> {
    let resources = resources(config);
    let asked = resources.is_some_and(has_limits) || !asked_path(config).unwrap_or_default().is_empty();
    let cgroup = match Cgroup::create(path) {
        Ok(cgroup) => cgroup,
        Err(e) if is_rootless(context, proc) && is_denied(&e) => {
            return if asked { Err(refused(&e)) } else { Ok(None) };
        }
        Err(e) => return Err(e),
    };
    if cgroup.existed() {
        // Root's container of the same name: it is there, and not ours.
        if is_rootless(context, proc) && !cgroup.is_writable() {
            let denied = Error::new(Kind::Denied, format_args!("cannot use cgroup {}", path.display()));
            return if asked { Err(refused(&denied)) } else { Ok(None) };
        }
        look_inside(&cgroup)?;
    }
    let limited = resources.map_or(Ok(()), |resources| cgroup.apply(resources));
    if let Err(e) = limited.and_then(|()| cgroup.apply_devices(resources)) {
        let _ = cgroup.remove();
        return Err(e);
    }
    Ok(Some(cgroup))
}

/// A cgroup that was there already: in a frozen one nothing could ever start; of one with processes we would limit,
/// freeze and kill those too (runc refuses it since 1.2).
fn look_inside(cgroup: &Cgroup) -> Result<()> {
    if cgroup.is_frozen() {
        return Err(Error::host("container's cgroup unexpectedly frozen")
            .cause(format_args!("{} was there before, and frozen", cgroup.path().display())));
    }
    let others = cgroup.processes()?.len();
    if others > 0 {
        return Err(Error::in_use("container's cgroup is not empty")
            .cause(format_args!("{others} process(es) found in {}", cgroup.path().display())));
    }
    Ok(())
}

/// A container whose processes nobody can find again: no cgroup, and no namespace that ends with its first process.
pub fn warn_of_strays(context: &Context, own_pid_namespace: bool, has_cgroup: bool, proc: BorrowedFd<'_>) {
    if !own_pid_namespace && !has_cgroup && is_rootless(context, proc) {
        context.warn(
            "Creating a rootless container with no cgroup and no private pid namespace. Such configuration is strongly \
             discouraged: its processes cannot all be killed with it."
                .into(),
        );
    }
}

fn asked_path(config: &Spec) -> Option<Cow<'_, str>> {
    let linux = config.linux().as_ref()?;
    linux.cgroups_path().as_ref().map(|path| path.to_string_lossy())
}

fn resources(config: &Spec) -> Option<&LinuxResources> {
    config.linux().as_ref().and_then(|linux| linux.resources().as_ref())
}

/// Device rules are no limit here: they are always in the document.
fn has_limits(resources: &LinuxResources) -> bool {
    // What v2 has no word for is a limit too; whether it can be set is seen when it is.
    cgroup::limits::settings(resources, |_| None)
        .map_or(true, |all| !all.iter().all(cgroup::limits::Setting::is_unlimited))
}

/// A user without rights over any cgroup, in the words that are looked for.
fn refused(error: &Error) -> Error {
    let denied = matches!(error.errno(), None | Some(libc::EACCES | libc::EPERM));
    let fact = if denied { format!("{}: permission denied", error.what()) } else { error.to_string() };
    Error::new(Kind::Denied, "unable to apply cgroup configuration")
        .cause("rootless needs no limits + no cgrouppath when no permission is granted for cgroups")
        .cause(fact)
        .hint(
            "Use --systemd-cgroup in a login session, or leave cgroupsPath and the limits out of config.json.",
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_paths_are_three_parts() {
        let name = |path| scope_name(Some(path), "id");
        let kube = name("kubepods-a.slice:cri-containerd:x").unwrap();
        assert_eq!(
            kube,
            ScopeName { slice: Some("kubepods-a.slice".into()), unit: "cri-containerd-x.scope".into() }
        );
        assert_eq!(name("::x").unwrap(), ScopeName { slice: None, unit: "x.scope".into() });
        assert_eq!(scope_name(None, "id").unwrap().unit, "coracle-id.scope");
        for bad in ["/docker/x", "a:b", "a:b:", "a/../b:c:d", "a:b:c/d"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
