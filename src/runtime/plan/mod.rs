//! config.json and facts of the host → everything that the child will do, as data.
//!
//! A `Plan` is pure and unit-tested: strings are C strings, paths are split, the filter is compiled. Only the fds in it
//! (bind sources, joined namespaces, the rootfs) are opened later, by `runtime::sources`, before the clone.

pub mod devices;
pub mod filter;
pub mod label;
pub mod mount_options;
pub mod mounts;
pub mod namespaces;
pub mod net_devices;
pub mod process;
pub mod sysctl;
pub mod target;

use crate::error::{Error, Result};
use crate::spec::runtime as spec;
use crate::sys::mount::{ATTR_RDONLY, MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE};
use crate::sys::process::ExecStrings;
use devices::{DevicePlan, LinkPlan};
use label::MountLabel;
use mounts::{MountPlan, Scope};
use namespaces::{NEWCGROUP, NEWUSER, NEWUTS, Namespaces};
use net_devices::NetDevice;
use oci_spec::runtime::{Hook, LinuxIdMapping, Spec};
use process::{ProcessPlan, ProcessScope};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use sysctl::Sysctl;
use target::{Target, c_string};

/// What the child applies.
#[derive(Debug)]
pub struct Plan {
    pub namespaces: Namespaces,
    /// Opened namespaces, in the order of `namespaces.join`.
    pub joined: Vec<(u64, OwnedFd)>,
    /// The host's, moved by the parent.
    pub net_devices: Vec<NetDevice>,
    pub rootfs: Rootfs,
    pub mounts: Vec<MountPlan>,
    /// For what is mounted besides them.
    pub mount_label: Option<MountLabel>,
    /// None when `/dev` is the host's.
    pub dev: Option<Dev>,
    pub masked: Vec<Target>,
    pub readonly: Vec<Target>,
    pub sysctls: Vec<Sysctl>,
    pub hostname: Option<CString>,
    pub domainname: Option<CString>,
    pub create_container_hooks: Vec<HookPlan>,
    pub start_container_hooks: Vec<HookPlan>,
    /// Whether the child stops for the hooks that the runtime runs.
    pub waits_for_hooks: bool,
    pub process: ProcessPlan,
}

/// The root file system.
#[derive(Debug)]
pub struct Rootfs {
    /// On the host, absolute.
    pub path: CString,
    /// A detached copy, when the parent could make one.
    pub tree: Option<OwnedFd>,
    pub readonly: bool,
    /// Propagation that it gets in the end.
    pub propagation: Option<(u64, bool)>,
    /// How the child's copies of the host's mounts are cut off: slave lets new host mounts in, private does not.
    pub host_propagation: u64,
    /// `--no-pivot`: chroot only, for a host root that cannot be pivoted.
    pub pivot: bool,
    /// Without a pivot: the host's mounts of proc and sysfs.
    pub uncovered: Vec<CString>,
    /// The working directory, made when it is missing.
    pub cwd: Target,
    /// Where the container's terminal is bound.
    pub console: Option<Target>,
}

/// The container's own `/dev`.
#[derive(Debug)]
pub struct Dev {
    pub target: Target,
    pub nodes: Vec<DevicePlan>,
    pub links: Vec<LinkPlan>,
    /// Whether nodes can be made; else the host's are bound.
    pub mknod: bool,
    /// Its mount is to be read-only in the end.
    pub readonly: bool,
}

/// A hook that runs in the child.
#[derive(Debug)]
pub struct HookPlan {
    pub path: CString,
    pub argv: ExecStrings,
    pub env: ExecStrings,
    pub timeout: Option<u32>,
}

/// What the caller and the host add.
#[derive(Debug)]
pub struct Facts<'a> {
    pub id: &'a str,
    /// uid and gid of the caller.
    pub caller: (u32, u32),
    pub bundle: &'a Path,
    /// The container's cgroup, and the host's cgroup2 mount.
    pub cgroup_dir: Option<&'a Path>,
    pub cgroup_tree: Option<&'a Path>,
    /// Its directories in hierarchies of v1, by name.
    pub hierarchies: Vec<(String, PathBuf)>,
    /// Whether device nodes can be made here: real root, outside any user namespace.
    pub can_mknod: bool,
    pub no_pivot: bool,
    /// Where proc and sysfs are mounted here; needed without a pivot.
    pub kernel_mounts: Vec<String>,
    pub new_keyring: bool,
    pub home: Option<String>,
    pub extra_env: Vec<String>,
    /// What the runtime has of capabilities.
    pub capabilities: Option<u64>,
    /// Whether SELinux is on.
    pub selinux: bool,
    /// Maps for a user namespace that the configuration does not ask for and the caller needs.
    pub default_maps: Option<(Vec<LinuxIdMapping>, Vec<LinuxIdMapping>)>,
}

