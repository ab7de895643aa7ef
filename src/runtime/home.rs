//! HOME of the container's user, from its /etc/passwd, when the environment has none.
//!
//! The file is the image's: read through the rootfs fd, a regular file only, at most 1 MiB (R9). Nothing found: `/`.

use super::plan;
use crate::sys::fs::{Symlinks, open_below};
use oci_spec::runtime::{Process, Spec};
use rustix::fs::{FileType, Mode, OFlags};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

const MAX_PASSWD: u64 = 1 << 20;

/// Whether the environment has a HOME. An empty one is none, as with runc.
pub fn is_set(process: &Process) -> bool {
    let last = process.env().iter().flatten().rev().find_map(|var| var.strip_prefix("HOME="));
    last.is_some_and(|home| !home.is_empty())
}

/// None when the environment has a HOME already.
pub fn of(config: &Spec, bundle: &Path) -> Option<String> {
    let process = config.process().as_ref()?;
    if is_set(process) {
        return None;
    }
    let found = read_passwd(config, bundle).and_then(|text| home_in(&text, process.user().uid()));
    Some(found.unwrap_or_else(|| "/".to_owned()))
}

/// /etc/passwd of the rootfs of a bundle.
pub fn read_passwd(config: &Spec, bundle: &Path) -> Option<String> {
    let path = plan::rootfs_path(config, bundle).ok()?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    read_from(root.as_fd())
}

/// /etc/passwd below `root`.
pub fn read_from(root: std::os::fd::BorrowedFd<'_>) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open_below(root, c"etc/passwd", flags, Symlinks::InRoot).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut bytes = Vec::new();
    File::from(file).take(MAX_PASSWD).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The sixth field of the user's line.
pub fn home_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let id = fields.nth(2)?.parse::<u32>().ok()?;
        let home = fields.nth(2)?;
        (id == uid && home.starts_with('/')).then(|| home.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::home_in;

    #[test]
    fn home_is_the_sixth_field() {
        let text = "bad\nroot:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nrel:x:5:5::home:/bin/sh\n";
        assert_eq!(home_in(text, 1000).as_deref(), Some("/home/ada"));
        assert_eq!(home_in(text, 5), None);
        assert_eq!(home_in(text, 7), None);
    }
}
