//! The container's cgroup as the monitor uses it: `<scope>/supervisor` for itself and its helpers, `<scope>/payload` for
//! the container. A cgroup with processes cannot hand controllers to children, so nobody stays in `<scope>` itself.

use crate::error::{Context, Result};
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

pub(super) const PAYLOAD: &str = "payload";
pub(super) const SUPERVISOR: &str = "supervisor";

/// Where cgroup2 is mounted: alone, or beside version 1.
fn mount_point() -> &'static Path {
    let unified = Path::new("/sys/fs/cgroup/unified");
    if unified.join("cgroup.procs").exists() { unified } else { Path::new("/sys/fs/cgroup") }
}

/// Absolute path of a cgroup that is named relative to the mount (with or without a leading slash).
fn absolute(cgroup: &str) -> PathBuf {
    mount_point().join(cgroup.trim_start_matches('/'))
}

/// Opens the container's cgroup.
pub(super) fn open(cgroup: &str) -> Result<OwnedFd> {
    let path = absolute(cgroup);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})"))?)
}

/// Moves the calling process into `supervisor` and hands every controller to the children.
pub(super) fn enter_supervisor(cgroup: BorrowedFd<'_>) -> Result<()> {
    match rustix::fs::mkdirat(cgroup, SUPERVISOR, Mode::from(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => {
            return Err(e).call(|| "mkdirat(\"supervisor\")").what(|| "cannot use the container's cgroup");
        }
    }
    write(cgroup, "supervisor/cgroup.procs", "0").what(|| "cannot enter the container's cgroup")?;
    let controllers = read(cgroup, "cgroup.controllers")?;
    for controller in controllers.split_whitespace() {
        // One that cannot be handed down is missing in payload/, where the runtime says so if a limit needs it.
        let _ = write(cgroup, "cgroup.subtree_control", &format!("+{controller}"));
    }
    Ok(())
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
