//! fuse-overlayfs: layers as one tree where the kernel's overlay cannot serve, and with shifted owners (keep-id).
//!
//! The FUSE mount is made by us; the server gets the connection as its stdin and `/dev/fd/0` as its mount point, so it
//! needs no fusermount. It stays in the foreground: its pidfd is how its death is seen. Its words go to an unnamed file,
//! because nobody may be there to read a pipe.

use super::Tool;
use crate::error::{Context, Result};
use crate::sys::CallContext;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Child;

/// The program.
pub const TOOL: Tool = Tool {
    name: "fuse-overlayfs",
    needed_to: "show layers without the kernel's overlay",
    packages: ["fuse-overlayfs", "fuse-overlayfs", "fuse-overlayfs"],
    search_path: true,
};

/// Pieces of a map as fuse-overlayfs takes them: id on disk, id shown, count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMapping {
    pub uids: Vec<(u32, u32, u32)>,
    pub gids: Vec<(u32, u32, u32)>,
    /// One id is mapped: all is shown as root's.
    pub all_to_root: bool,
}

/// Its arguments for layers (top first), upper and work directory.
pub fn args(lowers: &[String], upper: &str, work: &str, mapping: &IdMapping) -> Vec<OsString> {
    let mut options = format!("lowerdir={},upperdir={upper},workdir={work}", lowers.join(":"));
    for (name, pieces) in [("uidmapping", &mapping.uids), ("gidmapping", &mapping.gids)] {
        if !pieces.is_empty() {
            let text: Vec<String> =
                pieces.iter().map(|(disk, shown, count)| format!("{disk}:{shown}:{count}")).collect();
            options.push_str(&format!(",{name}={}", text.join(":")));
        }
    }
    if mapping.all_to_root {
        options.push_str(",squash_to_root");
    }
    ["-f".into(), "-o".into(), options.into(), "/dev/fd/0".into()].into()
}

/// Starts the server of the FUSE connection `fuse` in the directory that `args` are relative to.
pub fn start(args: &[OsString], directory: &Path, fuse: OwnedFd, words: File) -> Result<Child> {
    let mut command = TOOL.command()?;
    command.args(args).current_dir(directory).stdin(fuse);
    command.stdout(std::process::Stdio::null()).stderr(words);
    command.spawn().call(|| "execve(fuse-overlayfs)").what(|| "cannot start fuse-overlayfs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_written_as_disk_shown_count() {
        let mapping =
            IdMapping { uids: vec![(0, 1, 1000), (1000, 0, 1)], gids: Vec::new(), all_to_root: false };
        let args = args(&["l/a".into(), "l/b".into()], "u", "w", &mapping);
        assert_eq!(args[2], "lowerdir=l/a:l/b,upperdir=u,workdir=w,uidmapping=0:1:1000:1000:0:1");
        assert_eq!(args[3], "/dev/fd/0");
    }
}