/// Plans a container.
pub fn plan(config: &Spec, facts: &Facts<'_>) -> Result<Plan> {
    let linux = config.linux().as_ref().ok_or_else(|| Error::usage("config.json has no linux section"))?;
    let process = config.process().as_ref().ok_or_else(|| Error::usage("config.json has no process"))?;
    let mut namespaces = namespaces::plan(linux, facts.caller)?;
    if let Some((uids, gids)) = &facts.default_maps {
        namespaces.add_user(uids, gids);
    }
    let host_rootfs = rootfs_path(config, facts.bundle)?;
    let mount_label = label::plan(config, facts.selinux)?;
    let scope = Scope {
        bundle: facts.bundle,
        rootfs: &host_rootfs,
        cgroup_dir: facts.cgroup_dir,
        cgroup_tree: facts.cgroup_tree,
        hierarchies: &facts.hierarchies,
        own_cgroupns: namespaces.has(NEWCGROUP),
        label: mount_label.as_ref(),
    };
    let mounts = config.mounts().as_deref().unwrap_or_default();
    let process_scope = ProcessScope {
        personality: linux.personality().as_ref(),
        memory_policy: linux.memory_policy().as_ref(),
        filter: process::filter_of(linux.seccomp().as_ref())?,
        capabilities: facts.capabilities.filter(|_| !namespaces.has(NEWUSER)),
        inherits_cpus: spec::inherits_cpus(config),
        in_cpuset: spec::cpuset(config).is_some(),
        keyring_of: facts.new_keyring.then_some(facts.id),
        keep_groups: spec::annotation(config, spec::ANNOTATION_GROUPS) == Some("1"),
        home: facts.home.clone(),
        extra_env: facts.extra_env.clone(),
        affinity: None,
        selinux: facts.selinux,
    };
    let process = process::plan(process, process_scope)?;
    let dev = devices::is_ours(mounts)
        .then(|| dev(linux.devices().as_deref().unwrap_or_default(), facts, &namespaces));
    let hooks = config.hooks().as_ref();
    let own_uts = namespaces.has(NEWUTS);
    let named = |name: Option<&str>, what: &str| match name.filter(|name| !name.is_empty()) {
        Some(_) if !own_uts => {
            Err(Error::usage(format_args!("unable to set {what} without a private UTS namespace")))
        }
        name => name.map(c_string).transpose(),
    };
    let mut planned = Vec::with_capacity(mounts.len());
    for (index, mount) in mounts.iter().enumerate() {
        planned.extend(mounts::plan_all(index, mount, scope)?);
    }
    let mut mounts = planned;
    mounts::find_inside(&mut mounts, &host_rootfs)?;
    let mut dev = dev.transpose()?;
    if let Some(dev) = &mut dev {
        // A read-only /dev must still be filled.
        for mount in
            mounts.iter_mut().filter(|mount| mount.target == dev.target && mount.attr.set & ATTR_RDONLY != 0)
        {
            mount.attr.set &= !ATTR_RDONLY;
            dev.readonly = true;
        }
    }
    Ok(Plan {
        joined: Vec::new(),
        net_devices: net_devices::plan(linux.net_devices().as_ref(), &namespaces, facts.caller.0)?,
        rootfs: rootfs(config, facts)?,
        mounts,
        mount_label,
        dev,
        masked: targets(linux.masked_paths().as_deref())?,
        readonly: targets(linux.readonly_paths().as_deref())?,
        sysctls: sysctl::plan(linux.sysctl().as_ref(), &namespaces)?,
        hostname: named(config.hostname().as_deref(), "hostname")?,
        domainname: named(config.domainname().as_deref(), "domainname")?,
        create_container_hooks: hook_plans(hooks.and_then(|h| h.create_container().as_deref()), None)?,
        start_container_hooks: hook_plans(
            hooks.and_then(|h| h.start_container().as_deref()),
            Some(&process.environment),
        )?,
        waits_for_hooks: hooks.is_some_and(|h| {
            let any = |list: &Option<Vec<Hook>>| list.as_ref().is_some_and(|list| !list.is_empty());
            #[allow(deprecated, reason = "engines still send prestart hooks")]
            let prestart = any(h.prestart());
            prestart || any(h.create_runtime()) || any(h.create_container())
        }),
        namespaces,
        process,
    })
}

