//! The answers about files: whose they are, and what they would be. See `monitor::owners` for the whole.

use super::calls::{Call, Place};
use super::layout::{Found, Layout};
use super::makes::under;
use super::serve::{Server, changed};
use super::target::{Target, Trouble};
use crate::ondisk::owners::{Key, Node, Owner};
use crate::sys::fs::{Symlinks, open_below};
use crate::sys::notif::{self, Answer, Notification};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// STATX_BASIC_STATS, STATX_BTIME and STATX_MNT_ID.
pub(super) const NEEDED: u32 = 0x1fff;

impl Server {
    pub(super) fn answer_about_files(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        asked: Call,
    ) -> Answer {
        match asked {
            Call::Stat { .. } if self.log.owners().is_empty() && self.image.is_empty() => Answer::GoOn,
            Call::Stat { place, to, layout, flags, mask } => {
                let told = self.stat(listener, call, &place, (to, layout), (flags, mask));
                told.unwrap_or(Answer::GoOn)
            }
            Call::Chown { place, uid, gid } => changed(self.chown(listener, call, &place, uid, gid)),
            Call::Make { place, permissions, node } => {
                changed(self.make(listener, call, &place, permissions, node))
            }
        }
    }

    fn stat(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        place: &Place,
        (to, layout): (u64, Layout),
        (flags, mask): (i32, u32),
    ) -> std::result::Result<Answer, Trouble> {
        let target = self.target(listener, call)?;
        let file = target.find(place, &mut self.home.root)?;
        let found = Found::at_once(&file).map_err(Trouble::Told)?;
        let Some(known) = self.known(&target, file.as_fd(), &found) else { return Ok(Answer::GoOn) };
        self.home.root.may_wait_for(&found)?;
        // Asked for aside just now.
        let ours = self.home.root.has(found.device(), found.mount());
        let flags = if ours { flags } else { libc::AT_STATX_DONT_SYNC };
        let found = notif::statx(file.as_fd(), flags, mask | NEEDED).map_err(Trouble::Told)?;
        let found = Found::new(found);
        let bytes = found.into_known(&known).as_layout(layout);
        Ok(match target.write(to, &bytes) {
            Ok(()) => Answer::Value(0),
            Err(errno) => Answer::Error(errno),
        })
    }

    fn chown(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        place: &Place,
        uid: Option<u32>,
        gid: Option<u32>,
    ) -> std::result::Result<(), Trouble> {
        let target = self.target(listener, call)?;
        let file = target.find(place, &mut self.home.root)?;
        self.home.root.may_wait_for(&Found::at_once(&file).map_err(Trouble::Told)?)?;
        let who = self.who(call.pid);
        if !self.is_privileged(listener, call, &who) {
            let found = Found::new(notif::statx(file.as_fd(), 0, NEEDED).map_err(Trouble::Told)?);
            let known = self.known(&target, file.as_fd(), &found);
            if !who.may_give(known.map(|known| known.owner).as_ref(), uid, gid) {
                return Err(Trouble::Told(Errno::PERM));
            }
        }
        let (user, group) = (uid.map(|_| Uid::ROOT), gid.map(|_| Gid::ROOT));
        match rustix::fs::chownat(&file, c"", user, group, AtFlags::EMPTY_PATH) {
            // Not this user's, or of a kind that has no owner.
            Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::OVERFLOW | Errno::OPNOTSUPP | Errno::BADF) => {}
            Err(errno) => return Err(Trouble::Told(errno)),
        }
        // Only now: an overlay has made it another file.
        self.write_down(&target, &file, |known| Owner {
            uid: uid.unwrap_or(known.uid),
            gid: gid.unwrap_or(known.gid),
            ..known
        })
    }

    /// A plain file in the place of a device, which no user may make.
    fn make(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        place: &Place,
        permissions: u32,
        node: Node,
    ) -> std::result::Result<(), Trouble> {
        let who = self.who(call.pid);
        if !self.is_privileged(listener, call, &who) {
            return Err(Trouble::Told(Errno::PERM));
        }
        let target = self.target(listener, call)?;
        let (dir, name) = target.find_parent(place, false, &mut self.home.root)?;
        self.home.root.may_wait_for(&Found::at_once(&dir).map_err(Trouble::Told)?)?;
        let umask = target.umask().ok_or(Trouble::Blind)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = under(umask, || rustix::fs::openat(&dir, &name, flags, Mode::from_raw_mode(permissions)));
        let file = made.map_err(Trouble::Told)?;
        let gid = self.group_of(&target, dir.as_fd()).unwrap_or(who.group.effective);
        let owner = Owner { uid: who.user.effective, gid, node: Some(node) };
        let written = self.write_down(&target, &file, |_| owner);
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&dir, &name, AtFlags::empty());
        }
        written
    }

    pub(super) fn write_down(
        &mut self,
        target: &Target,
        file: &OwnedFd,
        change: impl FnOnce(Owner) -> Owner,
    ) -> std::result::Result<(), Trouble> {
        let found = Found::new(notif::statx(file.as_fd(), 0, NEEDED).map_err(Trouble::Told)?);
        let key = found.key(self.home.device(target));
        let owner =
            change(self.known(target, file.as_fd(), &found).map(|known| known.owner).unwrap_or_default());
        // Of root's files is written down what would else be taken for what the image says.
        let said = owner != Owner::default() || self.is_said_by_image(target, file.as_fd(), &found);
        let owner = said.then_some(owner);
        if let Some(upper) = self.upper_key(target, file, &found).filter(|upper| *upper != key) {
            self.log.set(upper, owner).map_err(Trouble::Told)?;
        }
        self.log.set(key, owner).map_err(Trouble::Told)
    }

    /// What the file will be known by when the overlay is mounted again: a file of a lower layer keeps its number there
    /// when it is copied up, and has its copy's with the next mount. Found by its name, it must have all that the copy has.
    fn upper_key(&mut self, target: &Target, file: &OwnedFd, found: &Found) -> Option<Key> {
        let path = self.home.path(target, file.as_fd(), found)?;
        let (upper, path) = (self.upper.as_ref()?, CString::new(path).ok()?);
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let copy = open_below(upper.as_fd(), &path, flags, Symlinks::Refused).ok()?;
        let copy = Found::new(notif::statx(copy.as_fd(), 0, NEEDED).ok()?);
        copy.is_same_file(found).then(|| copy.key(copy.device()))
    }
}
