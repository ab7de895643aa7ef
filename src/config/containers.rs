//! containers.conf: what is said for all containers tools of this machine or this user.
//!
//! Read in this order, later ones win by key: `/usr/share/containers`, `/etc/containers`, the user's `containers`; in each
//! the file and then the drop-ins of `containers.conf.d` in order of name. `$CONTAINERS_CONF` stands for all of them.
//! Only the keys below are used; others are for the tools that know them.

use crate::error::{Error, Result};
use crate::paths::{self, Dirs};
use serde::Deserialize;
use std::path::{Path, PathBuf};

const SYSTEM: [&str; 2] = ["/usr/share/containers", "/etc/containers"];

#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct File {
    containers: Containers,
}

/// The table `[containers]`.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Containers {
    /// Most processes of a container; 0 and less: no limit.
    pub pids_limit: Option<i64>,
}

impl Containers {
    /// Reads the files; a missing file says nothing, a damaged one is an error that names it.
    pub fn load(dirs: &Dirs) -> Result<Self> {
        if let Some(only) = paths::env("CONTAINERS_CONF") {
            return read(Path::new(&only)).map(Option::unwrap_or_default);
        }
        let places = SYSTEM.into_iter().map(PathBuf::from).chain([dirs.config.join("containers")]);
        let mut all = Self::default();
        for place in places {
            let drop_ins = drop_ins(&place.join("containers.conf.d"));
            for file in std::iter::once(place.join("containers.conf")).chain(drop_ins) {
                if let Some(said) = read(&file)? {
                    all.pids_limit = said.pids_limit.or(all.pids_limit);
                }
            }
        }
        Ok(all)
    }
}

fn drop_ins(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let is_conf = |path: &PathBuf| path.extension().is_some_and(|end| end == "conf");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_conf).collect();
    files.sort();
    files
}

fn read(file: &Path) -> Result<Option<Containers>> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(None) };
    parse(&text)
        .map(Some)
        .map_err(|e| Error::usage(format_args!("cannot use {}", file.display())).cause(e.to_string().trim()))
}

fn parse(text: &str) -> Result<Containers, toml::de::Error> {
    Ok(toml::from_str::<File>(text)?.containers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_keys_are_left_alone() {
        let text = "[containers]\npids_limit = 100\nnetns = \"host\"\n[engine]\nruntime = \"crun\"\n";
        assert_eq!(parse(text).unwrap(), Containers { pids_limit: Some(100) });
        assert_eq!(parse("").unwrap(), Containers::default());
        assert!(parse("[containers]\npids_limit = \"many\"\n").is_err());
    }
}
