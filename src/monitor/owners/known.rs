//! What is known of a file that a call names, and where in the container's root it is. See `monitor::owners` for the whole.

use super::layout::Found;
use super::serve::Server;
use super::target::{Root, Target};
use crate::store::owners::{Known, Sources};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The container's root.
#[derive(Debug)]
pub(super) struct Home {
    /// The machine's.
    pub proc: OwnedFd,
    /// Which root we have ourselves.
    pub root: Root,
    /// Its device and inode: those of the root of who called first.
    identity: Option<(u64, u64)>,
}

impl Home {
    pub(super) fn new(proc: OwnedFd) -> Self {
        Self { proc, root: Root::default(), identity: None }
    }

    fn identity(&mut self, target: &Target) -> Option<(u64, u64)> {
        if self.identity.is_none() {
            self.identity = target.root_identity().ok();
        }
        self.identity
    }

    /// The device that it is on.
    pub(super) fn device(&mut self, target: &Target) -> u64 {
        self.identity(target).map_or(0, |(device, _)| device)
    }

    /// The path of a file in it, without the slash in front; none of what is mounted in it.
    pub(super) fn path(&mut self, target: &Target, file: BorrowedFd<'_>, found: &Found) -> Option<Vec<u8>> {
        let identity = self.identity(target)?;
        if !self.root.is(identity) {
            self.root.enter(&target.root().ok()?).ok()?;
        }
        if !self.root.is(identity) || !self.root.has(found.device(), found.mount()) {
            return None;
        }
        let name = format!("self/fd/{}", file.as_raw_fd());
        let path = rustix::fs::readlinkat(&self.proc, name, Vec::new()).ok()?.into_bytes();
        path.strip_prefix(b"/").map(<[u8]>::to_vec)
    }
}

impl Server {
    pub(super) fn known(&mut self, target: &Target, file: BorrowedFd<'_>, found: &Found) -> Option<Known> {
        let key = found.key(self.home.device(target));
        let sources = Sources { record: self.log.owners(), image: &self.image, upper: self.upper.as_ref() };
        sources.of(&key, &found.shown(), || Ok(self.home.path(target, file, found))).ok().flatten()
    }

    /// Whether the image says whose it is.
    pub(super) fn is_said_by_image(&mut self, target: &Target, file: BorrowedFd<'_>, found: &Found) -> bool {
        let shown = found.shown();
        self.image.may_know(&shown)
            && self.home.path(target, file, found).is_some_and(|path| self.image.get(&path, &shown).is_some())
    }
}
