//! The seccomp profile of a container: which one, and what it does about owners and users where one id is mapped.

use super::options::{CreateOptions, DeviceOption, SeccompOption};
use super::specgen;
use crate::error::{Context, Error, Result};
use crate::ondisk::container::Rootfs;
use crate::sys::CallContext;

/// What the default profile does about owners and users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    /// There are many.
    Mapped,
    /// There is one: it pretends what cannot be done with one …
    Pretended,
    /// … and the owners of files are written down.
    Recorded,
}

/// Owners are written down where root, the one user that may give files away, can write files, by our own runtime.
pub(super) fn ids(options: &CreateOptions, uid: u32, rootfs: &Rootfs, single: bool) -> Ids {
    let written = match rootfs {
        Rootfs::Layers { read_only, .. } | Rootfs::Squash { read_only, .. } => !read_only,
        Rootfs::Directory { .. } => true,
        Rootfs::Host => false,
    };
    let wanted = options.security.seccomp == SeccompOption::Default && !options.security.privileged;
    match single {
        false => Ids::Mapped,
        true if wanted
            && written
            && !serves_files(options)
            && uid == 0
            && options.runtime.is_none()
            && crate::host::can_answer_calls() =>
        {
            Ids::Recorded
        }
        true => Ids::Pretended,
    }
}

/// Whether it may be a file server of its own (FUSE): one that asked the recorder about a file, while the recorder asks for one
/// of its files, would wait for ever.
fn serves_files(options: &CreateOptions) -> bool {
    let mounts = options.security.cap_add.iter().any(|name| matches!(name.as_str(), "ALL" | "CAP_SYS_ADMIN"));
    let is_fuse =
        |device: &DeviceOption| matches!(device, DeviceOption::Node { source, .. } if source == "/dev/fuse");
    mounts && options.devices.iter().any(is_fuse)
}

/// The profile, finished.
pub(super) fn seccomp(options: &CreateOptions, uid: u32, ids: Ids) -> Result<Option<serde_json::Value>> {
    let capabilities = specgen::bounding_capabilities(options, uid)?;
    let profile = match &options.security.seccomp {
        SeccompOption::Unconfined => return Ok(None),
        SeccompOption::Default if options.security.privileged => return Ok(None),
        SeccompOption::Pretending => crate::seccomp::pretend(crate::seccomp::default_profile(&capabilities)),
        SeccompOption::Default => {
            let profile = crate::seccomp::default_profile(&capabilities);
            match ids {
                Ids::Mapped => profile,
                Ids::Pretended => crate::seccomp::pretend(profile),
                Ids::Recorded => {
                    let waits = crate::host::answers_are_waited_for();
                    crate::seccomp::record(profile, crate::monitor::owners::AGENT, waits)
                }
            }
        }
        SeccompOption::File(path) => {
            let json = std::fs::read(path)
                .call(|| format!("open({path:?})"))
                .what(|| "cannot read the seccomp profile")?;
            crate::seccomp::parse_profile(&json, &capabilities)
                .what(|| format!("cannot use the seccomp profile {path}"))?
        }
    };
    serde_json::to_value(profile)
        .map(Some)
        .map_err(|e| Error::internal(format_args!("cannot encode the seccomp profile: {e}")))
}
