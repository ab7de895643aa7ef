//! Programs that make another user of whoever executes them. See `monitor::owners` for the whole.
//!
//! The identity is changed just before the kernel executes the program. That may still fail, for want of memory or of a
//! loader: a program of this kind, and then its caller has become what the program would have been.

use super::calls::{AARCH64, ARM, I386, Place, X86_64, low, plain};
use super::identity::Identity;
use super::layout::Found;
use super::serve::Server;
use super::target::Target;
use crate::sys::notif::{Answer, Notification};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The program that is to be executed.
pub(super) fn decode(call: &Notification) -> Option<Place> {
    let (number, [first, second, _, _, flags, _]) = plain(call);
    match (call.arch, number) {
        (X86_64, 59 | 520) | (AARCH64, 221) | (I386 | ARM, 11) => {
            Some(Place { dir: libc::AT_FDCWD, path: Some(first), follow: true, empty: false })
        }
        (X86_64, 322 | 545) | (AARCH64, 281) | (I386, 358) | (ARM, 387) => {
            let flags = low(flags).cast_signed();
            let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
            let empty = flags & libc::AT_EMPTY_PATH != 0;
            Some(Place { dir: low(first).cast_signed(), path: Some(second), follow, empty })
        }
        _ => None,
    }
}

impl Server {
    /// The kernel always goes on.
    pub(super) fn answer_about_program(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        place: &Place,
    ) -> Answer {
        // All processes are root, and all programs are root's.
        if !(self.identities.is_empty() && self.log.owners().is_empty() && self.image.is_empty()) {
            let identity = self.who(call.pid);
            if let Some(next) = self.next_identity(listener, call, place, &identity) {
                let _ = self.take_on(listener, call, &next);
            }
        }
        Answer::GoOn
    }

    fn next_identity(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        place: &Place,
        identity: &Identity,
    ) -> Option<Identity> {
        let target = self.target(listener, call).ok()?;
        let program = target.find(place, &mut self.home.root).ok()?;
        let found = Found::at_once(&program).ok()?;
        let known = self.known(&target, program.as_fd(), &found);
        let found = known.map_or(found.clone(), |known| found.into_known(&known));
        let mut next = identity.clone();
        if let Some((user, group)) = found.makes_another() {
            let owner = known.map(|known| known.owner).unwrap_or_default();
            if user {
                next.user.effective = owner.uid;
            }
            if group {
                next.group.effective = owner.gid;
            }
            if next != *identity {
                self.home.root.may_wait_for(&found).ok()?;
                if !self.counts(&target, &program) {
                    next = identity.clone();
                }
            }
        }
        next.user.saved = next.user.effective;
        next.group.saved = next.group.effective;
        Some(next)
    }

    /// Whether the kernel would look at the bits: not of a script, on a mount without them, or where privileges are given up.
    fn counts(&self, target: &Target, program: &OwnedFd) -> bool {
        let flags = rustix::fs::fstatvfs(program).map(|found| found.f_flag);
        if target.has_no_new_privileges()
            || flags.is_ok_and(|flags| flags.contains(rustix::fs::StatVfsMountFlags::NOSUID))
        {
            return false;
        }
        let again = format!("self/fd/{}", program.as_raw_fd());
        let file =
            rustix::fs::openat(&self.home.proc, again, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let mut start = [0u8; 2];
        file.is_ok_and(|file| rustix::io::read(&file, &mut start).is_ok_and(|read| read == 2))
            && start != *b"#!"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_of_every_abi() {
        let call = |arch, number, args| decode(&Notification { id: 1, pid: 1, number, arch, args });
        let place = Place { dir: libc::AT_FDCWD, path: Some(0x1000), follow: true, empty: false };
        for (arch, number) in [(X86_64, 59), (X86_64, 0x4000_0208), (AARCH64, 221), (I386, 11), (ARM, 11)] {
            assert_eq!(call(arch, number, [0x1000, 1, 2, 0, 0, 0]), Some(place), "{arch:x}");
        }
        let at = Place { dir: 7, path: Some(0x1000), follow: false, empty: true };
        for (arch, number) in [(X86_64, 322), (X86_64, 0x4000_0221), (AARCH64, 281), (I386, 358), (ARM, 387)]
        {
            assert_eq!(call(arch, number, [7, 0x1000, 1, 2, 0x1100, 0]), Some(at), "{arch:x}");
        }
        assert_eq!(call(X86_64, 11, [0; 6]), None);
    }
}
