//! `<container>/live`, the box's /run/coracle: what changes on the host while the box lives, written anew at every enter.
//!
//! The box's /etc/hosts, /etc/resolv.conf and /etc/localtime are links into it. Files are replaced by rename, so that a
//! reader sees the old or the new one; one that has not changed is not written.

use crate::error::{Context, Result};
use crate::ondisk::container::Container;
use crate::ondisk::{Durability, atomic};
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Its name in the container's directory.
pub const DIRECTORY: &str = "live";
/// Its place in the box.
pub const PLACE: &str = "/run/coracle";
/// Where the box sees the host's root.
pub const HOST: &str = "/run/host";

/// Brings it up to date.
pub fn write(dirs: &Dirs, c: &Container) -> Result<()> {
    let path = dirs.container(&c.id).join(DIRECTORY);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})"))?;
    // Others of the box must get in; only the container's directory keeps the host's users out.
    rustix::fs::fchmod(&dir, Mode::from(0o755)).call(|| format!("fchmod({path:?})"))?;
    text(&dir, &path, "hosts", &hosts(&c.hostname))?;
    for name in ["resolv.conf", "localtime", "host.conf"] {
        let target = real(&format!("/etc/{name}")).map(|real| format!("{HOST}{real}"));
        link(&dir, name, target.as_deref())?;
    }
    Ok(())
}

/// The host's names, and the box's own.
fn hosts(hostname: &str) -> String {
    let host = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let newline = if host.is_empty() || host.ends_with('\n') { "" } else { "\n" };
    format!("{host}{newline}127.0.1.1 {hostname}\n")
}

/// Where the file really is, links resolved; none where there is no such file.
pub fn real(path: &str) -> Option<String> {
    let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    let target = rustix::fs::readlink(Path::new(&link), Vec::new()).ok()?;
    target.into_string().ok().filter(|t| t.starts_with('/'))
}

fn text(dir: &OwnedFd, path: &Path, name: &str, text: &str) -> Result<()> {
    if std::fs::read(path.join(name)).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    atomic::publish_bytes(dir.as_fd(), name, text.as_bytes(), Durability::Volatile)
        .and_then(|()| {
            rustix::fs::chmodat(dir, name, Mode::from(0o644), AtFlags::empty())
                .call(|| format!("chmod({name})"))?;
            Ok(())
        })
        .what(|| format!("cannot write {name}"))
}

fn link(dir: &OwnedFd, name: &str, target: Option<&str>) -> Result<()> {
    let old = rustix::fs::readlinkat(dir, name, Vec::new()).ok();
    if old.as_ref().map(|old: &CString| old.as_bytes()) == target.map(str::as_bytes) {
        return Ok(());
    }
    if old.is_some() {
        let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
    }
    match target.map(|target| rustix::fs::symlinkat(Path::new(target), dir, name)) {
        // Another enter was faster.
        None | Some(Ok(()) | Err(rustix::io::Errno::EXIST)) => Ok(()),
        Some(Err(e)) => Ok(Err(e).call(|| format!("symlinkat({name:?})"))?),
    }
}
