//! How a user of an image's mount leaves it.
//!
//! Where a removed file gets another name while it is open (`idle`), `coracle run dir/app.sqsh CMD; rm -r dir` would find the
//! directory not empty: there the last user waits until the image's server has ended, and everywhere else nobody does. The
//! file `users-<generation>` says which it is: all who must know have it open, and the runtime knows nothing else of the mount.

use super::mount;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A server that has lost its last mount ends at once.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Says so, as the holder.
pub(super) fn mark_waited_for(directory: BorrowedFd<'_>, generation: &str) {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let users = rustix::fs::openat(directory, format!("users-{generation}"), flags, Mode::empty());
    let _ = users.map(|users| rustix::io::write(users, b"w"));
}

/// Gives back the shared lock. `at`: the caller's mount of the image, or what that is in; it goes with the caller's mount
/// namespace, and here already where the server's end is waited for.
pub fn let_go(users: OwnedFd, server: BorrowedFd<'_>, at: &Path) {
    if rustix::fs::fstat(&users).is_ok_and(|st| st.st_size == 0) {
        return;
    }
    mount::unmount(at);
    // Another open file, which has no lock.
    let again = format!("/proc/self/fd/{}", users.as_raw_fd());
    let again = rustix::fs::open(again, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    drop(users);
    let Ok(again) = again else { return };
    let taken = |operation| rustix::fs::flock(&again, operation);
    let last = match taken(FlockOperation::NonBlockingLockShared) {
        Ok(()) => taken(FlockOperation::NonBlockingLockExclusive).is_ok(),
        // The holder has it, for nobody had.
        Err(errno) => errno == Errno::WOULDBLOCK,
    };
    drop(again);
    if last {
        let _ = rustix::event::poll(&mut [PollFd::new(&server.as_fd(), PollFlags::IN)], Some(&PATIENCE));
    }
}
