//! Putting files into a root file system before the start: users, links, small texts, a program (`ondisk::seed`).
//!
//! Runs inside the store's user namespace with the root file system mounted and no process in it. The files are the image's
//! and then the user's: every path is resolved by openat2 below the root, a file is written under a name of its own and
//! renamed, and what is there already as it should be is not touched (no copy-up at the second start).

use super::rootfs::Mounted;
use crate::error::{Context, Error, Result};
use crate::ondisk::seed::{Entry, NAME, Seed};
use crate::ondisk::{self};
use crate::paths::Dirs;
use crate::sys::CallContext;
use crate::sys::fs::{Symlinks, file_type, open_below};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Applies the container's seed, when it has one.
pub fn apply(dirs: &Dirs, id: &crate::id::ContainerId, rootfs: &Mounted) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let path = dirs.container(id);
    let dir = rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})"))?;
    let Some(seed) = ondisk::read_opt::<Seed>(&dir, NAME)? else { return Ok(()) };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::open(&rootfs.path, flags, Mode::empty()).call(|| format!("open({:?})", rootfs.path))?;
    let field = Field { root, owner: seed.root };
    seed.entries.iter().try_for_each(|entry| field.sow(entry))
}

struct Field {
    root: OwnedFd,
    owner: (u32, u32),
}

impl Field {
    fn sow(&self, entry: &Entry) -> Result<()> {
        match entry {
            Entry::User { name, uid, gid, gecos, home, shells } => {
                let shell = shells.iter().find(|shell| self.is_file(shell));
                let shell = shell.map_or("/bin/sh", String::as_str);
                let line = format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}");
                self.edit("/etc/passwd", 0o644, |text| with_user(text, name, *uid, &line))?;
                if self.open("/etc/shadow", OFlags::PATH)?.is_some() {
                    self.edit("/etc/shadow", 0o640, |text| with_shadow(text, name))?;
                }
                Ok(())
            }
            Entry::Group { name, gid } => self.edit("/etc/group", 0o644, |text| with_group(text, name, *gid)),
            Entry::File { path, mode, text } => self.edit(path, *mode, |_| text.clone()),
            Entry::Link { path, target, keep } => self.link(path, target, *keep),
            Entry::Program { path, source, mode } => self.program(path, source, *mode),
        }
        .what(|| "cannot prepare the container's files")
    }

    fn open(&self, path: &str, flags: OFlags) -> Result<Option<OwnedFd>> {
        match open_below(self.root.as_fd(), &c_path(path)?, flags, Symlinks::InRoot) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(e) => Ok(Err(e).call(|| format!("openat2({path:?})"))?),
        }
    }

    fn is_file(&self, path: &str) -> bool {
        let found = self.open(path, OFlags::PATH).ok().flatten();
        found.is_some_and(|fd| file_type(fd.as_fd()) == Ok(FileType::RegularFile))
    }

    /// The directory that holds `path`, made with its parents when missing, and the last name.
    fn parent<'p>(&self, path: &'p str) -> Result<(OwnedFd, &'p str)> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        if let Some(fd) = self.open(if dir.is_empty() { "/" } else { dir }, flags)? {
            return Ok((fd, name));
        }
        let (above, last) = self.parent(dir)?;
        match rustix::fs::mkdirat(&above, last, Mode::from(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Ok(Err(e).call(|| format!("mkdirat({dir:?})"))?),
        }
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(&above, last, flags, Mode::empty()).call(|| format!("openat({dir:?})"))?;
        self.give(&fd, 0o755)?;
        Ok((fd, name))
    }

    /// Owner first: chown takes setuid away.
    fn give(&self, fd: &OwnedFd, mode: u32) -> Result<()> {
        let (uid, gid) = self.owner;
        rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).call(|| "fchown()")?;
        rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)).call(|| "fchmod()")?;
        Ok(())
    }

    /// Makes the file what `change` makes of its text. One that exists keeps its mode.
    fn edit(&self, path: &str, mode: u32, change: impl FnOnce(&str) -> String) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut old = None;
        if let Some(fd) = self.open(path, flags)? {
            let st = rustix::fs::fstat(&fd).call(|| format!("fstat({path:?})"))?;
            if FileType::from_raw_mode(st.st_mode) != FileType::RegularFile {
                return Err(Error::host(format_args!("{path} of the image is not a file")));
            }
            let mut bytes = Vec::new();
            File::from(fd).take(MAX_FILE).read_to_end(&mut bytes).call(|| format!("read({path:?})"))?;
            old = Some((String::from_utf8_lossy(&bytes).into_owned(), st.st_mode & 0o7777));
        }
        let text = change(old.as_ref().map_or("", |(text, _)| text));
        if old.as_ref().is_some_and(|(old, _)| *old == text) {
            return Ok(());
        }
        self.put(path, old.map_or(mode, |(_, mode)| mode), |file| {
            file.write_all(text.as_bytes()).call(|| format!("write({path:?})"))?;
            Ok(())
        })
    }

    fn put(&self, path: &str, mode: u32, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        let temporary = format!(".{name}.coracle");
        let _ = rustix::fs::unlinkat(&dir, &temporary, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&dir, &temporary, flags, Mode::from(0o600))
            .call(|| format!("openat({path:?}, O_CREAT)"))?;
        let mut file = File::from(fd);
        fill(&mut file)?;
        self.give(&file.into(), mode)?;
        rustix::fs::renameat(&dir, &temporary, &dir, name).call(|| format!("renameat({path:?})"))?;
        Ok(())
    }

    fn link(&self, path: &str, target: &str, keep: bool) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        match rustix::fs::readlinkat(&dir, name, Vec::new()) {
            Ok(found) if found.as_bytes() == target.as_bytes() => return Ok(()),
            Err(Errno::NOENT) => {}
            _ if keep => return Ok(()),
            _ => rustix::fs::unlinkat(&dir, name, AtFlags::empty()).call(|| format!("unlinkat({path:?})"))?,
        }
        rustix::fs::symlinkat(target, &dir, name).call(|| format!("symlinkat({target:?}, {path:?})"))?;
        Ok(())
    }

    fn program(&self, path: &str, source: &str, mode: u32) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        if rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Ok(());
        }
        let mut from = File::open(source).call(|| format!("open({source:?})"))?;
        self.put(path, mode, |file| {
            std::io::copy(&mut from, file).call(|| format!("copy({source:?}, {path:?})"))?;
            Ok(())
        })
    }
}

