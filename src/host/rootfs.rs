//! Ways to make one tree of layers, each mounted on this storage directory.

use super::child::{Child, FUSE_OVERLAYFS};
use super::{Probe, Report, install_command};
use crate::error::Error;
use crate::external::{mksquashfs::TOOL as MKSQUASHFS, squashfuse};
use crate::paths::Dirs;

pub(super) fn probe(dirs: &Dirs, child: Option<&Child>, report: &mut Report) {
    report.abilities.drivers.push("vfs");
    let Some(child) = child else { return };
    let parent = dirs.data.join("staging");
    if rustix::fs::mkdir(&parent, rustix::fs::Mode::from_raw_mode(0o700))
        .is_err_and(|e| e != rustix::io::Errno::EXIST)
    {
        return; // the storage probe has said why
    }
    let parent = parent.to_string_lossy().into_owned();
    if let Err(e) = child.ask(&format!("scratch {parent}")) {
        let fact = format!("root of the store's user namespace cannot write {} ({e})", dirs.data.display());
        report.probes.push(
            Probe::fail("overlay", fact)
                .fix("use a directory whose parents are open to you: coracle --root DIR"),
        );
        return;
    }
    let overlay = child.ask(&format!("overlay {parent}"));
    let device = child.ask(&format!("fuse {parent}"));
    let fuse = FUSE_OVERLAYFS.locate().map(|_| child.ask(&format!("fuse-overlayfs {parent}")));
    if let Some(Ok(())) = fuse {
        report.abilities.drivers.insert(0, "fuse-overlayfs");
    }
    if overlay.is_ok() {
        report.abilities.drivers.insert(0, "overlay");
    }
    report.probes.push(overlay_probe(&overlay, matches!(fuse, Some(Ok(())))));
    report.probes.push(fuse_probe(&device, fuse, overlay.is_ok()));
    report.probes.extend(device.is_ok().then(one_file_probe));
}

/// What images in one file need beside /dev/fuse.
fn one_file_probe() -> Probe {
    let meanwhile = "images of the store run, images in one file do not";
    match (squashfuse::TOOL.locate(), squashfuse::PLAIN.locate(), MKSQUASHFS.locate()) {
        (None, None, _) => Probe::warn("image-files", "squashfuse is not installed")
            .fix_as_root(install_command(squashfuse::TOOL.packages))
            .meanwhile(meanwhile),
        (_, _, None) => Probe::warn("image-files", "mksquashfs is not installed")
            .fix_as_root(install_command(MKSQUASHFS.packages))
            .meanwhile("images in one file run, `coracle image squash` writes none"),
        (Some(program), ..) => {
            Probe::pass("image-files", format!("{} and mksquashfs are there", program.display()))
        }
        (None, Some(program), _) => Probe::pass(
            "image-files",
            format!("{}, of one thread, and mksquashfs are there", program.display()),
        ),
    }
}

fn overlay_probe(overlay: &Result<(), Error>, has_fuse: bool) -> Probe {
    match overlay {
        Ok(()) => Probe::pass("overlay", "the kernel's overlay mounts in a user namespace on this storage"),
        Err(e) => {
            let meanwhile =
                if has_fuse { "fuse-overlayfs is used" } else { "each container gets a copy of its image" };
            Probe::warn("overlay", format!("the kernel's overlay does not mount on this storage ({e})"))
                .fix("put the store on a local ext4, xfs, btrfs or tmpfs with kernel 5.11 or later: coracle --root DIR")
                .meanwhile(meanwhile)
        }
    }
}

fn fuse_probe(device: &Result<(), Error>, fuse: Option<Result<(), Error>>, has_overlay: bool) -> Probe {
    let needless =
        if has_overlay { "the kernel's overlay is used" } else { "each container gets a copy of its image" };
    // keep-id shows the image's files under other ids, which only fuse-overlayfs does without real root.
    let meanwhile = format!(
        "{needless}; with --userns keep-id, as in a toolbox, each container gets a copy of its image"
    );
    if let Err(e) = device {
        return Probe::warn("fuse", format!("/dev/fuse cannot be used ({e})"))
            .fix_as_root("modprobe fuse && chmod 666 /dev/fuse")
            .meanwhile(meanwhile);
    }
    match fuse {
        Some(Ok(())) => Probe::pass("fuse", "/dev/fuse and fuse-overlayfs work"),
        Some(Err(e)) => Probe::warn("fuse", format!("fuse-overlayfs does not mount ({e})"))
            .fix_as_root(install_command(FUSE_OVERLAYFS.packages))
            .meanwhile(meanwhile),
        None => Probe::warn("fuse", "/dev/fuse works, fuse-overlayfs is not installed")
            .fix_as_root(install_command(FUSE_OVERLAYFS.packages))
            .meanwhile(meanwhile),
    }
}
