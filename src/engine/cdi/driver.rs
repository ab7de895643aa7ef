//! A CDI spec for the GPUs of a machine that has none: from the driver's own device nodes, libraries and programs.
//!
//! It is written to `cdi/` of our runtime directory, so that it can be read and copied, and made anew whenever it is needed:
//! a driver that was updated is seen at once. Libraries come to one directory that the images of the vendor search already,
//! LD_LIBRARY_PATH names it for the others, and no hook is needed. Vendor-neutral libraries (libGL, libEGL) are the image's.

use super::{elf, libraries, registry::Registry};
use crate::error::{Context, Result};
use crate::ondisk::{Durability, atomic};
use crate::paths::Dirs;
use crate::spec::cdi::{Device, DeviceNode, Edits, Mount, Spec};
use crate::sys::CallContext;
use rustix::fs::FileType;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

pub const NVIDIA: &str = "nvidia.com/gpu";
pub const AMD: &str = "amd.com/gpu";

/// Where libraries are put: images made for the vendor's own tools have it in LD_LIBRARY_PATH.
const LIBRARIES: &str = "/usr/local/nvidia/lib64";

/// Beginnings of names of the driver's libraries.
const NVIDIA_LIBRARIES: [&str; 10] = [
    "libcuda.so",
    "libcudadebugger.so",
    "libnvidia-",
    "libnvcuvid.so",
    "libnvoptix.so",
    "libvdpau_nvidia.so",
    "libGLX_nvidia.so",
    "libEGL_nvidia.so",
    "libGLESv1_CM_nvidia.so",
    "libGLESv2_nvidia.so",
];

/// No part of the driver: the tools that give it to containers.
const NOT_THE_DRIVER: &str = "libnvidia-container";

const NVIDIA_PROGRAMS: [&str; 5] = [
    "nvidia-smi",
    "nvidia-debugdump",
    "nvidia-persistenced",
    "nvidia-cuda-mps-control",
    "nvidia-cuda-mps-server",
];

/// Used by all GPUs.
const NVIDIA_NODES: [&str; 4] =
    ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"];

const PERSISTENCED: &str = "/run/nvidia-persistenced/socket";

/// Where programs are on the host.
const PROGRAM_DIRS: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/opt/bin"];

/// What `--gpus` means here: what a spec knows, else what the machine has.
pub fn kind(registry: &Registry) -> Option<&'static str> {
    let known = [NVIDIA, AMD].into_iter().find(|kind| registry.has(kind));
    known
        .or_else(|| is_device("/dev/nvidiactl").then_some(NVIDIA))
        .or_else(|| is_device("/dev/kfd").then_some(AMD))
}

/// Makes the spec of `kind`, where the machine has such devices, and adds it.
pub fn make_spec(dirs: &Dirs, kind: &str, registry: &mut Registry) -> Result<()> {
    let spec = match kind {
        NVIDIA if is_device("/dev/nvidiactl") => nvidia(),
        AMD if is_device("/dev/kfd") => amd(),
        _ => return Ok(()),
    };
    let name = format!("{}.json", kind.replace('/', "-"));
    let run = dirs.open_run()?;
    let dir = crate::engine::names::subdir(&run, "cdi")?;
    let text = serde_json::to_vec_pretty(&spec).map_err(crate::error::Error::internal)?;
    atomic::publish_bytes(dir.as_fd(), &name, &text, Durability::Volatile)
        .what(|| format!("cannot write the CDI spec of {kind}"))?;
    registry.add(dirs.run.join("cdi").join(name), spec);
    Ok(())
}

fn is_device(path: &str) -> bool {
    rustix::fs::stat(path).is_ok_and(|st| FileType::from_raw_mode(st.st_mode) == FileType::CharacterDevice)
}

fn node(path: &str) -> DeviceNode {
    DeviceNode { path: path.to_owned(), ..DeviceNode::default() }
}

/// Numbers of `/dev/<prefix>N`.
fn numbers(dir: &str, prefix: &str) -> Vec<u32> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix(prefix)?.parse().ok();
    let mut all: Vec<u32> =
        entries.filter_map(|entry| number(entry.file_name().to_str().unwrap_or_default())).collect();
    all.retain(|number| is_device(&format!("{dir}/{prefix}{number}")));
    all.sort_unstable();
    all
}

