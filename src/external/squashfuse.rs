//! squashfuse: serves a squashfs to a FUSE mount of ours, so that nobody needs to be root to mount it.
//!
//! It gets the connection and the image as open files, by number: what it serves is what was checked. It stays in the
//! foreground, and ends by itself when the last mount of its connection is gone. `squashfuse_ll` works with several
//! threads; `squashfuse` is the older one, of distributions that have nothing else.

use super::Tool;
use crate::error::{Context, Result};
use std::ffi::{CString, OsString};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

/// The program with threads.
pub const TOOL: Tool = Tool {
    name: "squashfuse_ll",
    needed_to: "mount a squashfs as a user",
    packages: ["squashfuse", "squashfuse", "squashfuse"],
    search_path: true,
};

/// The one without.
pub const PLAIN: Tool = Tool { name: "squashfuse", ..TOOL };

/// Where it has the connection.
pub const CONNECTION: RawFd = 3;
const IMAGE: RawFd = 4;

/// Its arguments for a squashfs that begins at `offset`.
pub fn args(offset: u64) -> Vec<String> {
    let mut args = vec!["-f".to_owned()];
    if offset > 0 {
        args.extend(["-o".to_owned(), format!("offset={offset}")]);
    }
    args.extend([format!("/proc/self/fd/{IMAGE}"), format!("/dev/fd/{CONNECTION}")]);
    args
}

/// Starts the server of `connection`, in a process group of its own; what it says goes to `words`. Returns its pid.
pub fn start(
    connection: BorrowedFd<'_>,
    image: BorrowedFd<'_>,
    offset: u64,
    words: BorrowedFd<'_>,
) -> Result<i32> {
    let program = match TOOL.locate() {
        Some(program) => program,
        None => PLAIN.find()?,
    };
    let text = |arg: OsString| CString::new(arg.into_vec()).unwrap_or_default();
    let path = text(program.clone().into_os_string());
    let argv: Vec<CString> = std::iter::once(program.into_os_string())
        .chain(args(offset).into_iter().map(OsString::from))
        .map(text)
        .collect();
    let fds = [(words, 1), (words, 2), (connection, CONNECTION), (image, IMAGE)];
    crate::sys::spawn::spawn_leader(&path, &argv, &fds).what(|| "cannot start squashfuse")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_and_the_connection_go_by_number() {
        assert_eq!(args(0), ["-f", "/proc/self/fd/4", "/dev/fd/3"]);
        assert_eq!(args(4096), ["-f", "-o", "offset=4096", "/proc/self/fd/4", "/dev/fd/3"]);
    }
}
