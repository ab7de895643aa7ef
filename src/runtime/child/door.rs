//! The waiting process's side of `runtime::door`: its own namespaces, kept open and handed to who asks.

use crate::runtime::plan::namespaces::{NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWPID, NEWTIME, NEWUSER, NEWUTS};
use crate::runtime::step::{Fail, OrFail, Step};
use crate::sys::socket;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// In the order in which they are sent: rights over the others come with the user namespace.
pub const KINDS: [(u64, &CStr); 8] = [
    (NEWUSER, c"self/ns/user"),
    (NEWCGROUP, c"self/ns/cgroup"),
    (NEWIPC, c"self/ns/ipc"),
    (NEWUTS, c"self/ns/uts"),
    (NEWNET, c"self/ns/net"),
    (NEWPID, c"self/ns/pid"),
    (NEWTIME, c"self/ns/time"),
    (NEWNS, c"self/ns/mnt"),
];

/// A listening socket, and what is handed out.
#[derive(Debug)]
pub struct Door<'a> {
    listener: BorrowedFd<'a>,
    namespaces: [Option<OwnedFd>; KINDS.len()],
}

impl<'a> Door<'a> {
    /// Opens the caller's own namespaces, through the host's /proc.
    pub fn open(listener: BorrowedFd<'a>, proc: BorrowedFd<'_>) -> Result<Self, Fail> {
        let mut namespaces = [const { None }; KINDS.len()];
        for (slot, (_, path)) in namespaces.iter_mut().zip(KINDS) {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            match rustix::fs::openat(proc, path, flags, Mode::empty()) {
                Ok(fd) => *slot = Some(fd),
                // A kernel without this kind.
                Err(Errno::NOENT) => {}
                Err(e) => Err(e).or_fail(Step::Start, 1)?,
            }
        }
        Ok(Self { listener, namespaces })
    }

    /// The numbers of its fds, none of them a directory; 0 where there is none.
    pub fn numbers(&self) -> [i32; KINDS.len() + 1] {
        let mut numbers = [self.listener.as_raw_fd(); KINDS.len() + 1];
        for (number, fd) in numbers.iter_mut().zip(&self.namespaces) {
            *number = fd.as_ref().map_or(0, AsRawFd::as_raw_fd);
        }
        numbers
    }

    /// Answers whoever comes, until there is something to read in `fifo`.
    pub fn serve_until(&self, fifo: BorrowedFd<'_>) -> Result<(), Fail> {
        loop {
            let mut ready = [
                PollFd::from_borrowed_fd(fifo, PollFlags::IN),
                PollFd::from_borrowed_fd(self.listener, PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e).or_fail(Step::Start, 0),
            }
            if !ready[0].revents().is_empty() {
                return Ok(());
            }
            if !ready[1].revents().is_empty()
                && let Ok(asking) = socket::accept(self.listener)
            {
                self.hand_out(asking.as_fd());
            }
        }
    }

    /// A caller that is gone meanwhile is none of our business.
    fn hand_out(&self, asking: BorrowedFd<'_>) {
        let mut kinds = 0u64;
        let mut fds = [asking; KINDS.len()];
        let mut count = 0;
        for ((kind, _), fd) in KINDS.iter().zip(&self.namespaces) {
            if let (Some(fd), Some(slot)) = (fd, fds.get_mut(count)) {
                kinds |= kind;
                *slot = fd.as_fd();
                count += 1;
            }
        }
        let fds = fds.get(..count).unwrap_or_default();
        let _ = socket::send(asking, &kinds.to_ne_bytes(), &[], fds, SendFlags::DONTWAIT);
    }
}
