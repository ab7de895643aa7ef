//! CPU and memory flags → `Limits`, with the rules between them.

use crate::engine::options::{IoKind, IoLimit, Limits};
use crate::error::{Error, Result};

/// `--cpus` as (quota, period) in microseconds.
pub fn cpus(text: &str) -> Result<Option<(i64, u64)>> {
    const PERIOD: u64 = 100_000;
    let bad = |why: &str| super::invalid("--cpus", text, why, "--cpus 0.5");
    let cpus: f64 = text.parse().map_err(|_| bad("not a number"))?;
    if !cpus.is_finite() || cpus < 0.0 {
        return Err(bad("not a positive number"));
    }
    if cpus == 0.0 {
        return Ok(None);
    }
    // The kernel's smallest quota is one millisecond.
    if !(0.01..=100_000.0).contains(&cpus) {
        return Err(bad("the smallest share is 0.01"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "bounded above")]
    Ok(Some(((cpus * PERIOD as f64).round() as i64, PERIOD)))
}

/// `--memory-swap`: bytes or -1.
pub fn swap(text: &str) -> Result<i64> {
    match text {
        "-1" => Ok(-1),
        text => Ok(i64::try_from(super::size::bytes("--memory-swap", text)?).unwrap_or(i64::MAX)),
    }
}

/// `--memory`, `--memory-reservation`: 0 = no limit.
pub fn memory(flag: &str, text: &str) -> Result<Option<i64>> {
    let bytes = i64::try_from(super::size::bytes(flag, text)?).unwrap_or(i64::MAX);
    Ok(Some(bytes).filter(|bytes| *bytes > 0))
}

/// `--cpuset-cpus`, `--cpuset-mems`: `0-3,5`.
pub fn cpuset(flag: &str, text: &str) -> Result<String> {
    let number = |text: &str| text.parse::<u32>().is_ok();
    let range =
        |text: &str| text.split_once('-').map_or_else(|| number(text), |(a, b)| number(a) && number(b));
    if text.split(',').all(range) {
        Ok(text.to_owned())
    } else {
        Err(super::invalid(flag, text, "not a list of numbers and ranges", &format!("{flag} 0-3,5")))
    }
}

/// `--device-read-bps /dev/sda:1mb` and its likes: bytes have a unit, operations are a number.
pub fn io(flag: &str, kind: IoKind, text: &str) -> Result<IoLimit> {
    let operations = matches!(kind, IoKind::ReadOperations | IoKind::WriteOperations);
    let example = format!("{flag} /dev/sda:{}", if operations { "1000" } else { "1mb" });
    let bad = |why: &str| super::invalid(flag, text, why, &example);
    let (path, rate) = text.rsplit_once(':').ok_or_else(|| bad("not a device and a rate"))?;
    if !path.starts_with("/dev/") {
        return Err(bad("the device is not a path below /dev"));
    }
    let rate = if operations {
        rate.parse().map_err(|_| bad("the rate is not a number"))?
    } else {
        super::size::bytes(flag, rate).map_err(|_| bad("the rate is not a number of bytes"))?
    };
    if rate == 0 {
        return Err(bad("the rate is 0"));
    }
    Ok(IoLimit { kind, path: path.to_owned(), rate })
}

/// Rules that need more than one flag.
pub fn check(limits: &Limits) -> Result<()> {
    match (limits.memory, limits.memory_swap) {
        (None, Some(swap)) if swap != -1 => {
            return Err(Error::usage("--memory-swap wants --memory")
                .hint("For example: `--memory 256m --memory-swap 512m`."));
        }
        (Some(memory), Some(swap)) if swap != -1 && swap < memory => {
            return Err(Error::usage("--memory-swap is smaller than --memory")
                .cause(format_args!("memory plus swap is {swap} bytes, memory alone {memory}"))
                .hint("--memory-swap is memory and swap together."));
        }
        _ => {}
    }
    if let (Some(memory), Some(reservation)) = (limits.memory, limits.memory_reservation)
        && reservation > memory
    {
        return Err(Error::usage("--memory-reservation is larger than --memory"));
    }
    if let Some(weight) = limits.blkio_weight
        && !(10..=1000).contains(&weight)
    {
        return Err(super::invalid(
            "--blkio-weight",
            &weight.to_string(),
            "not from 10 to 1000",
            "--blkio-weight 500",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_become_a_quota() {
        assert_eq!(cpus("0.5").unwrap(), Some((50_000, 100_000)));
        assert_eq!(cpus("0").unwrap(), None);
        for bad in ["-1", "x", "nan", "0.001", "1e9"] {
            assert!(cpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rate_has_a_device_in_front() {
        let read = |text: &str| io("--device-read-bps", IoKind::ReadBytes, text);
        let one = |path: &str, rate| IoLimit { kind: IoKind::ReadBytes, path: path.to_owned(), rate };
        assert_eq!(read("/dev/sda:1mb").unwrap(), one("/dev/sda", 1 << 20));
        assert_eq!(read("/dev/disk/by-path/pci-0:1:9").unwrap(), one("/dev/disk/by-path/pci-0:1", 9));
        for bad in ["/dev/sda", "sda:1mb", "/dev/sda:", "/dev/sda:0", "/dev/sda:fast"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let iops = |text: &str| io("--device-write-iops", IoKind::WriteOperations, text);
        assert_eq!(iops("/dev/sda:20").unwrap().rate, 20);
        assert!(iops("/dev/sda:1mb").is_err());
    }

    #[test]
    fn swap_holds_memory_too() {
        let limits = |memory, memory_swap| Limits { memory, memory_swap, ..Limits::default() };
        assert!(check(&limits(Some(100), Some(50))).is_err());
        assert!(check(&limits(None, Some(50))).is_err());
        assert!(check(&limits(Some(100), Some(-1))).is_ok());
        assert_eq!(swap("-1").unwrap(), -1);
        assert_eq!(memory("--memory", "0").unwrap(), None);
        assert!(cpuset("--cpuset-cpus", "0-3,5").is_ok() && cpuset("--cpuset-cpus", "a").is_err());
    }
}
