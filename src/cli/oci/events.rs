//! `coracle-oci events`: one JSON document a line.

use super::flags::Parsed;
use super::say;
use crate::error::{Error, Result};
use crate::id::RuntimeId;
use crate::runtime::Context;
use crate::runtime::events::{Wanted, events};
use std::time::Duration;

/// Prints events until the container ends; with `--stats` one.
pub fn run(parsed: &Parsed, context: &Context, id: &RuntimeId) -> Result<()> {
    let interval = parsed.text("interval")?.map_or(Ok(Duration::from_secs(5)), duration)?;
    let wanted = Wanted { interval, once: parsed.has("stats") };
    events(context, id, wanted, &mut |event| {
        // Readers look for these three in this order.
        let member = |key: &str| event.get(key).map(|value| format!(",{key:?}:{value}")).unwrap_or_default();
        let kind = event.get("type").cloned().unwrap_or_default();
        say(&format!("{{\"type\":{kind}{}{}}}\n", member("id"), member("data")))
    })
}

/// A duration in Go's form: `1m30s`, `100ms`.
fn duration(text: &str) -> Result<Duration> {
    let bad = || {
        Error::usage(format_args!("invalid value {text:?} for flag --interval"))
            .hint("Use a duration above 0, such as 5s or 100ms.")
    };
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(bad()),
        };
        total += number.parse::<f64>().map_err(|_| bad())? * seconds;
        rest = next;
    }
    Duration::try_from_secs_f64(total).ok().filter(|d| !d.is_zero()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("100ms").unwrap(), Duration::from_millis(100));
        for bad in ["", "5", "s", "0s", "-1s", "1y"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
