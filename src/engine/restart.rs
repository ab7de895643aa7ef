//! Stopping a container and starting it again.

use super::stop::stop;
use crate::error::Result;
use crate::monitor::client::LaunchOptions;
use crate::ondisk::container::Container;
use crate::paths::Dirs;

/// Stops (when it runs) and starts.
pub fn restart(dirs: &Dirs, c: &Container, timeout: Option<i64>, launch: &LaunchOptions) -> Result<()> {
    stop(dirs, c, timeout)?;
    super::start(dirs, c, launch).map(drop)
}
