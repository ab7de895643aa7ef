//! What is mounted into a container besides its root: what was asked for and the image's VOLUMEs, as mounts of host paths.

use super::options::{CreateOptions, MountKind};
use super::source::Prepared;
use super::specgen::PreparedMount;
use crate::error::{Context, Error, Result};
use crate::id::{ContainerId, VolumeName};
use crate::ondisk::container::{MountRecord, VolumeUse};
use crate::paths::Dirs;
use crate::store::volume;
use crate::sys::CallContext;

/// The mounts, and what the container's record says of them.
#[derive(Debug)]
pub(super) struct Volumes {
    pub mounts: Vec<PreparedMount>,
    pub used: Vec<VolumeUse>,
    pub records: Vec<MountRecord>,
}

/// A bind that does not say otherwise takes along what is mounted below its source.
pub(super) fn with_what_is_below(options: &mut Vec<String>) {
    if !options.iter().any(|o| o == "bind" || o == "rbind") {
        options.insert(0, "rbind".to_owned());
    }
}

/// Checks bind sources, makes missing volumes, and turns everything into mounts of host paths. `owner`: whom the
/// container runs as, in ids of the store's namespace.
pub(super) fn prepare(
    dirs: &Dirs,
    options: &CreateOptions,
    source: &Prepared,
    owner: (u32, u32),
) -> Result<Volumes> {
    let mut all = options.mounts.clone();
    all.extend(super::imagevolumes::from_image(options, &source.image.volumes));
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = all.iter().find(|m| !seen.insert(m.destination.trim_end_matches('/').to_owned())) {
        return Err(Error::usage(format_args!("{}: duplicate mount destination", twice.destination)));
    }
    let mut out = Volumes { mounts: Vec::new(), used: Vec::new(), records: Vec::new() };
    for mount in &all {
        let (kind, host, volume) = match &mount.kind {
            MountKind::Bind(host) => {
                rustix::fs::stat(host.as_str())
                    .call(|| format!("stat({host:?})"))
                    .what(|| format!("cannot mount {host} at {}", mount.destination))
                    .map_err(|e| match e.errno() {
                        Some(libc::EACCES) => e,
                        _ => e.hint(format_args!("Make the directory first, for example `mkdir -p {host}`.")),
                    })?;
                ("bind", host.clone(), None)
            }
            MountKind::Tmpfs => ("tmpfs", "tmpfs".to_owned(), None),
            MountKind::Devpts => ("devpts", "devpts".to_owned(), None),
            MountKind::Volume(name) => {
                let anonymous = name.is_none();
                let name = match name {
                    Some(name) => VolumeName::parse(name)?,
                    None => VolumeName::parse(ContainerId::random()?.as_str())?,
                };
                volume::ensure(dirs, &name, anonymous)?;
                let path = volume::data_path(dirs, &name).to_string_lossy().into_owned();
                out.used.push(VolumeUse { name: name.to_string(), anonymous });
                ("bind", path, Some(name.to_string()))
            }
        };
        let mut mount_options = mount.options.clone();
        if kind == "tmpfs" && mount.copy_up && !mount_options.iter().any(|o| o == "tmpcopyup") {
            mount_options.push("tmpcopyup".into());
        }
        if kind == "bind" {
            with_what_is_below(&mut mount_options);
        }
        out.records.push(MountRecord {
            kind: if volume.is_some() { "volume" } else { kind }.to_owned(),
            name: volume,
            source: host.clone(),
            destination: mount.destination.clone(),
            options: mount_options.clone(),
            copy_up: mount.copy_up,
            owner,
        });
        out.mounts.push(PreparedMount {
            kind,
            source: host,
            destination: mount.destination.clone(),
            options: mount_options,
        });
    }
    Ok(out)
}
