//! Staging: where objects are made before they are renamed into place, and how what a dead process left is found.
//!
//! `staging/<random>/lock` is flocked for as long as its maker lives. Making it and looking for dead ones exclude each
//! other by the short lock `staging`, so a directory is never taken for dead between mkdir and flock. A container is made
//! in `staging/container-<id>/` under an flock of that directory itself, without the short lock: that is in nobody's way,
//! and one that was taken for dead in that moment is made again (`engine::create`).

use super::{Store, list_records, lock::Share, open_dir, remove_tree};
use crate::error::{Context, Result};
use crate::sys::CallContext;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

/// How long a partial blob waits to be gone on with.
const PARTIAL_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A directory of our own in `staging/`; removed with all in it when dropped.
#[derive(Debug)]
pub struct Staging {
    parent: OwnedFd,
    name: String,
    dir: OwnedFd,
    _lock: OwnedFd,
}

impl Staging {
    /// Makes one.
    pub fn new(store: &Store) -> Result<Self> {
        let parent = store.dir("staging")?;
        let mut random = [0u8; 8];
        crate::id::random_bytes(&mut random)?;
        let name = crate::id::hex(&random);
        let _short = store.lock("staging", Share::Exclusive)?;
        let make = || -> crate::sys::Result<(OwnedFd, OwnedFd)> {
            rustix::fs::mkdirat(&parent, &name, Mode::from(0o700))
                .call(|| format!("mkdirat(staging, {name:?})"))?;
            let dir = open_dir(&parent, &name)?;
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let lock = rustix::fs::openat(&dir, "lock", flags, Mode::from(0o600)).call(|| "openat(lock)")?;
            rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).call(|| "flock(lock)")?;
            Ok((dir, lock))
        };
        let (dir, lock) = make().what(|| "cannot make a staging directory")?;
        Ok(Self { parent, name, dir, _lock: lock })
    }

    /// The directory.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Its name below `staging/`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is found by the next pull: its lock is free then.
        let _ = remove_tree(self.parent.as_fd(), &self.name);
    }
}

impl Store {
    /// Removes what dead processes left in `staging/`. Returns how many things that were.
    pub fn clean_staging(&self) -> Result<u32> {
        let Some(parent) = self.existing_dir("staging")? else { return Ok(0) };
        let mut dead = Vec::new();
        {
            let _short = self.lock("staging", Share::Exclusive)?;
            for name in list_records(&parent)?.into_iter().filter(|n| n != "blobs") {
                let dir = open_dir(&parent, &name).ok();
                let has_lock = |dir: &OwnedFd| {
                    rustix::fs::statat(dir, "lock", rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok()
                };
                match dir {
                    Some(dir) if has_lock(&dir) && !super::lock::is_free(&dir, "lock") => {}
                    // Containers are made under a lock of the directory itself; we keep it until the directory is gone.
                    Some(dir)
                        if rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive)
                            == Err(rustix::io::Errno::WOULDBLOCK) => {}
                    dir => dead.push((name, dir)),
                }
            }
        }
        // Nobody revives a dead one: names are random and made once.
        let mut removed = 0;
        for (name, _locked) in dead {
            remove_tree(parent.as_fd(), &name)?;
            removed += 1;
        }
        Ok(removed + self.clean_partials()?)
    }

    fn clean_partials(&self) -> Result<u32> {
        let Some(blobs) = self.existing_dir("staging/blobs")? else { return Ok(0) };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut removed = 0;
        for name in list_records(&blobs)? {
            let Ok(st) = rustix::fs::statat(&blobs, &name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let age = now.saturating_sub(u64::try_from(st.st_mtime).unwrap_or(0));
            if age > PARTIAL_LIFE.as_secs() {
                remove_tree(blobs.as_fd(), &name)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
