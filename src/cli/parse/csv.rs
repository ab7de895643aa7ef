//! Comma-separated values with Go's quoting rules (`--mount`): a field in double quotes may hold commas, `""` is a quote.

use crate::error::Result;

/// Splits one line.
pub fn split(text: &str) -> Result<Vec<String>> {
    let bad = |why| super::invalid("comma-separated list", text, why, "type=bind,\"src=/a,b\",dst=/c");
    let bare = |field: &str| {
        if field.contains('"') {
            Err(bad("a quote inside a field that does not start with one"))
        } else {
            Ok(field.to_owned())
        }
    };
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (field, after) = unquote(quoted).ok_or_else(|| bad("a quote is not closed"))?;
            fields.push(field);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None if after.is_empty() => return Ok(fields),
                None => return Err(bad("text after a closing quote")),
            }
        } else if let Some((field, next)) = rest.split_once(',') {
            fields.push(bare(field)?);
            rest = next;
        } else {
            fields.push(bare(rest)?);
            return Ok(fields);
        }
    }
}

fn unquote(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Some((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotes_keep_commas() {
        assert_eq!(split("a,b=c").unwrap(), ["a", "b=c"]);
        assert_eq!(split("type=bind,\"src=/a,b\",dst=\"\"\"x").unwrap_err().exit_code(), 125);
        assert_eq!(
            split("type=bind,\"src=/a,\"\"b\",dst=/c").unwrap(),
            ["type=bind", "src=/a,\"b", "dst=/c"]
        );
        assert_eq!(split("").unwrap(), [""]);
    }
}
