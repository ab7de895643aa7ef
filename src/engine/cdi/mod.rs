//! Devices by their CDI names (`--device vendor.com/class=name`, `--gpus`): from the specs of this machine and of the user
//! to what is put into a container's configuration.
//!
//! ```text
//! names ──registry (specs of all directories, later ones win)──▶ edits ──apply (what a user can have; glibc)──▶ Gifts
//!             ▲ nothing says how to give the GPU: driver (a spec from the driver's own files)
//! ```
//! Decided when the container is made, from the host's side, before a file of it exists. A library that the image's C
//! library is too old for is left out, and said: a driver never keeps a container from starting.

mod apply;
mod driver;
pub(super) mod elf;
mod glibc;
mod libraries;
mod registry;

use super::options::DeviceOption;
use super::specgen::PreparedMount;
use super::view::View;
use crate::error::{Error, Result};
use crate::paths::Dirs;
use crate::spec::cdi;
use rustix::fs::FileType;
use rustix::io::Errno;

/// What a container gets besides the nodes of its `--device /dev/…`.
#[derive(Debug, Clone, Default)]
pub struct Gifts {
    pub env: Vec<(String, String)>,
    /// Source, destination, permissions.
    pub nodes: Vec<(String, String, String)>,
    pub mounts: Vec<PreparedMount>,
    /// The `hooks` object of config.json; null for none.
    pub hooks: serde_json::Value,
    /// Groups of the host that the user has, and that the container must keep.
    pub keep_groups: bool,
    pub warnings: Vec<String>,
}

/// Everything that the device options stand for.
pub fn resolve(dirs: &Dirs, asked: &[DeviceOption], view: &View) -> Result<Gifts> {
    let mut gifts = Gifts::default();
    let mut names: Vec<String> = Vec::new();
    for option in asked {
        match option {
            DeviceOption::Node { source, destination, access } => {
                gifts.nodes.push((source.clone(), destination.clone(), access.clone()));
            }
            DeviceOption::Cdi(name) => names.push(name.clone()),
            DeviceOption::Gpu(_) => {}
        }
    }
    let gpus = asked.iter().filter_map(|option| match option {
        DeviceOption::Gpu(name) => Some(name.as_str()),
        _ => None,
    });
    let gpus: Vec<&str> = gpus.collect();
    if names.is_empty() && gpus.is_empty() {
        return Ok(gifts);
    }
    let mut registry = registry::Registry::load(dirs)?;
    if !gpus.is_empty() {
        let kind = driver::kind(&registry).ok_or_else(|| no_gpu(&registry, &gpus.join(",")))?;
        names.extend(gpus.iter().map(|gpu| format!("{kind}={gpu}")));
    }
    let mut edits = Vec::new();
    for name in &names {
        let asked = cdi::qualified(name)
            .ok_or_else(|| Error::usage(format_args!("invalid device {name:?}: not VENDOR/CLASS=NAME")))?;
        if !registry.has(asked.kind) {
            driver::make_spec(dirs, asked.kind, &mut registry)?;
        }
        registry.edits(&asked, &mut edits)?;
    }
    apply::apply(&names.join(" "), &edits, view, &mut gifts)?;
    Ok(gifts)
}

/// Refuses nodes of the host's that are not there now, or are no devices; a directory stands for those in it.
pub fn check_nodes(asked: &[DeviceOption]) -> Result<()> {
    for option in asked {
        let DeviceOption::Node { source, .. } = option else { continue };
        let what = format_args!("cannot give the device {source}");
        let why = match rustix::fs::stat(source).map(|found| FileType::from_raw_mode(found.st_mode)) {
            Ok(FileType::CharacterDevice | FileType::BlockDevice | FileType::Directory) => continue,
            Ok(_) => {
                return Err(Error::usage(what).cause("it is no device").hint("Give a file by `--volume`."));
            }
            Err(Errno::NOENT) => "it is not there".to_owned(),
            Err(e) => format!("stat({source:?}): {e}"),
        };
        return Err(Error::not_found(what)
            .cause(why)
            .hint("Look for its name below /dev, or load the driver."));
    }
    Ok(())
}

fn no_gpu(registry: &registry::Registry, asked: &str) -> Error {
    Error::not_found(format_args!("cannot give the GPU {asked}"))
        .cause(format_args!(
            "no CDI spec in {} is one of nvidia.com/gpu or amd.com/gpu, and this machine has neither /dev/nvidiactl nor /dev/kfd",
            registry.places()
        ))
        .hint("Check that the driver is loaded (`nvidia-smi`, `ls /dev/kfd`), or leave out --gpus.")
}
