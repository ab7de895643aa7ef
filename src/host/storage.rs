//! The runtime directory, and the file system that holds the store: tried with a file of our own.

use super::{Probe, Report};
use crate::error::Result;
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{Access, AtFlags, CWD, FlockOperation, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const GIB: u64 = 1 << 30;
/// Below this a usual image does not fit.
const LITTLE_SPACE: u64 = 2 * GIB;
/// A distribution's image has about 20 000 files.
const FEW_INODES: u64 = 50_000;

/// Types of statfs(2), by the magic numbers of linux/magic.h and of the file systems' own headers.
const FILE_SYSTEMS: [(u64, &str, bool); 21] = [
    (0xEF53, "ext4", false),
    (0x5846_5342, "xfs", false),
    (0x9123_683E, "btrfs", false),
    (0xF2F5_2010, "f2fs", false),
    (0xCA45_1A4E, "bcachefs", false),
    (0x2FC1_2FC1, "zfs", false),
    (0x0102_1994, "tmpfs", false),
    (0x794C_7630, "overlay", false),
    (0x6573_5546, "fuse", false),
    (0xF15F, "ecryptfs", false),
    (0x6969, "nfs", true),
    (0xFF53_4D42, "cifs", true),
    (0xFE53_4D42, "smb", true),
    (0x0102_1997, "9p", true),
    (0x0BD0_0BD0, "lustre", true),
    (0x4750_4653, "gpfs", true),
    (0x00C3_6400, "ceph", true),
    (0x1983_0326, "beegfs", true),
    (0x5346_414F, "afs", true),
    (0x8584_58F6, "ramfs", false),
    (0x4D44, "vfat", false),
];

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that the caller may still write.
    pub free: u64,
    /// What the caller's quota leaves, where there is one; `free` is no more.
    pub quota: Option<u64>,
    pub total: u64,
    /// Inodes that can still be made; none: the file system does not count them.
    pub free_inodes: Option<u64>,
}

/// Room where `dir` is, or where it would be made.
pub fn space(dir: &Path) -> Option<Space> {
    let dir = existing(dir);
    let fs = rustix::fs::statvfs(dir).ok()?;
    let quota = crate::sys::quota::left(dir);
    let free_inodes = (fs.f_files != 0).then_some(fs.f_favail);
    Some(Space {
        free: crate::sys::fs::free_bytes(&fs).min(quota.unwrap_or(u64::MAX)),
        quota,
        total: fs.f_blocks.saturating_mul(fs.f_frsize),
        free_inodes,
    })
}

/// The name of the file system where `dir` is, and whether other hosts share it.
pub fn filesystem_name(dir: &Path) -> (String, bool) {
    let Ok(fs) = rustix::fs::statfs(existing(dir)) else { return ("unknown".to_owned(), false) };
    // Some magic numbers do not fit a signed 32-bit word, which is what f_type is on some architectures.
    let magic = fs.f_type.cast_unsigned() & 0xFFFF_FFFF;
    FILE_SYSTEMS.iter().find(|(number, ..)| *number == magic).map_or_else(
        || (format!("type {magic:#x}"), false),
        |(_, name, shared)| ((*name).to_owned(), *shared),
    )
}

/// Of these everything is known that layers need.
const GOOD: [&str; 8] = ["ext4", "xfs", "btrfs", "f2fs", "bcachefs", "zfs", "tmpfs", "overlay"];

/// Whether layers can be kept in a directory, or why not: the end of a sentence that begins with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fitness {
    Fit,
    Unfit(String),
    /// It cannot be looked at: its server has forgotten it, or the ticket for it has run out. What is around it says nothing.
    Unseen(String),
}

