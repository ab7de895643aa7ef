//! `coracle-oci update`: new limits, from a document or from flags.

use super::flags::Parsed;
use super::verbs::need_cgroup;
use crate::error::{Error, Result};
use crate::id::RuntimeId;
use crate::runtime::Context;
use crate::runtime::rdt;
use oci_spec::runtime::LinuxResources;

/// Changes the limits. Cache and bandwidth are of another file system, and are set last.
pub fn run(parsed: &Parsed, context: &Context, id: &RuntimeId) -> Result<()> {
    let cache = parsed.text("l3-cache-schema")?.filter(|schema| !schema.is_empty());
    let bandwidth = parsed.text("mem-bw-schema")?.filter(|schema| !schema.is_empty());
    rdt::check(cache, bandwidth)?;
    need_cgroup(context, id)?.apply(&resources(parsed)?)?;
    rdt::update(context, id, cache, bandwidth)
}

/// Bytes, with b, k, m, g or t behind them.
fn size(flag: &str, text: &str) -> Result<i64> {
    let bad = || {
        Error::usage(format_args!("invalid value {text:?} for flag --{flag}"))
            .cause("not a number of bytes, or one with k, m, g or t")
    };
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches(['b', 'i']);
    let shift = match number.chars().last() {
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some('t') => 40,
        _ => 0,
    };
    let digits = if shift == 0 { number } else { number.get(..number.len() - 1).unwrap_or_default() };
    let count: i64 = digits.parse().map_err(|_| bad())?;
    count.checked_mul(1 << shift).ok_or_else(bad)
}

/// `--resources FILE|-`, else the single flags.
fn resources(parsed: &Parsed) -> Result<LinuxResources> {
    if let Some(file) = parsed.value("resources") {
        return if file == "-" {
            crate::spec::runtime::parse(std::io::stdin().lock())
        } else {
            crate::spec::runtime::read(file.as_ref())
        };
    }
    for flag in ["kernel-memory", "kernel-memory-tcp"] {
        if let Some(text) = parsed.text(flag)?
            && size(flag, text)? > 0
        {
            return Err(Error::usage(format_args!("cannot set --{flag}"))
                .cause("Linux has no such limit any more")
                .hint("Leave it out: --memory counts the kernel's part."));
        }
    }
    let mut document = serde_json::json!({});
    let numbers = [
        ("cpu-rt-period", "cpu", "realtimePeriod"),
        ("cpu-rt-runtime", "cpu", "realtimeRuntime"),
        ("cpu-quota", "cpu", "quota"),
        ("cpu-period", "cpu", "period"),
        ("cpu-share", "cpu", "shares"),
        ("cpu-burst", "cpu", "burst"),
        ("cpu-idle", "cpu", "idle"),
        ("pids-limit", "pids", "limit"),
        ("blkio-weight", "blockIO", "weight"),
    ];
    for (flag, object, key) in numbers {
        if let Some(number) = parsed.number::<i64>(flag)? {
            document[object][key] = number.into();
        }
    }
    for (flag, key) in [("memory", "limit"), ("memory-reservation", "reservation"), ("memory-swap", "swap")] {
        if let Some(text) = parsed.text(flag)? {
            document["memory"][key] = size(flag, text)?.into();
        }
    }
    for (flag, key) in [("cpuset-cpus", "cpus"), ("cpuset-mems", "mems")] {
        if let Some(text) = parsed.text(flag)? {
            document["cpu"][key] = text.into();
        }
    }
    crate::spec::runtime::from_document(&document).map_err(|e| Error::usage("invalid limits").cause(e))
}
