//! `seed.json`: what is put into a container's root file system before it starts, and stays there.
//!
//! Written beside the container's records by who wants it there (`toolbox`), applied by the monitor at each start
//! (`store::seed`). Every entry says a state to be reached, so that applying it twice is applying it once.

use serde::{Deserialize, Serialize};

/// The file.
pub const NAME: &str = "seed.json";

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    pub version: u32,
    /// Root of the container, in ids of the store's namespace: the owner of what is made.
    pub root: (u32, u32),
    pub entries: Vec<Entry>,
}

/// One thing that is to be there. Paths are absolute in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// A line of /etc/passwd, in the place of others with this name or uid. The shell is the first that is there.
    User { name: String, uid: u32, gid: u32, gecos: String, home: String, shells: Vec<String> },
    /// A line of /etc/group, in the place of others with this gid.
    Group { name: String, gid: u32 },
    /// A regular file with this text.
    File { path: String, mode: u32, text: String },
    /// A symbolic link. With `keep` only where nothing is.
    Link { path: String, target: String, keep: bool },
    /// A copy of a program of the host's, only where nothing is.
    Program { path: String, source: String, mode: u32 },
}