fn c_path(path: &str) -> Result<CString> {
    CString::new(path).map_err(|_| Error::usage("a path with a NUL byte"))
}

fn field(line: &str, at: usize) -> &str {
    line.split(':').nth(at).unwrap_or("")
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn with_user(text: &str, name: &str, uid: u32, line: &str) -> String {
    let uid = uid.to_string();
    let other = |l: &&str| field(l, 0) != name && field(l, 2) != uid;
    let mut lines: Vec<&str> = text.lines().filter(other).collect();
    if !lines.iter().any(|l| field(l, 2) == "0") && uid != "0" {
        lines.insert(0, "root:x:0:0:root:/root:/bin/sh");
    }
    lines.push(line);
    joined(&lines)
}

fn with_shadow(text: &str, name: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let line = format!("{name}:*::0:99999:7:::");
    if !lines.iter().any(|l| field(l, 0) == name) {
        lines.push(&line);
    }
    joined(&lines)
}

/// The group stands first, so that its name wins over another group of that name.
fn with_group(text: &str, name: &str, gid: u32) -> String {
    let gid = gid.to_string();
    let old = text.lines().find(|l| field(l, 2) == gid);
    if old.is_some_and(|l| field(l, 0) == name) {
        return text.to_owned();
    }
    let members = old.map_or("", |l| field(l, 3));
    let line = format!("{name}:x:{gid}:{members}");
    let mut lines = vec![line.as_str()];
    lines.extend(text.lines().filter(|l| field(l, 2) != gid));
    joined(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_takes_the_place_of_who_has_the_name_or_the_uid() {
        let text =
            "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\nada:x:5:5::/:/bin/sh\n";
        let line = "ada:x:1000:1000::/home/ada:/bin/bash";
        let want = format!("root:x:0:0:root:/root:/bin/sh\n{line}\n");
        assert_eq!(with_user(text, "ada", 1000, line), want);
        assert_eq!(with_user(&want, "ada", 1000, line), want, "twice is once");
        assert_eq!(with_user("", "ada", 1000, line), want, "an image without users");
    }

    #[test]
    fn a_group_takes_the_place_of_who_has_the_gid() {
        let text = "root:x:0:\nuser:x:1000:bob\nada:x:7:\n";
        let want = "ada:x:1000:bob\nroot:x:0:\nada:x:7:\n";
        assert_eq!(with_group(text, "ada", 1000), want);
        assert_eq!(with_group(want, "ada", 1000), want);
    }

    #[test]
    fn a_shadow_line_that_is_there_stays() {
        assert_eq!(with_shadow("root:*:1::::::\n", "ada"), "root:*:1::::::\nada:*::0:99999:7:::\n");
        assert_eq!(with_shadow("ada:x:1::::::\n", "ada"), "ada:x:1::::::\n");
    }
}
