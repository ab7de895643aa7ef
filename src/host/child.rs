//! The process in which `doctor` tries things: in a user namespace and mount namespace like the store's, so that nothing
//! that it mounts is seen outside, and all of it is gone when it ends.
//!
//! Hidden role `probe`. After the handshake of `userns` the parent sends one request a message (`overlay DIR`), the child
//! answers `ok` or the words of the error.

use crate::error::{Context, Error, Result};
use crate::external::Tool;
use crate::sys::CallContext;
use crate::userns::{self, RoleChild, SYNC_FD, StoreMap};
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::net::{RecvFlags, SendFlags};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The name of the role.
pub const ROLE: &str = "probe";
const OK: &str = "ok";

/// Merges layers without the kernel's help.
pub const FUSE_OVERLAYFS: Tool = Tool {
    name: "fuse-overlayfs",
    needed_to: "mount layers where the kernel's overlay cannot",
    packages: ["fuse-overlayfs", "fuse-overlayfs", "fuse-overlayfs"],
    search_path: true,
};

/// The parent's side.
#[derive(Debug)]
pub struct Child {
    role: RoleChild,
}

impl Child {
    /// Makes the namespace with this map. Err: why that is impossible here.
    pub fn start(map: &StoreMap) -> Result<Self> {
        let child = Self { role: userns::spawn_role(ROLE, &[], &[])? };
        userns::map_role(&child.role, map)?;
        child.answer()?;
        Ok(child)
    }

    /// Has the child try something.
    pub fn ask(&self, request: &str) -> Result<()> {
        rustix::net::send(&self.role.sync, request.as_bytes(), SendFlags::NOSIGNAL).call(|| "send(probe)")?;
        self.answer()
    }

    fn answer(&self) -> Result<()> {
        let mut buf = [0u8; 4096];
        let (_, len) =
            rustix::net::recv(&self.role.sync, &mut buf, RecvFlags::empty()).call(|| "recv(probe)")?;
        match std::str::from_utf8(buf.get(..len).unwrap_or_default()) {
            Ok(OK) => Ok(()),
            Ok("") => Err(Error::host("the probe process ended")),
            Ok(words) => Err(Error::host(words)),
            Err(_) => Err(Error::internal("the probe process answered with no text")),
        }
    }
}

impl Drop for Child {
    /// It ends when its socket is closed; it is killed and reaped here so that none is left, whatever it hangs in.
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.role.pidfd, rustix::process::Signal::KILL);
        let id = rustix::process::WaitId::PidFd(self.role.pidfd.as_fd());
        let _ = rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED);
    }
}

/// The child's side: `coracle --role probe`.
pub fn role_main(_args: Vec<OsString>) -> ExitCode {
    let Some(sync) = crate::sys::spawn::inherited_fd(SYNC_FD) else { return ExitCode::FAILURE };
    if !reply(&sync, userns::enter_store(sync.as_fd())) {
        return ExitCode::FAILURE;
    }
    let mut buf = [0u8; 4096];
    while let Ok((_, len @ 1..)) = rustix::net::recv(&sync, &mut buf, RecvFlags::empty()) {
        let request = String::from_utf8_lossy(buf.get(..len).unwrap_or_default()).into_owned();
        let (what, argument) = request.split_once(' ').unwrap_or((&request, ""));
        let done = match what {
            "scratch" => in_scratch(argument, |_| Ok(())),
            "overlay" => in_scratch(argument, overlay),
            "fuse-overlayfs" => in_scratch(argument, fuse_overlayfs),
            "fuse" => in_scratch(argument, fuse),
            "open" => open_device(Path::new(argument)).map(drop),
            _ => Err(Error::internal(format_args!("no probe {what:?}"))),
        };
        if !reply(&sync, done) {
            break;
        }
    }
    ExitCode::SUCCESS
}

