//! Validated names: container ids and names, digests, volume names. Built by `parse` at the edge; the core never re-checks.
//!
//! A value of these types is safe as one path component: no slash, no NUL, never `.` or `..`, never empty.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest name that we accept; leaves room for suffixes below NAME_MAX (255).
const MAX_NAME_LEN: usize = 200;

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:path, $grammar:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `text` against the grammar.
            pub fn parse(text: &str) -> Result<Self> {
                if $valid(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err(Error::usage(format_args!(concat!("invalid ", $what, " {:?}"), text))
                    .cause(concat!("must match ", $grammar)))
            }

            /// The canonical form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<std::path::Path> for $name {
            fn as_ref(&self) -> &std::path::Path {
                self.0.as_ref()
            }
        }
    };
}

newtype!(
    /// The 64 lower-case hex digits of a container made by `coracle`.
    ContainerId, "container id", is_hex64, "[0-9a-f]{64}"
);
newtype!(
    /// A container's name, as in podman: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
    ContainerName, "container name", is_name, "[a-zA-Z0-9][a-zA-Z0-9_.-]*"
);
newtype!(
    /// A volume's name.
    VolumeName, "volume name", is_name, "[a-zA-Z0-9][a-zA-Z0-9_.-]*"
);
newtype!(
    /// The id of a container of the OCI runtime: `[0-9A-Za-z_+.-]+`, but not `.` or `..` (runc's grammar).
    RuntimeId, "container ID format", is_runtime_id, "[0-9A-Za-z_+.-]+"
);
newtype!(
    /// A sha256 digest, its 64 hex digits without the `sha256:` prefix. Also an image id and a layer's diff id.
    Sha256, "sha256 digest", is_hex64, "[0-9a-f]{64}"
);

impl Sha256 {
    /// Parses `sha256:<hex>`; other algorithms and other forms are refused.
    pub fn parse_prefixed(text: &str) -> Result<Self> {
        match text.strip_prefix("sha256:") {
            Some(hex) => Self::parse(hex),
            None => {
                Err(Error::usage(format_args!("invalid digest {text:?}"))
                    .cause("must match sha256:[0-9a-f]{64}"))
            }
        }
    }

    /// From the 32 bytes of a hash.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(hex(bytes))
    }

    /// `sha256:<hex>`.
    pub fn prefixed(&self) -> String {
        format!("sha256:{}", self.0)
    }
}

impl ContainerId {
    /// A new random id.
    pub fn random() -> Result<Self> {
        let mut bytes = [0u8; 32];
        random_bytes(&mut bytes)?;
        Ok(Self(hex(&bytes)))
    }

    /// The first 12 digits, as people see it.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// Fills `buf` from the kernel's random source.
pub fn random_bytes(buf: &mut [u8]) -> Result<()> {
    use crate::sys::CallContext;
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled +=
            rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()).call(|| "getrandom()")?;
    }
    Ok(())
}

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.extend(
            [byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0')),
        );
        text
    })
}

fn is_hex64(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_LEN
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_runtime_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 1024
        && text != "."
        && text != ".."
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_single_safe_path_components() {
        for bad in ["", ".", "..", "a/b", "-a", "a\0b", "\u{e9}", &"a".repeat(201)] {
            assert!(ContainerName::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(ContainerName::parse("web_1.2-x").unwrap().as_str(), "web_1.2-x");
        assert!(RuntimeId::parse("..").is_err());
        assert!(Sha256::parse_prefixed(&format!("sha256:{}", "A".repeat(64))).is_err());
        assert!(Sha256::parse_prefixed("sha512:00").is_err());
    }

    #[test]
    fn hex_is_lower_case_and_full_length() {
        assert_eq!(hex(&[0x00, 0x0f, 0xa0]), "000fa0");
        assert_eq!(ContainerId::random().unwrap().as_str().len(), 64);
    }
}
