//! Sizes: `512`, `64k`, `256m`, `1.5g`, with `b`, `k`, `m`, `g`, `t`, also `kb`, `KiB`; binary units, as in podman. And back.

use crate::error::Result;

/// Bytes of `text`; `what` names the flag's meaning in an error.
pub fn bytes(what: &str, text: &str) -> Result<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = lower.get(digits.len()..).unwrap_or_default();
    let example = "256m";
    let shift: u32 = match suffix.strip_suffix("ib").or_else(|| suffix.strip_suffix('b')).unwrap_or(suffix) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(super::invalid(what, text, format_args!("unknown suffix {suffix:?}"), example)),
    };
    let not_a_number = || super::invalid(what, text, "not a number with b, k, m, g or t", example);
    let too_large = || super::invalid(what, text, "too large", example);
    let number = digits.trim_end();
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).filter(|n| i64::try_from(*n).is_ok()).ok_or_else(too_large);
    }
    let fraction: f64 = number.parse().map_err(|_| not_a_number())?;
    if !fraction.is_finite() || fraction.is_sign_negative() {
        return Err(not_a_number());
    }
    let bytes = fraction * f64::from(1 << shift.min(30)) * f64::from(1 << shift.saturating_sub(30));
    if bytes >= 9e18 {
        return Err(too_large());
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked: finite, positive, below 2^63"
    )]
    Ok(bytes as u64)
}

/// `2.45MB`, `102.4kB`, decimal units with four digits, as Go's units package prints them (`space` between or not).
pub fn human(bytes: u64, space: &str) -> String {
    #[allow(clippy::cast_precision_loss, reason = "for people, three or four digits")]
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    format!("{}{space}{unit}", significant(value, if space.is_empty() { 4 } else { 3 }))
}

/// Go's `%.Ng`.
fn significant(value: f64, digits: usize) -> String {
    let whole = format!("{value:.0}").len();
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary() {
        for (text, want) in [
            ("512", 512),
            ("64k", 65536),
            ("256m", 256 << 20),
            ("1G", 1 << 30),
            ("1.5g", 3 << 29),
            ("2KiB", 2048),
            ("7b", 7),
        ] {
            assert_eq!(bytes("memory limit", text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn a_wrong_size_is_named() {
        let error = bytes("memory limit", "1GX").unwrap_err();
        assert_eq!(error.what(), "invalid memory limit \"1GX\": unknown suffix \"gx\"");
        for bad in ["", "m", "-5", "1e400", "nan", "inf", "99999999999t", "9223372036854775808"] {
            assert!(bytes("memory limit", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn people_read_decimal_units() {
        assert_eq!(human(2_448_455, " "), "2.45 MB");
        assert_eq!(human(102_400, ""), "102.4kB");
        assert_eq!(human(0, ""), "0B");
        assert_eq!(human(999, " "), "999 B");
        assert_eq!(human(4_112_000_000, ""), "4.112GB");
    }
}
