//! `${…}` in a devcontainer.json. Each is replaced once; what is not known is left as it is, for it is the shell's.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What is known.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The project's directory.
    pub folder: &'a str,
    /// Where its commands run in the box.
    pub workspace: &'a str,
    pub id: &'a str,
    pub host: &'a BTreeMap<String, String>,
}

impl Scope<'_> {
    /// The text without variables; those of the container stay.
    pub fn expand(&self, text: &str) -> String {
        replaced(text, |name, rest| {
            Some(match name {
                "localWorkspaceFolder" => self.folder.to_owned(),
                "localWorkspaceFolderBasename" => last(self.folder).to_owned(),
                "containerWorkspaceFolder" => self.workspace.to_owned(),
                "containerWorkspaceFolderBasename" => last(self.workspace).to_owned(),
                "devcontainerId" => self.id.to_owned(),
                "localEnv" | "env" => looked_up(self.host, rest?),
                _ => return None,
            })
        })
    }

    /// In all texts of a document.
    pub fn expand_all(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.expand(text),
            Value::Array(all) => all.iter_mut().for_each(|one| self.expand_all(one)),
            Value::Object(all) => all.values_mut().for_each(|one| self.expand_all(one)),
            _ => {}
        }
    }
}

/// With the environment of the container, as its config.json has it.
pub fn of_container(text: &str, env: &BTreeMap<String, String>) -> String {
    replaced(text, |name, rest| (name == "containerEnv").then(|| rest.map(|rest| looked_up(env, rest)))?)
}

/// Whether it speaks of the container's environment.
pub fn needs_container(text: &str) -> bool {
    text.contains("${containerEnv:")
}

/// `NAME`, or `NAME:DEFAULT`.
fn looked_up(env: &BTreeMap<String, String>, text: &str) -> String {
    let (name, default) = text.split_once(':').unwrap_or((text, ""));
    env.get(name).map_or(default, String::as_str).to_owned()
}

fn replaced(text: &str, value: impl Fn(&str, Option<&str>) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        out += before;
        let found = from.find('}').and_then(|end| {
            let inner = from.get(2..end)?;
            let (name, more) = inner.split_once(':').map_or((inner, None), |(name, more)| (name, Some(more)));
            Some((value(name, more)?, end + 1))
        });
        let (new, used) = found.unwrap_or_else(|| ("${".to_owned(), 2));
        out += &new;
        rest = from.get(used..).unwrap_or("");
    }
    out + rest
}

/// The last part of a path.
pub fn last(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The same for the same labels, and the same as other programs make of them: the SHA-256 of the labels as JSON, as a
/// number of 52 digits to the base 32.
pub fn id(labels: &BTreeMap<String, String>) -> String {
    let text = serde_json::to_string(labels).unwrap_or_default();
    let mut number: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut digits = [b'0'; 52];
    for digit in digits.iter_mut().rev() {
        // Division by 32, the first byte being the highest.
        let mut carried = 0u16;
        for byte in &mut number {
            let value = carried << 8 | u16::from(*byte);
            *byte = (value / 32) as u8;
            carried = value % 32;
        }
        *digit = char::from_digit(u32::from(carried), 32).map_or(b'0', |digit| digit as u8);
    }
    String::from_utf8_lossy(&digits).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_are_replaced_once_and_the_shells_are_left() {
        let host = map(&[("A", "${localEnv:A}"), ("E", "")]);
        let scope = Scope { folder: "/p/proj", workspace: "/workspaces/w", id: "0x", host: &host };
        for (text, value) in [
            ("${localWorkspaceFolder}/a", "/p/proj/a"),
            ("-${localWorkspaceFolderBasename}-${containerWorkspaceFolderBasename}-", "-proj-w-"),
            ("${localEnv:A}${localEnv:E:x}${localEnv:NONE}", "${localEnv:A}"),
            ("${localEnv:NONE:http://x:1}", "http://x:1"),
            ("${HOME} $HOME ${x:-y} ${", "${HOME} $HOME ${x:-y} ${"),
            ("é${é}${devcontainerId}", "é${é}0x"),
            ("${containerEnv:PATH:d}", "${containerEnv:PATH:d}"),
        ] {
            assert_eq!(scope.expand(text), value);
        }
        assert_eq!(of_container("${containerEnv:A}:${containerEnv:B:b}$A", &map(&[("A", "a")])), "a:b$A");
    }

    #[test]
    fn the_id_is_a_number_to_the_base_32() {
        // SHA-256 of {}: 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a.
        assert_eq!(id(&BTreeMap::new()), "0h0jduhlbcr7h88kdb8muvk697kkvd7s47v7fq1h1g30uoealvsa");
    }
}
