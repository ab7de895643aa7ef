//! A directory of the host's with a container's own changes above it (`ondisk::above`), by the kernel's overlay or by
//! fuse-overlayfs. Mounted and unmounted with the root file system.
//!
//! The files below are the host's and never written. Whoever changes them meanwhile may see the change in the container,
//! or not; what the host mounts below the directory is not shown.

use super::{Mounted, fuse, overlay};
use crate::error::{Context, Error, Result};
use crate::ondisk;
use crate::ondisk::above::{Above, MERGED, NAME, UPPER, WORK};
use crate::ondisk::container::{Container, Driver};
use crate::paths::Dirs;
use crate::store::{Store, open_dir};
use crate::sys::CallContext;

/// Mounts it at `containers/<id>/home.merged`, where the container has such a record.
pub fn mount(dirs: &Dirs, c: &Container) -> Result<Option<Mounted>> {
    let store = Store::open(dirs)?;
    let base = format!("containers/{}", c.id);
    let directory = open_dir(store.data(), &base)?;
    let Some(above) = ondisk::read_opt::<Above>(&directory, NAME)? else { return Ok(None) };
    let what = || format!("cannot mount the changes of {} above {}", c.name, above.lower);
    rustix::fs::stat(above.lower.as_str())
        .call(|| format!("stat({:?})", above.lower))
        .what(what)
        .hint(|| "Have its file system mounted again; or use a box with a home of its own: `coracle toolbox create --home own`.")?;
    let lowers = [above.lower.clone()];
    let plan = overlay::Plan {
        lowers: &lowers,
        upper: &format!("{base}/{UPPER}"),
        work: &format!("{base}/{WORK}"),
        merged: &format!("{base}/{MERGED}"),
        volatile: false,
    };
    let driver = match above.driver {
        Some(driver) => driver,
        None => store.driver().what(what)?.0,
    };
    let server = match driver {
        Driver::Overlay => match overlay::mount(store.data(), &plan) {
            Ok(()) => None,
            // This file system below does not suit the kernel.
            Err(e) if fuse::usable() => {
                Some(fuse::mount(dirs, &plan, fuse::Shown::default()).map_err(|_| e).what(what)?)
            }
            Err(e) => return Err(e.wrap(what())),
        },
        Driver::FuseOverlayfs => Some(fuse::mount(dirs, &plan, fuse::Shown::default()).what(what)?),
        Driver::Vfs => {
            return Err(Error::host(what())
                .cause("neither the kernel's overlay nor fuse-overlayfs works here: see `coracle doctor`")
                .hint("Install fuse-overlayfs, or make the box with `--home own`."));
        }
    };
    Ok(Some(Mounted::new(dirs.data.join(plan.merged), server, true)))
}
