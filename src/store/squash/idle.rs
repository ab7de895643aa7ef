//! How long a holder stays when the last user of its mount is gone, for whoever comes next.
//!
//! A script's commands follow each other, and a workflow's: the next one finds the mount, and what the kernel has read of the
//! image. Nobody may have to wait for that: a signal that asks the holder to end (a service's stop, a session's end) ends it
//! as soon as the mount is unused, and where a file that is open cannot be removed it does not stay.

use crate::error::Result;
use crate::sys::CallContext;
use crate::sys::signal::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::os::fd::OwnedFd;

/// Seconds.
const STAYS: i64 = 1;

/// File systems on which a removed file gets another name while it is open (`.nfs…`, `.fuse_hidden…`), so that a script cannot
/// remove its directory after the run.
const LEAVE_NAMES: [&str; 5] = ["nfs", "nfs4", "cifs", "smb3", "fuse"];

/// What asks it to end.
const ENDING: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// From its making on the signals that ask to end are kept, though they were ignored.
#[derive(Debug)]
pub(super) struct Idle {
    time: Timespec,
    told: SignalFd,
    server: OwnedFd,
}

impl Idle {
    /// Of the holder of this image's mount, whose `server` is a pidfd.
    pub(super) fn of(image: &OwnedFd, server: &OwnedFd) -> Result<Self> {
        let kind = crate::sys::mountinfo::kind_and_source(image).map(|(kind, _)| kind);
        let stays = kind.is_some_and(|kind| !leaves_names(&kind));
        Ok(Self {
            time: Timespec { tv_sec: if stays { STAYS } else { 0 }, tv_nsec: 0 },
            told: SignalFd::new(&ENDING)?,
            server: server.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?,
        })
    }

    /// Whether it stays at all.
    pub(super) fn stays(&self) -> bool {
        self.time.tv_sec > 0
    }

    /// Waits for that time. True: it has been asked to end, now or before, or the server has ended.
    pub(super) fn is_cut_short(&self) -> bool {
        let mut both = [PollFd::new(&self.told, PollFlags::IN), PollFd::new(&self.server, PollFlags::IN)];
        rustix::event::poll(&mut both, Some(&self.time)) != Ok(0)
    }
}

/// By the type that mountinfo names: `fuse`, `fuse.sshfs`, `fuseblk`.
fn leaves_names(kind: &str) -> bool {
    let kind = if kind.starts_with("fuse") { "fuse" } else { kind };
    LEAVE_NAMES.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::leaves_names;

    #[test]
    fn kinds_of_mountinfo() {
        for kind in ["nfs4", "fuse.sshfs", "fuseblk", "smb3"] {
            assert!(leaves_names(kind), "{kind}");
        }
        for kind in ["ext4", "lustre", "gpfs", "overlay", "tmpfs"] {
            assert!(!leaves_names(kind), "{kind}");
        }
    }
}
