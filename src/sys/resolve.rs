//! openat2, and a walk of our own where the kernel (before 5.6) or a seccomp filter around us has none.
//!
//! The walk opens one component after the other by fd and never lets the kernel follow a link: a symlink is read and its
//! text walked below the root, and `..` walks again from the root along the names so far, each of which must still be no
//! link. So whatever somebody renames meanwhile, nothing above the root is ever reached. It is slower, no less strict.
//!
//! Safe after clone: bare errnos, no allocation, three pages of stack.

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use rustix::path::Arg;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Symlinks on one way, as the kernel counts them.
const MAX_LINKS: u32 = 40;
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;
const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// Set once it is known that there is no openat2 here.
static MISSING: AtomicBool = AtomicBool::new(false);

/// openat2(2). `resolve` says IN_ROOT or BENEATH, and may say NO_SYMLINKS and NO_MAGICLINKS.
pub fn openat2(
    root: impl AsFd,
    path: impl Arg,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    let root = root.as_fd();
    path.into_with_c_str(|path| {
        if !MISSING.load(Ordering::Relaxed) {
            match rustix::fs::openat2(root, path, flags, mode, resolve) {
                Err(Errno::NOSYS) => {}
                // Old container engines say it of calls that they do not know.
                Err(Errno::PERM) if !is_there() => {}
                other => return other,
            }
            MISSING.store(true, Ordering::Relaxed);
        }
        walk(root, path.to_bytes(), flags, mode, resolve, None)
    })
}

/// Opens `path` below `root` with O_PATH, and makes what is missing on the way: directories, and what the way ends at as an
/// empty file if that is asked for. Also behind symlinks to what is not there yet.
pub fn make(root: BorrowedFd<'_>, path: &CStr, end: Make, resolve: ResolveFlags) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    walk(root, path.to_bytes(), flags, Mode::empty(), resolve | ResolveFlags::IN_ROOT, Some(end))
}

/// What a missing path becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    Directory,
    File,
}

impl Make {
    /// Somebody else may be faster.
    fn one(self, dir: BorrowedFd<'_>, name: &[u8], last: bool) -> Result<()> {
        let made = if self == Self::File && last {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(dir, name, flags, Mode::from(0o644)).map(drop)
        } else {
            rustix::fs::mkdirat(dir, name, Mode::from(0o755))
        };
        made.or_else(|e| if e == Errno::EXIST { Ok(()) } else { Err(e) })
    }
}

/// Asks for what nobody may be refused.
fn is_there() -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(rustix::fs::CWD, c"/", flags, Mode::empty(), ResolveFlags::IN_ROOT).is_ok()
}

/// A path that grows and shrinks at its ends, without the heap.
struct Path {
    bytes: [u8; MAX_PATH],
    start: usize,
    end: usize,
}

