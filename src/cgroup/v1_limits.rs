//! OCI `linux.resources` → files and values of cgroup v1, whose terms they are already. Pure, but for the question
//! whether a file exists.

use super::limits::Setting;
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

/// The writes for `resources`, in order. `exists` says whether the cgroup has a file.
pub fn settings(resources: &LinuxResources, exists: impl Fn(&str) -> bool) -> Vec<Setting> {
    let mut list = Vec::new();
    let mut push = |file: &str, value: String, what: &'static str| {
        list.push(Setting { file: file.to_owned(), value, what });
    };
    if let Some(memory) = resources.memory() {
        memory_settings(memory, &exists, &mut push);
    }
    if let Some(cpu) = resources.cpu() {
        cpu_settings(cpu, &mut push);
    }
    if let Some(pids) = resources.pids() {
        let limit = pids.limit();
        push("pids.max", if limit <= 0 { "max".into() } else { limit.to_string() }, "the pids limit");
    }
    if let Some(io) = resources.block_io() {
        io_settings(io, &exists, &mut push);
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        let file = format!("hugetlb.{}.limit_in_bytes", limit.page_size());
        push(&file, limit.limit().to_string(), "the hugepage limit");
    }
    if let Some(network) = resources.network() {
        if let Some(class) = network.class_id() {
            push("net_cls.classid", class.to_string(), "the network class");
        }
        for priority in network.priorities().iter().flatten() {
            let value = format!("{} {}", priority.name(), priority.priority());
            push("net_prio.ifpriomap", value, "the network priority");
        }
    }
    for (device, limit) in resources.rdma().iter().flatten() {
        let part = |name: &str, value: Option<u32>| value.map(|v| format!(" {name}={v}")).unwrap_or_default();
        let value = format!(
            "{device}{}{}",
            part("hca_handle", limit.hca_handles()),
            part("hca_object", limit.hca_objects())
        );
        push("rdma.max", value, "the rdma limit");
    }
    list
}

