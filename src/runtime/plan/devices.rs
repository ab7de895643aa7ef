//! `/dev` of the container: the nodes and links that every container gets, and those of `linux.devices`. Pure.

use super::target::{Target, c_string};
use crate::error::{Error, Result};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType, Mount};
use rustix::fs::FileType;
use std::ffi::CString;
use std::path::Path;

/// One node.
#[derive(Debug)]
pub struct DevicePlan {
    pub target: Target,
    /// The same node on the host, bound where mknod is not permitted.
    pub host: CString,
    pub kind: FileType,
    pub number: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// A symlink of `/dev`.
#[derive(Debug)]
pub struct LinkPlan {
    pub name: CString,
    pub to: CString,
}

/// Nodes that the specification promises.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// Whether `/dev` is ours to fill: not when the host's own is bound there.
pub fn is_ours(mounts: &[Mount]) -> bool {
    !mounts.iter().any(|mount| {
        let words = mount.options().as_deref().unwrap_or_default();
        let binds =
            mount.typ().as_deref() == Some("bind") || words.iter().any(|w| w == "bind" || w == "rbind");
        binds && Path::new("/dev").components().eq(mount.destination().components())
    })
}

/// The nodes: the defaults, each replaced where the configuration says something else about its path.
pub fn nodes(asked: &[LinuxDevice]) -> Result<Vec<DevicePlan>> {
    let mut all = Vec::with_capacity(DEFAULT.len() + asked.len());
    for (path, major, minor) in DEFAULT {
        if !asked.iter().any(|device| device.path() == Path::new(path)) {
            all.push(DevicePlan {
                target: Target::new(Path::new(path))?,
                host: c_string(path)?,
                kind: FileType::CharacterDevice,
                number: rustix::fs::makedev(major, minor),
                mode: 0o666,
                uid: 0,
                gid: 0,
            });
        }
    }
    // The link into the container's own devpts is what the specification means by /dev/ptmx.
    for device in asked.iter().filter(|device| device.path() != Path::new("/dev/ptmx")) {
        all.push(node(device)?);
    }
    Ok(all)
}

fn node(device: &LinuxDevice) -> Result<DevicePlan> {
    let path = device.path().to_string_lossy();
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::A => {
            return Err(Error::usage(format_args!("device {path}: type `a` is not a node")));
        }
    };
    let part = |name: &str, value: i64| {
        u32::try_from(value)
            .map_err(|_| Error::usage(format_args!("device {path}: {name} {value} is not a device number")))
    };
    let number = match kind {
        FileType::Fifo => 0,
        _ => rustix::fs::makedev(part("major", device.major())?, part("minor", device.minor())?),
    };
    Ok(DevicePlan {
        target: Target::new(device.path())?,
        host: c_string(&path)?,
        kind,
        number,
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}

/// The symlinks.
pub fn links() -> Result<Vec<LinkPlan>> {
    LINKS.iter().map(|(name, to)| Ok(LinkPlan { name: c_string(name)?, to: c_string(to)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_node_replaces_the_default() {
        let null: LinuxDevice = serde_json::from_value(
            serde_json::json!({"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 7}),
        )
        .unwrap();
        let all = nodes(&[null]).unwrap();
        assert_eq!(all.len(), DEFAULT.len());
        let null = all.iter().find(|d| d.target.shown == "/dev/null").unwrap();
        assert_eq!((null.mode, null.uid), (0o600, 7));
    }

    #[test]
    fn a_bound_dev_is_left_alone() {
        let mount = |json| serde_json::from_value::<Mount>(json).unwrap();
        let tmpfs = mount(serde_json::json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}));
        let bind = mount(serde_json::json!({"destination": "/dev/", "type": "bind", "source": "/dev"}));
        assert!(is_ours(&[tmpfs]));
        assert!(!is_ours(&[bind]));
    }
}
