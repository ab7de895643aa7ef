//! Sizes as people write them: `512`, `64k`, `256m`, `1.5g`, with `b`, `k`, `m`, `g`, `t`, also `kb`, `KiB`; binary units, as
//! in podman.

/// Bytes of `text`, or what is wrong with it.
pub fn parse(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = lower.get(digits.len()..).unwrap_or_default();
    let shift: u32 = match suffix.strip_suffix("ib").or_else(|| suffix.strip_suffix('b')).unwrap_or(suffix) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(format!("unknown suffix {suffix:?}")),
    };
    let number = digits.trim_end();
    if let Ok(whole) = number.parse::<u64>() {
        let bytes = whole.checked_mul(1 << shift).filter(|n| i64::try_from(*n).is_ok());
        return bytes.ok_or_else(|| "too large".to_owned());
    }
    let fraction = number.parse::<f64>().ok().filter(|n| n.is_finite() && !n.is_sign_negative());
    let fraction = fraction.ok_or_else(|| "not a number with b, k, m, g or t".to_owned())?;
    let bytes = fraction * f64::from(1 << shift.min(30)) * f64::from(1 << shift.saturating_sub(30));
    if bytes >= 9e18 {
        return Err("too large".to_owned());
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked: finite, positive, below 2^63"
    )]
    Ok(bytes as u64)
}
