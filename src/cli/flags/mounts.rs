//! Flags of mounts and devices, for `run` and `create`.

use crate::cli::parse;
use crate::engine::options::{DeviceOption, ImageVolumes, MountOption, SHM_SIZE};
use crate::error::{Error, Result};
use std::path::Path;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Files and devices")]
pub struct MountFlags {
    /// Mount a host directory or file (a path), or a named volume
    #[arg(short, long, value_name = "[SOURCE:]PATH[:OPTIONS]")]
    pub volume: Vec<String>,
    /// Mount by keys: type=bind|volume|tmpfs|devpts,src=…,dst=…,ro
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub mount: Vec<String>,
    /// Mount an empty file system in memory
    #[arg(long, value_name = "PATH[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// Make the root file system read-only
    #[arg(long)]
    pub read_only: bool,
    /// With --read-only: keep /dev/shm, /run, /tmp and /var/tmp writable, in memory
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_parser = crate::cli::tree::go_bool)]
    pub read_only_tmpfs: bool,
    /// What becomes of the image's volumes: bind (an anonymous volume), tmpfs or ignore
    #[arg(long, value_name = "KIND")]
    pub image_volume: Option<String>,
    #[command(flatten)]
    pub devices: DeviceFlags,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<String>,
    /// With an image in one file: keep what is written in this directory, for the next container
    #[arg(long, value_name = "DIR")]
    pub overlay: Option<String>,
    /// IMAGE is a directory with a root file system
    #[arg(long)]
    pub rootfs: bool,
}

/// Two mounts at one place.
pub fn refuse_twice(all: &[MountOption]) -> Result<()> {
    for (at, mount) in all.iter().enumerate() {
        if all.iter().take(at).any(|other| other.destination == mount.destination) {
            return Err(Error::usage(format_args!("duplicate mount destination {}", mount.destination)));
        }
    }
    Ok(())
}

impl MountFlags {
    /// All mounts, refusing two at one place.
    pub fn mounts(&self, cwd: &Path) -> Result<Vec<MountOption>> {
        let volumes = self.volume.iter().map(|text| parse::volume::parse(text, cwd));
        let mounts = self.mount.iter().map(|text| parse::mount::parse(text, cwd));
        let tmpfs = self.tmpfs.iter().map(|text| parse::volume::tmpfs(text));
        let all: Vec<MountOption> = volumes.chain(mounts).chain(tmpfs).collect::<Result<_>>()?;
        refuse_twice(&all)?;
        Ok(all)
    }

    /// `--image-volume`.
    pub fn image_volumes(&self) -> Result<ImageVolumes> {
        match self.image_volume.as_deref() {
            None | Some("" | "bind" | "anonymous") => Ok(ImageVolumes::Anonymous),
            Some("tmpfs") => Ok(ImageVolumes::Tmpfs),
            Some("ignore") => Ok(ImageVolumes::Ignore),
            Some(other) => Err(parse::invalid("--image-volume", other, "one of bind, tmpfs, ignore", "")),
        }
    }

    /// Bytes of /dev/shm; 0 = no limit.
    pub fn shm_size(&self) -> Result<u64> {
        self.shm_size.as_deref().map_or(Ok(SHM_SIZE), |text| parse::size::bytes("--shm-size", text))
    }
}

/// What of the host's devices a container gets.
#[derive(Debug, Clone, clap::Args)]
pub struct DeviceFlags {
    /// Give a device of the host: its node, or its CDI name vendor.com/class=name
    #[arg(long, value_name = "SOURCE[:PATH][:rwm]")]
    pub device: Vec<String>,
    /// Give GPUs: all, or their numbers or names, by CDI (nvidia.com/gpu, amd.com/gpu); without a spec, from the driver's files
    #[arg(long, value_name = "all|NAME", value_delimiter = ',')]
    pub gpus: Vec<String>,
}

impl DeviceFlags {
    pub fn to_options(&self) -> Result<Vec<DeviceOption>> {
        let named = self.device.iter().map(|text| parse::device::parse(text));
        named.chain(self.gpus.iter().map(|text| parse::device::gpu(text))).collect()
    }
}
