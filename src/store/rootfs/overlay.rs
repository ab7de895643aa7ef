//! The kernel's overlay, as any user may mount it in a user namespace (`userxattr`).

use crate::error::{Error, Result};
use crate::sys::{self, CallContext};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags};
use std::os::fd::{AsFd, BorrowedFd};

/// mount(2) copies one page of options.
const MAX_OPTIONS: usize = 4095;

/// What is mounted where; all relative to the store's directory. Lowers top first.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub lowers: &'a [String],
    pub upper: &'a str,
    pub work: &'a str,
    pub merged: &'a str,
    /// What is written will be thrown away: nothing is synced, on request or when it is unmounted (which without this
    /// syncs the whole file system below). The kernel refuses to mount such an upper directory again.
    pub volatile: bool,
}

/// Mounts an overlay.
pub fn mount(data: BorrowedFd<'_>, plan: &Plan<'_>) -> Result<()> {
    // The kernel takes layers as paths: short ones below the working directory, which is changed for the moment.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // One that this user may not enter (`sudo -u NAME` in /root) is of no use to anybody here.
    let before = rustix::fs::open(".", flags, Mode::empty())
        .or_else(|_| rustix::fs::open("/", flags, Mode::empty()))
        .call(|| "open(\"/\")")?;
    rustix::process::fchdir(data).call(|| "fchdir(store)")?;
    let result = match mount_by_fd(plan) {
        // Kernels before 6.5 know no `lowerdir+`.
        Err(e) if matches!(e.raw_os_error(), libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP) => {
            mount_by_path(plan).or(Err(e))
        }
        other => other,
    };
    rustix::process::fchdir(&before).call(|| "fchdir(back)")?;
    result.map_err(explain)
}

fn mount_by_fd(plan: &Plan<'_>) -> sys::Result<()> {
    let fs = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).call(|| "fsopen(\"overlay\")")?;
    let set = |key: &str, value: &str| {
        rustix::mount::fsconfig_set_string(fs.as_fd(), key, value).call(|| format!("fsconfig({key}={value})"))
    };
    set("source", "coracle")?;
    for lower in plan.lowers {
        set("lowerdir+", lower)?;
    }
    set("upperdir", plan.upper)?;
    set("workdir", plan.work)?;
    rustix::mount::fsconfig_set_flag(fs.as_fd(), "userxattr").call(|| "fsconfig(userxattr)")?;
    if plan.volatile {
        rustix::mount::fsconfig_set_flag(fs.as_fd(), "volatile").call(|| "fsconfig(volatile)")?;
    }
    rustix::mount::fsconfig_create(fs.as_fd())
        .call(|| format!("fsconfig(create overlay{})", kernel_words(fs.as_fd())))?;
    let mount = rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .call(|| "fsmount(overlay)")?;
    rustix::mount::move_mount(mount.as_fd(), "", CWD, plan.merged, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .call(|| format!("move_mount(overlay, {:?})", plan.merged))
}

/// What the kernel wrote into the context's log: its reason is there, not in the errno.
fn kernel_words(fs: BorrowedFd<'_>) -> String {
    let mut words = String::new();
    let mut line = [0u8; 512];
    while let Ok(n) = rustix::io::read(fs, &mut line) {
        let text = String::from_utf8_lossy(line.get(..n).unwrap_or_default()).trim().to_owned();
        if text.is_empty() {
            break;
        }
        words = format!("{words}: {text}");
    }
    words
}

fn mount_by_path(plan: &Plan<'_>) -> sys::Result<()> {
    let options = options(plan);
    if options.len() > MAX_OPTIONS {
        return Err(sys::Error::new(
            format_args!("mount(overlay, {} layers)", plan.lowers.len()),
            libc::E2BIG,
        ));
    }
    let text = std::ffi::CString::new(options.as_str())
        .map_err(|_| sys::Error::new("mount(overlay)", libc::EINVAL))?;
    rustix::mount::mount("coracle", plan.merged, "overlay", MountFlags::empty(), text.as_c_str())
        .call(|| format!("mount(overlay, {:?}, {options:?})", plan.merged))
}

/// The options of mount(2) and of fuse-overlayfs.
pub fn options(plan: &Plan<'_>) -> String {
    let volatile = if plan.volatile { ",volatile" } else { "" };
    format!(
        "lowerdir={},upperdir={},workdir={},userxattr{volatile}",
        plan.lowers.join(":"),
        plan.upper,
        plan.work
    )
}

fn explain(e: sys::Error) -> Error {
    let errno = Errno::from_raw_os_error(e.raw_os_error());
    let error = Error::from(e).wrap("cannot mount an overlay").with_kind(crate::error::Kind::Host);
    match errno {
        Errno::PERM | Errno::NODEV => error
            .hint("Install fuse-overlayfs for kernels that do not let users mount overlays (before 5.11)."),
        Errno::NOSPC => error.hint("The limit on mounts is reached: see `sysctl fs.mount-max`."),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_and_twenty_eight_layers_fit_into_one_page() {
        let lowers = vec![format!("l/{}", "a".repeat(26)); 128];
        let base = format!("containers/{}", "0".repeat(64));
        let (upper, work, merged) =
            (format!("{base}/upper"), format!("{base}/work"), format!("{base}/merged"));
        let text =
            options(&Plan { lowers: &lowers, upper: &upper, work: &work, merged: &merged, volatile: true });
        assert!(text.len() <= MAX_OPTIONS, "{}", text.len());
    }
}