fn reply(sync: &OwnedFd, done: Result<()>) -> bool {
    let (words, go_on) = done.map_or_else(|e| (e.to_string(), false), |()| (OK.to_owned(), true));
    let sent = rustix::net::send(sync, words.as_bytes(), SendFlags::NOSIGNAL).is_ok();
    // Only a failed entry ends the process; a failed probe is an answer.
    sent && (go_on || userns::inside_store())
}

/// Runs a probe in an empty directory below `parent`, which is removed with all that it left. The removal is ours: the
/// kernel's work directory can be read only by root of this namespace.
fn in_scratch(parent: &str, probe: fn(&Scratch) -> Result<()>) -> Result<()> {
    let mut name = [0u8; 8];
    crate::id::random_bytes(&mut name)?;
    let root = Path::new(parent).join(format!("doctor-{}", crate::id::hex(&name)));
    let scratch = Scratch {
        lower: root.join("lower"),
        upper: root.join("upper"),
        work: root.join("work"),
        merged: root.join("merged"),
    };
    let dirs = [&root, &scratch.lower, &scratch.upper, &scratch.work, &scratch.merged];
    let made =
        dirs.into_iter().try_for_each(|dir| std::fs::create_dir(dir).call(|| format!("mkdir({dir:?})")));
    let done = made.map_err(Error::from).and_then(|()| probe(&scratch));
    let _ = rustix::mount::unmount(&scratch.merged, UnmountFlags::DETACH);
    let _ = std::fs::remove_dir_all(&root);
    done
}

struct Scratch {
    lower: PathBuf,
    upper: PathBuf,
    work: PathBuf,
    merged: PathBuf,
}

impl Scratch {
    fn options(&self) -> String {
        format!(
            "lowerdir={},upperdir={},workdir={}",
            self.lower.display(),
            self.upper.display(),
            self.work.display()
        )
    }

    /// What a container does to its rootfs: reads below, writes above, deletes below.
    fn use_merged(&self) -> Result<()> {
        let (kept, gone) = (self.merged.join("kept"), self.merged.join("gone"));
        std::fs::File::create(&kept).call(|| format!("open({kept:?}, O_CREAT)"))?;
        std::fs::remove_file(&gone).call(|| format!("unlink({gone:?})"))?;
        if gone.exists() || !self.upper.join("kept").exists() {
            return Err(Error::host("the merged tree does not show what was done in it"));
        }
        Ok(())
    }

    fn fill_lower(&self) -> Result<()> {
        let gone = self.lower.join("gone");
        std::fs::File::create(&gone).call(|| format!("open({gone:?}, O_CREAT)"))?;
        Ok(())
    }
}

fn overlay(scratch: &Scratch) -> Result<()> {
    scratch.fill_lower()?;
    let options = CString::new(format!("{},userxattr", scratch.options()))
        .map_err(|_| Error::usage("NUL in a path"))?;
    rustix::mount::mount(
        "overlay",
        &scratch.merged,
        "overlay",
        MountFlags::empty(),
        Some(options.as_c_str()),
    )
    .call(|| "mount(overlay, userxattr)")?;
    scratch.use_merged()
}

fn fuse_overlayfs(scratch: &Scratch) -> Result<()> {
    scratch.fill_lower()?;
    let args = ["-o".into(), scratch.options().into(), scratch.merged.clone().into_os_string()];
    FUSE_OVERLAYFS.run(args)?;
    scratch.use_merged()
}

/// Opens the device and mounts with it; no server has to answer for that.
fn fuse(scratch: &Scratch) -> Result<()> {
    let device = open_device(Path::new("/dev/fuse"))?;
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", number(device.as_fd()));
    let options = CString::new(options).map_err(|_| Error::usage("NUL in a path"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("fuse", &scratch.merged, "fuse", flags, Some(options.as_c_str()))
        .call(|| "mount(fuse)")?;
    Ok(())
}

fn number(fd: BorrowedFd<'_>) -> i32 {
    fd.as_raw_fd()
}

fn open_device(path: &Path) -> Result<OwnedFd> {
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty())
        .call(|| format!("open({path:?}, O_RDWR)"))
        .what(|| format!("cannot open {}", path.display()))
}