impl Path {
    const fn new() -> Self {
        Self { bytes: [0; MAX_PATH], start: 0, end: 0 }
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Makes it `first`, a slash, and what it was; the slash only between the two: one at the end would ask for a directory.
    fn prepend(&mut self, first: &[u8]) -> Result<()> {
        let (length, rest) = (first.len(), self.end - self.start);
        let slash = usize::from(rest > 0);
        if length + slash + rest > MAX_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes.copy_within(self.start..self.end, length + slash);
        self.bytes.get_mut(..length).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(first);
        if slash > 0 {
            *self.bytes.get_mut(length).ok_or(Errno::NAMETOOLONG)? = b'/';
        }
        (self.start, self.end) = (0, length + slash + rest);
        Ok(())
    }

    /// The next component, copied; none at the end. Also: whether it is the last one, and whether a slash follows it.
    fn take(&mut self, name: &mut [u8; MAX_NAME]) -> Result<Option<Component>> {
        while self.text().first() == Some(&b'/') {
            self.start += 1;
        }
        let text = self.text();
        if text.is_empty() {
            return Ok(None);
        }
        let length = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
        let rest = text.get(length..).unwrap_or_default();
        let component =
            Component { length, last: rest.iter().all(|byte| *byte == b'/'), slash: !rest.is_empty() };
        let from = text.get(..length).ok_or(Errno::NAMETOOLONG)?;
        name.get_mut(..length).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(from);
        self.start += length;
        Ok(Some(component))
    }

    fn push(&mut self, name: &[u8]) -> Result<()> {
        let end = self.end + name.len() + 1;
        let room = self.bytes.get_mut(self.end..end).ok_or(Errno::NAMETOOLONG)?;
        let (slash, rest) = room.split_at_mut(1);
        slash.copy_from_slice(b"/");
        rest.copy_from_slice(name);
        self.end = end;
        Ok(())
    }

    /// False when there was nothing.
    fn pop(&mut self) -> bool {
        let at = self.text().iter().rposition(|byte| *byte == b'/');
        if let Some(at) = at {
            self.end = self.start + at;
        }
        at.is_some()
    }
}

#[derive(Clone, Copy)]
struct Component {
    length: usize,
    last: bool,
    slash: bool,
}

const STEP: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What openat2 does, by hand; `missing` says what to make of what is not there.
fn walk(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
    missing: Option<Make>,
) -> Result<OwnedFd> {
    let beneath = resolve.contains(ResolveFlags::BENEATH);
    if !beneath && !resolve.contains(ResolveFlags::IN_ROOT) {
        return Err(Errno::NOSYS);
    }
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    let outside = |text: &[u8]| beneath && text.first() == Some(&b'/');
    if outside(path) {
        return Err(Errno::XDEV);
    }
    let (mut rest, mut done, mut name, mut links) = (Path::new(), Path::new(), [0; MAX_NAME], 0);
    rest.prepend(path)?;
    let mut at: Option<OwnedFd> = None;
    while let Some(component) = rest.take(&mut name)? {
        let name = name.get(..component.length).unwrap_or_default();
        let dir = at.as_ref().map_or(root, AsFd::as_fd);
        match name {
            b"." => {
                let same = rustix::fs::openat(dir, c".", STEP | OFlags::DIRECTORY, Mode::empty())?;
                at = Some(same);
                continue;
            }
            b".." => {
                // Must be a directory, as for the kernel.
                drop(rustix::fs::openat(dir, c".", STEP | OFlags::DIRECTORY, Mode::empty())?);
                if !done.pop() && beneath {
                    return Err(Errno::XDEV);
                }
                at = again(root, done.text())?;
                continue;
            }
            _ => {}
        }
        let there = match rustix::fs::openat(dir, name, STEP, Mode::empty()) {
            Err(Errno::NOENT) if component.last && flags.contains(OFlags::CREATE) => {
                return rustix::fs::openat(dir, name, flags | OFlags::NOFOLLOW, mode);
            }
            Err(Errno::NOENT) if let Some(make) = missing => {
                make.one(dir, name, component.last)?;
                rustix::fs::openat(dir, name, STEP, Mode::empty())?
            }
            other => other?,
        };
        let is_link = super::fs::file_type(there.as_fd())? == FileType::Symlink;
        let kept = component.last && !component.slash && flags.contains(OFlags::NOFOLLOW);
        if is_link && !kept {
            links += 1;
            if links > MAX_LINKS || resolve.contains(ResolveFlags::NO_SYMLINKS) {
                return Err(Errno::LOOP);
            }
            if component.last && flags.contains(OFlags::CREATE | OFlags::EXCL) {
                return Err(Errno::EXIST);
            }
            let mut target = [0; MAX_PATH];
            let length = rustix::fs::readlinkat_raw(&there, c"", &mut target)?;
            let text = target.get(..length).unwrap_or_default();
            if is_magic(&there, text) {
                return Err(Errno::LOOP);
            }
            if outside(text) {
                return Err(Errno::XDEV);
            }
            if text.first() == Some(&b'/') {
                (at, done) = (None, Path::new());
            }
            rest.prepend(text)?;
            continue;
        }
        if component.last {
            return last(dir, name, there, component.slash, flags, mode);
        }
        done.push(name)?;
        at = Some(there);
    }
    // It ended in `.` or `..`, or was the root itself.
    rustix::fs::openat(at.as_ref().map_or(root, AsFd::as_fd), c".", flags | OFlags::CLOEXEC, mode)
}

/// A link of procfs that leads to an object, not to a name: its text is an absolute path, or `type:[number]`.
fn is_magic(link: &OwnedFd, text: &[u8]) -> bool {
    let on_proc = rustix::fs::fstatfs(link)
        .is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|t| t == PROC_SUPER_MAGIC));
    on_proc && (text.first() == Some(&b'/') || text.contains(&b':'))
}