/// `0`, `1`, …, and `all`.
fn devices(nodes: Vec<(String, Vec<DeviceNode>)>) -> Vec<Device> {
    let every: Vec<DeviceNode> = nodes.iter().flat_map(|(_, nodes)| nodes.clone()).collect();
    let one = |(name, device_nodes): (String, Vec<DeviceNode>)| Device {
        name,
        container_edits: Edits { device_nodes, ..Edits::default() },
    };
    nodes.into_iter().chain([("all".to_owned(), every)]).map(one).collect()
}

fn nvidia() -> Spec {
    let gpus = numbers("/dev", "nvidia");
    let gpus = gpus.iter().map(|n| (n.to_string(), vec![node(&format!("/dev/nvidia{n}"))]));
    let mut mounts = nvidia_libraries();
    mounts.extend(NVIDIA_PROGRAMS.iter().filter_map(|program| {
        let path =
            PROGRAM_DIRS.iter().map(|dir| format!("{dir}/{program}")).find(|p| Path::new(p).is_file())?;
        Some(mount(&path, &format!("/usr/bin/{program}")))
    }));
    if Path::new(PERSISTENCED).exists() {
        mounts.push(mount(PERSISTENCED, PERSISTENCED));
    }
    let has_libraries = mounts.iter().any(|mount| mount.container_path.starts_with(LIBRARIES));
    Spec {
        cdi_version: "0.6.0".to_owned(),
        kind: NVIDIA.to_owned(),
        devices: devices(gpus.collect()),
        container_edits: Edits {
            env: has_libraries.then(|| format!("LD_LIBRARY_PATH={LIBRARIES}")).into_iter().collect(),
            device_nodes: NVIDIA_NODES.iter().filter(|path| is_device(path)).map(|path| node(path)).collect(),
            mounts,
            ..Edits::default()
        },
    }
}

fn nvidia_libraries() -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    for (name, path) in libraries::all() {
        let driver = NVIDIA_LIBRARIES.iter().any(|begin| name.starts_with(begin));
        if !driver || name.starts_with(NOT_THE_DRIVER) {
            continue;
        }
        let place = format!("{LIBRARIES}/{name}");
        let first = !found.iter().any(|mount| mount.container_path == place);
        if first && File::open(&path).is_ok_and(|file| elf::is_ours(&file)) {
            // Programs look for this one by the shorter name, too.
            if name == "libcuda.so.1" {
                found.push(mount(&path, &format!("{LIBRARIES}/libcuda.so")));
            }
            found.push(mount(&path, &place));
        }
    }
    found
}

fn mount(host: &str, container: &str) -> Mount {
    Mount {
        host_path: host.to_owned(),
        container_path: container.to_owned(),
        options: ["ro", "nosuid", "nodev", "bind"].map(str::to_owned).to_vec(),
        r#type: None,
    }
}

/// ROCm is the image's; of the host it wants the nodes, and whoever owns them.
fn amd() -> Spec {
    let gpus = numbers("/dev/dri", "renderD");
    let gpus: Vec<_> = gpus
        .iter()
        .enumerate()
        .map(|(index, n)| (index.to_string(), vec![node(&format!("/dev/dri/renderD{n}"))]))
        .collect();
    let mut groups: Vec<u32> = std::iter::once("/dev/kfd")
        .chain(gpus.iter().flat_map(|(_, nodes)| nodes.iter().map(|node| node.path.as_str())))
        .filter_map(|path| rustix::fs::stat(path).call(|| "stat").ok())
        .filter(|st| st.st_mode & 0o006 != 0o006 && st.st_gid != 0)
        .map(|st| st.st_gid)
        .collect();
    groups.sort_unstable();
    groups.dedup();
    Spec {
        cdi_version: "0.7.0".to_owned(),
        kind: AMD.to_owned(),
        devices: devices(gpus),
        container_edits: Edits {
            device_nodes: vec![node("/dev/kfd")],
            additional_gids: groups,
            ..Edits::default()
        },
    }
}
