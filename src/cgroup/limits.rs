//! OCI `linux.resources` (in the terms of cgroup v1) → files and values of cgroup v2. Pure, but for the question whether a
//! file exists.
//!
//! Conversions are those of runc and crun, so that engines see the numbers that they know: cpu shares 2..262144 → weight
//! 1..10000; memory+swap → swap alone; block weight 10..1000 → 1..10000.

use crate::error::{Error, Kind, Result};
use crate::sys;
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxNetwork, LinuxResources};
use std::path::Path;

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub file: String,
    pub value: String,
    /// The limit in the user's words: `the memory limit`.
    pub what: &'static str,
}

impl Setting {
    /// Whether the kernel may refuse it until another one is set.
    pub fn is_paired(&self) -> bool {
        ["memory.", "cpu.cfs_", "cpu.rt_"].iter().any(|start| self.file.starts_with(start))
    }

    /// Whether it takes a limit away.
    pub fn is_unlimited(&self) -> bool {
        self.value == "max" || self.value.starts_with("max ")
    }
}

/// The writes for `resources`, in order. `current` reads a file of the cgroup, where it has it.
pub fn settings(
    resources: &LinuxResources,
    current: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Setting>> {
    let mut list = Vec::new();
    if let Some(memory) = resources.memory() {
        memory_settings(memory, &current, &mut list)?;
    }
    if let Some(cpu) = resources.cpu() {
        cpu_settings(cpu, &current, &mut list)?;
    }
    if let Some(pids) = resources.pids() {
        push(&mut list, "pids.max", max_or(pids.limit()), "the pids limit");
    }
    if let Some(io) = resources.block_io() {
        io_settings(io, &|file| current(file).is_some(), &mut list)?;
    }
    if let Some(network) = resources.network() {
        refuse_network(network)?;
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        let what = "the hugepage limit";
        push(&mut list, &format!("hugetlb.{}.max", limit.page_size()), limit.limit().to_string(), what);
    }
    for (device, limit) in resources.rdma().iter().flatten() {
        let part = |name: &str, value: Option<u32>| value.map(|v| format!(" {name}={v}")).unwrap_or_default();
        let value = format!(
            "{device}{}{}",
            part("hca_handle", limit.hca_handles()),
            part("hca_object", limit.hca_objects())
        );
        push(&mut list, "rdma.max", value, "the rdma limit");
    }
    let mut unified: Vec<_> = resources.unified().iter().flatten().collect();
    unified.sort();
    for (file, value) in unified {
        if file.contains('/') || !file.contains('.') {
            return Err(Error::usage(format_args!("invalid cgroup setting {file:?}"))
                .cause("it is no file name of cgroup v2"));
        }
        push(&mut list, file, value.clone(), "the setting of the cgroup");
    }
    Ok(list)
}

fn push(list: &mut Vec<Setting>, file: &str, value: String, what: &'static str) {
    list.push(Setting { file: file.to_owned(), value, what });
}

fn max_or(value: i64) -> String {
    if value <= 0 { "max".to_owned() } else { value.to_string() }
}

fn memory_settings(
    memory: &LinuxMemory,
    current: &impl Fn(&str) -> Option<String>,
    list: &mut Vec<Setting>,
) -> Result<()> {
    let unsupported = |what: &str| Err(Error::usage(format_args!("cgroup v2 has no {what}")));
    if memory.swappiness().is_some_and(|s| s != 0) {
        return unsupported("swappiness (memory.swappiness)");
    }
    if memory.disable_oom_killer() == Some(true) {
        return unsupported("switch for the oom killer (memory.disableOOMKiller)");
    }
    if memory.kernel_tcp().is_some_and(|t| t != 0) {
        return unsupported("limit of TCP buffers (memory.kernelTCP)");
    }
    if memory.check_before_update() == Some(true) {
        check_usage(memory, current)?;
    }
    let limit = memory.limit().filter(|l| *l != 0);
    if let Some(swap) = memory.swap().filter(|s| *s != 0) {
        let value = match (swap, limit) {
            (..0, _) => "max".to_owned(),
            (swap, Some(limit)) if limit > 0 && swap >= limit => (swap - limit).to_string(),
            (_, Some(limit)) if limit > 0 => {
                return Err(Error::usage("invalid memory limits").cause("memory+swap is smaller than memory"));
            }
            _ => return Err(Error::usage("invalid memory limits").cause("a swap limit needs a memory limit")),
        };
        push(list, "memory.swap.max", value, "the swap limit");
    }
    if let Some(limit) = limit {
        push(list, "memory.max", max_or(limit), "the memory limit");
    }
    if let Some(reservation) = memory.reservation().filter(|r| *r != 0) {
        push(list, "memory.low", max_or(reservation), "the memory reservation");
    }
    Ok(())
}

/// `checkBeforeUpdate`: a limit below what is used now would end the container instead.
fn check_usage(memory: &LinuxMemory, current: &impl Fn(&str) -> Option<String>) -> Result<()> {
    let used = current("memory.current").and_then(|text| text.trim().parse::<i64>().ok());
    match (memory.limit().filter(|limit| *limit > 0), used) {
        (Some(limit), Some(used)) if limit < used => Err(Error::usage(format_args!(
            "unable to set memory limit to {limit}: the container uses {used} bytes"
        ))),
        _ => Ok(()),
    }
}

fn cpu_settings(
    cpu: &LinuxCpu,
    current: &impl Fn(&str) -> Option<String>,
    list: &mut Vec<Setting>,
) -> Result<()> {
    if cpu.realtime_runtime().is_some_and(|r| r != 0) || cpu.realtime_period().is_some_and(|p| p != 0) {
        return Err(Error::usage(
            "cgroup v2 has no realtime limits (cpu.realtimeRuntime, cpu.realtimePeriod)",
        ));
    }
    if let Some(shares) = cpu.shares().filter(|s| *s != 0) {
        let weight = 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142;
        push(list, "cpu.weight", weight.to_string(), "the cpu shares");
    }
    if cpu.quota().is_some_and(|q| q != 0) || cpu.period().is_some_and(|p| p != 0) {
        // What is not given stays as it is.
        let now = current("cpu.max").unwrap_or_default();
        let (now_quota, now_period) = now.trim().split_once(' ').unwrap_or(("max", "100000"));
        let quota = match cpu.quota().unwrap_or(0) {
            0 => now_quota.to_owned(),
            ..0 => "max".to_owned(),
            quota => quota.to_string(),
        };
        let period = cpu.period().filter(|p| *p != 0).map_or(now_period.to_owned(), |p| p.to_string());
        push(list, "cpu.max", format!("{quota} {period}"), "the cpu limit");
    }
    if let Some(burst) = cpu.burst() {
        push(list, "cpu.max.burst", burst.to_string(), "the cpu burst");
    }
    if let Some(idle) = cpu.idle() {
        push(list, "cpu.idle", idle.to_string(), "the cpu idle setting");
    }
    if let Some(cpus) = cpu.cpus().as_ref().filter(|c| !c.is_empty()) {
        push(list, "cpuset.cpus", cpus.clone(), "the set of cpus");
    }
    if let Some(mems) = cpu.mems().as_ref().filter(|m| !m.is_empty()) {
        push(list, "cpuset.mems", mems.clone(), "the set of memory nodes");
    }
    Ok(())
}

/// Tags for packets: v2 leaves them to eBPF programs, and has no file for them.
fn refuse_network(network: &LinuxNetwork) -> Result<()> {
    let unsupported = |what: &str| Err(Error::usage(format_args!("cgroup v2 has no {what}")));
    if network.class_id().is_some_and(|class| class != 0) {
        return unsupported("network class (network.classID)");
    }
    if network.priorities().as_ref().is_some_and(|all| !all.is_empty()) {
        return unsupported("network priorities (network.priorities)");
    }
    Ok(())
}

fn io_settings(io: &LinuxBlockIo, has: &impl Fn(&str) -> bool, list: &mut Vec<Setting>) -> Result<()> {
    let leaf = |weight: Option<u16>| weight.is_some_and(|w| w != 0);
    let devices = || io.weight_device().iter().flatten();
    if leaf(io.leaf_weight()) || devices().any(|device| leaf(device.leaf_weight())) {
        return Err(Error::usage("cgroup v2 has no weight of leaves (blockIO.leafWeight)"));
    }
    // bfq takes 1..1000 as it is; io.cost takes 1..10000.
    let bfq = has("io.bfq.weight");
    let file = if bfq { "io.bfq.weight" } else { "io.weight" };
    let scaled = |weight: u16| match bfq {
        true => u32::from(weight),
        false => 1 + (u32::from(weight).clamp(10, 1000) - 10) * 9999 / 990,
    };
    if let Some(weight) = io.weight().filter(|w| *w != 0) {
        push(list, file, scaled(weight).to_string(), "the io weight");
    }
    for device in devices() {
        if let Some(weight) = device.weight().filter(|w| *w != 0) {
            let value = format!("{}:{} {}", device.major(), device.minor(), scaled(weight));
            push(list, file, value, "the io weight of a device");
        }
    }
    let throttles = [
        ("rbps", io.throttle_read_bps_device()),
        ("wbps", io.throttle_write_bps_device()),
        ("riops", io.throttle_read_iops_device()),
        ("wiops", io.throttle_write_iops_device()),
    ];
    for (key, devices) in throttles {
        for device in devices.iter().flatten() {
            let value = format!("{}:{} {key}={}", device.major(), device.minor(), device.rate());
            push(list, "io.max", value, "the io limit");
        }
    }
    Ok(())
}

/// A failed write in words: a missing file is a controller that was not delegated, or a kernel without this limit.
/// `controllers` are those that the cgroup has.
pub fn explain(setting: &Setting, cgroup: &Path, controllers: &str, failed: &sys::Error) -> Error {
    let error = Error::new(Kind::Host, format_args!("cannot set {} to {}", setting.what, setting.value));
    let controller = setting.file.split('.').next().unwrap_or_default();
    if !matches!(failed.raw_os_error(), libc::ENOENT | libc::EACCES | libc::EPERM) {
        return error.cause(failed);
    }
    if failed.raw_os_error() == libc::ENOENT && controllers.split_ascii_whitespace().any(|c| c == controller)
    {
        return error
            .cause(format_args!(
                "this kernel has no {}, though the cgroup controller {controller} is there",
                setting.file
            ))
            .hint("Leave the limit out.");
    }
    error.cause(format_args!("the cgroup controller {controller} is not delegated to {}", cgroup.display())).cause(failed).hint(
        format_args!(
            "As root, put `[Service]` and `Delegate=cpu cpuset io memory pids` into /etc/systemd/system/user@.service.d/delegate.conf, run `systemctl daemon-reload`, and log in again; or leave the limit out."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Vec<(String, String)> {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        settings(&resources, |_| None).unwrap().into_iter().map(|s| (s.file, s.value)).collect()
    }

    fn pair(file: &str, value: &str) -> (String, String) {
        (file.to_owned(), value.to_owned())
    }

    #[test]
    fn v1_values_become_v2_files() {
        let json = r#"{"memory":{"limit":1000,"swap":3000,"reservation":500},"cpu":{"shares":1024,"quota":50000,"period":100000},"pids":{"limit":-1},"blockIO":{"weight":500}}"#;
        assert_eq!(
            of(json),
            [
                pair("memory.swap.max", "2000"),
                pair("memory.max", "1000"),
                pair("memory.low", "500"),
                pair("cpu.weight", "39"),
                pair("cpu.max", "50000 100000"),
                pair("pids.max", "max"),
                pair("io.weight", "4950"),
            ]
        );
        assert_eq!(of(r#"{"cpu":{"quota":-1}}"#), [pair("cpu.max", "max 100000")]);
        assert_eq!(
            of(r#"{"memory":{"limit":-1,"swap":-1}}"#),
            [pair("memory.swap.max", "max"), pair("memory.max", "max")]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let refused =
            |json: &str| settings(&serde_json::from_str(json).unwrap(), |_| Some(String::new())).is_err();
        assert!(refused(r#"{"memory":{"limit":2000,"swap":1000}}"#));
        assert!(refused(r#"{"memory":{"swap":1000}}"#));
        assert!(refused(r#"{"unified":{"../x.y":"1"}}"#));
    }

    #[test]
    fn what_v2_has_no_word_for_is_refused_not_left_out() {
        let words = |json: &str| {
            settings(&serde_json::from_str(json).unwrap(), |_| None).err().map(|e| e.to_string())
        };
        for (json, field) in [
            (r#"{"network":{"classID":7}}"#, "network.classID"),
            (r#"{"network":{"priorities":[{"name":"eth0","priority":1}]}}"#, "network.priorities"),
            (r#"{"blockIO":{"leafWeight":10}}"#, "blockIO.leafWeight"),
            (r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"leafWeight":10}]}}"#, "blockIO.leafWeight"),
            (r#"{"memory":{"kernelTCP":4096}}"#, "memory.kernelTCP"),
        ] {
            assert!(words(json).is_some_and(|words| words.contains(field)), "{json}");
        }
        assert_eq!(words(r#"{"network":{},"blockIO":{"leafWeight":0}}"#), None);
        let device = r#"{"blockIO":{"weightDevice":[{"major":8,"minor":16,"weight":500}]}}"#;
        assert_eq!(of(device), [pair("io.weight", "8:16 4950")]);
    }

    #[test]
    fn a_missing_controller_is_named_with_its_fix() {
        let setting = Setting { file: "memory.max".into(), value: "1".into(), what: "the memory limit" };
        let missing = sys::Error::new("open", libc::ENOENT);
        let error = explain(&setting, Path::new("/sys/fs/cgroup/x"), "cpu pids", &missing);
        assert!(error.to_string().contains("controller memory is not delegated"), "{error}");
        assert_eq!(error.hints().len(), 1);
        let error = explain(&setting, Path::new("/sys/fs/cgroup/x"), "cpu memory", &missing);
        assert!(error.to_string().contains("this kernel has no memory.max"), "{error}");
    }
}
