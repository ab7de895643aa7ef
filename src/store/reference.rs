//! Image names: `[domain/]path[:tag][@sha256:hex]`, without a regular expression, for the path of `run` and `images`.
//!
//! A name without a domain is *short*. In the store it stands for `localhost/…`, then for the registry that
//! registries.conf searches (docker.io when it says nothing); docker.io's one-part names live below `library/`.

use crate::error::{Error, Result};
use crate::id::Sha256;
use std::fmt;

/// An image name, taken apart and checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Host and port; none for a short name.
    pub domain: Option<String>,
    pub path: String,
    pub tag: Option<String>,
    pub digest: Option<Sha256>,
}

impl Reference {
    /// Checks and takes apart.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |why: &str| {
            Error::usage(format_args!("invalid image name {text:?}"))
                .cause(why)
                .hint("Names look like `registry.example/dir/name:tag` or `name@sha256:…`.")
        };
        if text.len() > 512 {
            return Err(invalid("it is longer than 512 bytes"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Sha256::parse_prefixed(digest)?)),
            None => (text, None),
        };
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            let good_start = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let good = tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            if !good_start || !good || tag.len() > 128 {
                return Err(invalid("a tag is up to 128 of letters, digits, `_`, `.` and `-`"));
            }
        }
        let (domain, path) = match rest.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" || has_upper(first) => {
                (Some(first), path)
            }
            _ => (None, rest),
        };
        if domain.is_some_and(|d| !is_domain(d)) {
            return Err(invalid("the registry must be a host name with an optional port"));
        }
        if !path.split('/').all(is_component) {
            return Err(invalid(if has_upper(path) {
                "the repository must be lower case"
            } else {
                "a repository is parts of lower-case letters and digits, joined by `.`, `_`, `__` or `-`, between slashes"
            }));
        }
        Ok(Self {
            domain: domain.map(str::to_owned),
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// The same below `domain`, when it has none; docker.io's one-part names go below `library/`.
    #[must_use]
    pub fn in_domain(&self, domain: &str) -> Self {
        let mut full = self.clone();
        let domain = full.domain.get_or_insert_with(|| domain.to_owned()).clone();
        if matches!(domain.as_str(), "docker.io" | "index.docker.io") {
            full.domain = Some("docker.io".to_owned());
            if !full.path.contains('/') {
                full.path = format!("library/{}", full.path);
            }
        }
        full
    }

    /// The same with the tag `latest`, when it has neither tag nor digest.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// `domain/path`, as registries are asked for.
    pub fn repository(&self) -> String {
        self.domain.as_ref().map_or_else(|| self.path.clone(), |domain| format!("{domain}/{}", self.path))
    }

    /// The file name in `refs/`.
    pub fn file_name(&self) -> String {
        let encoded = self.to_string().replace('/', "%2F").replace(':', "%3A");
        if encoded.len() <= 200 {
            return encoded;
        }
        use sha2::Digest;
        format!("%{}", crate::id::hex(&sha2::Sha256::digest(encoded.as_bytes())))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(domain) = &self.domain {
            write!(f, "{domain}/")?;
        }
        f.write_str(&self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{}", digest.prefixed()))
    }
}

fn has_upper(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) => {
            let v6_good = !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            if !v6_good || !(rest.is_empty() || rest.starts_with(':')) {
                return false;
            }
            ("v6", rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    host.split('.').all(label) && port.is_none_or(|p| p.parse::<u16>().is_ok_and(|n| n > 0))
}

/// distribution-spec, `<name>`: alphanumerics joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_good = bytes.first().copied().is_some_and(alnum) && bytes.last().copied().is_some_and(alnum);
    let chars_good = bytes.iter().all(|b| alnum(*b) || b"._-".contains(b));
    let mut separators =
        text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).filter(|s| !s.is_empty());
    ends_good
        && chars_good
        && separators.all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let r = Reference::parse("127.0.0.1:5000/a/debian:13").unwrap();
        assert_eq!(
            (r.domain.as_deref(), r.path.as_str(), r.tag.as_deref()),
            (Some("127.0.0.1:5000"), "a/debian", Some("13"))
        );
        let r = Reference::parse("debian").unwrap().in_domain("docker.io").or_latest();
        assert_eq!(r.to_string(), "docker.io/library/debian:latest");
        assert_eq!(r.file_name(), "docker.io%2Flibrary%2Fdebian%3Alatest");
        let r = Reference::parse("localhost/x").unwrap().or_latest();
        assert_eq!(r.to_string(), "localhost/x:latest");
        let hex = "a".repeat(64);
        let r = Reference::parse(&format!("q.io/x:1@sha256:{hex}")).unwrap();
        assert_eq!(r.digest.unwrap().as_str(), hex);
        assert_eq!(Reference::parse("foo/bar").unwrap().domain, None);
        assert_eq!(Reference::parse("[::1]:5000/x").unwrap().domain.as_deref(), Some("[::1]:5000"));
    }

    #[test]
    fn bad_names_are_refused() {
        for bad in [
            "",
            ":",
            "a:",
            "a/",
            "/a",
            "a//b",
            "A",
            "a..b",
            "a___b",
            "a/../b",
            "-a",
            "a-",
            "x:70000/a",
            "h:0/a",
            "a:-b",
            "a@sha256:zz",
            "a@sha512:00",
            "a b",
            "a\0b",
            "q.io/",
            "..",
            "exa mple.com/a",
            "-x.io/a",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a-b", "a--b", "a__b", "a.b/c_d:V1.0_x", "localhost:5000/x", "UPPER.io/x"] {
            assert!(Reference::parse(good).is_ok(), "{good:?}");
        }
    }
}
