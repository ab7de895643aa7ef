//! $XDG_CONFIG_HOME/coracle/config.toml: what a user has said about coracle itself, by `coracle config set` or by hand.
//!
//! ```toml
//! [storage]
//! root = "/scratch/ada/coracle"              # as --root DIR
//! max_size = "20g"                           # most that images may take (`engine::limit`)
//! ```
//! Below flags, above podman's storage.conf. What must stay true: a file that cannot be read, or says something that is not
//! known, is an error with its line, and not a store somewhere else or without a limit.

use super::size;
use crate::error::{Context, Error, Result};
use crate::paths::Dirs;
use crate::sys::CallContext;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What the file says; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    storage: Storage,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Storage {
    root: Option<String>,
    max_size: Option<String>,
}

/// Every key.
pub const KEYS: [&str; 2] = ["storage.root", "storage.max_size"];

/// Where it is.
pub fn file(dirs: &Dirs) -> PathBuf {
    dirs.config.join("coracle/config.toml")
}

impl User {
    /// What is said, also where there is no file.
    pub fn read(dirs: &Dirs) -> Result<Self> {
        let file = file(dirs);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
                return Ok(Self::default());
            }
            Err(e) => {
                let failed = Err(e).call(|| format!("open({file:?})")).what(|| cannot_use(&file));
                return failed.hint(|| "Make the file readable, or have its file system mounted again.");
            }
        };
        let user: Self = toml::from_str(&text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            let line = text.get(..at).unwrap_or(&text).matches('\n').count() + 1;
            wrong(&file, &format!("line {line}: {}", e.message().replace('\n', " ")))
        })?;
        for key in KEYS {
            if let Some(value) = user.get(key) {
                check(key, value).map_err(|why| wrong(&file, &format!("{key} = {value:?}: {why}")))?;
            }
        }
        Ok(user)
    }

    /// The directory for the store.
    pub fn root(&self) -> Option<PathBuf> {
        self.storage.root.as_ref().map(PathBuf::from)
    }

    /// Most bytes of images.
    pub fn max_size(&self) -> Option<u64> {
        size::parse(self.storage.max_size.as_deref()?).ok()
    }

    /// The value of a key as it was written; `None`: it is not set, or there is no such key.
    pub fn get(&self, key: &str) -> Option<&str> {
        match key {
            "storage.root" => self.storage.root.as_deref(),
            "storage.max_size" => self.storage.max_size.as_deref(),
            _ => None,
        }
    }

    /// Sets a key to a value that was checked, or takes it away.
    pub fn set(&mut self, key: &str, value: Option<String>) {
        match key {
            "storage.root" => self.storage.root = value,
            "storage.max_size" => self.storage.max_size = value,
            _ => {}
        }
    }

    /// As the file has it.
    pub fn to_text(&self) -> String {
        let mut text = "# Written by `coracle config`; it keeps no comments.\n[storage]\n".to_owned();
        for key in KEYS {
            if let (Some((_, name)), Some(value)) = (key.split_once('.'), self.get(key)) {
                // A string of JSON is one of TOML, too, but for one character.
                let quoted = serde_json::Value::from(value).to_string().replace('\u{7f}', "\\u007F");
                text.push_str(&format!("{name} = {quoted}\n"));
            }
        }
        text
    }
}

/// Whether a key may have this value, or why not.
pub fn check(key: &str, value: &str) -> std::result::Result<(), String> {
    match key {
        "storage.root" if !Path::new(value).is_absolute() => Err("no absolute path".to_owned()),
        "storage.root" => Ok(()),
        "storage.max_size" => match size::parse(value)? {
            0 => Err("no image has room in nothing".to_owned()),
            _ => Ok(()),
        },
        _ => Err("unknown key".to_owned()),
    }
}

fn cannot_use(file: &Path) -> String {
    format!("cannot use {}", file.display())
}

fn wrong(file: &Path, why: &str) -> Error {
    Error::usage(cannot_use(file)).cause(why).hint("Correct the file, or remove it.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut user = User::default();
        for (key, value) in [("storage.root", "/a \"b\\\tc\u{7f}\u{e9}"), ("storage.max_size", "1.5g")] {
            check(key, value).unwrap();
            user.set(key, Some(value.to_owned()));
        }
        assert_eq!(toml::from_str::<User>(&user.to_text()).unwrap(), user);
        assert_eq!(user.max_size(), Some(3 << 29));
        user.set("storage.root", None);
        assert_eq!(user.get("storage.root"), None);
    }
}
