//! A devcontainer.json as its keys, and what stands at one of them, of the kind that it must be.

use crate::error::{Error, Result};
use serde_json::{Map, Value};

pub type Keys = Map<String, Value>;

/// JSON with comments and commas at the end, and nothing else that JSON has not.
pub fn document(text: &str) -> Result<Keys> {
    let options = jsonc_parser::ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    // An editor may have put a mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = jsonc_parser::parse_to_serde_value(text, &options)
        .map_err(|e| Error::usage(format_args!("line {}: {}", e.line_display(), e.kind())))?;
    if has_zero(&value) {
        return Err(Error::usage("a text in it has a zero byte").hint("Take it out."));
    }
    match value {
        Value::Object(keys) => Ok(keys),
        _ => Err(Error::usage("it is not an object of JSON").hint("For example: `{\"image\": \"debian\"}`.")),
    }
}

fn has_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(all) => all.iter().any(has_zero),
        Value::Object(all) => all.iter().any(|(key, value)| key.contains('\0') || has_zero(value)),
        _ => false,
    }
}

pub fn wrong(key: &str, is: &str) -> Error {
    Error::usage(format_args!("{key} is not {is}"))
        .hint("See https://containers.dev for what may stand there.")
}

pub fn string<'k>(keys: &'k Keys, key: &str) -> Result<Option<&'k str>> {
    match keys.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| wrong(key, "a text")),
    }
}

pub fn list<'k>(keys: &'k Keys, key: &str) -> Result<Option<&'k Vec<Value>>> {
    match keys.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_array().map(Some).ok_or_else(|| wrong(key, "a list")),
    }
}

pub fn strings(keys: &Keys, key: &str) -> Result<Vec<String>> {
    let all = list(keys, key)?.map_or(&[][..], Vec::as_slice);
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| wrong(key, "a list of texts"));
    all.iter().map(text).collect()
}

/// Names and values; null takes the variable away.
pub fn variables_of(keys: &Keys, key: &str) -> Result<Vec<(String, Option<String>)>> {
    let all = match keys.get(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(value) => value.as_object().ok_or_else(|| wrong(key, "an object"))?,
    };
    let one = |(name, value): (&String, &Value)| match value {
        _ if !is_name(name) => Err(wrong(key, "an object with names of variables")),
        Value::Null => Ok((name.clone(), None)),
        Value::String(text) => Ok((name.clone(), Some(text.clone()))),
        _ => Err(wrong(key, "an object with texts")),
    };
    all.iter().map(one).collect()
}

/// What `sudo` takes for a variable, too.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && !text.contains(['=', '/'])
}
