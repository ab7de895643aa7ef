//! Resource limits, for `run` and `create`. A limit that this machine cannot enforce is an error of the engine's.

use crate::cli::parse::{self, limits};
use crate::engine::options::{IoKind, IoLimit, Limits};
use crate::error::{Error, Result};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Resources")]
pub struct ResourceFlags {
    /// Memory limit: a number with b, k, m or g
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Soft memory limit
    #[arg(long, value_name = "SIZE")]
    pub memory_reservation: Option<String>,
    /// Limit of memory and swap together; -1 for unlimited swap
    #[arg(long, value_name = "SIZE")]
    pub memory_swap: Option<String>,
    /// Number of CPUs, for example 0.5
    #[arg(long, value_name = "N", conflicts_with_all = ["cpu_quota", "cpu_period"])]
    pub cpus: Option<String>,
    /// CPU time in microseconds for each period
    #[arg(long, value_name = "USEC")]
    pub cpu_quota: Option<i64>,
    /// The period in microseconds
    #[arg(long, value_name = "USEC")]
    pub cpu_period: Option<u64>,
    /// CPU share relative to other containers; 1024 is normal
    #[arg(short, long, value_name = "N")]
    pub cpu_shares: Option<u64>,
    /// CPUs to run on
    #[arg(long, value_name = "0-3,5")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "0,1")]
    pub cpuset_mems: Option<String>,
    /// Number of processes; -1 or 0 for unlimited
    #[arg(long, value_name = "N")]
    pub pids_limit: Option<i64>,
    /// Share of disk bandwidth, 10 to 1000
    #[arg(long, value_name = "N")]
    pub blkio_weight: Option<u16>,
    /// Most bytes that are read from a disk in a second
    #[arg(long, value_name = "DEVICE:RATE")]
    pub device_read_bps: Vec<String>,
    /// Most bytes that are written to a disk in a second
    #[arg(long, value_name = "DEVICE:RATE")]
    pub device_write_bps: Vec<String>,
    /// Most reads from a disk in a second
    #[arg(long, value_name = "DEVICE:RATE")]
    pub device_read_iops: Vec<String>,
    /// Most writes to a disk in a second
    #[arg(long, value_name = "DEVICE:RATE")]
    pub device_write_iops: Vec<String>,
    /// A file of the cgroup and what to write to it
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub cgroup_conf: Vec<String>,
}

impl ResourceFlags {
    /// Checks the values and the rules between them.
    pub fn to_limits(&self) -> Result<Limits> {
        let cpus = self.cpus.as_deref().map(limits::cpus).transpose()?.flatten();
        let unified = |text: &String| {
            parse::label::strict_pair("--cgroup-conf", text, "--cgroup-conf memory.high=1073741824")
        };
        let limits = Limits {
            memory: self.memory.as_deref().map(|t| limits::memory("--memory", t)).transpose()?.flatten(),
            memory_reservation: self
                .memory_reservation
                .as_deref()
                .map(|t| limits::memory("--memory-reservation", t))
                .transpose()?
                .flatten(),
            memory_swap: self.memory_swap.as_deref().map(limits::swap).transpose()?.filter(|swap| *swap != 0),
            cpu_quota: cpus.map(|(quota, _)| quota).or(self.cpu_quota.filter(|q| *q > 0)),
            cpu_period: cpus.map(|(_, period)| period).or(self.cpu_period.filter(|p| *p > 0)),
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0),
            cpuset_cpus: self
                .cpuset_cpus
                .as_deref()
                .map(|t| limits::cpuset("--cpuset-cpus", t))
                .transpose()?,
            cpuset_mems: self
                .cpuset_mems
                .as_deref()
                .map(|t| limits::cpuset("--cpuset-mems", t))
                .transpose()?,
            // 0 and -1 both mean none, as in podman.
            pids: self.pids_limit.map(|pids| if pids <= 0 { -1 } else { pids }),
            blkio_weight: self.blkio_weight.filter(|weight| *weight > 0),
            io: self.io()?,
            unified: self.cgroup_conf.iter().map(unified).collect::<Result<_>>()?,
        };
        if let Some(name) = limits.unified.keys().find(|name| name.contains('/') || name.starts_with('.')) {
            return Err(Error::usage(format_args!(
                "invalid --cgroup-conf {name:?}: not the name of a cgroup file"
            )));
        }
        limits::check(&limits)?;
        Ok(limits)
    }

    fn io(&self) -> Result<Vec<IoLimit>> {
        let flags = [
            ("--device-read-bps", IoKind::ReadBytes, &self.device_read_bps),
            ("--device-write-bps", IoKind::WriteBytes, &self.device_write_bps),
            ("--device-read-iops", IoKind::ReadOperations, &self.device_read_iops),
            ("--device-write-iops", IoKind::WriteOperations, &self.device_write_iops),
        ];
        let each = flags
            .into_iter()
            .flat_map(|(flag, kind, texts)| texts.iter().map(move |text| limits::io(flag, kind, text)));
        each.collect()
    }
}
