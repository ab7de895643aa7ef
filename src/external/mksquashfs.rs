//! mksquashfs: writes a directory as a squashfs, on all cores.
//!
//! The program and not a crate: `backhand` writes no extended attributes (file capabilities would be lost), no hard links,
//! and keeps every inode in memory; this one is in every distribution, and its output is the same bytes for the same tree.
//! What it reads is the mounted merge of the layers, so nothing is unpacked for it.

use super::Tool;
use crate::error::Result;
use std::ffi::OsString;
use std::path::Path;

/// The program.
pub const TOOL: Tool = Tool {
    name: "mksquashfs",
    needed_to: "write a squashfs",
    packages: ["squashfs-tools", "squashfs-tools", "squashfs"],
    search_path: true,
};

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    pub source: &'a Path,
    pub target: &'a Path,
    /// zstd's, 1 to 22.
    pub level: u8,
    /// The time in the superblock, seconds.
    pub time: u32,
    /// Pseudo file definitions: owners that the tree cannot have.
    pub owners: Option<&'a Path>,
}

/// Its arguments.
pub fn args(options: &Options<'_>) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec![options.source.into(), options.target.into()];
    args.extend(["-noappend", "-no-progress", "-quiet", "-no-recovery", "-reproducible"].map(OsString::from));
    args.extend(["-comp", "zstd", "-Xcompression-level"].map(OsString::from));
    args.extend([options.level.to_string().into(), "-mkfs-time".into(), options.time.to_string().into()]);
    args.extend(options.owners.iter().flat_map(|file| ["-pf".into(), file.as_os_str().to_owned()]));
    args
}

/// Runs it to its end.
pub fn run(options: &Options<'_>) -> Result<()> {
    TOOL.run(args(options)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_depend_on_nothing_but_the_tree() {
        let options = Options {
            source: Path::new("/m"),
            target: Path::new("/a.sqsh"),
            level: 9,
            time: 7,
            owners: Some(Path::new("/o")),
        };
        let args: Vec<String> =
            args(&options).into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        assert_eq!(&args[..3], ["/m", "/a.sqsh", "-noappend"]);
        assert!(args.contains(&"-reproducible".to_owned()), "{args:?}");
        assert!(args.join(" ").ends_with("-Xcompression-level 9 -mkfs-time 7 -pf /o"), "{args:?}");
    }
}
