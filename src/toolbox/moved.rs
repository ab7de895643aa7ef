//! A home that has moved (`usermod --move-home`, a new server): the box's records follow it at the next start.
//!
//! The box's /etc/passwd names the home, and the changes of a home are above it. A home that is only out of sight, on a disk
//! that is not mounted, is not taken for one that has moved: the user's is still called that.

use crate::error::Result;
use crate::ondisk::above::{self, Above};
use crate::ondisk::seed::{self, Entry, Seed};
use crate::ondisk::{self, Durability};
use crate::paths::Dirs;
use std::os::fd::AsFd;
use std::path::Path;

/// Returns where the home was, if it has moved since the last start. `dir`: the box's records, locked.
pub fn follow(dirs: &Dirs, dir: impl AsFd) -> Result<Option<String>> {
    let Some(now) = dirs.home.as_deref().and_then(Path::to_str).filter(|home| !home.contains([':', '\n']))
    else {
        return Ok(None);
    };
    let dir = dir.as_fd();
    if let Some(mut above) = ondisk::read_opt::<Above>(dir, above::NAME)?
        && above.lower != now
        && !Path::new(&above.lower).exists()
    {
        now.clone_into(&mut above.lower);
        ondisk::publish(dir, above::NAME, &above, Durability::Whole)?;
    }
    let Some(mut seed) = ondisk::read_opt::<Seed>(dir, seed::NAME)? else { return Ok(None) };
    let user = seed.entries.iter_mut().find_map(|entry| match entry {
        Entry::User { home, .. } if home != now => Some(home),
        _ => None,
    });
    let Some(home) = user else { return Ok(None) };
    let former = std::mem::replace(home, now.to_owned());
    ondisk::publish(dir, seed::NAME, &seed, Durability::Whole)?;
    Ok(Some(former))
}
