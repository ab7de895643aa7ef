//! Mounts that are made first and attached then: by fd (open_tree, fsopen, move_mount, mount_setattr), and by mount(2) where
//! the kernel (before 5.2, some before 5.12) or a seccomp filter around us lacks one of these calls.
//!
//! `decide` asks once, in the process that will mount; all mounts of that process go the same way. The old way attaches
//! first and sets attributes afterwards, through `/proc/self/fd/N`, so that no path is looked up a second time: only
//! the new mount itself is opened again by the caller's lookup, and then it must be what was mounted, or nothing goes on. It
//! cannot do everything: attributes of a whole tree, and sources that another mount namespace holds, are ENOSYS.
//!
//! Used after clone: bare errnos, no allocation.

#![allow(
    unsafe_code,
    reason = "calls with arguments that the kernel must refuse, and mount(2) with C strings"
)]

use super::exact;
use super::mount::{self, MountAttr};
use rustix::fs::{FsWord, Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use std::ffi::{CStr, CString, c_ulong};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Set when this process mounts the old way.
static OLD: AtomicBool = AtomicBool::new(false);

/// Finds out which way mounts are made here. For the process that mounts, once it may: a process that may not is told EPERM
/// by all of them, and would go the old way for nothing.
pub fn decide() {
    let calls = [libc::SYS_open_tree, libc::SYS_mount_setattr, libc::SYS_move_mount, libc::SYS_fsopen];
    let more = [libc::SYS_fsconfig, libc::SYS_fsmount];
    OLD.store(calls.into_iter().chain(more).any(is_missing), Ordering::Relaxed);
}

/// Whether this process can make detached copies of trees, with attributes, for another one to attach: also no for one that
/// may not mount.
pub fn copies_are_made_here() -> bool {
    ![libc::SYS_open_tree, libc::SYS_mount_setattr, libc::SYS_move_mount].into_iter().any(is_missing)
}

/// With flags that no kernel knows and no valid fd: whoever has the call says EINVAL or EBADF.
fn is_missing(call: libc::c_long) -> bool {
    let (none, path, flags) = (-1, c"".as_ptr(), c_ulong::from(u32::MAX));
    // SAFETY: the pointers are to an empty string or null with a length of 0, and the kernel refuses each call by its
    // flags or its fd before it reads or writes through them.
    let done = unsafe {
        match call {
            libc::SYS_move_mount => libc::syscall(call, none, path, none, path, flags),
            libc::SYS_mount_setattr => libc::syscall(call, none, path, flags, 0, 0),
            libc::SYS_fsopen => libc::syscall(call, path, flags),
            libc::SYS_fsconfig => libc::syscall(call, none, flags, 0, 0, 0),
            libc::SYS_fsmount => libc::syscall(call, none, flags, 0),
            _ => libc::syscall(call, none, path, flags),
        }
    };
    done == -1 && matches!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

/// A mount that is not attached yet.
#[derive(Debug)]
pub struct Tree<'a>(Kind<'a>);

#[derive(Debug)]
enum Kind<'a> {
    Detached(OwnedFd),
    /// The old way: what to bind.
    Bind {
        source: OwnedFd,
        recursive: bool,
        late: Late,
    },
    /// The old way: what to mount.
    New {
        what: &'a NewFs<'a>,
        late: Late,
    },
}

/// A file system to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewFs<'a> {
    pub kind: &'a CStr,
    pub source: Option<&'a CStr>,
    pub options: Options<'a>,
    /// For one that names none itself.
    pub mode: Option<&'a CStr>,
    /// Without options that name an owner.
    pub ownerless: bool,
    /// MOUNT_ATTR_* of the mount.
    pub attr: u64,
}

/// Its options, each with a value or as a flag.
#[derive(Debug, Clone, Copy)]
pub enum Options<'a> {
    Planned(&'a [(CString, Option<CString>)]),
    Fixed(&'a [(&'a CStr, Option<&'a CStr>)]),
}

/// Which part of making a file system failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Source,
    Option,
}

