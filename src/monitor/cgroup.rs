//! The container's cgroup as the monitor uses it: `<scope>/supervisor` for itself and its helpers, `<scope>/payload` for
//! the container. A cgroup with processes cannot hand controllers to children, so nobody stays in `<scope>` itself.

use crate::cgroup::delegate;
use crate::error::{Error, Result};
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

pub(super) const PAYLOAD: &str = "payload";
pub(super) const SUPERVISOR: &str = "supervisor";

/// The directory of a cgroup that is named relative to the mount (with or without a leading slash).
fn directory(cgroup: &str) -> Result<PathBuf> {
    let missing = || {
        Error::host("cannot use the container's cgroup")
            .cause(format_args!("{cgroup} is not in a cgroup2 mount"))
    };
    delegate::tree().and_then(|tree| delegate::dir_of(tree, cgroup)).ok_or_else(missing)
}

/// Whether the calling process is in a cgroup whose path ends so.
pub(super) fn is_own(suffix: &str) -> bool {
    delegate::path_of(rustix::process::getpid().as_raw_nonzero().get())
        .is_some_and(|own| own.ends_with(suffix))
}

/// Opens the container's cgroup.
pub(super) fn open(cgroup: &str) -> Result<OwnedFd> {
    let path = directory(cgroup)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})"))?)
}

/// Moves the calling process into `supervisor` and hands every controller to a new `payload`: one that a killed monitor
/// left is no place to be born in (Linux 6.14 and later count the kills, see `runtime::spawn`), nor are those below it. One
/// that cannot be handed down is missing there, where the runtime says so if a limit needs it.
pub(super) fn enter_supervisor(cgroup: &str) -> Result<()> {
    remove(open(cgroup)?.as_fd(), PAYLOAD);
    delegate::split(&directory(cgroup)?).map(drop)
}

/// Kills every process of `child` at once (cgroup.kill, Linux 5.14). Nothing to kill is fine.
pub(super) fn kill(cgroup: BorrowedFd<'_>, child: &str) {
    let _ = write(cgroup, &format!("{child}/cgroup.kill"), "1");
}

/// Removes `child`, empty by now, with what the payload made below it.
pub(super) fn remove(cgroup: BorrowedFd<'_>, child: &str) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if rustix::fs::unlinkat(cgroup, child, AtFlags::REMOVEDIR).is_ok() {
        return;
    }
    let Ok(dir) = rustix::fs::openat(cgroup, child, flags, Mode::empty()) else { return };
    if let Ok(entries) = rustix::fs::Dir::read_from(&dir) {
        for entry in entries.flatten() {
            if entry.file_type().is_dir() && !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                remove(dir.as_fd(), &entry.file_name().to_string_lossy());
            }
        }
    }
    let _ = rustix::fs::unlinkat(cgroup, child, AtFlags::REMOVEDIR);
}

/// Reads a control file.
pub(super) fn read(cgroup: BorrowedFd<'_>, file: &str) -> Result<String> {
    let fd = rustix::fs::openat(cgroup, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("openat({file:?})"))?;
    let mut buf = [0u8; 4096];
    let (text, _) = rustix::io::read(&fd, buf.as_mut_slice())
        .map(|n| buf.split_at(n))
        .call(|| format!("read({file:?})"))?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn write(cgroup: BorrowedFd<'_>, file: &str, text: &str) -> Result<()> {
    let fd = rustix::fs::openat(cgroup, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("openat({file:?})"))?;
    rustix::io::write(&fd, text.as_bytes()).call(|| format!("write({file:?}, {text:?})"))?;
    Ok(())
}
