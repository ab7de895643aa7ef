//! The image's VOLUMEs as mounts: anonymous volumes (podman's default), tmpfs, or nothing.

use super::options::{CreateOptions, ImageVolumes, MountKind, MountOption};
use std::path::{Component, Path};

/// One mount for each VOLUME that the command line does not cover. A path that is not absolute and plain is left out: an
/// image's config is data, and `..` in it leads nowhere (R17, CVE-2022-23648).
pub fn from_image(options: &CreateOptions, volumes: &[String]) -> Vec<MountOption> {
    let covered = |path: &str| options.mounts.iter().any(|m| m.destination.trim_end_matches('/') == path);
    let plain = |path: &&String| {
        let path = Path::new(path);
        path.is_absolute()
            && path != Path::new("/")
            && !path.components().any(|c| matches!(c, Component::ParentDir))
    };
    let kind = match options.image_volumes {
        ImageVolumes::Ignore => return Vec::new(),
        ImageVolumes::Tmpfs => MountKind::Tmpfs,
        ImageVolumes::Anonymous => MountKind::Volume(None),
    };
    let base = ["nosuid", "nodev"].iter().map(|o| (*o).to_owned());
    let options: Vec<String> = match kind {
        MountKind::Tmpfs => base.chain(["tmpcopyup".to_owned()]).collect(),
        MountKind::Volume(_) | MountKind::Bind(_) | MountKind::Devpts => {
            base.chain(["rbind".to_owned(), "rprivate".to_owned()]).collect()
        }
    };
    volumes
        .iter()
        .filter(plain)
        .map(|path| path.trim_end_matches('/').to_owned())
        .filter(|path| !covered(path))
        .map(|destination| MountOption {
            copy_up: matches!(kind, MountKind::Volume(_)),
            kind: kind.clone(),
            destination,
            options: options.clone(),
        })
        .collect()
}