/// Attributes for the time after the attachment: own and recursive ones, and propagations.
#[derive(Debug, Clone, Copy, Default)]
struct Late {
    attrs: [Option<(MountAttr, bool)>; 4],
    /// Of a bind, with whether the source's are locked.
    exact: Option<(MountAttr, bool)>,
}

impl<'a> Tree<'a> {
    /// A copy of the mount at `path` (relative to `dir`; empty: the one that `dir` is in).
    pub fn copy_of(dir: impl AsFd, path: &CStr, recursive: bool) -> Result<Self> {
        if !OLD.load(Ordering::Relaxed) {
            return mount::clone_tree(dir, path, recursive).map(|fd| Tree(Kind::Detached(fd)));
        }
        let source = if path.is_empty() {
            rustix::io::fcntl_dupfd_cloexec(dir, 3)?
        } else {
            rustix::fs::openat(dir, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?
        };
        Ok(Tree(Kind::Bind { source, recursive, late: Late::default() }))
    }

    /// A new file system. The old way, what is wrong with it is seen when it is attached.
    pub fn new(what: &'a NewFs<'a>) -> std::result::Result<Self, (Part, Errno)> {
        if OLD.load(Ordering::Relaxed) {
            return Ok(Tree(Kind::New { what, late: Late::default() }));
        }
        let source = |e| (Part::Source, e);
        let context = rustix::mount::fsopen(what.kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(source)?;
        if let Some(name) = what.source {
            rustix::mount::fsconfig_set_string(&context, c"source", name).map_err(source)?;
        }
        for (key, value) in what.wanted() {
            let set = match value {
                Some(value) => rustix::mount::fsconfig_set_string(&context, key, value),
                None => rustix::mount::fsconfig_set_flag(&context, key),
            };
            set.map_err(|e| (Part::Option, e))?;
        }
        rustix::mount::fsconfig_create(&context).map_err(source)?;
        let flags = MountAttrFlags::from_bits_retain(what.attr as u32);
        let fd = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags).map_err(source)?;
        Ok(Tree(Kind::Detached(fd)))
    }

    /// Its root, where there is one already: what a bind shows.
    pub fn root(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            Kind::Detached(fd) | Kind::Bind { source: fd, .. } => Some(fd.as_fd()),
            Kind::New { .. } => None,
        }
    }

    /// Changes attributes, now or when it is attached.
    pub fn set_attr(&mut self, attr: &MountAttr, recursive: bool) -> Result<()> {
        match &mut self.0 {
            Kind::Detached(fd) => set_what_may_be_set(fd.as_fd(), attr, recursive),
            Kind::Bind { late, .. } | Kind::New { late, .. } => late.add(attr, recursive),
        }
    }

    /// Gives a bind exactly these attributes, see `exact`.
    pub fn set_exactly(&mut self, asked: &MountAttr, locked: bool) -> Result<()> {
        match &mut self.0 {
            Kind::Detached(fd) => exact::set(fd.as_fd(), asked, locked),
            Kind::Bind { late, .. } | Kind::New { late, .. } => {
                late.exact = Some((*asked, locked));
                Ok(())
            }
        }
    }

    /// For a whole tree where that can be, else for its top alone, as every runtime did on such kernels.
    pub fn set_attr_where_it_can(&mut self, attr: &MountAttr) -> Result<()> {
        let whole = matches!(self.0, Kind::Detached(_));
        self.set_attr(attr, whole)
    }

