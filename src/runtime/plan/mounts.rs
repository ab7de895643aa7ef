//! `mounts` of config.json → what the child mounts, in order. Pure: sources are opened later (`runtime::sources`).

use super::label::{self, Labelled, MountLabel};
use super::mount_options::{self, Bind, MountOptions};
use super::target::{Target, c_string};
use crate::error::{Error, Result};
use crate::sys::mount::{ATTR_RDONLY, MountAttr};
use oci_spec::runtime::{LinuxIdMapping, Mount};
use std::borrow::Cow;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug)]
pub struct MountPlan {
    pub target: Target,
    pub source: Source,
    pub attr: MountAttr,
    pub recursive_attr: MountAttr,
    pub propagation: Vec<(u64, bool)>,
    pub copy_up: bool,
    /// A symlink on the way to the target is an error: the kernel's own file systems go where they belong (R5).
    pub strict: bool,
    /// For messages: `mounts[3] (bind /data on /data)`.
    pub shown: String,
}

impl MountPlan {
    /// Whether the child needs the runtime for it.
    pub fn asks(&self) -> bool {
        matches!(&self.source, Source::Bind(bind) if bind.inside.is_some() && bind.idmap.is_some())
    }
}

/// Where the tree comes from.
#[derive(Debug)]
pub enum Source {
    Bind(BindSource),
    FileSystem(FileSystem),
    /// Changes attributes of the mount that is already at the target.
    Remount,
    /// No mount: a symlink with this text.
    Symlink(CString),
}

/// A tree of the host.
#[derive(Debug)]
pub struct BindSource {
    pub path: CString,
    pub recursive: bool,
    /// A detached copy, with its attributes set, when the parent could make one. Else the child does it by path.
    pub tree: Option<OwnedFd>,
    /// Where the source is itself in the rootfs and an earlier mount has changed what is there: the child takes it from its own
    /// rootfs, at its turn.
    pub inside: Option<Target>,
    /// Whether the target must be a directory; known once the source was seen.
    pub is_dir: bool,
    /// Id maps for the tree, as config.json has them; the parent needs them.
    pub idmap: Option<IdMap>,
    /// Whether its attributes are all that the mount has, see `sys::exact`; else they change what the source's has.
    pub exact: bool,
    /// `copy-symlink`: where the path is a link, the source becomes a `Symlink`.
    pub copy_symlink: bool,
}

impl BindSource {
    /// A directory of the host with all that is mounted below it, as it is.
    fn of_host(path: CString) -> Self {
        Self {
            path,
            recursive: true,
            tree: None,
            inside: None,
            is_dir: true,
            idmap: None,
            exact: false,
            copy_symlink: false,
        }
    }
}

/// Maps of an idmapped mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMap {
    pub uids: Vec<LinuxIdMapping>,
    pub gids: Vec<LinuxIdMapping>,
    pub recursive: bool,
}

/// A new file system.
#[derive(Debug)]
pub struct FileSystem {
    pub kind: CString,
    pub source: Option<CString>,
    pub options: Vec<(CString, Option<CString>)>,
    /// What to bind instead where the namespace's owner does not let us mount it.
    pub fallback: Option<CString>,
    /// Whether sysctls are written through it.
    pub is_proc: bool,
    /// The SELinux context of its root, where that is no option.
    pub label: Option<CString>,
}

/// What a mount depends on besides itself.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Relative bind sources start here.
    pub bundle: &'a Path,
    /// The rootfs on the host.
    pub rootfs: &'a Path,
    /// The container's cgroup on the host: what a `cgroup` mount shows where cgroup2 cannot be mounted.
    pub cgroup_dir: Option<&'a Path>,
    /// The host's cgroup2 mount: what it shows to a container that shares the host's cgroup namespace.
    pub cgroup_tree: Option<&'a Path>,
    /// The container's directories in the hierarchies of cgroup v1, under the names that it sees them by.
    pub hierarchies: &'a [(String, PathBuf)],
    /// Whether the container has a cgroup namespace of its own. Without one cgroup2 is never mounted afresh: that
    /// would reset the options of the host's mount.
    pub own_cgroupns: bool,
    /// What new file systems are labelled with.
    pub label: Option<&'a MountLabel>,
}