/// The object itself, as it was asked for. Between the look and the open it may have become a link: that is ELOOP.
fn last(
    dir: BorrowedFd<'_>,
    name: &[u8],
    there: OwnedFd,
    slash: bool,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd> {
    let directory = slash || flags.contains(OFlags::DIRECTORY);
    if directory && super::fs::file_type(there.as_fd())? != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    if flags.contains(OFlags::PATH) {
        return Ok(there);
    }
    rustix::fs::openat(dir, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode)
}

/// Along names that are no links; none is the root.
fn again(root: BorrowedFd<'_>, names: &[u8]) -> Result<Option<OwnedFd>> {
    let mut at: Option<OwnedFd> = None;
    for name in names.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        let dir = at.as_ref().map_or(root, AsFd::as_fd);
        at = Some(rustix::fs::openat(dir, name, STEP | OFlags::DIRECTORY, Mode::empty())?);
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, fstat, mkdirat, symlinkat};

    /// A tree with every kind of link, and what the kernel says of a path in it beside what the walk says.
    #[test]
    #[allow(clippy::too_many_lines, reason = "the tree, the paths and the ways to open them are tables")]
    fn the_walk_answers_as_the_kernel_does() {
        #[allow(clippy::disallowed_methods, reason = "a test's own directory")]
        let base = std::env::temp_dir().join(format!("coracle-resolve-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&base);
        std::fs::create_dir_all(base.join("root/a/b/c")).unwrap();
        std::fs::File::create(base.join("root/a/file")).unwrap();
        std::fs::File::create(base.join("outside")).unwrap();
        let root =
            rustix::fs::open(base.join("root"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        mkdirat(&root, "proc", Mode::from(0o755)).unwrap();
        let links = [
            ("abs", "/a/b"),
            ("rel", "a/b"),
            ("up", "../../outside"),
            ("far", "/../../a/./b/../file"),
            ("loop", "loop"),
            ("a/b/back", "../../abs/c"),
            ("none", "nowhere"),
            ("one", "two"),
            ("two", "one/x"),
            ("dot", "."),
            ("a/root", "/"),
            ("slash", "a/file/"),
        ];
        for (name, text) in links {
            symlinkat(text, &root, name).unwrap();
        }
        let paths = [
            ".",
            "..",
            "/",
            "a",
            "a/",
            "a/b/c",
            "a//b/./c",
            "a/../a/b",
            "../a",
            "../../a/b",
            "/a",
            "a/file",
            "a/file/",
            "a/file/x",
            "a/file/..",
            "a/file/.",
            "abs",
            "abs/",
            "abs/c",
            "abs/..",
            "abs/../file",
            "rel",
            "rel/c/../..",
            "up",
            "far",
            "loop",
            "loop/x",
            "a/b/back",
            "a/b/back/..",
            "a/b/back/../back",
            "none",
            "none/x",
            "one",
            "dot/a/dot",
            "a/root/a/file",
            "slash",
            "x",
            "x/y",
            "",
            "a/new",
            "none/new",
            "abs/new/..",
        ];
        let resolves = [ResolveFlags::IN_ROOT, ResolveFlags::BENEATH];
        let opens = [
            OFlags::PATH,
            OFlags::PATH | OFlags::NOFOLLOW,
            OFlags::PATH | OFlags::DIRECTORY,
            OFlags::RDONLY,
            OFlags::RDONLY | OFlags::NOFOLLOW,
            OFlags::RDONLY | OFlags::DIRECTORY,
            OFlags::RDWR,
        ];
        let mut same = 0;
        for resolve in resolves.into_iter().flat_map(|r| [r, r | ResolveFlags::NO_SYMLINKS]) {
            for flags in opens {
                for path in paths {
                    let tidy = |answer: Result<OwnedFd>| {
                        let answer =
                            answer.map(|fd| fstat(&fd).map(|stat| (stat.st_dev, stat.st_mode)).unwrap());
                        for made in ["a/new", "nowhere", "new"] {
                            let _ = rustix::fs::unlinkat(&root, made, rustix::fs::AtFlags::empty());
                        }
                        answer
                    };
                    let inode = |fd: &Result<OwnedFd>| fd.as_ref().ok().map(|fd| fstat(fd).unwrap().st_ino);
                    let flags = flags | OFlags::CLOEXEC;
                    let mode = if flags.contains(OFlags::CREATE) { Mode::from(0o600) } else { Mode::empty() };
                    let kernel = rustix::fs::openat2(&root, path, flags, mode, resolve);
                    let (wanted, kernel) = (inode(&kernel), tidy(kernel));
                    let ours = walk(root.as_fd(), path.as_bytes(), flags, mode, resolve, None);
                    let (found, ours) = (inode(&ours), tidy(ours));
                    assert_eq!(ours, kernel, "{path:?} {flags:?} {resolve:?}");
                    if !flags.contains(OFlags::CREATE) {
                        assert_eq!(found, wanted, "{path:?} {flags:?} {resolve:?}");
                    }
                    same += 1;
                }
            }
        }
        assert_eq!(same, 4 * opens.len() * paths.len());
        std::fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn magic_links_are_refused() {
        let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let open = |path: &str| {
            walk(proc.as_fd(), path.as_bytes(), OFlags::PATH, Mode::empty(), ResolveFlags::IN_ROOT, None)
        };
        for path in ["self/exe", "self/cwd", "self/root", "self/ns/user", "self/fd/0", "self/root/etc"] {
            assert_eq!(open(path).unwrap_err(), Errno::LOOP, "{path}");
        }
        open("self/status").unwrap();
        open("mounts").unwrap();
        assert_eq!(
            walk(CWD, b"a", OFlags::PATH, Mode::empty(), ResolveFlags::NO_SYMLINKS, None).unwrap_err(),
            Errno::NOSYS,
            "a root is what it is for"
        );
    }
}
