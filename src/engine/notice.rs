//! Things that are said once per store, not at every command: the mark is an empty file `said/<key>-<hash of the text>`,
//! so that a text that changes is said again.

use super::names::subdir;
use crate::paths::Dirs;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

/// The text, the first time.
pub fn once(dirs: &Dirs, key: &str, text: String) -> Option<String> {
    let hash = Sha256::digest(text.as_bytes());
    let mark = format!("{key}-{}", crate::id::hex(hash.get(..6).unwrap_or_default()));
    let said = dirs.open_data().and_then(|data| subdir(&data, "said")).ok()?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&said, &mark, flags, Mode::from(0o600)) {
        Err(rustix::io::Errno::EXIST) => None,
        _ => Some(text),
    }
}
