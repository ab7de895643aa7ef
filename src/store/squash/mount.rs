//! A squashfs mounted by FUSE, inside the store's user namespace.
//!
//! The order matters: the server is started in the mount namespace that we are in, and then we leave that one for a copy,
//! where the mount is put. So the server is in no namespace that has the mount, and the mount ends with ours (see the
//! parent module).

use super::attributes;
use super::file::read_at;
use crate::error::{Context, Error, Kind, Result};
use crate::external::{last_words, squashfuse};
use crate::ondisk::squash::{SUPERBLOCK, has_attributes};
use crate::store::driver::single_id;
use crate::sys::{CallContext, spawn};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{AtFlags, CWD, MemfdFlags, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// How long a server may take to say why it ended.
const LAST_WORDS: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Most names of a root directory that are looked at.
const MAX_LOOKS: usize = 64;

/// The server of a mount.
#[derive(Debug)]
pub struct Server {
    pub pid: i32,
    pub pidfd: OwnedFd,
    words: File,
    has_attributes: bool,
}

/// Mounts the squashfs that begins at `offset` of `image` at `at`, in a mount namespace of the caller's own that is made here.
pub fn mount(image: BorrowedFd<'_>, offset: u64, at: &Path) -> Result<Server> {
    let server = begin(image, offset, at)?;
    server.await_greeting(at)?;
    server.await_service(at)?;
    Ok(server)
}

/// The same up to where the mount stands: its server has been started, and who looks into it waits for its greeting.
pub fn begin(image: BorrowedFd<'_>, offset: u64, at: &Path) -> Result<Server> {
    let fuse = rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .call(|| "open(\"/dev/fuse\")")
        .hint(|| "Ask the administrator to load the module fuse and to open its device: `modprobe fuse && chmod 666 /dev/fuse`.")?;
    let mount = detached(fuse.as_fd(), single_id()?).what(|| "cannot mount a FUSE file system")?;
    let words = rustix::fs::memfd_create("squashfuse", MemfdFlags::CLOEXEC).call(|| "memfd_create()")?;
    let pid = squashfuse::start(fuse.as_fd(), image, offset, words.as_fd())?;
    drop(fuse);
    let known =
        rustix::process::Pid::from_raw(pid).ok_or_else(|| Error::internal("a server without a pid"))?;
    let pidfd =
        rustix::process::pidfd_open(known, PidfdFlags::empty()).call(|| format!("pidfd_open({pid})"))?;
    spawn::unshare_mounts()?;
    rustix::mount::move_mount(mount.as_fd(), "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .call(|| format!("move_mount(fuse, {at:?})"))?;
    let superblock = read_at(image, offset, SUPERBLOCK as u64)?;
    Ok(Server { pid, pidfd, words: File::from(words), has_attributes: has_attributes(&superblock) })
}

impl Server {
    /// Waits until it has greeted, as the first call does; a server that ended has closed the connection: ENOTCONN. Before
    /// anybody else can reach the mount.
    pub fn await_greeting(&self, at: &Path) -> Result<()> {
        rustix::fs::statfs(at).map_err(|errno| self.refused(errno))?;
        if !self.has_attributes {
            attributes::say_none(self.pidfd.as_fd(), at);
        }
        Ok(())
    }

    /// Waits until it serves.
    pub fn await_service(&self, at: &Path) -> Result<()> {
        look(at).map_err(|errno| self.refused(errno))
    }

    fn refused(&self, errno: rustix::io::Errno) -> Error {
        refused(self.pidfd.as_fd(), &self.words, errno)
    }
}

/// Looks at what is in the root directory: a squashfs with damaged tables shows itself here, and not as a program that
/// cannot be found. As many calls as the root has names, for each holder.
fn look(at: &Path) -> rustix::io::Result<()> {
    let root = rustix::fs::open(at, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for entry in rustix::fs::Dir::read_from(&root)?.take(MAX_LOOKS) {
        rustix::fs::statat(&root, entry?.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

fn detached(fuse: BorrowedFd<'_>, alone: bool) -> crate::sys::Result<OwnedFd> {
    let fs = rustix::mount::fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC).call(|| "fsopen(\"fuse\")")?;
    let set = |key: &str, value: &str| {
        rustix::mount::fsconfig_set_string(fs.as_fd(), key, value).call(|| format!("fsconfig({key}={value})"))
    };
    set("source", "squashfuse")?;
    set("subtype", "squashfuse")?;
    set("fd", &fuse.as_raw_fd().to_string())?;
    set("rootmode", "40000")?;
    set("user_id", "0")?;
    set("group_id", "0")?;
    // `allow_other`: the container's processes have other ids than the mounter. setuid programs work in it because this
    // user namespace owns the mount. Where one id is mapped there is nobody from whom a file could be kept, and the mounter,
    // in whose name the overlay above reads, could not pass a directory whose owner has no id here.
    let kept = (!alone).then_some("default_permissions");
    for flag in ["ro", "allow_other"].into_iter().chain(kept) {
        rustix::mount::fsconfig_set_flag(fs.as_fd(), flag).call(|| format!("fsconfig({flag})"))?;
    }
    rustix::mount::fsconfig_create(fs.as_fd()).call(|| "fsconfig(create fuse)")?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
    rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).call(|| "fsmount(fuse)")
}

/// The error of a server that does not serve, with its own words.
fn refused(server: BorrowedFd<'_>, mut words: &File, errno: rustix::io::Errno) -> Error {
    let ended = rustix::event::poll(&mut [PollFd::new(&server, PollFlags::IN)], Some(&LAST_WORDS)) == Ok(1);
    let _ = rustix::process::pidfd_send_signal(server, rustix::process::Signal::KILL);
    let status = rustix::process::waitid(WaitId::PidFd(server), WaitIdOptions::EXITED).ok().flatten();
    let signal = status.and_then(|status| status.terminating_signal()).filter(|_| ended);
    let mut said = Vec::new();
    let _ = words.seek(SeekFrom::Start(0)).and_then(|_| words.read_to_end(&mut said));
    let ended = match signal.map(nix::sys::signal::Signal::try_from) {
        Some(Ok(signal)) => format!("it crashed ({signal})"),
        _ => crate::sys::ErrnoText(errno.raw_os_error()).to_string(),
    };
    Error::new(Kind::External, "squashfuse cannot read the image")
        .cause(format_args!("squashfuse: {}", last_words(&said, &ended)))
        .hint("The file may be damaged: compare its checksum with the original's, or make it again.")
}

/// Takes the mount at `at` out of our mount namespace; that there is none is no matter.
pub fn unmount(at: &Path) {
    let flags = rustix::mount::UnmountFlags::DETACH | rustix::mount::UnmountFlags::NOFOLLOW;
    let _ = rustix::mount::unmount(at, flags);
}

/// Clones the mount at `at` of another mount namespace, whose user namespace we are in, to the same place in ours.
pub fn clone_from(namespace: BorrowedFd<'_>, at: &Path) -> Result<()> {
    put(copy_of(namespace, at)?.as_fd(), at)
}

/// A copy of the mount at `at` of that namespace, not yet anywhere in ours.
pub fn copy_of(namespace: BorrowedFd<'_>, at: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let own =
        rustix::fs::open("/proc/self/ns/mnt", flags, Mode::empty()).call(|| "open(\"/proc/self/ns/mnt\")")?;
    let enter = |namespace: BorrowedFd<'_>| {
        let kind = rustix::thread::LinkNameSpaceType::Mount;
        rustix::thread::move_into_link_name_space(namespace, Some(kind)).call(|| "setns(CLONE_NEWNS)")
    };
    enter(namespace)?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let taken = rustix::mount::open_tree(CWD, at, clone).call(|| format!("open_tree({at:?})"));
    enter(own.as_fd())?;
    Ok(taken?)
}

/// Puts such a copy there.
pub fn put(mount: BorrowedFd<'_>, at: &Path) -> Result<()> {
    rustix::mount::move_mount(mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .call(|| format!("move_mount(squashfuse, {at:?})"))?;
    Ok(())
}