/// Kernel file systems whose targets may not be reached through symlinks.
const STRICT: [&str; 5] = ["proc", "sysfs", "devpts", "mqueue", "cgroup"];

/// Plans one entry of `mounts`: one mount, but for the hierarchies of cgroup v1.
pub fn plan_all(index: usize, mount: &Mount, scope: Scope<'_>) -> Result<Vec<MountPlan>> {
    let first = plan(index, mount, scope)?;
    if mount.typ().as_deref() != Some("cgroup") || scope.hierarchies.is_empty() {
        return Ok(vec![first]);
    }
    // A tmpfs, with the container's directory of each hierarchy bound in it; read-only when all are there.
    let base = Path::new("/").join(below(scope.rootfs, mount.destination()));
    let data = [("mode", Some("755")), ("size", Some("64k"))];
    let mut data =
        data.iter().map(|(k, v)| Ok((c_string(k)?, v.map(c_string).transpose()?))).collect::<Result<_>>()?;
    scope.label.iter().for_each(|label| label.add_to(&mut data));
    let readonly = first.attr.set & ATTR_RDONLY != 0;
    let open = MountAttr { set: first.attr.set & !ATTR_RDONLY, ..first.attr };
    let tmpfs = FileSystem {
        kind: c_string("tmpfs")?,
        source: Some(c_string("tmpfs")?),
        options: data,
        fallback: None,
        is_proc: false,
        label: None,
    };
    let with = |target: Target, source: Source, attr: MountAttr| MountPlan {
        target,
        source,
        attr,
        recursive_attr: MountAttr::default(),
        propagation: Vec::new(),
        copy_up: false,
        strict: true,
        shown: first.shown.clone(),
    };
    let mut all = vec![with(Target::new(&base)?, Source::FileSystem(tmpfs), open)];
    for (name, dir) in scope.hierarchies {
        let path = c_string(&dir.to_string_lossy())?;
        let bind = BindSource::of_host(path);
        all.push(with(Target::new(&base.join(name))?, Source::Bind(bind), first.attr));
    }
    if readonly {
        let attr = MountAttr { set: ATTR_RDONLY, ..MountAttr::default() };
        all.push(with(Target::new(&base)?, Source::Remount, attr));
    }
    Ok(all)
}

/// Plans one entry of `mounts`.
pub fn plan(index: usize, mount: &Mount, scope: Scope<'_>) -> Result<MountPlan> {
    let options = mount_options::parse(mount.options().as_deref().unwrap_or_default())?;
    let kind = mount.typ().as_deref().unwrap_or("none");
    let destination = below(scope.rootfs, mount.destination());
    let source = mount.source().as_ref().map(|path| path.to_string_lossy().into_owned());
    let shown = format!(
        "mounts[{index}] ({} {} on {})",
        if options.bind.is_some() { "bind" } else { kind },
        source.as_deref().unwrap_or("none"),
        mount.destination().display()
    );
    let target = Target::new(&destination)?;
    if target.is_root() && options.bind.is_none() && !options.remount {
        return Err(Error::usage(format_args!("{shown}: cannot mount over the root file system")));
    }
    let is_dev = destination == Path::new("/dev");
    let strict = options.bind.is_none() && (STRICT.contains(&kind) || kind == "cgroup2" || is_dev);
    let (source, attr) = source_of(&shown, mount, kind, &options, scope)?;
    Ok(MountPlan {
        target,
        source,
        attr,
        recursive_attr: options.recursive_attr,
        propagation: options.propagation,
        copy_up: options.copy_up,
        strict,
        shown,
    })
}

/// A destination in the container: engines of old wrote it with the path of the rootfs in front, as runc still takes it.
pub fn below<'a>(rootfs: &Path, destination: &'a Path) -> Cow<'a, Path> {
    match destination.strip_prefix(rootfs) {
        Ok(rest) if rootfs != Path::new("/") => Cow::Owned(Path::new("/").join(rest)),
        _ => Cow::Borrowed(destination),
    }
}

