//! An image without extended attributes is not asked for any.
//!
//! The overlay above an image asks for an attribute of each regular file that is looked up (`user.overlay.metacopy`), a
//! merged directory has others, and execve(2) asks for one more. Each is a request to squashfuse: one of five where many
//! small files are read. The kernel asks a FUSE server no more for attributes once it has answered ENOSYS. squashfuse has
//! an answer of its own to each question, also where the image's superblock says that it has no table of attributes. So it
//! is said in its place: squashfuse is stopped, one question of each kind is asked, and we answer it.
//!
//! What must stay true:
//! - Nobody else knows the mount yet. A question of theirs would be ours to answer, too.
//! - Whatever goes wrong here, squashfuse goes on and answers for itself.
//! - squashfuse leads a process group (`external::squashfuse`). When we are killed in the middle, that group becomes an
//!   orphan, and the kernel sends SIGCONT to an orphan that is stopped (setpgid(2)).

use crate::external::squashfuse::CONNECTION;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{PidfdGetfdFlags, Signal, WaitId, WaitIdOptions, pidfd_getfd, pidfd_send_signal};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// Of the requests of linux/fuse.h, those that have an answer here.
const GETXATTR: u32 = 22;
const LISTXATTR: u32 = 23;

/// The kernel refuses a buffer that has no room for the largest write that was agreed on. It is not touched, so it costs
/// nothing.
const ROOM: usize = 32 << 20;

/// How long a question may take to come.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Says so to the kernel, for the server's mount at `at`. That server is a child of ours and has answered the greeting.
pub(super) fn say_none(server: BorrowedFd<'_>, at: &Path) {
    // So that the mode of the root, which is looked at before a question is let through, is known.
    if rustix::fs::lstat(at).is_err() {
        return;
    }
    let asked = at.to_owned();
    let Some(stopped) = Stopped::begin(server) else { return };
    let Ok(connection) = pidfd_getfd(server, CONNECTION, PidfdGetfdFlags::empty()) else { return };
    let ask = move || {
        let _ = rustix::fs::getxattr(&asked, c"user.none", &mut [0u8; 0]);
        let _ = rustix::fs::listxattr(&asked, &mut [0u8; 0]);
    };
    let Ok(asking) = std::thread::Builder::new().spawn(ask) else { return };
    let _ = answer(&connection, GETXATTR).and_then(|()| answer(&connection, LISTXATTR));
    // Before we wait for the answers: what we could not answer is answered by the server, or by its end.
    drop((connection, stopped));
    let _ = asking.join();
}

/// Reads the next request, which is of this kind, and refuses it for good.
fn answer(connection: &OwnedFd, kind: u32) -> rustix::io::Result<()> {
    if rustix::event::poll(&mut [PollFd::new(connection, PollFlags::IN)], Some(&PATIENCE))? == 0 {
        return Err(Errno::TIMEDOUT);
    }
    let mut request: Vec<u8> = Vec::with_capacity(ROOM);
    rustix::io::read(connection, rustix::buffer::spare_capacity(&mut request))?;
    // fuse_in_header: u32 length, u32 kind, u64 number. fuse_out_header: u32 length, i32 error, u64 number.
    let (Some(found), Some(number)) = (request.get(4..8), request.get(8..16)) else { return Err(Errno::IO) };
    let error = if found == kind.to_ne_bytes() { Errno::NOSYS } else { Errno::IO };
    let mut words = [16u32.to_ne_bytes(), (-error.raw_os_error()).to_ne_bytes()].concat();
    words.extend_from_slice(number);
    rustix::io::write(connection, &words).map(drop)
}

/// A child that stands still for as long as this lives.
struct Stopped<'a>(BorrowedFd<'a>);

impl<'a> Stopped<'a> {
    fn begin(child: BorrowedFd<'a>) -> Option<Self> {
        pidfd_send_signal(child, Signal::STOP).ok()?;
        let stopped = Self(child);
        // Its end as well, which is left for whoever asks for its last words.
        let wanted = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = rustix::process::waitid(WaitId::PidFd(child), wanted).ok().flatten()?;
        status.stopped().then_some(stopped)
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(self.0, Signal::CONT);
    }
}
