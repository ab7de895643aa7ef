//! /etc/coracle/site.toml: what the administrator of a machine says about all users' containers. Pure parsing; what is
//! done with it is in `engine::site`.
//!
//! ```toml
//! enforce = ["images", "mounts"]             # of images, mounts, env, network, hpc: what users cannot loosen
//! images = ["docker.io/library/*", "/apps/images/*.sqsh", "host:"]
//! network = "host"                           # host, none or slirp4netns, where --network is not given
//! hpc = true                                 # run and create as with --hpc
//! modules = ["mpich"]                        # run and create as with --module mpich
//! stores = ["/apps/containers"]              # their images are everybody's, too (`store::shared`)
//!
//! [[mounts]]
//! source = "/scratch"
//! target = "/scratch"                        # the same as source if not given
//! options = ["ro"]
//! optional = true                            # machines that have no such source do without
//!
//! [env]
//! OMP_PROC_BIND = "close"
//! ```
//!
//! What must stay true: a file that cannot be read, or holds a key, a type or a value that is not known, is an error with
//! file and line, and then no container is made or started. A word that is misspelt must never leave a machine more open
//! than its administrator has meant.
//!
//! **What `enforce` is**: coracle refuses what would loosen it, whatever flags, variables and files of the user say. It is
//! no wall. Everything that coracle does, the user may do without it: another program, or a coracle in a mount namespace
//! with another /etc, asks the same kernel with the same rights. It keeps people from mistakes, not from their intent. The
//! store is the user's, too: what is written down there about an image is as true as the user wants it to be.

use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use toml::Spanned;

/// Where it is.
pub const FILE: &str = "/etc/coracle/site.toml";

/// What the file says; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Site {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enforce: Vec<Key>,
    /// Patterns of the images that may be used; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hpc: Option<bool>,
    /// Stores that everybody looks into for images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// Modules of every container (`config::modules`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// What can be enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    Images,
    Mounts,
    Env,
    Network,
    Hpc,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    Host,
    None,
    Slirp4netns,
}

/// A directory or file of the host in every container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Written")]
pub struct Mount {
    /// Both absolute.
    pub source: String,
    pub target: String,
    pub options: Vec<String>,
    pub optional: bool,
}

/// A mount as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    source: String,
    target: Option<String>,
    #[serde(default)]
    options: Vec<String>,
    #[serde(default)]
    optional: bool,
}

const OPTIONS: [&str; 12] = [
    "ro", "rw", "bind", "rbind", "nosuid", "nodev", "noexec", "private", "rprivate", "slave", "rslave",
    "exec",
];

impl TryFrom<Written> for Mount {
    type Error = String;

    fn try_from(written: Written) -> std::result::Result<Self, String> {
        let target = written.target.unwrap_or_else(|| written.source.clone());
        if let Some(path) = [&written.source, &target].into_iter().find(|path| !is_plain(path)) {
            return Err(format!("{path:?} is no absolute path without . and .., below /"));
        }
        if let Some(option) = written.options.iter().find(|option| !OPTIONS.contains(&option.as_str())) {
            return Err(format!("unknown mount option {option:?}, expected one of {}", OPTIONS.join(", ")));
        }
        Ok(Self { source: written.source, target, options: written.options, optional: written.optional })
    }
}

/// The same once more, with the places in the text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Enforced {
    enforce: Vec<Spanned<Key>>,
    stores: Vec<Spanned<String>>,
}

fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && !part.contains('\0'))
    })
}

impl Site {
    /// What is said, also where there is no file.
    pub fn load() -> Result<Self> {
        Ok(Self::read()?.unwrap_or_default())
    }

    /// What the file says; `None`: there is none. A command asks in several places, and reads it once.
    pub fn read() -> Result<Option<Self>> {
        static READ: OnceLock<Option<Site>> = OnceLock::new();
        match READ.get() {
            Some(read) => Ok(read.clone()),
            None => Self::read_file().map(|read| READ.get_or_init(|| read).clone()),
        }
    }