    /// Attaches it on `target`, and returns its root. `again` looks the target up once more: the old way finds the new
    /// mount by it.
    pub fn attach(self, target: BorrowedFd<'_>, again: impl FnOnce() -> Result<OwnedFd>) -> Result<OwnedFd> {
        let (late, mounted) = match self.0 {
            Kind::Detached(fd) => return mount::attach(&fd, target).map(|()| fd),
            Kind::Bind { source, recursive, late } => {
                let before = rustix::fs::fstat(&source)?;
                bind(source.as_fd(), target, recursive)?;
                let mounted = again()?;
                let after = rustix::fs::fstat(&mounted)?;
                if (after.st_dev, after.st_ino) != (before.st_dev, before.st_ino) {
                    return Err(Errno::STALE);
                }
                (late, mounted)
            }
            Kind::New { what, late } => {
                let below = rustix::fs::fstat(target)?;
                what.mount(target)?;
                let mounted = again()?;
                if rustix::fs::fstat(&mounted)?.st_dev == below.st_dev || !what.is_shown_by(mounted.as_fd()) {
                    return Err(Errno::STALE);
                }
                (late, mounted)
            }
        };
        if let Some((asked, locked)) = &late.exact {
            set_exactly_on_mounted(mounted.as_fd(), asked, *locked)?;
        }
        for (attr, recursive) in late.attrs.iter().flatten() {
            set_attr_of_mounted(mounted.as_fd(), attr, *recursive)?;
        }
        Ok(mounted)
    }
}

impl Late {
    fn add(&mut self, attr: &MountAttr, recursive: bool) -> Result<()> {
        if attr.is_empty() {
            return Ok(());
        }
        if recursive && attr.set | attr.clear != 0 {
            return Err(Errno::NOSYS);
        }
        let free = self.attrs.iter_mut().find(|place| place.is_none()).ok_or(Errno::NOSYS)?;
        *free = Some((*attr, recursive));
        Ok(())
    }
}

/// The file systems that a container's safety stands on, by statfs(2).
const MAGIC: [(&CStr, u64); 5] = [
    (c"proc", 0x9fa0),
    (c"sysfs", 0x6265_6572),
    (c"devpts", 0x1cd1),
    (c"tmpfs", 0x0102_1994),
    (c"mqueue", 0x1980_0202),
];

impl<'a> NewFs<'a> {
    fn wanted(&self) -> impl Iterator<Item = (&'a CStr, Option<&'a CStr>)> + use<'a> {
        let ownerless = self.ownerless;
        let (planned, fixed) = match self.options {
            Options::Planned(planned) => (planned, [].as_slice()),
            Options::Fixed(fixed) => ([].as_slice(), fixed),
        };
        let planned = planned.iter().map(|(key, value)| (key.as_c_str(), value.as_deref()));
        let mode = self.mode.map(|mode| (c"mode", Some(mode)));
        let all = planned.chain(fixed.iter().copied()).chain(mode);
        all.filter(move |(key, _)| !(ownerless && [c"gid", c"uid"].contains(key)))
    }

    /// By mount(2): options as one text, attributes as its flags.
    fn mount(&self, target: BorrowedFd<'_>) -> Result<()> {
        let (mut data, mut end) = ([0u8; 4096], 0);
        let mut add = |text: &[u8]| -> Result<()> {
            // The last byte stays: the kernel reads up to a NUL.
            let room = data.get_mut(end..end + text.len()).filter(|_| end + text.len() < 4096);
            room.ok_or(Errno::TOOBIG)?.copy_from_slice(text);
            end += text.len();
            Ok(())
        };
        for (n, (key, value)) in self.wanted().enumerate() {
            if n > 0 {
                add(b",")?;
            }
            add(key.to_bytes())?;
            if let Some(value) = value {
                add(b"=")?;
                // Commas in a context of SELinux are its own.
                let quote: &[u8] = if key.to_bytes().ends_with(b"context") { b"\"" } else { b"" };
                for part in [quote, value.to_bytes(), quote] {
                    add(part)?;
                }
            }
        }
        let data = CStr::from_bytes_until_nul(&data).map_err(|_| Errno::TOOBIG)?;
        old_mount(
            Some(self.source.unwrap_or(c"none")),
            target,
            Some(self.kind),
            flags_of(self.attr),
            Some(data),
        )
    }

    fn is_shown_by(&self, mounted: BorrowedFd<'_>) -> bool {
        let wanted = MAGIC.iter().find(|(kind, _)| *kind == self.kind).map(|(_, magic)| *magic);
        let found = rustix::fs::fstatfs(mounted).map(|fs| fs.f_type as FsWord as u64);
        wanted.is_none_or(|magic| found == Ok(magic))
    }
}

