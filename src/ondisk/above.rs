//! `above.json`: a directory of the host's that a container sees with its own changes above it (a box's home).
//!
//! ```text
//! containers/<id>/home          the changes (upper), as overlay keeps them
//! containers/<id>/home.work     overlay's own
//! containers/<id>/home.merged   both as one: mounted by the monitor, a bind in config.json
//! ```

use super::container::Driver;
use serde::{Deserialize, Serialize};

/// The file.
pub const NAME: &str = "above.json";
pub const UPPER: &str = "home";
pub const WORK: &str = "home.work";
pub const MERGED: &str = "home.merged";

/// What is below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Above {
    pub version: u32,
    /// Absolute.
    pub lower: String,
    /// `--storage-driver`; none: what works on the store's directory.
    pub driver: Option<Driver>,
}
