//! storage.conf: where podman keeps its store, which is where the user wants such things to be.
//!
//! Read as podman reads it: `$CONTAINERS_STORAGE_CONF` alone, else the user's `containers/storage.conf`, else
//! /etc/containers/storage.conf, else /usr/share/containers/storage.conf. Of a user the key is `graphroot` in the user's own
//! file, and `rootless_storage_path` in any; of root it is `graphroot`. `additionalimagestores` are stores that are looked
//! into for images, too: of each path the directory `coracle`, as of graphroot, or the path itself; what is podman's own
//! there is not ours to read. Other keys are for the tools that know them.

use super::variables;
use crate::error::{Error, Result};
use crate::paths::{self, Dirs};
use serde::Deserialize;
use std::path::{Path, PathBuf};

const SYSTEM: [&str; 2] = ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"];

/// What distributions ship for root. It says nothing about what root wants.
const SHIPPED: &str = "/var/lib/containers/storage";

#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct File {
    storage: Storage,
}

#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct Storage {
    graphroot: Option<String>,
    rootless_storage_path: Option<String>,
    options: Options,
}

#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct Options {
    additionalimagestores: Vec<String>,
}

/// What the file says that counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The directory for stores.
    pub root: Option<PathBuf>,
    /// More stores to look into.
    pub stores: Vec<PathBuf>,
}

/// Reads the file; without one nothing is said.
pub fn read(dirs: &Dirs) -> Result<Said> {
    let own = match paths::env("CONTAINERS_STORAGE_CONF") {
        Some(only) => PathBuf::from(only),
        None => dirs.config.join("containers/storage.conf"),
    };
    let files = std::iter::once(own.clone()).chain(SYSTEM.map(PathBuf::from));
    let Some((file, text)) = files.into_iter().find_map(|file| {
        let text = std::fs::read_to_string(&file).ok()?;
        Some((file, text))
    }) else {
        return Ok(Said::default());
    };
    let wrong = |why: &str| {
        Error::usage(format_args!("cannot use {}", file.display()))
            .cause(why)
            .hint("Correct the file, or give --root DIR.")
    };
    let Storage { graphroot, rootless_storage_path, options } =
        parse(&text).map_err(|e| wrong(e.to_string().trim()))?;
    let root = paths::is_real_root();
    let said = match (root, file == own) {
        (true, _) => graphroot.filter(|path| path != SHIPPED),
        (false, true) => rootless_storage_path.or(graphroot),
        (false, false) => rootless_storage_path,
    };
    let absolute = |text: &String| {
        expand(text, dirs.home.as_deref())
            .filter(|path| path.is_absolute())
            .ok_or_else(|| wrong(&format!("the store's directory {text:?} is no absolute path")))
    };
    Ok(Said {
        root: said.filter(|path| !path.is_empty()).as_ref().map(absolute).transpose()?,
        stores: options.additionalimagestores.iter().map(absolute).collect::<Result<_>>()?,
    })
}

fn parse(text: &str) -> Result<Storage, toml::de::Error> {
    toml::from_str::<File>(text).map(|file| file.storage)
}

/// `$HOME`, `$USER`, `$UID` and `~`, as containers-storage.conf(5) has them; other variables by their names.
fn expand(text: &str, home: Option<&Path>) -> Option<PathBuf> {
    let home = home.and_then(Path::to_str);
    let text = match text.strip_prefix('~') {
        Some(rest) => format!("{}{rest}", home?),
        None => text.to_owned(),
    };
    let value = |name: &str| match name {
        "HOME" => home.map(str::to_owned),
        "UID" => Some(rustix::process::geteuid().as_raw().to_string()),
        name => paths::env(name)?.into_string().ok(),
    };
    variables::expand(&text, value).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded() {
        let uid = rustix::process::geteuid().as_raw();
        let home = Some(Path::new("/home/ada"));
        for (text, want) in [
            ("/a/b", "/a/b".to_owned()),
            ("~/s", "/home/ada/s".to_owned()),
            ("$HOME/s", "/home/ada/s".to_owned()),
            ("/scratch/${UID}/s", format!("/scratch/{uid}/s")),
            ("/scratch/$UID", format!("/scratch/{uid}")),
        ] {
            assert_eq!(expand(text, home), Some(PathBuf::from(want)), "{text}");
        }
        assert_eq!(expand("/$NO_SUCH_VARIABLE_AT_ALL/s", home), None);
    }
}
