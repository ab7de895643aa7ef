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
    engine: Engine,
}

/// The table `[engine]`.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Engine {
    /// Directories of CDI specs, instead of the machine's usual ones; later ones win.
    pub cdi_spec_dirs: Option<Vec<PathBuf>>,
}

impl Engine {
    /// As `Containers::load`.
    pub fn load(dirs: &Dirs) -> Result<Self> {
        let mut all = Self::default();
        for file in files(dirs) {
            if let Some(said) = read(&file)? {
                all.cdi_spec_dirs = said.engine.cdi_spec_dirs.or(all.cdi_spec_dirs);
            }
        }
        Ok(all)
    }
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
        let mut all = Self::default();
        for file in files(dirs) {
            if let Some(said) = read(&file)? {
                all.pids_limit = said.containers.pids_limit.or(all.pids_limit);
            }
        }
        Ok(all)
    }
}

/// All that may be there, weakest first.
fn files(dirs: &Dirs) -> Vec<PathBuf> {
    if let Some(only) = paths::env("CONTAINERS_CONF") {
        return vec![PathBuf::from(only)];
    }
    let places = SYSTEM.into_iter().map(PathBuf::from).chain([dirs.config.join("containers")]);
    places
        .flat_map(|place| {
            let drop_ins = drop_ins(&place.join("containers.conf.d"));
            std::iter::once(place.join("containers.conf")).chain(drop_ins)
        })
        .collect()
}

fn drop_ins(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let is_conf = |path: &PathBuf| path.extension().is_some_and(|end| end == "conf");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_conf).collect();
    files.sort();
    files
}

fn read(file: &Path) -> Result<Option<File>> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(None) };
    parse(&text)
        .map(Some)
        .map_err(|e| Error::usage(format_args!("cannot use {}", file.display())).cause(e.to_string().trim()))
}

fn parse(text: &str) -> Result<File, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_keys_are_left_alone() {
        let text = "[containers]\npids_limit = 100\nnetns = \"host\"\n[engine]\nruntime = \"crun\"\n";
        assert_eq!(parse(text).unwrap().containers, Containers { pids_limit: Some(100) });
        assert_eq!(parse("").unwrap(), File::default());
        assert!(parse("[containers]\npids_limit = \"many\"\n").is_err());
    }
}