/// The root file system's absolute path.
pub fn rootfs_path(config: &Spec, bundle: &Path) -> Result<PathBuf> {
    let root = config.root().as_ref().ok_or_else(|| Error::usage("config.json has no root"))?;
    Ok(bundle.join(root.path()))
}

fn rootfs(config: &Spec, facts: &Facts<'_>) -> Result<Rootfs> {
    let linux = config.linux().as_ref();
    let propagation = match linux.and_then(|l| l.rootfs_propagation().as_deref()).unwrap_or("") {
        "" => None,
        "private" => Some((MS_PRIVATE, false)),
        "rprivate" => Some((MS_PRIVATE, true)),
        "shared" => Some((MS_SHARED, false)),
        "rshared" => Some((MS_SHARED, true)),
        "slave" => Some((MS_SLAVE, false)),
        "rslave" => Some((MS_SLAVE, true)),
        "unbindable" => Some((MS_UNBINDABLE, false)),
        "runbindable" => Some((MS_UNBINDABLE, true)),
        other => return Err(Error::usage(format_args!("unknown linux.rootfsPropagation {other:?}"))),
    };
    let cwd = config.process().as_ref().map_or(Path::new("/"), |p| p.cwd());
    Ok(Rootfs {
        path: c_string(&rootfs_path(config, facts.bundle)?.to_string_lossy())?,
        tree: None,
        readonly: config.root().as_ref().is_some_and(|r| r.readonly().unwrap_or(false)),
        propagation,
        host_propagation: if matches!(propagation, Some((MS_PRIVATE, _))) { MS_PRIVATE } else { MS_SLAVE },
        pivot: !facts.no_pivot,
        uncovered: facts.kernel_mounts.iter().map(|path| c_string(path)).collect::<Result<_>>()?,
        cwd: Target::new(cwd)?,
        console: Some(Target::new(Path::new("/dev/console"))?),
    })
}

fn dev(asked: &[oci_spec::runtime::LinuxDevice], facts: &Facts<'_>, namespaces: &Namespaces) -> Result<Dev> {
    Ok(Dev {
        target: Target::new(Path::new("/dev"))?,
        nodes: devices::nodes(asked)?,
        links: devices::links()?,
        mknod: facts.can_mknod && !namespaces.has(NEWUSER),
        readonly: false,
    })
}

fn targets(paths: Option<&[String]>) -> Result<Vec<Target>> {
    paths.unwrap_or_default().iter().map(|path| Target::new(Path::new(path))).collect()
}

/// Hooks as the child runs them. The environment is exactly the hook's own (R17), and where it has none, `inherited`: a
/// startContainer hook belongs to the container, and gets that of its process, as runc's do.
fn hook_plans(hooks: Option<&[Hook]>, inherited: Option<&Vec<String>>) -> Result<Vec<HookPlan>> {
    let plan = |hook: &Hook| {
        let path = hook.path().to_string_lossy();
        if !hook.path().is_absolute() {
            return Err(Error::usage(format_args!("the path of hook {path:?} is not absolute")));
        }
        let strings = |list: Option<&Vec<String>>| {
            list.into_iter().flatten().map(|s| c_string(s)).collect::<Result<Vec<_>>>()
        };
        let mut argv = strings(hook.args().as_ref())?;
        if argv.is_empty() {
            argv.push(c_string(&path)?);
        }
        Ok(HookPlan {
            path: c_string(&path)?,
            argv: ExecStrings::new(argv),
            env: ExecStrings::new(strings(hook.env().as_ref().or(inherited))?),
            timeout: hook.timeout().and_then(|t| u32::try_from(t).ok()).filter(|t| *t > 0),
        })
    };
    hooks.unwrap_or_default().iter().map(plan).collect()
}