/// Finds the binds whose source lies in the rootfs, at, above or below what an earlier mount covers.
pub fn find_inside(mounts: &mut [MountPlan], rootfs: &Path) -> Result<()> {
    if rootfs == Path::new("/") {
        return Ok(());
    }
    for at in 1..mounts.len() {
        let (earlier, rest) = mounts.split_at_mut(at);
        let Some(Source::Bind(bind)) = rest.first_mut().map(|mount| &mut mount.source) else { continue };
        let path = bind.path.to_string_lossy().into_owned();
        let Ok(source) = Path::new(&path).strip_prefix(rootfs) else { continue };
        let source = Target::new(source)?;
        let touches = |mount: &MountPlan| {
            mount.target.steps.iter().zip(&source.steps).all(|(covered, step)| covered.name == step.name)
        };
        if earlier.iter().any(touches) {
            bind.inside = Some(source);
        }
    }
    Ok(())
}

fn source_of(
    shown: &str,
    mount: &Mount,
    kind: &str,
    options: &MountOptions,
    scope: Scope<'_>,
) -> Result<(Source, MountAttr)> {
    let attr = options.attr;
    if options.remount {
        return Ok((Source::Remount, attr));
    }
    if let Some(bind) = options.bind.or((kind == "bind").then_some(Bind::One)) {
        return Ok((Source::Bind(bind_source(shown, mount, bind, options, scope)?), attr));
    }
    if let ("cgroup" | "cgroup2", false, Some(dir)) = (kind, scope.own_cgroupns, scope.cgroup_tree) {
        let path = c_string(&dir.to_string_lossy())?;
        return Ok((Source::Bind(BindSource::of_host(path)), attr));
    }
    let (kind, fallback) = match kind {
        "cgroup" | "cgroup2" => ("cgroup2", scope.cgroup_dir.map(Path::to_path_buf)),
        "sysfs" => ("sysfs", Some("/sys".into())),
        "mqueue" => ("mqueue", Some("/dev/mqueue".into())),
        kind => (kind, None),
    };
    if kind == "none" {
        return Err(Error::usage(format_args!("{shown}: neither a file system type nor bind")));
    }
    let source = mount.source().as_ref().map(|path| c_string(&path.to_string_lossy())).transpose()?;
    let mut options = options
        .data
        .iter()
        .map(|(key, value)| Ok((c_string(key)?, value.as_deref().map(c_string).transpose()?)))
        .collect::<Result<_>>()?;
    let mut attribute = None;
    match (scope.label, label::of_kind(kind)) {
        (Some(label), Labelled::ByOption) => label.add_to(&mut options),
        (Some(label), Labelled::ByAttribute) => attribute = Some(label.context.clone()),
        _ => {}
    }
    let fallback = fallback.map(|path| c_string(&path.to_string_lossy())).transpose()?;
    let is_proc = kind == "proc";
    let kind = c_string(kind)?;
    let made = FileSystem { kind, source, options, fallback, is_proc, label: attribute };
    Ok((Source::FileSystem(made), attr))
}