    fn read_file() -> Result<Option<Self>> {
        match std::fs::read_to_string(FILE) {
            Ok(text) => Self::parse(&text).map(Some).map_err(|(line, why)| refused(line, &why)),
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
            Err(e) => Err(e)
                .call(|| format!("open({FILE:?})"))
                .what(|| "cannot use this site's rules for containers")
                .hint(|| "Ask the administrator to let everybody read it: `chmod 755 /etc/coracle; chmod 644 /etc/coracle/site.toml`."),
        }
    }

    /// Whether users cannot loosen it.
    pub fn enforces(&self, key: Key) -> bool {
        self.enforce.contains(&key)
    }

    /// The line, and what is wrong there.
    fn parse(text: &str) -> std::result::Result<Self, (usize, String)> {
        let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let of_toml = |e: toml::de::Error| {
            (line(e.span().map_or(0, |span| span.start)), e.message().replace('\n', " "))
        };
        let site: Self = toml::from_str(text).map_err(of_toml)?;
        let enforced: Enforced = toml::from_str(text).map_err(of_toml)?;
        if let Some(wrong) = enforced.stores.iter().find(|store| !is_plain(store.get_ref())) {
            let why = format!("{:?} is no absolute path without . and ..", wrong.get_ref());
            return Err((line(wrong.span().start), why));
        }
        for key in enforced.enforce {
            if !site.says(*key.get_ref()) {
                let why = format!("`{}` is enforced, and the file does not say what it is", key.get_ref());
                return Err((line(key.span().start), why));
            }
        }
        Ok(site)
    }

    fn says(&self, key: Key) -> bool {
        match key {
            Key::Images => self.images.is_some(),
            Key::Mounts => !self.mounts.is_empty(),
            Key::Env => !self.env.is_empty(),
            Key::Network => self.network.is_some(),
            Key::Hpc => self.hpc.is_some(),
        }
    }
}

fn refused(line: usize, why: &str) -> Error {
    Error::host("cannot use this site's rules for containers")
        .cause(format_args!("{FILE}:{line}: {why}"))
        .hint(format_args!(
            "Ask the administrator to correct line {line} of {FILE}; until then no container is made or started."
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_refused_with_its_line() {
        for (text, line, word) in [
            ("network = \"host\"\nmont = []\n", 2, "mont"),
            ("\n\nhpc = \"yes\"\n", 3, "boolean"),
            ("enforce = [\n  \"images\",\n]\n", 2, "images"),
            ("enforce = [\"all\"]\n", 1, "all"),
            ("network = \"bridge\"\n", 1, "bridge"),
            ("[[mounts]]\nsource = \"scratch\"\n", 1, "scratch"),
            ("[[mounts]]\nsource = \"/a/../b\"\n", 1, "absolute"),
            ("[[mounts]]\nsource = \"/a\"\noptions = [\"suid\"]\n", 1, "suid"),
            ("[[mounts]]\nsource = \"/a\"\n[[mounts]]\nsorce = \"/a\"\n", 4, "sorce"),
            ("images = [\n", 1, ""),
            ("[env]\nA = 1\n", 2, "string"),
            ("hpc = true\nstores = [\n  \"apps\",\n]\n", 3, "apps"),
        ] {
            let (at, why) = Site::parse(text).unwrap_err();
            assert!(why.contains(word), "{text:?}: {why}");
            assert_eq!(at, line, "{text:?}: {why}");
        }
    }

    #[test]
    fn what_is_not_said_is_not_there() {
        assert_eq!(Site::parse("").unwrap(), Site::default());
        let site = Site::parse("enforce = [\"images\"]\nimages = []\n[[mounts]]\nsource = \"/a\"\n").unwrap();
        assert!(site.enforces(Key::Images) && !site.enforces(Key::Mounts));
        assert_eq!(site.mounts.first().map(|m| m.target.as_str()), Some("/a"));
    }
}
