//! A container's root file system as one tar stream, without what is mounted in it.
//!
//! The root directory is a mount of its own, running or not (`cp` says how it is reached). An entry with another mount id
//! is a mount point: it is written empty, as it is below the mount, and never entered. Nothing is followed.

use super::copy::{Recorded, archive, names, open_dir, stat};
use super::cp::{Place, Tree};
use crate::error::{Context, Result};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, FileType, StatxFlags};
use std::ffi::{CStr, OsStr};
use std::io::{BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Writes all files of `c`; `root` is its root directory when it is running.
pub fn export(dirs: &Dirs, c: &Container, root: Option<OwnedFd>, to: impl Write) -> Result<()> {
    let what = || format!("cannot export container {}", c.name);
    let place = Place::Container { container: Box::new(c.clone()), root, path: "/".to_owned() };
    let tree = Tree::open(dirs, &place).what(what)?;
    let written = tree.open_directory("/").and_then(|root| {
        let mut tar = tar::Builder::new(BufWriter::with_capacity(256 << 10, to));
        let mount = mount_id(root.as_fd(), c".")?;
        let owners = Recorded::of(dirs, c, root.as_fd())?;
        pack_contents(root.as_fd(), Path::new(""), mount, &owners, &mut tar)?;
        let mut to = tar.into_inner().call(|| "write(tar)")?;
        to.flush().call(|| "write(tar)")?;
        Ok(())
    });
    tree.close();
    written.what(what)
}

fn pack_contents<W: Write>(
    dir: BorrowedFd<'_>,
    shown: &Path,
    mount: u64,
    owners: &Recorded,
    tar: &mut tar::Builder<W>,
) -> Result<()> {
    for name in names(dir)? {
        let shown = shown.join(OsStr::from_bytes(name.as_bytes()));
        let is_directory = stat(dir, &name)?.kind == FileType::Directory;
        if mount_id(dir, &name)? != mount {
            archive::pack_empty(dir, &name, &shown, owners, tar)?;
        } else if is_directory {
            archive::pack_empty(dir, &name, &shown, owners, tar)?;
            pack_contents(open_dir(dir, &name)?.as_fd(), &shown, mount, owners, tar)?;
        } else {
            archive::pack(dir, &name, &shown, owners, tar)?;
        }
    }
    Ok(())
}

/// Which mount an entry is on; where the kernel does not say (before 5.8), all are on the same.
fn mount_id(dir: BorrowedFd<'_>, name: &CStr) -> Result<u64> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let found =
        rustix::fs::statx(dir, name, flags, StatxFlags::MNT_ID).call(|| format!("statx({name:?})"))?;
    let said = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID);
    Ok(if said { found.stx_mnt_id } else { 0 })
}
