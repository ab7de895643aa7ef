//! Real root on a bare machine: no more privileged than a user. Its store belongs to the first id of a subordinate range.
//!
//! The command line keeps real root's other privileges (it writes the id maps itself), but every file access is made as the
//! first id of the range (setfsuid): so records are born with the right owner, and a path that the container could not
//! reach is not reached for it either.

use super::{StoreMap, store_map};
use crate::error::{Context, Error, Result};
use crate::paths::Dirs;
use crate::sys::{self, CallContext};
use rustix::fs::{Gid, Uid};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

static FS_UID: AtomicU32 = AtomicU32::new(0);
static FS_GID: AtomicU32 = AtomicU32::new(0);

/// Called once by the command line when it runs as real root: makes the two directories for the range's first id and goes
/// on with that id's file access.
pub fn step_down(dirs: &Dirs) -> Result<()> {
    let StoreMap::Direct(maps) = store_map()? else { return Ok(()) };
    let (Some(uid), Some(gid)) = (maps.uids.first(), maps.gids.first()) else { return Ok(()) };
    for dir in [&dirs.data, &dirs.run] {
        own(dir, uid.outside, gid.outside).what(|| format!("cannot prepare {}", dir.display()))?;
    }
    FS_UID.store(uid.outside, Ordering::Relaxed);
    FS_GID.store(gid.outside, Ordering::Relaxed);
    Ok(sys::spawn::set_fs_ids(uid.outside, gid.outside)?)
}

/// Runs `act` with root's own file access (files of /proc that belong to root).
pub fn with_own_file_access<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    let (uid, gid) = (FS_UID.load(Ordering::Relaxed), FS_GID.load(Ordering::Relaxed));
    if uid == 0 {
        return act();
    }
    sys::spawn::set_fs_ids(0, 0)?;
    let done = act();
    sys::spawn::set_fs_ids(uid, gid)?;
    done
}

/// Why root may not reach what it can read as root, where that is what `error` is about and nothing else was said.
pub fn hint_for(error: &Error) -> Option<&'static str> {
    if error.errno() != Some(libc::EACCES) || !error.hints().is_empty() {
        return None;
    }
    let stepped_down = FS_UID.load(Ordering::Relaxed) != 0;
    (stepped_down || super::inside_store() && is_roots_store()).then_some(HINT)
}

/// Inside a store's namespace: only root's has many ids from the first on.
fn is_roots_store() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().nth(2).is_some_and(|count| count != "1")
}

const HINT: &str = "Root's containers are not root outside, and reach only what everybody may: use a path whose directories \
                    others may enter (`namei -l PATH` shows them), for example below /srv.";

/// Runs `act` as the range's first id in the eyes of who asks (SO_PEERCRED): in the store's user namespace real root has no
/// id of its own, and cannot be told from anybody else without one.
pub fn as_store_owner<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    let (uid, gid) = (FS_UID.load(Ordering::Relaxed), FS_GID.load(Ordering::Relaxed));
    if uid == 0 {
        return act();
    }
    sys::creds::set_effective_uid(uid).call(|| format!("setresuid(0, {uid}, 0)"))?;
    let done = act();
    sys::creds::set_effective_uid(0).call(|| "setresuid(0, 0, 0)")?;
    sys::spawn::set_fs_ids(uid, gid)?;
    done
}

/// Makes `dir` and gives it to the range's first id. One of root's that exists is given over too; one of somebody else's is
/// theirs, whatever root has typed. What leads there is made root's, for others to pass: that id is one of them.
fn own(dir: &Path, uid: u32, gid: u32) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let make = |mode: u32, path: &Path| {
        let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(path);
        made.call(|| format!("mkdir({path:?}, {mode:04o})"))
    };
    dir.parent().map_or(Ok(()), |parent| make(0o755, parent))?;
    make(0o700, dir)?;
    let flags = rustix::fs::OFlags::RDONLY
        | rustix::fs::OFlags::DIRECTORY
        | rustix::fs::OFlags::NOFOLLOW
        | rustix::fs::OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, rustix::fs::Mode::empty()).call(|| format!("open({dir:?})"))?;
    let owner = rustix::fs::fstat(&fd).call(|| format!("fstat({dir:?})"))?.st_uid;
    if owner != 0 && owner != uid {
        return Err(Error::host(format_args!("it belongs to uid {owner}, not to root"))
            .hint("Choose another place with --root and --runroot, or run the command as that user."));
    }
    rustix::fs::fchown(&fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .call(|| format!("fchown({dir:?}, {uid}, {gid})"))?;
    Ok(())
}
