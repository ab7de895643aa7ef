//! Which extended attributes of an archive are set, and which never are.

use crate::error::Result;
use crate::sys::CallContext;
use rustix::fs::XattrFlags;
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// Whether an attribute of an archive may be set on a file of a layer.
pub fn allowed(name: &[u8]) -> bool {
    let Some(dot) = name.iter().position(|b| *b == b'.') else { return false };
    let (class, rest) = name.split_at(dot);
    let rest = rest.get(1..).unwrap_or_default();
    match class {
        // `user.overlay.*`, `user.fuseoverlayfs.*` and `user.containers.*` would speak to the drivers.
        b"user" => ![&b"overlay."[..], b"fuseoverlayfs.", b"containers."].iter().any(|p| rest.starts_with(p)),
        b"security" => rest == b"capability",
        b"system" => matches!(rest, b"posix_acl_access" | b"posix_acl_default"),
        // `trusted.*` is for the initial namespace alone.
        _ => false,
    }
}

/// Sets the attributes; returns how many were not `wanted`, or the kernel or the file system refused. Those that are never set
/// are not counted.
pub fn set(
    fd: BorrowedFd<'_>,
    attributes: &[(Vec<u8>, Vec<u8>)],
    wanted: &dyn Fn(&[u8]) -> bool,
) -> Result<u64> {
    let mut skipped = 0;
    for (name, value) in attributes.iter().filter(|(name, _)| allowed(name)) {
        if !wanted(name) {
            skipped += 1;
            continue;
        }
        match rustix::fs::fsetxattr(fd, &**name, value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP | Errno::PERM | Errno::INVAL | Errno::NODATA) => skipped += 1,
            Err(e) => return Ok(Err(e).call(|| format!("fsetxattr({})", super::tar::show(name)))?),
        }
    }
    Ok(skipped)
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn nothing_of_an_archive_speaks_to_an_overlay() {
        for dropped in [
            "user.overlay.redirect",
            "user.overlay.opaque",
            "trusted.overlay.metacopy",
            "user.overlay.overlay.opaque",
            "user.fuseoverlayfs.opaque",
            "user.containers.override_stat",
            "security.selinux",
            "security.ima",
            "system.nfs4_acl",
            "x",
            "",
        ] {
            assert!(!allowed(dropped.as_bytes()), "{dropped}");
        }
        for kept in ["user.x", "user.overlayish", "security.capability", "system.posix_acl_access"] {
            assert!(allowed(kept.as_bytes()), "{kept}");
        }
    }
}
