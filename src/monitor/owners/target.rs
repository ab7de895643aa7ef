//! The thread that called: its memory, and the files that it names.
//!
//! A path is walked by the kernel itself, with the caller's root as ours: so `..` and absolute links mean what they mean
//! to the caller, and nothing outside of that root is reached. Links of procfs that lead to objects are not followed:
//! they would be ours, or another process's. `/proc/self/fd/N`, which libraries use for a file that they have open, is
//! taken for that file of the caller.

use super::calls::Place;
use super::layout::Found;
use crate::sys::memory;
use crate::sys::notif::{self, Notification};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

const MAX_PATH: usize = 4096;
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// One thread.
#[derive(Debug)]
pub(super) struct Target {
    dir: OwnedFd,
    /// Its number, in our pid namespace.
    pid: u32,
}

/// Which directory our root is, and how files are looked up below it.
#[derive(Debug, Default)]
pub(super) struct Root {
    at: Option<Identity>,
    /// Device and mount of the container's own: that of who called first.
    own: Option<(u64, u64)>,
    how: How,
}

/// How a call's file is looked up.
#[derive(Debug, Default)]
pub(super) enum How {
    /// Where nobody is waited for but the container's own disk.
    #[default]
    AtOnce,
    /// That was not enough: to be looked up by `aside`.
    Aside,
    /// It was, and this is what is there.
    Found(Option<std::result::Result<OwnedFd, Trouble>>),
    /// However long it takes.
    Waits,
}

/// Device, inode, mount.
type Identity = (u64, u64, u64);

/// Why there is nothing to be said of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The caller must be told.
    Told(Errno),
    /// It is we who cannot look.
    Blind,
}

impl Target {
    /// `proc`: the machine's, with the numbers of the listener's reader. The caller then asks whether the call still waits.
    fn open(proc: BorrowedFd<'_>, pid: u32) -> Result<Self> {
        let dir = rustix::fs::openat(proc, pid.to_string(), LOOK | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Self { dir, pid })
    }

    /// The caller, who waits.
    pub(super) fn of_caller(
        proc: BorrowedFd<'_>,
        listener: BorrowedFd<'_>,
        call: &Notification,
    ) -> std::result::Result<Self, Trouble> {
        let target = Self::open(proc, call.pid).map_err(|_| Trouble::Blind)?;
        if notif::is_waiting(listener, call.id) { Ok(target) } else { Err(Trouble::Blind) }
    }

    fn look(&self, name: &str) -> Result<OwnedFd> {
        rustix::fs::openat(&self.dir, name, LOOK, Mode::empty())
    }

    /// The caller's root, with O_PATH.
    pub(super) fn root(&self) -> Result<OwnedFd> {
        self.look("root")
    }

    /// Its device and inode.
    pub(super) fn root_identity(&self) -> Result<(u64, u64)> {
        identity(&self.root()?).map(|(device, inode, _)| (device, inode))
    }

    /// What it takes from the permissions of files that it makes.
    pub(super) fn umask(&self) -> Option<Mode> {
        u32::from_str_radix(&self.status("Umask:")?, 8).ok().map(Mode::from_raw_mode)
    }

    /// Whether no program gives it privileges.
    pub(super) fn has_no_new_privileges(&self) -> bool {
        self.status("NoNewPrivs:").is_some_and(|value| value != "0")
    }

    fn status(&self, name: &str) -> Option<String> {
        let status = rustix::fs::openat(&self.dir, "status", OFlags::CLOEXEC, Mode::empty()).ok()?;
        let text = std::io::read_to_string(File::from(status)).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    }

    /// The number of the file that it executes.
    pub(super) fn program(&self) -> Option<u64> {
        self.look("exe").and_then(|exe| identity(&exe)).ok().map(|(_, inode, _)| inode)
    }

    fn memory(&self, flags: OFlags) -> Result<File> {
        rustix::fs::openat(&self.dir, "mem", flags | OFlags::CLOEXEC, Mode::empty()).map(File::from)
    }

    pub(super) fn read_path(&self, address: u64) -> std::result::Result<CString, Trouble> {
        let mut bytes = [0; MAX_PATH];
        // It ends where the memory ends.
        let read = memory::read(self.pid, address, &mut bytes).map_err(|errno| match errno {
            Errno::FAULT => Trouble::Told(errno),
            _ => Trouble::Blind,
        })?;
        let short = if read < MAX_PATH { Errno::FAULT } else { Errno::NAMETOOLONG };
        let path = CStr::from_bytes_until_nul(bytes.get(..read).unwrap_or_default());
        path.map(CStr::to_owned).map_err(|_| Trouble::Told(short))
    }

