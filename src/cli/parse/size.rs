//! Sizes of flags (`config::size`), and back.

use crate::config;
use crate::error::Result;

/// Bytes of `text`; `what` names the flag's meaning in an error.
pub fn bytes(what: &str, text: &str) -> Result<u64> {
    config::size::parse(text).map_err(|why| super::invalid(what, text, why, "256m"))
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
