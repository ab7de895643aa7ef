//! `org.systemd.property.NAME` annotations: properties of a container's scope that somebody else chose. Pure.
//!
//! Values are GVariant text, as runc takes them: `true`, `'text'`, `uint64 5`, `['a', 'b']`. `…Sec` is seconds, which
//! systemd keeps as `…USec`.

use super::dbus::Body;
use crate::error::{Error, Result};

const PREFIX: &str = "org.systemd.property.";

/// One property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    pub name: String,
    pub value: Value,
}

/// What it is set to. Numbers by the D-Bus type that their text names, as the bits that are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Bool(bool),
    Text(String),
    Four(char, u32),
    Eight(char, u64),
    List(Vec<String>),
}

impl Property {
    /// The property of an annotation; none for other annotations.
    pub fn of(key: &str, text: &str) -> Result<Option<Self>> {
        let Some(name) = key.strip_prefix(PREFIX) else { return Ok(None) };
        if name.len() < 3 || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(Error::usage(format_args!("annotation {key} name incorrect"))
                .cause("it is no name of a property"));
        }
        let value = Value::parse(text.trim()).ok_or_else(|| {
            Error::usage(format_args!("annotation {key}={text} value parse error"))
                .cause("it must be a value as systemd's tools write it: true, 'text', uint64 5, ['a', 'b']")
        })?;
        Ok(Some(match name.strip_suffix("Sec").filter(|start| !start.ends_with('U')) {
            Some(start) => Self {
                name: format!("{start}USec"),
                value: value.seconds().ok_or_else(|| {
                    Error::usage(format_args!("annotation {key}={text} value parse error"))
                        .cause("it is no number of seconds")
                })?,
            },
            None => Self { name: name.to_owned(), value },
        }))
    }

    /// Adds it to the properties of a call: `(sv)`.
    pub fn write(&self, body: &mut Body) {
        body.align(8);
        body.string(&self.name);
        match &self.value {
            Value::Bool(yes) => {
                body.signature("b");
                body.u32(u32::from(*yes));
            }
            Value::Text(text) => {
                body.signature("s");
                body.string(text);
            }
            Value::Four(kind, bits) => {
                body.signature(&kind.to_string());
                body.u32(*bits);
            }
            Value::Eight(kind, bits) => {
                body.signature(&kind.to_string());
                body.u64(*bits);
            }
            Value::List(texts) => {
                body.signature("as");
                body.array(4, |list| texts.iter().for_each(|text| list.string(text)));
            }
        }
    }
}

impl Value {
    fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
            return items.map(quoted).collect::<Option<Vec<_>>>().map(Self::List);
        }
        match text {
            "true" => return Some(Self::Bool(true)),
            "false" => return Some(Self::Bool(false)),
            _ => {}
        }
        if let Some(text) = quoted(text) {
            return Some(Self::Text(text));
        }
        match text.split_once(' ').map_or(("int32", text), |(kind, number)| (kind, number.trim())) {
            ("int32", number) => Some(Self::Four('i', number.parse::<i32>().ok()?.cast_unsigned())),
            ("uint32", number) => Some(Self::Four('u', number.parse().ok()?)),
            ("int64", number) => Some(Self::Eight('x', number.parse::<i64>().ok()?.cast_unsigned())),
            ("uint64", number) => Some(Self::Eight('t', number.parse().ok()?)),
            ("double", number) => Some(Self::Eight('d', number.parse::<f64>().ok()?.to_bits())),
            _ => None,
        }
    }

    /// Seconds as microseconds.
    fn seconds(&self) -> Option<Self> {
        let micro = match *self {
            Self::Four('i', bits) => u64::try_from(bits.cast_signed()).ok()?.checked_mul(1_000_000)?,
            Self::Four('u', n) => u64::from(n).checked_mul(1_000_000)?,
            Self::Eight('x', bits) => u64::try_from(bits.cast_signed()).ok()?.checked_mul(1_000_000)?,
            Self::Eight('t', n) => n.checked_mul(1_000_000)?,
            Self::Eight('d', bits) => (f64::from_bits(bits) * 1e6) as u64,
            _ => return None,
        };
        Some(Self::Eight('t', micro))
    }
}

fn quoted(text: &str) -> Option<String> {
    let inner = |quote: char| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (text.len() >= 2 && !inner.contains([quote, '\\', '\0'])).then(|| inner.to_owned())
    };
    inner('\'').or_else(|| inner('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_gvariant_text() {
        let of = |name: &str, text: &str| Property::of(&format!("{PREFIX}{name}"), text).unwrap().unwrap();
        assert_eq!(of("CollectMode", "'inactive'").value, Value::Text("inactive".into()));
        assert_eq!(of("SendSIGHUP", "true").value, Value::Bool(true));
        assert_eq!(of("TimeoutStopUSec", "uint64 123").value, Value::Eight('t', 123));
        let seconds = of("TimeoutStopSec", "2.5".replace("2.5", "double 2.5").as_str());
        assert_eq!((seconds.name.as_str(), seconds.value), ("TimeoutStopUSec", Value::Eight('t', 2_500_000)));
        assert_eq!(
            of("After", "['a.service', 'b.service']").value,
            Value::List(vec!["a.service".into(), "b.service".into()])
        );
        for bad in ["", "'x", "uint64 -1", "truee", "[1]", "uint128 4"] {
            assert!(Property::of(&format!("{PREFIX}Name"), bad).is_err(), "{bad:?}");
        }
        assert!(Property::of(&format!("{PREFIX}No-Name"), "true").is_err());
        assert_eq!(Property::of("org.example", "x").unwrap(), None);
    }
}