fn bind(source: BorrowedFd<'_>, target: BorrowedFd<'_>, recursive: bool) -> Result<()> {
    let source = FdPath::new(source);
    let flags = libc::MS_BIND | if recursive { libc::MS_REC } else { 0 };
    old_mount(Some(source.as_c_str()), target, None, flags, None)
}

/// Changes the attached mount that `fd` is the root of; with `recursive`, also those below it. What a more privileged
/// namespace has locked stays locked: clearing is then left out, setting is not.
pub fn set_attr(fd: BorrowedFd<'_>, attr: &MountAttr, recursive: bool) -> Result<()> {
    if attr.is_empty() {
        return Ok(());
    }
    if OLD.load(Ordering::Relaxed) {
        return set_attr_of_mounted(fd, attr, recursive);
    }
    set_what_may_be_set(fd, attr, recursive)
}

/// `set_attr` of a detached tree.
pub fn set_what_may_be_set(fd: BorrowedFd<'_>, attr: &MountAttr, recursive: bool) -> Result<()> {
    if attr.is_empty() {
        return Ok(());
    }
    match mount::set_attr(fd, attr, recursive) {
        Err(Errno::PERM) if attr.clear != 0 => {
            let only_set = MountAttr { clear: 0, set: attr.set & !mount::ATTR_ATIME, ..*attr };
            if only_set.is_empty() { Ok(()) } else { mount::set_attr(fd, &only_set, recursive) }
        }
        other => other,
    }
}

/// The old way: propagation for a whole tree if need be, attributes for one mount.
fn set_attr_of_mounted(fd: BorrowedFd<'_>, attr: &MountAttr, recursive: bool) -> Result<()> {
    if attr.propagation != 0 {
        let recursive = if recursive { libc::MS_REC } else { 0 };
        old_mount(None, fd, None, attr.propagation as c_ulong | recursive, None)?;
    }
    if attr.set | attr.clear == 0 {
        return Ok(());
    }
    if recursive || attr.set & mount::ATTR_NOSYMFOLLOW != 0 {
        return Err(Errno::NOSYS);
    }
    let locked = exact::flags(fd)?;
    let change = |clear: u64, set: u64| {
        let flags = flags_of(locked & !clear | set) | libc::MS_REMOUNT | libc::MS_BIND;
        old_mount(None, fd, None, flags, None)
    };
    match change(attr.clear, attr.set) {
        Err(Errno::PERM) if attr.clear != 0 => change(0, attr.set & !mount::ATTR_ATIME),
        other => other,
    }
}

/// The old way of `exact::set`.
fn set_exactly_on_mounted(fd: BorrowedFd<'_>, asked: &MountAttr, locked: bool) -> Result<()> {
    let now = exact::flags(fd)?;
    let wanted = exact::wanted(asked, now, locked)?;
    if wanted & mount::ATTR_NOSYMFOLLOW != 0 {
        return Err(Errno::NOSYS);
    }
    let flags = flags_of(wanted) | libc::MS_REMOUNT | libc::MS_BIND;
    match old_mount(None, fd, None, flags, None) {
        Err(Errno::PERM) if !locked => set_exactly_on_mounted(fd, asked, true),
        other => other,
    }
}

/// MOUNT_ATTR_* as the MS_* of mount(2).
fn flags_of(attr: u64) -> c_ulong {
    let plain = [
        (mount::ATTR_RDONLY, libc::MS_RDONLY),
        (mount::ATTR_NOSUID, libc::MS_NOSUID),
        (mount::ATTR_NODEV, libc::MS_NODEV),
        (mount::ATTR_NOEXEC, libc::MS_NOEXEC),
        (mount::ATTR_NODIRATIME, libc::MS_NODIRATIME),
    ];
    let flags = plain.iter().filter(|(from, _)| attr & from != 0).fold(0, |all, (_, to)| all | to);
    flags
        | match attr & mount::ATTR_ATIME {
            mount::ATTR_NOATIME => libc::MS_NOATIME,
            mount::ATTR_STRICTATIME => libc::MS_STRICTATIME,
            _ => libc::MS_RELATIME,
        }
}

