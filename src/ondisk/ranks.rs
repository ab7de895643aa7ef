//! `ranks.json`: beside the records of a container that ranks share, what each of them must know of the image.

use serde::{Deserialize, Serialize};

/// The file.
pub const NAME: &str = "ranks.json";

/// How the image says that its programs are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranks {
    pub version: u32,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
}
