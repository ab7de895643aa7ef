//! The one pattern of names in rules, modules and filters: `*` is any text, also none; everything else is itself. Pure.
//!
//! Each part is looked for once, from where the one before it ended: never exponential.

/// Whether all of `text` is as `pattern` says.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn all_of_the_text_is_compared() {
        for (pattern, name) in [
            ("cxi*", "cxi0"),
            ("*", "a"),
            ("*", ""),
            ("lib*.so*", "libx.so.1"),
            ("a", "a"),
            ("a*", "a"),
            ("*a*b", "aabab"),
            ("a*b*c", "a1b2c"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("cxi*", "xcxi"), ("a", "ab"), ("lib*.so*", "libx.a"), ("a*a", "a"), ("", "x"), ("a*b*c", "acb")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