/// Changes the propagation of every mount that this process sees.
pub fn set_propagation_of_all(propagation: u64, recursive: bool) -> Result<()> {
    if OLD.load(Ordering::Relaxed) {
        let recursive = if recursive { libc::MS_REC } else { 0 };
        return old_mount_at(None, c"/", None, propagation as c_ulong | recursive, None);
    }
    let attr = MountAttr { propagation, ..MountAttr::default() };
    mount::set_attr_at(rustix::fs::CWD, c"/", &attr, recursive)
}

/// Attaches a tree on the path `target`, or on `/` where that is out of reach. Returns its root.
pub fn attach_at(tree: Tree<'_>, target: &CStr) -> Result<OwnedFd> {
    match tree.0 {
        Kind::Detached(fd) => match mount::attach_at(&fd, target) {
            Err(Errno::ACCESS | Errno::NOENT) => mount::attach_at(&fd, c"/"),
            other => other,
        }
        .map(|()| fd),
        other => {
            let open = || rustix::fs::open(target, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            let on = open()?;
            Tree(other).attach(on.as_fd(), open)
        }
    }
}

/// Moves the attached mount that `root` is the root of onto `/`.
pub fn move_to_slash(root: BorrowedFd<'_>) -> Result<()> {
    if OLD.load(Ordering::Relaxed) {
        return old_mount_at(Some(FdPath::new(root).as_c_str()), c"/", None, libc::MS_MOVE, None);
    }
    mount::attach_at(root, c"/")
}

fn old_mount(
    source: Option<&CStr>,
    target: BorrowedFd<'_>,
    kind: Option<&CStr>,
    flags: c_ulong,
    data: Option<&CStr>,
) -> Result<()> {
    old_mount_at(source, FdPath::new(target).as_c_str(), kind, flags, data)
}

fn old_mount_at(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: c_ulong,
    data: Option<&CStr>,
) -> Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: each pointer is null or to a C string that lives across the call.
    let done =
        unsafe { libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(data).cast()) };
    if done == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

/// `/proc/self/fd/N`: a path that leads to what the fd refers to, and nowhere else.
struct FdPath([u8; 32]);

impl FdPath {
    fn new(fd: BorrowedFd<'_>) -> Self {
        let mut path = [0; 32];
        let start = b"/proc/self/fd/";
        let mut digits = [0u8; 10];
        let (mut number, mut count) = (fd.as_raw_fd().unsigned_abs(), 0);
        for digit in &mut digits {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            count += 1;
            if number == 0 {
                break;
            }
        }
        let all = start.iter().chain(digits.iter().take(count).rev());
        path.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        Self(path)
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fd_has_a_path() {
        // SAFETY: only its number is looked at.
        let fd = unsafe { BorrowedFd::borrow_raw(1_048_570) };
        assert_eq!(FdPath::new(fd).as_c_str(), c"/proc/self/fd/1048570");
        // SAFETY: as above.
        assert_eq!(FdPath::new(unsafe { BorrowedFd::borrow_raw(0) }).as_c_str(), c"/proc/self/fd/0");
    }

    #[test]
    fn attributes_are_flags() {
        assert_eq!(flags_of(0), libc::MS_RELATIME);
        let attr = mount::ATTR_RDONLY | mount::ATTR_NOEXEC | mount::ATTR_NOATIME;
        assert_eq!(flags_of(attr), libc::MS_RDONLY | libc::MS_NOEXEC | libc::MS_NOATIME);
        assert_eq!(flags_of(mount::ATTR_STRICTATIME), libc::MS_STRICTATIME);
    }
}
