//! The attributes of a bind mount that names some: what it does not name is cleared, as by `mount -o remount,bind` with
//! these words. In a user namespace what the source's mount has is kept instead, and naming its opposite is EPERM: who
//! owns only a namespace never loosens what was mounted outside of it.
//!
//! Two rules for atime, as everywhere: no word leaves it as it is, one word is the whole field.
//!
//! Used after clone: bare errnos, no allocation.

use super::mount::{
    self, ATTR_ATIME, ATTR_NOATIME, ATTR_NODEV, ATTR_NODIRATIME, ATTR_NOEXEC, ATTR_NOSUID, ATTR_NOSYMFOLLOW,
    ATTR_RDONLY, ATTR_STRICTATIME, MountAttr,
};
use rustix::fs::StatVfsMountFlags;
use rustix::io::{Errno, Result};
use std::os::fd::BorrowedFd;

/// What the kernel locks when a mount comes into a user namespace of less privilege, besides atime.
const LOCKABLE: u64 = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;
const TIMES: u64 = ATTR_ATIME | ATTR_NODIRATIME;

/// The MOUNT_ATTR_* of the mount that `fd` is in, with the read-only of its file system.
pub fn flags(fd: BorrowedFd<'_>) -> Result<u64> {
    // linux/statfs.h, ST_NOSYMFOLLOW: rustix has no name for it.
    const NOSYMFOLLOW: StatVfsMountFlags = StatVfsMountFlags::from_bits_retain(0x2000);
    let now = rustix::fs::fstatvfs(fd)?.f_flag;
    let known = [
        (StatVfsMountFlags::RDONLY, ATTR_RDONLY),
        (StatVfsMountFlags::NOSUID, ATTR_NOSUID),
        (StatVfsMountFlags::NODEV, ATTR_NODEV),
        (StatVfsMountFlags::NOEXEC, ATTR_NOEXEC),
        (StatVfsMountFlags::NOATIME, ATTR_NOATIME),
        (StatVfsMountFlags::NODIRATIME, ATTR_NODIRATIME),
        (NOSYMFOLLOW, ATTR_NOSYMFOLLOW),
    ];
    let found = known.iter().filter(|(flag, _)| now.contains(*flag)).fold(0, |all, (_, attr)| all | attr);
    // Neither: atime is written always.
    let strict = !now.contains(StatVfsMountFlags::RELATIME) && found & ATTR_NOATIME == 0;
    Ok(found | if strict { ATTR_STRICTATIME } else { 0 })
}

/// The attributes that a mount with `now` gets, when a bind of it asks for `asked`.
pub fn wanted(asked: &MountAttr, now: u64, locked: bool) -> Result<u64> {
    let times_asked = asked.clear & ATTR_ATIME != 0 || asked.set & TIMES != 0;
    let times = if times_asked { asked.set & TIMES } else { now & TIMES };
    let plain = asked.set & (LOCKABLE | ATTR_NOSYMFOLLOW);
    if !locked {
        return Ok(plain | times);
    }
    if now & asked.clear & LOCKABLE != 0 || times != now & TIMES {
        return Err(Errno::PERM);
    }
    Ok(plain | times | now & LOCKABLE)
}

/// Gives a detached copy of a mount, which is whole ours, exactly what `asked` says.
pub fn set(fd: BorrowedFd<'_>, asked: &MountAttr, locked: bool) -> Result<()> {
    let mut now = flags(fd)?;
    let contrary = now & asked.clear & LOCKABLE;
    if locked && contrary != 0 {
        // What stays when it is cleared is the file system's own, and no mount could be without it.
        mount::set_attr(fd, &MountAttr { clear: contrary, ..MountAttr::default() }, false)?;
        if flags(fd)? & contrary != contrary {
            return Err(Errno::PERM);
        }
        now &= !contrary;
    }
    let wanted = wanted(asked, now, locked)?;
    let changed = wanted ^ now;
    // The three atime modes are one field.
    let field = if changed & ATTR_ATIME == 0 { 0 } else { ATTR_ATIME };
    let changes = MountAttr {
        set: wanted & changed | wanted & field,
        clear: now & changed & !ATTR_ATIME | field,
        ..MountAttr::default()
    };
    if changes.is_empty() {
        return Ok(());
    }
    match mount::set_attr(fd, &changes, false) {
        Err(Errno::PERM) if !locked => set(fd, asked, true),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_cleared_and_what_is_locked_stays() {
        let asked = |set, clear| MountAttr { set, clear, ..MountAttr::default() };
        let now = ATTR_NOSUID | ATTR_NOSYMFOLLOW | ATTR_NOATIME;
        assert_eq!(wanted(&asked(ATTR_RDONLY, 0), now, false), Ok(ATTR_RDONLY | ATTR_NOATIME));
        assert_eq!(wanted(&asked(ATTR_RDONLY, 0), now, true), Ok(ATTR_RDONLY | ATTR_NOSUID | ATTR_NOATIME));
        assert_eq!(wanted(&asked(0, ATTR_NODEV), now, true), Ok(ATTR_NOSUID | ATTR_NOATIME));
        assert_eq!(wanted(&asked(0, ATTR_NOSUID), now, true), Err(Errno::PERM));
        // relatime, nodiratime: the whole field.
        assert_eq!(wanted(&asked(0, ATTR_ATIME), now, false), Ok(0));
        assert_eq!(wanted(&asked(ATTR_NODIRATIME, 0), now, false), Ok(ATTR_NODIRATIME));
        assert_eq!(wanted(&asked(0, ATTR_ATIME), now, true), Err(Errno::PERM));
        assert_eq!(wanted(&asked(ATTR_NOATIME, ATTR_ATIME), now, true), Ok(ATTR_NOSUID | ATTR_NOATIME));
    }
}
