//! `coracle system share`: a store for all users of a machine or a cluster.

use crate::cli::{App, ui};
use crate::error::Result;
use crate::store::Store;

/// Make an empty store one that all users read
///
/// What is pulled or loaded into it from then on can be read by everybody, its files with the owners and modes that they
/// have in the image, whichever ids a user has. Others see its images once the store stands in `stores` in
/// /etc/coracle/site.toml, in additionalimagestores in storage.conf, or behind --storage-opt additionalimagestore=DIR.
/// They use the layers where they are, by fuse-overlayfs, and change nothing: the disk may be mounted read-only.
#[derive(Debug, Clone, Copy, clap::Parser)]
pub struct Args {}

pub fn run(_: &Args, app: &App) -> Result<u8> {
    let store = Store::open(&app.dirs()?)?;
    store.share()?;
    if let Some(dir) = store.barrier() {
        ui::warn(format_args!(
            "others cannot enter {0}, and so not the store: `chmod o+x {0}`",
            dir.display()
        ));
    }
    Ok(0)
}