    pub(super) fn read(&self, address: u64, length: usize) -> std::result::Result<Vec<u8>, Trouble> {
        let memory = self.memory(OFlags::RDONLY).map_err(|_| Trouble::Blind)?;
        let mut bytes = vec![0; length];
        memory.read_exact_at(&mut bytes, address).map_err(|_| Trouble::Told(Errno::FAULT))?;
        Ok(bytes)
    }

    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let written = self.memory(OFlags::WRONLY)?.write_all_at(bytes, address);
        written.map_err(|_| Errno::FAULT)
    }

    /// The file, with O_PATH.
    pub(super) fn find(&self, place: &Place, root: &mut Root) -> std::result::Result<OwnedFd, Trouble> {
        let path = match place.path {
            None => return self.base(place.dir),
            Some(address) => self.read_path(address)?,
        };
        if path.is_empty() {
            return if place.empty { self.base(place.dir) } else { Err(Trouble::Told(Errno::NOENT)) };
        }
        if place.follow
            && let Some(number) = own_fd(path.to_bytes())
        {
            return self.base(number);
        }
        let mut flags = LOOK;
        flags.set(OFlags::NOFOLLOW, !place.follow);
        self.walk(place.dir, &path, flags, root)
    }

    /// The directory of a file that is to be made, with O_PATH, and the file's name there. Slashes may follow the name of a
    /// `directory`.
    pub(super) fn find_parent(
        &self,
        place: &Place,
        directory: bool,
        root: &mut Root,
    ) -> std::result::Result<(OwnedFd, CString), Trouble> {
        let path = self.read_path(place.path.ok_or(Trouble::Told(Errno::FAULT))?)?;
        let (dir, name) = split(path.to_bytes(), directory).map_err(Trouble::Told)?;
        let whole = |bytes: &[u8]| CString::new(bytes).map_err(|_| Trouble::Blind);
        let dir = self.walk(place.dir, &whole(dir)?, LOOK | OFlags::DIRECTORY, root)?;
        Ok((dir, whole(name)?))
    }

    fn walk(
        &self,
        dir: i32,
        path: &CStr,
        flags: OFlags,
        root: &mut Root,
    ) -> std::result::Result<OwnedFd, Trouble> {
        root.enter(&self.root().map_err(|_| Trouble::Blind)?).map_err(|_| Trouble::Blind)?;
        if let How::Found(found) = &mut root.how
            && let Some(found) = found.take()
        {
            return found;
        }
        let base = if path.to_bytes().starts_with(b"/") { None } else { Some(self.base(dir)?) };
        match root.open(base.as_ref(), path, flags) {
            Ok(fd) => Ok(fd),
            // No openat2 (a filter around us), a link of procfs, or somebody to be waited for.
            Err(Errno::NOSYS | Errno::PERM | Errno::LOOP | Errno::AGAIN) => Err(Trouble::Blind),
            Err(error) => Err(Trouble::Told(error)),
        }
    }

    /// What the caller has open by that number, or its working directory.
    fn base(&self, number: i32) -> std::result::Result<OwnedFd, Trouble> {
        if number == libc::AT_FDCWD {
            return self.look("cwd").map_err(|_| Trouble::Blind);
        }
        if number < 0 {
            return Err(Trouble::Told(Errno::BADF));
        }
        self.look(&format!("fd/{number}")).map_err(|error| match error {
            Errno::NOENT => Trouble::Told(Errno::BADF),
            _ => Trouble::Blind,
        })
    }
}

impl Root {
    /// For the next call.
    pub(super) fn look_up(&mut self, how: How) {
        self.how = how;
    }

    pub(super) fn is_for_aside(&self) -> bool {
        matches!(self.how, How::Aside)
    }

    /// Before something is asked of a file that its server may take its time for. An error: it is for `aside`.
    pub(super) fn may_wait_for(&mut self, file: &Found) -> std::result::Result<(), Trouble> {
        if matches!(self.how, How::AtOnce | How::Aside) && !self.has(file.device(), file.mount()) {
            self.how = How::Aside;
            return Err(Trouble::Blind);
        }
        Ok(())
    }

