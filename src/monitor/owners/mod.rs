//! Files of many owners where only one id is mapped: what an image says of its files, and what chown, mknod and setuid said in
//! the container, is what stat and getuid give back.
//!
//! # Theory of operation
//!
//! ```text
//! payload ──chown, stat, mkdir, …───▶ kernel ──listener──▶ coracle --role owners ──▶ <data>/containers/<id>/owners
//!    ▲ result                                               │ /proc/TID/{mem,root,cwd,fd}, its mark
//!    └──────────────────────────────────────────────────────┘
//! ```
//! The seccomp profile of such a container (`spec::seccomp_pretend::record`) asks about the calls that change, tell or make an
//! owner or an identity. The runtime sends the listener of each filter, the payload's and each exec's, to a socket in the
//! runtime directory, behind which this process waits: one for each container, a child of the monitor, which lives as long as
//! the payload.
//!
//! - **chown** (`files`): the file is looked up as the caller would (`target`), given to the one owner that there is, as the
//!   kernel would (an overlay copies it up, setuid bits go, a read-only file system refuses), and then written down
//!   (`ondisk::owners`).
//! - **mknod** of a device makes a plain file, and writes down what it would be. It opens as the empty file that it is.
//! - **stat**: for every file of which neither the record nor the image says anything the kernel answers (`known`). Else the
//!   result is written into the caller's memory with the other owner, kind and permissions (`layout`). The image's owners go by
//!   path: a file that was moved is root's until somebody gives it away, and one that was made anew at its place is the image's.
//! - **setuid, setgid, setgroups** and their family (`ids`) go by the kernel's rules (`identity`), and the process is marked
//!   with what it has become. **getuid** and its family read the mark. Whoever has become another user than root may make no
//!   device and give no file away but its own.
//! - **open, mkdir, symlink, mknod**: what such a process makes is made for it here, and is its own (`makes`). Root's calls are
//!   the kernel's, and so is every open that makes nothing.
//! - **execve** of a program with a setuid or setgid bit changes the mark (`execs`): so `sudo` and `su` are root for whoever
//!   calls them.
//! - Calls of 32-bit programs and of x32 are the same (`calls`, `id_calls`); only i386's stat of 1991, with 16-bit ids, is the
//!   kernel's.
//!
//! # What it does not do
//!
//! - Sockets that are bound to a path, and files made by openat2, through a dangling link or without a name (O_TMPFILE), are
//!   root's, whoever makes them. A directory lists a device as the plain file that it is (`find -type c` asks only for the list).
//! - Files of others in an image in one file are nobody's for the kernel, and nothing changes them, root's calls neither.
//! - /proc, the other end of a socket and signals know the one user that there is. Nobody is refused a file.
//! - An identity is a process's: a thread that becomes another user alone, past its libc, takes the others with it.
//! - Before Linux 5.19 a signal may cut a call short that has been done: what makes a file then says that it exists. Before 5.14
//!   files made by open with O_EXCL are root's.
//!
//! # What must stay true
//!
//! - Nothing here guards anything: whatever the record says, the kernel decides by the one id. A wrong answer fools
//!   the container alone.
//! - The process has privileges in the container's user namespace, so that it may look into the callers. All that it does
//!   with a path is done inside of the caller's root, without links of procfs, with files that the same user could change.
//! - The thread's directory in /proc is opened, and only then is asked whether the call still waits: so it is that
//!   thread's. All else goes through this directory, never through the number again; but for the mark, which means nothing
//!   to anybody else, and for the path of a call, which is read in one step: it is used only with the thread's root, found
//!   through the directory afterwards, while the thread lives.
//! - When it is killed the kernel answers ENOSYS for it, to those that wait too. The monitor says so in the record of the
//!   container, and lets nobody in any more. The container goes on until it is started anew.
//! - One call is answered after the other, and none of them waits but for the file system of the container's root: files are
//!   opened with O_PATH, or made. What is mounted there may be served by somebody who does not answer: such a call is looked up
//!   aside (`aside`), and only then answered. Nobody who is answered here may serve the root: a container with /dev/fuse
//!   and CAP_SYS_ADMIN has no recorder.

mod aside;
mod calls;
mod execs;
mod files;
mod id_calls;
mod identity;
mod ids;
mod known;
mod layout;
mod make_calls;
mod makes;
mod serve;
mod target;

