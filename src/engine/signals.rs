//! Signal names and numbers as people write them: `9`, `KILL`, `SIGKILL`, `SIGRTMIN+3`.

use crate::error::{Error, Result};
use std::str::FromStr;

/// The first real-time signal that programs may use (the C library keeps two for itself).
const SIGRTMIN: i32 = 34;
const SIGRTMAX: i32 = 64;

/// Parses a name or a number.
pub fn parse(text: &str) -> Result<i32> {
    let unknown = || {
        Error::usage(format_args!("unknown signal {text:?}"))
            .hint("Use a name or a number of signal(7), for example TERM or 15.")
    };
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().filter(|n| (1..=SIGRTMAX).contains(n)).ok_or_else(unknown);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        return real_time(SIGRTMIN, offset, '+').ok_or_else(unknown);
    }
    if let Some(offset) = name.strip_prefix("RTMAX") {
        return real_time(SIGRTMAX, offset, '-').ok_or_else(unknown);
    }
    nix::sys::signal::Signal::from_str(&format!("SIG{name}")).map(|s| s as i32).map_err(|_| unknown())
}

/// `SIGTERM`, `SIGRTMIN+3`, as `inspect` shows it.
pub fn name(number: i32) -> String {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) if number == SIGRTMIN => "SIGRTMIN".to_owned(),
        Err(_) if (SIGRTMIN..=SIGRTMAX).contains(&number) => format!("SIGRTMIN+{}", number - SIGRTMIN),
        Err(_) => number.to_string(),
    }
}

fn real_time(base: i32, offset: &str, sign: char) -> Option<i32> {
    let number = match offset.strip_prefix(sign) {
        Some(digits) => digits.parse::<i32>().ok()?,
        None if offset.is_empty() => 0,
        None => return None,
    };
    let signal = if sign == '+' { base.checked_add(number)? } else { base.checked_sub(number)? };
    (SIGRTMIN..=SIGRTMAX).contains(&signal).then_some(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_real_time_signals() {
        for (text, number) in
            [("9", 9), ("KILL", 9), ("sigterm", 15), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("SIGRTMIN", 34)]
        {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        assert_eq!(
            (name(15).as_str(), name(37).as_str(), name(34).as_str()),
            ("SIGTERM", "SIGRTMIN+3", "SIGRTMIN")
        );
        for bad in ["0", "65", "-1", "FOO", "SIGRTMIN+40", "", "SIGRTMIN-1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
