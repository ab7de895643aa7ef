//! `toolbox.json`: what makes a container a box (`coracle toolbox`), beside its other records.

use serde::{Deserialize, Serialize};

/// The file.
pub const NAME: &str = "toolbox.json";

/// A box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolbox {
    pub version: u32,
    pub home: Home,
    /// Nothing of the host: no place, no process, no network, not the caller's environment.
    #[serde(default)]
    pub isolated: bool,
    /// The host's files are shown read-only, but for the home, /tmp and /dev.
    #[serde(default)]
    pub read_only_host: bool,
    /// Its first process is the image's init, with processes, /run, /tmp and devices of its own.
    #[serde(default)]
    pub init: bool,
    /// Devices that it was given: looked up anew at each start.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// Where the last start mounted what comes with them, and the variables.
    #[serde(default)]
    pub given: Vec<String>,
    #[serde(default)]
    pub device_env: Vec<(String, String)>,
    /// `-v` of its creation, with absolute paths.
    #[serde(default)]
    pub volumes: Vec<String>,
    #[serde(default)]
    pub turn: Turn,
    /// The own home is still another box's, and is fetched at the next start at the latest.
    #[serde(default)]
    pub fetches: Option<Fetch>,
    /// Its processes may run commands on the host (`coracle host`).
    #[serde(default)]
    pub host_exec: bool,
    /// The project that it is the box of.
    #[serde(default)]
    pub dev: Option<Dev>,
    /// Places of the host's that its last start mounted: the next start replaces them, and says which are gone.
    pub mounted: Vec<String>,
}

/// Whose home it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Home {
    /// The user's on the host.
    Host,
    /// Its own, in the container's directory, at the same path.
    Own,
    /// The user's, with the box's own changes above it (`ondisk::above`).
    Overlay,
}

/// One `--device`, or one name of `--gpus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    Node {
        source: String,
        destination: String,
        access: String,
    },
    /// `vendor/class=name`
    Cdi(String),
    Gpu(String),
}

/// Which of a name's boxes it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    #[default]
    Current,
    /// Being made, to take the name over.
    Next,
    /// It had the name, and is kept to go back to.
    Former,
}

/// A home that moves from one box to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Id of the box that has it.
    pub from: String,
    /// Number of the directory's inode: it tells which of the two homes it is, whatever has been done already.
    pub inode: u64,
}

/// What a project's devcontainer.json says of its box (`coracle toolbox up`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dev {
    /// The project's directory and its devcontainer.json, absolute. The file tells whose box it is.
    pub folder: String,
    pub file: String,
    /// Of what the box was made of: hex of a SHA-256.
    pub digest: String,
    /// Where its commands run.
    pub workspace: String,
    /// They run as the box's root.
    pub root: bool,
    pub env: Vec<(String, String)>,
    /// Of commands alone; none: the variable is taken away. `${containerEnv:NAME}` is still in it.
    pub remote_env: Vec<(String, Option<String>)>,
    /// As `--mount` takes them.
    pub mounts: Vec<String>,
    /// The commands of its creation have ended well.
    pub completed: bool,
    /// The start (`State::started`) for which those of a start have.
    pub started: Option<String>,
}