fn bind_source(
    shown: &str,
    mount: &Mount,
    bind: Bind,
    options: &MountOptions,
    scope: Scope<'_>,
) -> Result<BindSource> {
    let Some(path) = mount.source() else {
        return Err(Error::usage(format_args!("{shown}: a bind mount needs a source")));
    };
    let uids = mount.uid_mappings().clone().unwrap_or_default();
    let gids = mount.gid_mappings().clone().unwrap_or_default();
    let idmap = match options.idmap {
        None if uids.is_empty() && gids.is_empty() => None,
        which => {
            let (uids, gids) = match &options.idmap_maps {
                Some((words_uids, words_gids)) => (words_uids.clone(), words_gids.clone()),
                None => (uids, gids),
            };
            Some(IdMap { uids, gids, recursive: which == Some(Bind::Recursive) })
        }
    };
    Ok(BindSource {
        path: c_string(&scope.bundle.join(path).to_string_lossy())?,
        recursive: bind == Bind::Recursive,
        tree: None,
        inside: None,
        is_dir: true,
        idmap,
        exact: options.named,
        copy_symlink: options.copy_symlink,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(json: serde_json::Value) -> Result<MountPlan> {
        let mount: Mount = serde_json::from_value(json).unwrap();
        plan(
            0,
            &mount,
            Scope {
                bundle: Path::new("/b"),
                rootfs: Path::new("/b/rootfs"),
                cgroup_dir: Some(Path::new("/sys/fs/cgroup/x")),
                cgroup_tree: None,
                hierarchies: &[],
                own_cgroupns: true,
                label: Some(&MountLabel { option: c"context".into(), context: c"a:b:c,d".into() }),
            },
        )
    }

    #[test]
    fn relative_bind_sources_start_at_the_bundle() {
        let plan =
            one(serde_json::json!({"destination": "/data", "source": "d", "options": ["rbind", "ro"]}))
                .unwrap();
        let Source::Bind(bind) = plan.source else { panic!("{plan:?}") };
        assert_eq!(bind.path.to_str().unwrap(), "/b/d");
        assert!(bind.recursive && !plan.strict);
        assert_eq!(plan.attr.set, ATTR_RDONLY);
    }

    #[test]
    fn kernel_file_systems_are_strict_and_cgroup_has_a_way_out() {
        let plan =
            one(serde_json::json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}))
                .unwrap();
        let Source::FileSystem(fs) = plan.source else { panic!("{plan:?}") };
        assert_eq!(fs.kind.to_str().unwrap(), "cgroup2");
        assert_eq!(fs.fallback.unwrap().to_str().unwrap(), "/sys/fs/cgroup/x");
        assert!(plan.strict);
    }

    #[test]
    fn a_source_that_an_earlier_mount_covers_is_the_containers() {
        let mount = |source: &str, target: &str| {
            one(serde_json::json!({"destination": target, "source": source, "options": ["bind"]})).unwrap()
        };
        let mut mounts =
            [mount("/d", "/b/rootfs/mnt/x"), mount("rootfs/mnt", "/y"), mount("/b/rootfs/other", "/z")];
        find_inside(&mut mounts, Path::new("/b/rootfs")).unwrap();
        assert_eq!(mounts[0].target.path.to_str().unwrap(), "mnt/x");
        let inside = mounts.map(|mount| match mount.source {
            Source::Bind(bind) => bind.inside.map(|target| target.shown),
            _ => None,
        });
        assert_eq!(inside, [None, Some("mnt".to_owned()), None]);
    }

    #[test]
    fn new_file_systems_have_the_label_that_they_can_have() {
        let labelled = |kind: &str, options: &[&str]| {
            let json =
                serde_json::json!({"destination": "/x", "source": "s", "type": kind, "options": options});
            let Source::FileSystem(fs) = one(json).unwrap().source else { panic!("{kind}") };
            let options: Vec<_> = fs
                .options
                .iter()
                .map(|(key, value)| (key.to_str().unwrap().to_owned(), value.clone()))
                .collect();
            (options, fs.label)
        };
        let context = |value: &std::ffi::CStr| ("context".to_owned(), Some(value.into()));
        assert_eq!(labelled("tmpfs", &[]), (vec![context(c"a:b:c,d")], None));
        assert_eq!(labelled("tmpfs", &["context=mine"]), (vec![context(c"mine")], None));
        assert_eq!(labelled("devpts", &[]).0.len(), 1);
        assert_eq!(labelled("mqueue", &[]), (vec![], Some(c"a:b:c,d".into())));
        for kind in ["proc", "sysfs", "cgroup"] {
            assert_eq!(labelled(kind, &[]), (vec![], None), "{kind}");
        }
    }

    #[test]
    fn a_mount_must_say_what_it_is() {
        assert!(one(serde_json::json!({"destination": "/x"})).unwrap_err().to_string().contains("neither"));
        assert!(one(serde_json::json!({"destination": "/../", "type": "tmpfs"})).is_err());
    }
}