fn memory_settings(
    memory: &LinuxMemory,
    exists: &impl Fn(&str) -> bool,
    push: &mut impl FnMut(&str, String, &'static str),
) {
    let limit = memory.limit().filter(|l| *l != 0);
    let mut swap = memory.swap().filter(|s| *s != 0);
    // No limit of memory means none of memory and swap together, which could not be smaller.
    if limit == Some(-1) && swap.is_none() && exists("memory.memsw.limit_in_bytes") {
        swap = Some(-1);
    }
    // A limit taken away goes from the outer to the inner one, a limit set the other way round; `apply` tries what the
    // kernel refuses at first once more.
    if let Some(swap) = swap.filter(|s| *s < 0) {
        push("memory.memsw.limit_in_bytes", swap.to_string(), "the swap limit");
    }
    if let Some(limit) = limit {
        push("memory.limit_in_bytes", limit.to_string(), "the memory limit");
    }
    if let Some(swap) = swap.filter(|s| *s >= 0) {
        push("memory.memsw.limit_in_bytes", swap.to_string(), "the swap limit");
    }
    if let Some(reservation) = memory.reservation().filter(|r| *r != 0) {
        push("memory.soft_limit_in_bytes", reservation.to_string(), "the memory reservation");
    }
    if let Some(tcp) = memory.kernel_tcp().filter(|t| *t != 0) {
        push("memory.kmem.tcp.limit_in_bytes", tcp.to_string(), "the limit of TCP buffers");
    }
    if let Some(swappiness) = memory.swappiness() {
        push("memory.swappiness", swappiness.to_string(), "the swappiness");
    }
    if memory.disable_oom_killer() == Some(true) {
        push("memory.oom_control", "1".into(), "the oom killer off");
    }
    if memory.use_hierarchy() == Some(true) {
        push("memory.use_hierarchy", "1".into(), "the use of the memory hierarchy");
    }
}

fn cpu_settings(cpu: &LinuxCpu, push: &mut impl FnMut(&str, String, &'static str)) {
    if let Some(shares) = cpu.shares().filter(|s| *s != 0) {
        push("cpu.shares", shares.to_string(), "the cpu shares");
    }
    if let Some(period) = cpu.period().filter(|p| *p != 0) {
        push("cpu.cfs_period_us", period.to_string(), "the cpu period");
    }
    if let Some(quota) = cpu.quota().filter(|q| *q != 0) {
        push("cpu.cfs_quota_us", quota.to_string(), "the cpu quota");
    }
    if let Some(burst) = cpu.burst() {
        push("cpu.cfs_burst_us", burst.to_string(), "the cpu burst");
    }
    if let Some(period) = cpu.realtime_period().filter(|p| *p != 0) {
        push("cpu.rt_period_us", period.to_string(), "the realtime period");
    }
    if let Some(runtime) = cpu.realtime_runtime().filter(|r| *r != 0) {
        push("cpu.rt_runtime_us", runtime.to_string(), "the realtime runtime");
    }
    if let Some(idle) = cpu.idle() {
        push("cpu.idle", idle.to_string(), "the cpu idle setting");
    }
    if let Some(cpus) = cpu.cpus().as_ref().filter(|c| !c.is_empty()) {
        push("cpuset.cpus", cpus.clone(), "the set of cpus");
    }
    if let Some(mems) = cpu.mems().as_ref().filter(|m| !m.is_empty()) {
        push("cpuset.mems", mems.clone(), "the set of memory nodes");
    }
}

fn io_settings(
    io: &LinuxBlockIo,
    exists: &impl Fn(&str) -> bool,
    push: &mut impl FnMut(&str, String, &'static str),
) {
    // The names of the cfq scheduler are gone from newer kernels; bfq has its own.
    let bfq = !exists("blkio.weight") && exists("blkio.bfq.weight");
    let (weight, device) = match bfq {
        true => ("blkio.bfq.weight", "blkio.bfq.weight_device"),
        false => ("blkio.weight", "blkio.weight_device"),
    };
    if let Some(value) = io.weight().filter(|w| *w != 0) {
        push(weight, value.to_string(), "the io weight");
    }
    if let Some(value) = io.leaf_weight().filter(|w| *w != 0) {
        push("blkio.leaf_weight", value.to_string(), "the io leaf weight");
    }
    for entry in io.weight_device().iter().flatten() {
        let value = |weight: u16| format!("{}:{} {weight}", entry.major(), entry.minor());
        if let Some(weight) = entry.weight() {
            push(device, value(weight), "the io weight of a device");
        }
        if let Some(leaf) = entry.leaf_weight() {
            push("blkio.leaf_weight_device", value(leaf), "the io leaf weight of a device");
        }
    }
    let throttles = [
        ("read_bps", io.throttle_read_bps_device()),
        ("write_bps", io.throttle_write_bps_device()),
        ("read_iops", io.throttle_read_iops_device()),
        ("write_iops", io.throttle_write_iops_device()),
    ];
    for (key, devices) in throttles {
        for device in devices.iter().flatten() {
            let value = format!("{}:{} {}", device.major(), device.minor(), device.rate());
            push(&format!("blkio.throttle.{key}_device"), value, "the io limit");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str, exists: bool) -> Vec<(String, String)> {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        settings(&resources, |_| exists).into_iter().map(|s| (s.file, s.value)).collect()
    }

    #[test]
    fn values_are_written_as_they_are() {
        let pair = |file: &str, value: &str| (file.to_owned(), value.to_owned());
        let json = r#"{"memory":{"limit":1000,"swap":3000},"cpu":{"shares":100,"quota":5,"period":10},"pids":{"limit":-1}}"#;
        assert_eq!(
            of(json, true),
            [
                pair("memory.limit_in_bytes", "1000"),
                pair("memory.memsw.limit_in_bytes", "3000"),
                pair("cpu.shares", "100"),
                pair("cpu.cfs_period_us", "10"),
                pair("cpu.cfs_quota_us", "5"),
                pair("pids.max", "max"),
            ]
        );
        let unlimited = [pair("memory.memsw.limit_in_bytes", "-1"), pair("memory.limit_in_bytes", "-1")];
        assert_eq!(of(r#"{"memory":{"limit":-1}}"#, true), unlimited);
        assert_eq!(of(r#"{"memory":{"limit":-1}}"#, false), unlimited.get(1..).unwrap());
    }
}
