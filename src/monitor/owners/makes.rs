//! Files that are made by whoever has become another user: theirs. See `monitor::owners` for the whole.
//!
//! The file is made here, as the caller would, so that nobody sees it before it is written down; a file that is opened with
//! it goes to the caller. Whatever is in the way, from a path that cannot be followed to a full disk: the kernel is left to
//! make it, or to say why not, and what it makes is root's.

use super::files::NEEDED;
use super::identity::Identity;
use super::layout::Found;
use super::make_calls::{MakeCall, New};
use super::serve::Server;
use super::target::Target;
use crate::ondisk::owners::Owner;
use crate::sys::notif::{self, Answer, Notification};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Flags of open that say what is done with the file: they are the caller's. Those that say how it is found are ours.
const KEPT: OFlags = OFlags::ACCMODE
    .union(OFlags::APPEND)
    .union(OFlags::NONBLOCK)
    .union(OFlags::SYNC)
    .union(OFlags::DIRECT)
    .union(OFlags::NOATIME)
    .union(OFlags::LARGEFILE);
/// With these no file is made by its name.
const OTHERS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::TMPFILE);
/// A file that was not there before, and no link.
const MAKE: OFlags =
    OFlags::CREATE.union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

impl Server {
    pub(super) fn answer_about_new(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        asked: MakeCall,
    ) -> Answer {
        let Some(identity) = self.marked(call.pid) else { return Answer::GoOn };
        if identity.user.effective == 0 && identity.group.effective == 0 {
            return Answer::GoOn;
        }
        let identity = identity.clone();
        self.make_new(listener, call, asked, &identity).unwrap_or(Answer::GoOn)
    }

    fn make_new(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        asked: MakeCall,
        identity: &Identity,
    ) -> Option<Answer> {
        if matches!(asked.new, New::File { flags, .. } if flags.intersects(OTHERS)) {
            return None;
        }
        let target = self.target(listener, call).ok()?;
        let says = match asked.new {
            New::Symlink { says } => target.read_path(says).ok()?,
            _ => CString::default(),
        };
        let of_directory = matches!(asked.new, New::Directory { .. });
        let (dir, name) = target.find_parent(&asked.place, of_directory, &mut self.home.root).ok()?;
        self.home.root.may_wait_for(&Found::at_once(&dir).ok()?).ok()?;
        let dir_fd = dir.as_fd();
        let umask = target.umask()?;
        let done = match asked.new {
            New::File { flags, mode } => {
                let open =
                    || rustix::fs::openat(dir_fd, &name, flags & KEPT | MAKE, Mode::from_raw_mode(mode));
                let file = under(umask, open).ok()?;
                self.give_to(&target, dir_fd, &file, identity);
                return match notif::give_fd(listener, call.id, file.as_fd(), flags.contains(OFlags::CLOEXEC))
                {
                    Ok(()) => Some(Answer::Given),
                    Err(_) => {
                        // The kernel opens it, unless there must be none yet.
                        if flags.contains(OFlags::EXCL) {
                            let _ = self.write_down(&target, &file, |_| Owner::default());
                            let _ = rustix::fs::unlinkat(dir_fd, &name, AtFlags::empty());
                        }
                        None
                    }
                };
            }
            New::Directory { mode } => {
                under(umask, || rustix::fs::mkdirat(dir_fd, &name, Mode::from_raw_mode(mode)))
            }
            New::Symlink { .. } => rustix::fs::symlinkat(&says, dir_fd, &name),
            New::Node { mode } => {
                let (kind, mode) = (FileType::from_raw_mode(mode), Mode::from_raw_mode(mode & 0o7777));
                let kind = if kind == FileType::Unknown { FileType::RegularFile } else { kind };
                under(umask, || rustix::fs::mknodat(dir_fd, &name, kind, mode, 0))
            }
        };
        done.ok()?;
        if let Ok(made) = open_made(dir_fd, &name) {
            self.give_to(&target, dir_fd, &made, identity);
        }
        Some(Answer::Value(0))
    }

    /// What cannot be written down stays root's.
    fn give_to(&mut self, target: &Target, dir: BorrowedFd<'_>, file: &OwnedFd, identity: &Identity) {
        let gid = self.group_of(target, dir).unwrap_or(identity.group.effective);
        let owner = Owner { uid: identity.user.effective, gid, node: None };
        let _ = self.write_down(target, file, |_| owner);
    }

    /// The group that a directory gives to all that is made in it.
    pub(super) fn group_of(&mut self, target: &Target, dir: BorrowedFd<'_>) -> Option<u32> {
        let found = Found::new(notif::statx(dir, 0, NEEDED).ok()?);
        let known = self.known(target, dir, &found);
        let found = known.map_or(found.clone(), |known| found.into_known(&known));
        found.gives_its_group().then(|| known.map_or(0, |known| known.owner.gid))
    }
}

fn open_made(dir: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// With the caller's umask.
pub(super) fn under<T>(umask: Mode, make: impl FnOnce() -> T) -> T {
    let before = rustix::process::umask(umask);
    let made = make();
    rustix::process::umask(before);
    made
}
