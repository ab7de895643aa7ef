//! Where the store is, when nobody has said it: at home, unless layers cannot be kept there.
//!
//! ```text
//! --root DIR                                     as it is
//! config.toml: storage.root                       as it is
//! storage.conf: graphroot, rootless_storage_path that directory's `coracle`
//! $XDG_DATA_HOME/coracle                         where it is there already, or its file system can hold layers
//! /var/tmp/coracle-UID, $TMPDIR/coracle-UID, /tmp/coracle-UID
//!                                                the first that can, on a disk of this machine: never in memory
//! $XDG_DATA_HOME/coracle                         where no place can: the drivers make the best of it
//! ```
//!
//! A home on NFS, Lustre, GPFS and the like is shared by machines that do not see each other's locks, knows nothing of
//! subordinate ids, and makes each of the hundred thousand files of an image a message to a server. Such file systems are
//! told by their type; others that are not known to be good are tried with a file of our own. An image in one file is what
//! belongs there, and stays where its user puts it.
//!
//! Which other stores are looked into for images is found here as well.
//!
//! The answer is the same for all commands on this machine: it depends on file systems, not on sessions. A store that is
//! there is never left for a better place. A home that cannot be looked at (a stale file handle, a ticket that has run out)
//! says nothing of itself, nor of what its user has set: a store on this machine's disk is gone on with, and where there is
//! none, none is begun.

use crate::config::site::Site;
use crate::config::storage;
use crate::config::user::User;
use crate::error::{Error, Result};
use crate::host::{self, Fitness};
use crate::paths::{self, Dirs};
use std::path::{Path, PathBuf};

/// Puts the store where it can work; returns what the user should know about it: once, or as long as settings are out of
/// sight.
pub fn settle(dirs: &mut Dirs) -> Result<Option<String>> {
    let (user, unread) = settings(dirs)?;
    dirs.max_size = dirs.max_size.or(user.max_size());
    let note = choose(dirs, &user, unread.as_deref())?;
    Ok(match unread {
        Some(why) => Some(format!(
            "{why}: what is set there does not count; images and containers are those in {}",
            dirs.data.display()
        )),
        None => note,
    })
}

/// What the user has set, or why it is out of sight with all that is around it.
fn settings(dirs: &Dirs) -> Result<(User, Option<String>)> {
    User::read(dirs).map(|user| (user, None)).or_else(|error| {
        match host::unseen(&dirs.config.join("coracle")) {
            Some(why) => Ok((User::default(), Some(format!("{} {why}", dirs.config.display())))),
            None => Err(error),
        }
    })
}

/// `unread`: why nobody knows what the user has set.
fn choose(dirs: &mut Dirs, user: &User, unread: Option<&str>) -> Result<Option<String>> {
    let said = storage::read(dirs)?;
    // Directories that other tools use as well need not hold anything of ours.
    dirs.stores.extend(said.stores.into_iter().filter_map(|path| in_it(&path)));
    if let Some(root) = user.root() {
        dirs.data = root;
        return Ok(None);
    }
    if let Some(root) = said.root {
        dirs.data = root.join("coracle");
        return Ok(None);
    }
    if paths::is_real_root() || is_store(&dirs.data) {
        return Ok(None);
    }
    let fitness = host::fitness(&dirs.data);
    let (why, seen) = match (fitness, unread) {
        (Fitness::Fit, None) => return Ok(None),
        (Fitness::Unfit(why), None) => (format!("{} {why}", dirs.data.display()), true),
        (_, Some(why)) => (why.to_owned(), false),
        (Fitness::Unseen(why), None) => (format!("{} {why}", dirs.data.display()), false),
    };
    let name = format!("coracle-{}", rustix::process::geteuid().as_raw());
    let parents =
        [Some(PathBuf::from("/var/tmp")), paths::env("TMPDIR").map(PathBuf::from), Some("/tmp".into())];
    let places = parents.into_iter().flatten().filter(|parent| parent.is_absolute());
    let usable = |place: &PathBuf| can_hold(place) && (seen || is_store(place));
    let Some(place) = places.map(|parent| parent.join(&name)).find(usable) else {
        return if seen { Ok(None) } else { Err(out_of_sight(&why)) };
    };
    let note = format!(
        "{why}: images and containers are kept in {}, on this machine only; images in one file may stay on a shared disk",
        place.display()
    );
    dirs.data = place;
    Ok(unread.is_none().then(|| super::notice::once(dirs, "place", note)).flatten())
}

/// The store in a directory that storage.conf names.
fn in_it(path: &Path) -> Option<PathBuf> {
    [path.join("coracle"), path.to_owned()].into_iter().find(|path| path.join("refs").exists())
}

/// Adds the stores that the command line names and those of the machine's administrator. A file of the administrator's that
/// is not usable is a matter of those who make containers (`engine::site`).
pub fn add_stores(dirs: &mut Dirs, given: Vec<PathBuf>) {
    let site = Site::load().unwrap_or_default();
    let mut all = given;
    all.append(&mut dirs.stores);
    all.extend(site.stores.into_iter().map(PathBuf::from));
    for path in all {
        // Nothing is looked at here: most commands want nothing of a disk that may be far away.
        if path != dirs.data && !dirs.stores.contains(&path) {
            dirs.stores.push(path);
        }
    }
}

fn out_of_sight(why: &str) -> Error {
    Error::host("cannot tell where the store is")
        .cause(why)
        .hint("Log in again or have the file system mounted again, or name a directory of this machine: `coracle --root DIR`.")
}

fn is_store(place: &Path) -> bool {
    ["layers", "containers"].iter().any(|name| place.join(name).exists())
}

fn can_hold(place: &Path) -> bool {
    paths::is_mine_or_missing(place) && !host::in_memory(place) && host::fitness(place) == Fitness::Fit
}
