//! Looking up files that somebody may have to be waited for: a file server that does not answer keeps only those waiting who
//! have asked for its files. See `monitor::owners` for the whole.
//!
//! Each such call is looked up by a child of the server's, which sends what it has found and ends, and is answered then. Who is
//! killed while it waits needs no answer, and the child is killed too: it may hold, by the kernel, what others wait for
//! who cannot be killed before.

use super::files::NEEDED;
use super::target::{How, Root, Target, Trouble};
use super::{calls, calls::Call, execs, make_calls, make_calls::New};
use crate::sys::fork::{Side, fork};
use crate::sys::notif::{self, Notification};
use crate::sys::{self, CallContext, process, socket};
use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, WaitOptions};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most children; further calls wait for one.
const MOST: usize = 64;

/// How often is asked whether a call still waits.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A call whose file was looked up.
#[derive(Debug)]
pub(super) struct Answered {
    pub listener: OwnedFd,
    pub call: Notification,
    /// With O_PATH: the file, or the directory in which it is to be made.
    pub file: std::result::Result<OwnedFd, Trouble>,
}

#[derive(Debug)]
struct Child {
    pid: Pid,
    /// What it has found comes from here.
    answer: OwnedFd,
    listener: OwnedFd,
    call: Notification,
}

#[derive(Debug, Default)]
pub(super) struct Aside {
    children: Vec<Child>,
    ended: Vec<Pid>,
    waiting: VecDeque<(OwnedFd, Notification)>,
}

impl Aside {
    /// Readable when something was found.
    pub(super) fn fds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.children.iter().map(|child| &child.answer)
    }

    /// How long `found` need not be asked.
    pub(super) fn patience(&self) -> Option<&'static Timespec> {
        (!self.children.is_empty() || !self.ended.is_empty()).then_some(&LOOK)
    }

    /// Looks up what this call names. False: that cannot be.
    pub(super) fn look_up(&mut self, proc: &OwnedFd, listener: BorrowedFd<'_>, call: Notification) -> bool {
        let Ok(listener) = listener.try_clone_to_owned() else { return false };
        if self.children.len() >= MOST {
            self.waiting.push_back((listener, call));
            return true;
        }
        match start(proc, listener, call) {
            Ok(child) => self.children.push(child),
            Err(_) => return false,
        }
        true
    }

    /// What was found since.
    pub(super) fn found(&mut self, proc: &OwnedFd) -> Vec<Answered> {
        let (mut found, mut left) = (Vec::new(), Vec::new());
        for child in std::mem::take(&mut self.children) {
            let (mut word, mut fds) = ([0u8; 4], Vec::new());
            let read = socket::recv(child.answer.as_fd(), &mut word, &mut fds, RecvFlags::DONTWAIT);
            let file = match (read, fds.pop()) {
                (Err(Errno::AGAIN), _) if notif::is_waiting(child.listener.as_fd(), child.call.id) => {
                    left.push(child);
                    continue;
                }
                (Err(Errno::AGAIN), _) => {
                    let _ = rustix::process::kill_process(child.pid, Signal::KILL);
                    Err(Trouble::Blind)
                }
                (Ok(4), Some(file)) => Ok(file),
                (Ok(4), None) => match i32::from_ne_bytes(word) {
                    0 => Err(Trouble::Blind),
                    errno => Err(Trouble::Told(Errno::from_raw_os_error(errno))),
                },
                _ => Err(Trouble::Blind),
            };
            self.ended.push(child.pid);
            found.push(Answered { listener: child.listener, call: child.call, file });
        }
        self.children = left;
        self.ended
            .retain(|pid| matches!(rustix::process::waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None)));
        while self.children.len() < MOST
            && let Some((listener, call)) = self.waiting.pop_front()
        {
            let Ok(copy) = listener.try_clone() else { continue };
            match start(proc, copy, call) {
                Ok(child) => self.children.push(child),
                Err(_) => found.push(Answered { listener, call, file: Err(Trouble::Blind) }),
            }
        }
        found
    }
}

fn start(proc: &OwnedFd, listener: OwnedFd, call: Notification) -> sys::Result<Child> {
    let (answer, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .call(|| "socketpair()")?;
    let parent = rustix::process::getpid();
    match fork()? {
        Side::Parent(pid) => Ok(Child { pid, answer, listener, call }),
        Side::Child => {
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            if rustix::process::getppid() == Some(parent) {
                let (errno, file) = match find(proc, listener.as_fd(), &call) {
                    Ok(file) => (0, Some(file)),
                    Err(Trouble::Blind) => (0, None),
                    Err(Trouble::Told(errno)) => (errno.raw_os_error(), None),
                };
                let fds: Vec<BorrowedFd<'_>> = file.iter().map(AsFd::as_fd).collect();
                let _ = socket::send(theirs.as_fd(), &errno.to_ne_bytes(), &[], &fds, SendFlags::empty());
            }
            process::exit_now(0);
        }
    }
}

fn find(
    proc: &OwnedFd,
    listener: BorrowedFd<'_>,
    call: &Notification,
) -> std::result::Result<OwnedFd, Trouble> {
    let target = Target::of_caller(proc.as_fd(), listener, call)?;
    let mut root = Root::default();
    root.look_up(How::Waits);
    let file = if let Some(asked) = calls::decode(call) {
        match asked {
            Call::Stat { place, .. } | Call::Chown { place, .. } => target.find(&place, &mut root)?,
            Call::Make { place, .. } => target.find_parent(&place, false, &mut root)?.0,
        }
    } else if let Some(asked) = make_calls::decode(call) {
        let of_directory = matches!(asked.new, New::Directory { .. });
        target.find_parent(&asked.place, of_directory, &mut root)?.0
    } else {
        target.find(&execs::decode(call).ok_or(Trouble::Blind)?, &mut root)?
    };
    // Who answers now will answer what is asked of it next. What is in the kernel's cache would say nothing.
    let _ = notif::statx(file.as_fd(), libc::AT_STATX_FORCE_SYNC, NEEDED);
    Ok(file)
}
