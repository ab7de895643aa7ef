//! `k[=v]` pairs of `--label`, `--annotation`, `--sysctl`, and label files.

use crate::error::{Error, Result};

/// `key=value`; without `=` the value is empty.
pub fn pair(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err(super::invalid("label", text, "no key", "--label key=value"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// `key=value` where the `=` is a must; `flag` and `example` for the error.
pub fn strict_pair(flag: &str, text: &str, example: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Error::usage(format_args!("invalid {flag} {text:?}: not key=value"))
            .hint(format_args!("For example: `{example}`."))),
    }
}

/// Lines of `--label-file`; `#` starts a comment.
pub fn file(content: &str) -> Result<Vec<(String, String)>> {
    content.lines().map(str::trim_start).filter(|l| !l.is_empty() && !l.starts_with('#')).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        assert_eq!(pair("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert_eq!(pair("a").unwrap(), ("a".into(), String::new()));
        assert!(pair("=b").is_err());
        assert!(strict_pair("--sysctl", "a", "x").is_err());
        assert_eq!(file("# c\n a=1\n\nb\n").unwrap().len(), 2);
    }
}
