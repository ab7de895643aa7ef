//! Signals: `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`.

use crate::error::Result;
use std::str::FromStr;

/// First and last real-time signal as glibc and Go number them; musl keeps one more to itself, payloads do not.
const RT: std::ops::RangeInclusive<i32> = 34..=64;

/// The number of a signal.
pub fn parse(text: &str) -> Result<i32> {
    let bad = || super::invalid("signal", text, "no such signal", "SIGTERM, TERM, 15 or RTMIN+3");
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=64).contains(&number) { Ok(number) } else { Err(bad()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i32>().ok() };
    let real_time = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(plus), _) => offset(plus).map(|n| RT.start() + n),
        (_, Some(minus)) => offset(minus).map(|n| RT.end() + n),
        _ => None,
    };
    if let Some(number) = real_time {
        return if RT.contains(&number) { Ok(number) } else { Err(bad()) };
    }
    let name = match name {
        "CLD" => "CHLD",
        "POLL" => "IO",
        name => name,
    };
    nix::sys::signal::Signal::from_str(&format!("SIG{name}")).map(|s| s as i32).map_err(|_| bad())
}

/// `SIGTERM`, as `inspect` shows it.
pub fn name(number: i32) -> String {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) if RT.contains(&number) => match number - RT.start() {
            0 => "SIGRTMIN".to_owned(),
            n => format!("SIGRTMIN+{n}"),
        },
        Err(_) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_real_time() {
        for (text, want) in [
            ("TERM", 15),
            ("sigkill", 9),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("RTMAX", 64),
            ("RTMAX-1", 63),
            ("CLD", 17),
        ] {
            assert_eq!(parse(text).unwrap(), want, "{text}");
        }
        for bad in ["", "SIG", "NOPE", "0", "65", "-1", "RTMIN+31", "RTMIN-1", "RTMINx"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(name(37), "SIGRTMIN+3");
        assert_eq!(name(15), "SIGTERM");
    }
}
