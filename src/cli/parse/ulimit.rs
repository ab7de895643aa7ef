//! `--ulimit name=soft[:hard]` → `RLIMIT_NAME`.

use crate::error::Result;

/// The names of setrlimit(2), as the OCI runtime wants them after `RLIMIT_`.
const NAMES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// One limit: `RLIMIT_NOFILE`, soft, hard. -1 is unlimited.
pub fn parse(text: &str) -> Result<(String, u64, u64)> {
    let bad = |why: String| super::invalid("ulimit", text, why, "--ulimit nofile=1024:2048");
    let (name, value) = text.split_once('=').ok_or_else(|| bad("no `=`".to_owned()))?;
    let lower = name.to_ascii_lowercase();
    let name = lower.strip_prefix("rlimit_").unwrap_or(&lower);
    if !NAMES.contains(&name) {
        return Err(bad(format!("unknown limit {name:?}; one of {}", NAMES.join(", "))));
    }
    let number = |text: &str| match text {
        "-1" | "unlimited" => Some(u64::MAX),
        text => text.parse::<u64>().ok(),
    };
    let (soft, hard) = value.split_once(':').unwrap_or((value, value));
    let (Some(soft), Some(hard)) = (number(soft), number(hard)) else {
        return Err(bad("a limit is a number, or -1 for none".to_owned()));
    };
    if soft > hard {
        return Err(bad(format!("the soft limit {soft} is above the hard limit {hard}")));
    }
    Ok((format!("RLIMIT_{}", name.to_ascii_uppercase()), soft, hard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(parse("nofile=1024:2048").unwrap(), ("RLIMIT_NOFILE".into(), 1024, 2048));
        assert_eq!(parse("RLIMIT_CORE=-1").unwrap(), ("RLIMIT_CORE".into(), u64::MAX, u64::MAX));
        for bad in ["nofile", "nofiles=5", "nofile=5:4", "nofile=x", "nofile=", "core=-2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