/// Looks at the file system where `dir` is or would be made, and tries one that is not known with a file of our own.
pub fn fitness(dir: &Path) -> Fitness {
    if let Some(why) = unseen(dir) {
        return Fitness::Unseen(why);
    }
    let place = existing(dir);
    let (kind, shared) = filesystem_name(place);
    let read_only =
        rustix::fs::statvfs(place).is_ok_and(|fs| fs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    if read_only {
        return Fitness::Unfit(format!("is on a file system that is read-only ({kind})"));
    }
    if shared {
        return Fitness::Unfit(format!("is on a file system that machines share ({kind})"));
    }
    if kind == "fuse" {
        return Fitness::Unfit("is on a file system of a user's program (fuse)".to_owned());
    }
    if let Some(why) = cannot_be_made(dir, place) {
        return Fitness::Unfit(why);
    }
    if GOOD.contains(&kind.as_str()) {
        return Fitness::Fit;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(place, flags, Mode::empty()).call(|| format!("open({place:?})"));
    match opened.map_err(Into::into).and_then(|fd| try_file(&fd)) {
        Ok(lacks) if lacks.is_empty() => Fitness::Fit,
        Ok(lacks) => Fitness::Unfit(format!("is on a file system without {} ({kind})", lacks.join(" and "))),
        Err(e) => Fitness::Unfit(format!("cannot be written to ({kind}: {e})")),
    }
}

/// A home that is not there, or is somebody else's.
fn cannot_be_made(dir: &Path, place: &Path) -> Option<String> {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    let refused = rustix::fs::accessat(CWD, place, access, AtFlags::EACCESS).err()?;
    let why = crate::sys::ErrnoText(refused.raw_os_error());
    (dir != place).then(|| format!("cannot be made in {} ({why})", place.display()))
}

/// Why it cannot be told whether `dir` is there, as the end of a sentence that begins with its name.
pub fn unseen(dir: &Path) -> Option<String> {
    let failed = rustix::fs::stat(existing(dir)).err()?;
    Some(format!("cannot be looked at ({})", crate::sys::ErrnoText(failed.raw_os_error())))
}

/// Whether what is written there takes memory.
pub fn in_memory(dir: &Path) -> bool {
    ["tmpfs", "ramfs"].contains(&filesystem_name(dir).0.as_str())
}

/// The first of `dir` and its parents that is there. What cannot be looked at is not missing.
fn existing(dir: &Path) -> &Path {
    let missing = |e| matches!(e, Errno::NOENT | Errno::NOTDIR);
    dir.ancestors().find(|part| !rustix::fs::stat(*part).is_err_and(missing)).unwrap_or(Path::new("/"))
}

pub(super) fn probe(dirs: &Dirs, report: &mut Report) {
    report.probes.push(runtime_dir(dirs));
    report.probes.push(store(dirs));
}

fn runtime_dir(dirs: &Dirs) -> Probe {
    if let Err(e) = dirs.open_run() {
        let why = e.causes().last().cloned().unwrap_or_default();
        return Probe::fail("runtime-dir", format!("{}: {why}", dirs.run.display()))
            .fix("export XDG_RUNTIME_DIR=\"$(mktemp -d)\"");
    }
    let (kind, shared) = filesystem_name(&dirs.run);
    let place = format!("{} ({kind})", dirs.run.display());
    if shared {
        return Probe::fail(
            "runtime-dir",
            format!("{place} is shared between hosts: locks and sockets do not work there"),
        )
        .fix("unset XDG_RUNTIME_DIR");
    }
    match &dirs.run_note {
        None => Probe::pass("runtime-dir", place),
        Some(note) => {
            let enter = format!(
                "machinectl shell {}@",
                crate::paths::env("USER").unwrap_or_default().to_string_lossy()
            );
            Probe::warn("runtime-dir", note.clone())
                .fix(format!("log in by ssh, on a console or with `{enter}`, instead of su or sudo"))
                .meanwhile(format!("containers are found under {}", dirs.run.display()))
        }
    }
}

fn store(dirs: &Dirs) -> Probe {
    let (kind, shared) = filesystem_name(&dirs.data);
    let place = format!("{} ({kind})", dirs.data.display());
    let elsewhere = || "use a local directory: coracle --root DIR, or XDG_DATA_HOME".to_owned();
    let opened = match dirs.open_data() {
        Ok(fd) => fd,
        Err(e) => {
            let why = e.causes().last().cloned().unwrap_or_default();
            return Probe::fail("storage", format!("{place}: {why}")).fix(elsewhere());
        }
    };
    let lacks = match try_file(&opened) {
        Ok(lacks) => lacks,
        Err(e) => return Probe::fail("storage", format!("{place}: {e}")).fix(elsewhere()),
    };
    let room = space(&dirs.data).unwrap_or(Space { free: 0, quota: None, total: 0, free_inodes: None });
    let by_quota = if room.quota == Some(room.free) { " by your quota" } else { "" };
    let fact = format!("{place}, {} free{by_quota}", size(room.free));
    if room.free < LITTLE_SPACE {
        return Probe::warn("storage", format!("{fact}: little for images")).fix("coracle image prune --all");
    }
    if let Some(inodes) = room.free_inodes.filter(|n| *n < FEW_INODES) {
        return Probe::warn("storage", format!("{fact}, only {inodes} inodes"))
            .fix("coracle image prune --all");
    }
    if shared || !lacks.is_empty() {
        let why = if lacks.is_empty() {
            "is shared between hosts".to_owned()
        } else {
            format!("lacks {}", lacks.join(", "))
        };
        return Probe::warn("storage", format!("{fact}: it {why}")).fix(elsewhere()).meanwhile(
            "images work, with copies or fuse-overlayfs where the kernel's overlay does not mount",
        );
    }
    Probe::pass("storage", fact)
}

/// What a store asks of its file system, tried on a nameless file.
fn try_file(dir: &OwnedFd) -> Result<Vec<&'static str>> {
    let mut lacks = Vec::new();
    let mode = Mode::from_raw_mode(0o600);
    let nameless = rustix::fs::openat(dir, ".", OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC, mode);
    let file = match nameless {
        Ok(file) => file,
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            lacks.push("O_TMPFILE");
            named_then_removed(dir)?
        }
        Err(e) => return Err(crate::sys::Error::new("open(O_TMPFILE)", e.raw_os_error()).into()),
    };
    if rustix::fs::fsetxattr(&file, "user.coracle.probe", b"1", XattrFlags::empty()).is_err() {
        lacks.push("user xattrs");
    }
    if rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_err() {
        lacks.push("flock");
    }
    Ok(lacks)
}

fn named_then_removed(dir: &OwnedFd) -> Result<OwnedFd> {
    let mut bytes = [0u8; 8];
    crate::id::random_bytes(&mut bytes)?;
    let name = format!(".probe-{}", crate::id::hex(&bytes));
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, &name, flags, Mode::from_raw_mode(0o600))
        .call(|| format!("open({name:?}, O_CREAT|O_EXCL)"))?;
    rustix::fs::unlinkat(dir, &name, AtFlags::empty()).call(|| format!("unlink({name:?})"))?;
    Ok(file)
}

/// `12.3 GiB`.
fn size(bytes: u64) -> String {
    let tenths = u128::from(bytes) * 10 / u128::from(GIB);
    if tenths == 0 {
        return format!("{} MiB", bytes >> 20);
    }
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_digit_after_the_point() {
        assert_eq!(size(5 << 20), "5 MiB");
        assert_eq!(size(GIB * 3 / 2), "1.5 GiB");
    }

    #[test]
    fn the_place_of_a_missing_directory_is_its_parents() {
        assert_eq!(filesystem_name(Path::new("/proc/no/such")).0, "type 0x9fa0");
        assert!(space(Path::new("/no/such/dir")).is_some_and(|room| room.total > 0));
    }
}
