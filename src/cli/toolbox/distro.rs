//! `--distro` and `--release`: which box or image is meant by them. The names are toolbox's.

use crate::error::Result;
use crate::host::Distribution;
use crate::toolbox::distro::{self, Choice};

/// Flags of `create`, `enter` and `run`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DistroFlags {
    /// Distribution: alpine, arch, debian, fedora, rhel, ubuntu
    #[arg(short, long, value_name = "DISTRO")]
    pub distro: Option<String>,
    /// Its release, as 42, 13 or 24.04
    #[arg(short, long, value_name = "RELEASE")]
    pub release: Option<String>,
}

impl DistroFlags {
    /// Image and name; what is left out is this machine's own.
    pub fn choice(&self) -> Result<Choice> {
        let host = Distribution::here();
        distro::choose(self.distro.as_deref(), self.release.as_deref(), (&host.id, &host.version))
    }

    /// The name of the box, where one of them is given.
    pub fn name(&self) -> Result<Option<String>> {
        if self.distro.is_none() && self.release.is_none() {
            return Ok(None);
        }
        Ok(Some(self.choice()?.name))
    }
}
