//! The fuse-overlayfs driver: our mount, its server.

use super::overlay::Plan;
use crate::error::{Context, Error, Kind, Result};
use crate::external::fuse_overlayfs::{self, IdMapping};
use crate::external::last_words;
use crate::paths::Dirs;
use crate::sys::CallContext;
use crate::userns::{IdMaps, IdRange};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, MemfdFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const DEVICE: &str = "/dev/fuse";

/// How long a server may take to end by itself.
const END_PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Whether this user can have such a mount: the program is there, and the device opens. Real root opens everything, but the
/// store's namespace has none of its powers.
pub fn usable() -> bool {
    let Ok(st) = rustix::fs::stat(DEVICE) else { return false };
    let is_fuse = FileType::from_raw_mode(st.st_mode) == FileType::CharacterDevice
        && st.st_rdev == rustix::fs::makedev(10, 229);
    let opens = if rustix::process::geteuid().is_root() {
        st.st_mode & 0o006 == 0o006
    } else {
        rustix::fs::access(DEVICE, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK).is_ok()
    };
    is_fuse && opens && fuse_overlayfs::TOOL.locate().is_some()
}

/// How the server shows owners.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'a> {
    /// Ids on disk are shown mapped.
    pub id_map: Option<&'a IdMaps>,
    /// Layers of a store for all: files are whose they are stated to be, and where nothing can be stated (symlinks), where
    /// they are nobody's, root's.
    pub stated: bool,
}

/// Mounts the plan and starts its server; returns the server's pidfd.
pub fn mount(dirs: &Dirs, plan: &Plan<'_>, shown: Shown<'_>) -> Result<OwnedFd> {
    fuse_overlayfs::TOOL.find()?;
    let fuse = rustix::fs::open(DEVICE, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .call(|| "open(\"/dev/fuse\")")
        .hint(|| "Ask the administrator to load the module fuse and to open its device: `modprobe fuse && chmod 666 /dev/fuse`.")?;
    let merged = dirs.data.join(plan.merged);
    // `allow_other`: the container's processes have other ids than the mounter. setuid programs work in it because this
    // user namespace owns the mount.
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other",
        fuse.as_raw_fd()
    );
    let text = std::ffi::CString::new(options.as_str()).unwrap_or_default();
    rustix::mount::mount(
        "fuse-overlayfs",
        &merged,
        "fuse.fuse-overlayfs",
        MountFlags::empty(),
        text.as_c_str(),
    )
    .call(|| format!("mount(fuse, {merged:?}, {options:?})"))
    .what(|| "cannot mount a FUSE file system")?;
    let started = start(dirs, plan, shown, fuse);
    if started.is_err() {
        let _ = rustix::mount::unmount(&merged, rustix::mount::UnmountFlags::DETACH);
    }
    started
}

fn start(dirs: &Dirs, plan: &Plan<'_>, shown: Shown<'_>, fuse: OwnedFd) -> Result<OwnedFd> {
    let words = rustix::fs::memfd_create("fuse-overlayfs", MemfdFlags::CLOEXEC).call(|| "memfd_create()")?;
    let mut words = File::from(words);
    let args = fuse_overlayfs::args(plan.lowers, plan.upper, plan.work, &mapping(shown)?);
    let child =
        fuse_overlayfs::start(&args, &dirs.data, fuse, words.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?)?;
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| Error::internal("a server without a pid"))?;
    let server = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        .call(|| format!("pidfd_open({})", pid.as_raw_nonzero()))?;
    // The first call waits for the server's greeting; a server that ended has closed the connection: ENOTCONN.
    let merged = dirs.data.join(plan.merged);
    match rustix::fs::statfs(&merged) {
        Ok(_) => Ok(server),
        Err(e) => {
            let mut said = Vec::new();
            let _ = end(server.as_fd());
            let _ = words.seek(SeekFrom::Start(0)).and_then(|_| words.read_to_end(&mut said));
            let ended = crate::sys::ErrnoText(e.raw_os_error()).to_string();
            Err(Error::new(Kind::External, "fuse-overlayfs does not serve the layers")
                .cause(format_args!("fuse-overlayfs: {}", last_words(&said, &ended))))
        }
    }
}

fn mapping(shown: Shown<'_>) -> Result<IdMapping> {
    if shown.stated && crate::store::driver::single_id()? {
        return Ok(IdMapping { all_to_root: true, ..IdMapping::default() });
    }
    let as_it_is = [IdRange { inside: 0, outside: 0, count: u32::MAX }];
    let pieces = |ranges: Option<&[IdRange]>| match (ranges, shown.stated) {
        (None, false) => Vec::new(),
        (ranges, false) => ranges.into_iter().flatten().map(|r| (r.inside, r.outside, r.count)).collect(),
        (ranges, true) => nobody_is_root(ranges.unwrap_or(&as_it_is)),
    };
    Ok(IdMapping {
        uids: pieces(shown.id_map.map(|maps| maps.uids.as_slice())),
        gids: pieces(shown.id_map.map(|maps| maps.gids.as_slice())),
        all_to_root: false,
    })
}

/// The id that the kernel shows for one that is not mapped.
const NOBODY: u32 = 65534;

/// The map, in which files of nobody are shown as root's. The server takes the last piece that fits, and so writes what is
/// root's as root's own.
fn nobody_is_root(map: &[IdRange]) -> Vec<(u32, u32, u32)> {
    let root = crate::userns::idmap::to_outside(map, 0).unwrap_or(0);
    let mut pieces = vec![(NOBODY, root, 1)];
    for piece in map {
        let end = u64::from(piece.inside) + u64::from(piece.count);
        let below = piece.count.min(NOBODY.saturating_sub(piece.inside));
        let skipped = if piece.inside <= NOBODY && u64::from(NOBODY) < end { below + 1 } else { below };
        pieces.push((piece.inside, piece.outside, below));
        pieces.push((piece.inside + skipped, piece.outside + skipped, piece.count - skipped));
    }
    pieces.retain(|(_, _, count)| *count > 0);
    pieces
}

/// Waits for the server's end, and makes it end.
pub fn end(server: BorrowedFd<'_>) -> Result<()> {
    let mut fds = [PollFd::new(&server, PollFlags::IN)];
    if poll(&mut fds, Some(&END_PATIENCE)) == Ok(0) {
        // Stopped, or busy: what it had was unmounted.
        let _ = rustix::process::pidfd_send_signal(server, Signal::KILL);
    }
    loop {
        match rustix::process::waitid(WaitId::PidFd(server), WaitIdOptions::EXITED) {
            // Not ours any more: somebody reaped it.
            Ok(_) | Err(Errno::CHILD) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(e) => return Ok(Err(e).call(|| "waitid(fuse-overlayfs)")?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_cut_out_of_a_map() {
        let piece = |inside, outside, count| IdRange { inside, outside, count };
        assert_eq!(
            nobody_is_root(&[piece(0, 0, u32::MAX)]),
            [(NOBODY, 0, 1), (0, 0, 65534), (65535, 65535, u32::MAX - 65535)]
        );
        // keep-id: root of the image is user 1 of the store's namespace, and so on.
        assert_eq!(
            nobody_is_root(&[piece(0, 1, 1000), piece(1000, 0, 1), piece(1001, 1001, 64535)]),
            [(NOBODY, 1, 1), (0, 1, 1000), (1000, 0, 1), (1001, 1001, 64533), (65535, 65535, 1)]
        );
        assert_eq!(nobody_is_root(&[piece(70000, 5, 2)]), [(NOBODY, 0, 1), (70000, 5, 2)]);
    }
}
