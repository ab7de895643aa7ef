//! Durations (`10m`, `1h30m`, `90`), points in time (`--since`, `--until`), and how they are shown.

use crate::error::Result;
use jiff::{SignedDuration, Timestamp};

/// Go's duration: `1h30m`, `1.5s`, `300ms`; a bare number is seconds.
pub fn duration(what: &str, text: &str) -> Result<SignedDuration> {
    parse_duration(text).ok_or_else(|| super::invalid(what, text, "not a duration", "1h30m"))
}

fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut nanos: f64 = 0.0;
    if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()) {
        nanos = rest.parse::<f64>().ok()? * 1e9;
        rest = "";
    } else if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "d" => 86_400e9,
            _ => return None,
        };
        nanos += number.parse::<f64>().ok()? * scale;
        rest = next;
    }
    let seconds = nanos / 1e9;
    SignedDuration::try_from_secs_f64(if negative { -seconds } else { seconds }).ok()
}

/// A point in time: RFC 3339 (also without zone: local), a date, seconds since 1970 (also with a fraction), or a
/// duration before `now`.
pub fn point(what: &str, text: &str, now: Timestamp) -> Result<Timestamp> {
    let bad = || super::invalid(what, text, "neither a time nor a duration", "2026-01-31T10:00:00Z, 10m");
    if let Ok(seconds) = text.parse::<f64>() {
        let duration = SignedDuration::try_from_secs_f64(seconds).map_err(|_| bad())?;
        return Timestamp::from_duration(duration).map_err(|_| bad());
    }
    if let Some(duration) = parse_duration(text) {
        return now.checked_sub(duration).map_err(|_| bad());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let local = |time: jiff::civil::DateTime| {
        time.to_zoned_datetime(jiff::tz::TimeZone::system()).map(|z| z.timestamp())
    };
    text.parse::<jiff::civil::DateTime>()
        .or_else(|_| text.parse::<jiff::civil::Date>().map(Into::into))
        .and_then(local)
        .map_err(|_| bad())
}

/// `7 seconds`, `About a minute`, `3 weeks`: Go's units.HumanDuration.
pub fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    // Go rounds hours to the nearest.
    let hours = (seconds + 1800) / 3600;
    match seconds {
        i64::MIN..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        _ => match (minutes, hours) {
            (1, _) => "About a minute".to_owned(),
            (2..60, _) => format!("{minutes} minutes"),
            (_, 1) => "About an hour".to_owned(),
            (_, 2..48) => format!("{hours} hours"),
            (_, 48..336) => format!("{} days", hours / 24),
            (_, 336..1440) => format!("{} weeks", hours / 24 / 7),
            (_, 1440..17520) => format!("{} months", hours / 24 / 30),
            _ => format!("{} years", hours / 24 / 365),
        },
    }
}

/// How long ago an RFC 3339 time was, for people.
pub fn ago(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => human(now.duration_since(time).max(SignedDuration::ZERO)),
        Err(_) => "unknown time".to_owned(),
    }
}

/// `2026-11-23 15:08:42.744 +0000 UTC`: Go's default for times, in the local zone.
pub fn go_default(time: &str) -> String {
    let Ok(time) = time.parse::<Timestamp>() else { return time.to_owned() };
    let zoned = time.to_zoned_datetime(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S%.f %z %Z").to_string()
}

/// Seconds since 1970, or Go's zero time (year 1) when it never was.
pub fn unix(time: Option<&str>) -> i64 {
    const GO_ZERO: i64 = -62_135_596_800;
    time.and_then(|t| t.parse::<Timestamp>().ok()).map_or(GO_ZERO, Timestamp::as_second)
}

/// Go's zero time, for what never was.
pub const ZERO: &str = "0001-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, seconds) in
            [("90", 90.0), ("1h30m", 5400.0), ("1.5s", 1.5), ("300ms", 0.3), ("-2s", -2.0), ("2d", 172_800.0)]
        {
            assert!((duration("x", text).unwrap().as_secs_f64() - seconds).abs() < 1e-9, "{text}");
        }
        for bad in ["", "m", "5x", "1h 2m", "-", "--5"] {
            assert!(duration("x", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn points_in_time() {
        let now: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
        assert_eq!(point("x", "10m", now).unwrap().to_string(), "2026-11-23T14:50:00Z");
        assert_eq!(point("x", "1795446522", now).unwrap().as_second(), 1_795_446_522);
        assert_eq!(point("x", "2026-11-23T14:50:00+01:00", now).unwrap().to_string(), "2026-11-23T13:50:00Z");
        assert!(point("x", "2026-11-23", now).is_ok());
        assert!(point("x", "2026-11-23T14:50:00", now).is_ok());
        assert!(point("x", "yesterday", now).is_err());
        assert!(point("x", "1e300", now).is_err());
    }

    #[test]
    fn ages_read_as_in_podman() {
        let age = |seconds| human(SignedDuration::from_secs(seconds));
        assert_eq!(age(0), "Less than a second");
        assert_eq!(age(7), "7 seconds");
        assert_eq!(age(65), "About a minute");
        assert_eq!(age(3600), "About an hour");
        assert_eq!(age(7200), "2 hours");
        assert_eq!(age(3 * 86_400), "3 days");
        assert_eq!(age(21 * 86_400), "3 weeks");
    }

    #[test]
    fn what_never_was_is_gos_zero_time() {
        assert_eq!(unix(None), -62_135_596_800);
        assert_eq!(unix(Some("1970-01-01T00:00:05Z")), 5);
    }
}