    fn open(&mut self, base: Option<&OwnedFd>, path: &CStr, flags: OFlags) -> Result<OwnedFd> {
        let dir = base.map_or(rustix::fs::CWD, AsFd::as_fd);
        let open = |more: ResolveFlags| {
            rustix::fs::openat2(dir, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS | more)
        };
        if !matches!(self.how, How::AtOnce | How::Aside) {
            return open(ResolveFlags::empty());
        }
        let here = match open(ResolveFlags::CACHED) {
            // Before Linux 5.12.
            Err(Errno::INVAL) => return open(ResolveFlags::empty()),
            Err(Errno::AGAIN) if self.begins(base) => open(ResolveFlags::NO_XDEV),
            other => other,
        };
        if let Err(Errno::XDEV | Errno::AGAIN) = here {
            self.how = How::Aside;
            return Err(Errno::AGAIN);
        }
        here
    }

    /// Whether it is the directory of this device and inode.
    pub(super) fn is(&self, directory: (u64, u64)) -> bool {
        self.at.is_some_and(|(device, inode, _)| (device, inode) == directory)
    }

    /// Whether a file is on the mount of the container's own root.
    pub(super) fn has(&self, device: u64, mount: Option<u64>) -> bool {
        self.own.is_some_and(|(own, id)| mount.map_or(device == own, |mount| mount == id))
    }

    /// Whether a way begins there: at this directory, or at our root.
    fn begins(&self, dir: Option<&OwnedFd>) -> bool {
        match dir {
            None => self.at.is_some_and(|(device, _, mount)| self.own == Some((device, mount))),
            Some(dir) => Found::at_once(dir).is_ok_and(|found| self.has(found.device(), found.mount())),
        }
    }

    /// Makes it our root, if it is not yet.
    pub(super) fn enter(&mut self, dir: &OwnedFd) -> Result<()> {
        let identity = identity(dir)?;
        if self.at != Some(identity) {
            rustix::process::fchdir(dir)?;
            rustix::process::chroot(".")?;
            self.at = Some(identity);
            self.own.get_or_insert((identity.0, identity.2));
        }
        Ok(())
    }
}

fn identity(dir: &OwnedFd) -> Result<Identity> {
    let mask = rustix::fs::StatxFlags::INO | rustix::fs::StatxFlags::MNT_ID;
    let found = rustix::fs::statx(dir, c"", rustix::fs::AtFlags::EMPTY_PATH, mask)?;
    let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
    Ok((device, found.stx_ino, found.stx_mnt_id))
}

/// Directory and name of a file that does not exist yet.
fn split(path: &[u8], directory: bool) -> Result<(&[u8], &[u8])> {
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let (plain, slashes) = path.split_at(end);
    let start = plain.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (dir, name) = plain.split_at(start);
    match name {
        b"" | b"." | b".." => Err(Errno::EXIST),
        // Only a directory is called so.
        _ if !slashes.is_empty() && !directory => Err(Errno::NOENT),
        _ => Ok((if dir.is_empty() { b"." } else { dir }, name)),
    }
}

/// N of `/proc/self/fd/N` and its like.
fn own_fd(path: &[u8]) -> Option<i32> {
    let places: [&[u8]; 3] = [b"/proc/self/fd/", b"/proc/thread-self/fd/", b"/dev/fd/"];
    let number = places.iter().find_map(|place| path.strip_prefix(*place))?;
    if !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{own_fd, split};
    use rustix::io::Errno;

    #[test]
    fn a_new_file_has_a_directory_and_a_name() {
        assert_eq!(split(b"a/n//", true), Ok((&b"a/"[..], &b"n"[..])));
        let split = |path: &'static str| split(path.as_bytes(), false);
        assert_eq!(split("n"), Ok((&b"."[..], &b"n"[..])));
        assert_eq!(split("/n"), Ok((&b"/"[..], &b"n"[..])));
        assert_eq!(split("a//b/n"), Ok((&b"a//b/"[..], &b"n"[..])));
        for path in ["/", "//", ".", "a/..", "a/."] {
            assert_eq!(split(path), Err(Errno::EXIST), "{path}");
        }
        assert_eq!((split(""), split("n/")), (Err(Errno::NOENT), Err(Errno::NOENT)));
    }

    #[test]
    fn only_a_plain_number_is_a_file_of_the_callers() {
        assert_eq!(own_fd(b"/proc/self/fd/7"), Some(7));
        assert_eq!(own_fd(b"/dev/fd/12"), Some(12));
        for path in ["/proc/self/fd/7/x", "/proc/self/fd/", "/proc/self/fd/-1", "/proc/1/fd/7", "/dev/fd/+1"]
        {
            assert_eq!(own_fd(path.as_bytes()), None, "{path}");
        }
    }
}
