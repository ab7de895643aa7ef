//! What a cgroup has used, in the form that runc's `events` prints and engines read, from v1 and from v2.

use super::fs::Cgroup;
use serde_json::{Map, Value, json};

/// The `data` of a `stats` event. What the kernel does not tell is left out or 0.
pub fn of(cgroup: &Cgroup) -> Value {
    let source = Source(cgroup);
    let mut data = Map::new();
    data.insert("cpu".into(), source.cpu());
    data.insert("memory".into(), source.memory());
    data.insert("pids".into(), source.pids());
    data.insert("blkio".into(), source.io());
    data.insert("hugetlb".into(), json!({}));
    data.insert("intel_rdt".into(), json!({}));
    data.insert("network_interfaces".into(), Value::Null);
    Value::Object(data)
}

/// How often the kernel ended a process of the cgroup for want of memory.
pub fn oom_kills(cgroup: &Cgroup) -> u64 {
    let source = Source(cgroup);
    source
        .key("memory.events", "oom_kill")
        .or_else(|| source.key("memory.oom_control", "oom_kill"))
        .unwrap_or(0)
}

struct Source<'a>(&'a Cgroup);

impl Source<'_> {
    /// A file of v2, or of the hierarchy of v1 that its name begins with.
    fn read(&self, file: &str) -> Option<String> {
        let controller = file.split('.').next().unwrap_or_default();
        let v1 = self.0.v1().iter().find(|dir| dir.has(controller));
        v1.and_then(|dir| dir.read(file)).or_else(|| self.0.read(file))
    }

    fn number(&self, file: &str) -> Option<u64> {
        let text = self.read(file)?;
        let text = text.trim();
        if text == "max" { Some(u64::MAX) } else { text.parse().ok() }
    }

    /// The value behind `key` in a file of `key value` lines.
    fn key(&self, file: &str, key: &str) -> Option<u64> {
        let text = self.read(file)?;
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
    }

    fn cpu(&self) -> Value {
        let micro = |key| self.key("cpu.stat", key).map(|us| us * 1000);
        let ticks = |key| self.key("cpuacct.stat", key).map(|t| t * 10_000_000);
        let total = self.number("cpuacct.usage").or_else(|| micro("usage_usec")).unwrap_or(0);
        let percpu: Vec<u64> = self
            .read("cpuacct.usage_percpu")
            .map(|text| text.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect())
            .unwrap_or_default();
        let throttled = self.key("cpu.stat", "throttled_time").or_else(|| micro("throttled_usec"));
        json!({
            "usage": {
                "total": total,
                "percpu": percpu,
                "kernel": ticks("system").or_else(|| micro("system_usec")).unwrap_or(0),
                "user": ticks("user").or_else(|| micro("user_usec")).unwrap_or(0),
            },
            "throttling": {
                "periods": self.key("cpu.stat", "nr_periods").unwrap_or(0),
                "throttledPeriods": self.key("cpu.stat", "nr_throttled").unwrap_or(0),
                "throttledTime": throttled.unwrap_or(0),
            },
        })
    }

    fn memory(&self) -> Value {
        let first = |files: [&str; 2]| files.iter().find_map(|file| self.number(file));
        let entry = |usage: [&str; 2], limit: [&str; 2], max: [&str; 2], failed: Option<u64>| {
            json!({
                "limit": first(limit).unwrap_or(0),
                "usage": first(usage).unwrap_or(0),
                "max": first(max).unwrap_or(0),
                "failcnt": failed.unwrap_or(0),
            })
        };
        let raw: Map<String, Value> = self
            .read("memory.stat")
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(key, value)| Some((key.to_owned(), value.parse::<u64>().ok()?.into())))
            .collect();
        let cache = raw.get("cache").or_else(|| raw.get("file")).cloned().unwrap_or(0.into());
        json!({
            "cache": cache,
            "usage": entry(
                ["memory.usage_in_bytes", "memory.current"],
                ["memory.limit_in_bytes", "memory.max"],
                ["memory.max_usage_in_bytes", "memory.peak"],
                self.number("memory.failcnt").or_else(|| self.key("memory.events", "max")),
            ),
            "swap": entry(
                ["memory.memsw.usage_in_bytes", "memory.swap.current"],
                ["memory.memsw.limit_in_bytes", "memory.swap.max"],
                ["memory.memsw.max_usage_in_bytes", "memory.swap.peak"],
                self.number("memory.memsw.failcnt"),
            ),
            "kernel": entry(
                ["memory.kmem.usage_in_bytes", ""],
                ["memory.kmem.limit_in_bytes", ""],
                ["memory.kmem.max_usage_in_bytes", ""],
                self.number("memory.kmem.failcnt"),
            ),
            "kernelTCP": entry(
                ["memory.kmem.tcp.usage_in_bytes", ""],
                ["memory.kmem.tcp.limit_in_bytes", ""],
                ["memory.kmem.tcp.max_usage_in_bytes", ""],
                self.number("memory.kmem.tcp.failcnt"),
            ),
            "raw": raw,
        })
    }

    fn pids(&self) -> Value {
        // No limit is 0 here, as runc has it.
        let limit = self.number("pids.max").filter(|limit| *limit != u64::MAX).unwrap_or(0);
        json!({ "current": self.number("pids.current").unwrap_or(0), "limit": limit })
    }

    fn io(&self) -> Value {
        let mut bytes = Vec::new();
        let mut operations = Vec::new();
        for line in self.read("io.stat").unwrap_or_default().lines() {
            let mut words = line.split_ascii_whitespace();
            let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else {
                continue;
            };
            let device = (major.parse::<u64>().unwrap_or(0), minor.parse::<u64>().unwrap_or(0));
            for (key, value) in words.filter_map(|word| word.split_once('=')) {
                let value = value.parse::<u64>().unwrap_or(0);
                let entry =
                    |op: &str| json!({ "major": device.0, "minor": device.1, "op": op, "value": value });
                match key {
                    "rbytes" => bytes.push(entry("Read")),
                    "wbytes" => bytes.push(entry("Write")),
                    "rios" => operations.push(entry("Read")),
                    "wios" => operations.push(entry("Write")),
                    _ => {}
                }
            }
        }
        bytes.extend(self.io_of_v1("blkio.throttle.io_service_bytes"));
        operations.extend(self.io_of_v1("blkio.throttle.io_serviced"));
        json!({ "ioServiceBytesRecursive": bytes, "ioServicedRecursive": operations })
    }

    /// Lines like `8:0 Read 4096`.
    fn io_of_v1(&self, file: &str) -> Vec<Value> {
        let text = self.read(file).unwrap_or_default();
        let entry = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let (major, minor) = words.next()?.split_once(':')?;
            let (op, value) = (words.next()?, words.next()?.parse::<u64>().ok()?);
            let (major, minor) = (major.parse::<u64>().ok()?, minor.parse::<u64>().ok()?);
            Some(json!({ "major": major, "minor": minor, "op": op, "value": value }))
        };
        text.lines().filter_map(entry).collect()
    }
}