use super::events::Monitor;
use super::protocol::{self, event};
use crate::error::{Error, Result};
use crate::ondisk::container::Rootfs;
use crate::sys::{pidfd, socket};
use crate::userns;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::net::{RecvFlags, SocketType};
use rustix::process::{Pid, Signal, WaitOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

pub use serve::{ROLE, role_main};

/// `listenerPath`: the runtime finds the runtime directory as its second fd, however long its path is.
pub const AGENT: &str = "/proc/self/fd/62/owners";

/// The socket in the runtime directory.
pub(super) const SOCKET: &str = "owners";

const LISTENER_FD: RawFd = userns::SYNC_FD + 1;
const RECORD_FD: RawFd = userns::SYNC_FD + 2;
const UPPER_FD: RawFd = userns::SYNC_FD + 3;

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the record says once the process was killed.
const DIED: &str = "owner recorder died";

/// The monitor's side.
#[derive(Debug)]
pub(super) struct Recorder {
    pid: Pid,
    sync: OwnedFd,
}

impl Monitor {
    /// Starts it where this container needs it.
    pub(super) fn start_recorder(&mut self) -> Result<()> {
        if !self.container.records_owners {
            return Ok(());
        }
        // Only the child keeps it: with the child the socket ends, and nobody waits there for an answer.
        let listener = socket::listen_at(self.run.as_fd(), SOCKET, SocketType::STREAM)?;
        let mut fds = vec![(listener.as_fd(), LISTENER_FD), (self.bundle.as_fd(), RECORD_FD)];
        let upper = self.upper();
        fds.extend(upper.as_ref().map(|upper| (upper.as_fd(), UPPER_FD)));
        let args = [
            self.dirs.data.clone().into_os_string(),
            self.dirs.run.clone().into_os_string(),
            self.container.id.to_string().into(),
        ];
        let child = userns::spawn_role(ROLE, &args, &fds)?;
        let pid = Pid::from_raw(child.pid).ok_or_else(|| Error::internal("posix_spawn gave pid 0"))?;
        self.recorder = Some(Recorder { pid, sync: child.sync });
        Ok(())
    }

    /// The upper directory, where the rootfs has one that stays.
    fn upper(&self) -> Option<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let upper = match &self.container.rootfs {
            Rootfs::Squash { overlay: Some(dir), .. } => {
                rustix::fs::open(std::path::Path::new(dir).join("upper"), flags, Mode::empty())
            }
            _ => rustix::fs::openat(&self.bundle, "upper", flags, Mode::empty()),
        };
        upper.ok()
    }

    /// The fds that a runtime needs to find it: `given` and, after them, the runtime directory.
    pub(super) fn with_recorder<'a>(&'a self, mut given: Vec<BorrowedFd<'a>>) -> Vec<BorrowedFd<'a>> {
        if self.container.records_owners {
            given.resize(2, self.run.as_fd());
        }
        given
    }

    /// A child has ended. True: it was this one.
    pub(super) fn recorder_ended(&mut self, pid: Pid) -> bool {
        if self.recorder.as_ref().is_none_or(|recorder| recorder.pid != pid) {
            return false;
        }
        self.recorder = None;
        self.state.error = Some(DIED.to_owned());
        let _ = self.publish();
        true
    }

    /// Who would be let in could not even open a file.
    pub(super) fn check_recorder(&self) -> Result<()> {
        if self.container.records_owners && self.recorder.is_none() {
            return Err(Error::in_use("the process that records the owners of its files was killed")
                .hint(format_args!("Start it anew with `coracle restart {}`.", self.container.name)));
        }
        Ok(())
    }

    /// The payload is gone: lets it finish its record, and waits for that, but not for a disk or a server that never answers.
    pub(super) fn end_recorder(&mut self) {
        let Some(recorder) = self.recorder.take() else { return };
        let _ = rustix::net::shutdown(&recorder.sync, rustix::net::Shutdown::Write);
        let pidfd = pidfd::open(recorder.pid.as_raw_nonzero().get());
        if pidfd.and_then(|pidfd| pidfd::wait(pidfd.as_fd(), PATIENCE)).is_ok_and(|ended| !ended) {
            let _ = rustix::process::kill_process(recorder.pid, Signal::KILL);
        }
        let _ = rustix::process::waitpid(Some(recorder.pid), WaitOptions::empty());
        let _ = rustix::fs::unlinkat(&self.run, SOCKET, AtFlags::empty());
    }

    /// Why it could not begin, when that is why the start failed.
    pub(super) fn recorders_error(&self) -> Option<Error> {
        let sync = &self.recorder.as_ref()?.sync;
        let mut packet = vec![0u8; protocol::MAX_PACKET];
        let read = socket::recv(sync.as_fd(), &mut packet, &mut Vec::new(), RecvFlags::DONTWAIT).ok()?;
        match packet.get(..read)?.split_first()? {
            (&event::ERROR, json) => Some(protocol::decode_error(json)),
            _ => None,
        }
    }
}
