//! `$NAME` and `${NAME}` in a configuration's text.

/// The text with the value of each; the error is the name of one that has none.
pub fn expand<V: AsRef<str>>(text: &str, value: impl Fn(&str) -> Option<V>) -> Result<String, String> {
    let mut parts = text.split('$');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = match part.strip_prefix('{').and_then(|part| part.split_once('}')) {
            Some(split) => split,
            None => {
                let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
                part.split_at(end)
            }
        };
        whole.push_str(value(name).ok_or_else(|| name.to_owned())?.as_ref());
        whole.push_str(rest);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_a_name() {
        let value = |name: &str| (name == "S").then_some("/scratch");
        assert_eq!(expand("$S/a${S}b", value).unwrap(), "/scratch/a/scratchb");
        assert_eq!(expand("/a/b", value).unwrap(), "/a/b");
        assert_eq!(expand("/a/$NO/b", value), Err("NO".to_owned()));
        assert_eq!(expand("/a/${S", value), Err(String::new()));
    }
}
