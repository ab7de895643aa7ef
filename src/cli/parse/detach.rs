//! `--detach-keys`: `ctrl-p,ctrl-q`, single characters, empty = none.

use crate::error::Result;

/// What is used when the flag is not given.
pub const DEFAULT: &str = "ctrl-p,ctrl-q";

/// The bytes to look for in the input.
pub fn parse(text: &str) -> Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let bad = || {
        super::invalid(
            "detach key sequence",
            text,
            "keys are ctrl-X or single characters",
            "--detach-keys ctrl-p,ctrl-q",
        )
    };
    let key =
        |key: &str| match (key.strip_prefix("ctrl-").or_else(|| key.strip_prefix("CTRL-")), key.as_bytes()) {
            (Some(c), _) => match c.as_bytes() {
                [c] if c.is_ascii_alphabetic() => Some(c.to_ascii_lowercase() - b'a' + 1),
                b"@" => Some(0),
                [c @ b'['..=b'_'] => Some(c - b'@'),
                _ => None,
            },
            (None, [c]) if c.is_ascii() => Some(*c),
            _ => None,
        };
    text.split(',').map(|k| key(k).ok_or_else(bad)).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn keys_become_bytes() {
        assert_eq!(parse("ctrl-p,ctrl-q").unwrap(), [16, 17]);
        assert_eq!(parse("a,ctrl-[").unwrap(), [b'a', 27]);
        assert!(parse("").unwrap().is_empty());
        for bad in ["ctrl-", "ctrl-1", "ab", "a,,b", "ctrl-pq"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
