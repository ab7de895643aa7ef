//! Which rootfs driver this storage directory can have, by really mounting one.
//!
//! File systems and kernels disagree in too many ways to be asked: NFS has no extended attributes, older kernels no
//! unprivileged overlay, some refuse whiteouts. So the probe makes a small image of two layers in `staging/`, mounts it,
//! deletes and makes anew what containers delete and make anew, and reads the result. The answer is kept in `driver.json`,
//! with the kernel that gave it, because the probe costs milliseconds and the hot path has none to spare.

use super::rootfs::{fuse, overlay};
use super::staging::Staging;
use super::{Image, Store, open_dir};
use crate::error::{Context, Error, Result};
use crate::ondisk::container::Driver;
use crate::ondisk::{self, Durability};
use crate::paths::Dirs;
use crate::sys::CallContext;
use crate::userns;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::net::{RecvFlags, SendFlags};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What was found out about this storage directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    version: u32,
    driver: Driver,
    why: String,
    /// `uname -r`: another kernel may do better or worse.
    kernel: String,
}

impl Store {
    /// The driver for new containers, and why. Probed once per storage directory and kernel.
    pub fn driver(&self) -> Result<(Driver, String)> {
        if let Some(known) = self.remembered_driver() {
            return Ok(known);
        }
        if userns::inside_store() {
            return self.probe_driver();
        }
        let args: [OsString; 2] = [self.dirs.data.clone().into(), self.dirs.run.clone().into()];
        let child = userns::spawn_role("probe-driver", &args, &[])?;
        userns::map_role(&child, &userns::store_map()?)?;
        loop {
            let id = rustix::process::WaitId::PidFd(child.pidfd.as_fd());
            match rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED) {
                Err(rustix::io::Errno::INTR) => {}
                other => {
                    other
                        .call(|| format!("waitid({})", child.pid))
                        .what(|| "cannot probe the rootfs drivers")?;
                    break;
                }
            }
        }
        if let Some(known) = self.remembered_driver() {
            return Ok(known);
        }
        let mut words = vec![0u8; 64 << 10];
        match rustix::net::recv(&child.sync, &mut words, RecvFlags::DONTWAIT) {
            Ok((_, read)) if read > 0 => Err(Error::from_wire(words.get(..read).unwrap_or_default())
                .wrap("cannot find out which rootfs driver the store can have")),
            _ => Err(Error::internal("the probe of the rootfs drivers gave no answer")),
        }
    }

    /// The driver that shows all of an image at once: the usual one, or one that can show layers that are for all users.
    pub fn driver_for(&self, image: &Image) -> Result<Driver> {
        let usual = self.driver()?.0;
        let stated = self.of(image)?.is_stated(self, &image.record.layers)?;
        Ok(match usual {
            Driver::Overlay if stated && fuse::usable() => Driver::FuseOverlayfs,
            Driver::Overlay if stated => Driver::Vfs,
            usual => usual,
        })
    }

    fn remembered_driver(&self) -> Option<(Driver, String)> {
        let known: Remembered = ondisk::read_opt(self.data(), "driver.json").ok().flatten()?;
        (known.kernel == kernel()).then_some((known.driver, known.why))
    }

    /// Tries the drivers in order of preference. Inside the store's namespace.
    fn probe_driver(&self) -> Result<(Driver, String)> {
        let mut reasons = Vec::new();
        let mut chosen = None;
        for driver in [Driver::Overlay, Driver::FuseOverlayfs] {
            match self.try_driver(driver) {
                Ok(()) => {
                    chosen = Some(driver);
                    break;
                }
                // Of a disk that is full nothing is to be learned about drivers.
                Err(e) if matches!(e.errno(), Some(libc::ENOSPC | libc::EDQUOT)) => return Err(e),
                Err(e) => reasons.push(format!("{}: {e}", name(driver))),
            }
        }
        let (driver, why) = match chosen {
            Some(driver) if reasons.is_empty() => {
                (driver, "the kernel's overlay works on this directory".to_owned())
            }
            Some(driver) => (driver, reasons.join("; ")),
            None => (Driver::Vfs, reasons.join("; ")),
        };
        let known = Remembered { version: ondisk::VERSION, driver, why: why.clone(), kernel: kernel() };
        ondisk::publish(self.data(), "driver.json", &known, Durability::Volatile)?;
        Ok((driver, why))
    }

    fn try_driver(&self, driver: Driver) -> Result<()> {
        let staging = Staging::new(self)?;
        make_sample(staging.dir())?;
        let base = format!("staging/{}", staging.name());
        let lowers = [format!("{base}/top"), format!("{base}/bottom")];
        let plan = overlay::Plan {
            lowers: &lowers,
            upper: &format!("{base}/upper"),
            work: &format!("{base}/work"),
            merged: &format!("{base}/merged"),
            volatile: false,
        };
        let merged: PathBuf = self.dirs.data.join(plan.merged);
        let server = match driver {
            Driver::Overlay => {
                overlay::mount(self.data(), &plan)?;
                None
            }
            _ => Some(fuse::mount(&self.dirs, &plan, fuse::Shown::default())?),
        };
        let result = check_sample(&merged);
        let unmounted = super::rootfs::Mounted::new(merged, server, true).umount();
        result.and(unmounted)
    }
}

/// Two layers: a file that the upper one deletes, a directory that it hides, one that stays.
fn make_sample(dir: BorrowedFd<'_>) -> Result<()> {
    for name in ["bottom", "top", "upper", "work", "merged", "bottom/kept", "bottom/hidden", "top/hidden"] {
        rustix::fs::mkdirat(dir, name, Mode::from(0o755)).call(|| format!("mkdirat({name})"))?;
    }
    for name in ["bottom/deleted", "bottom/kept/file", "bottom/hidden/old"] {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(dir, name, flags, Mode::from(0o644)).call(|| format!("openat({name})"))?;
    }
    rustix::fs::mknodat(dir, "top/deleted", FileType::CharacterDevice, Mode::empty(), 0)
        .call(|| "mknodat(whiteout, S_IFCHR, 0:0)")?;
    let hidden = open_dir(dir, "top/hidden")?;
    rustix::fs::fsetxattr(&hidden, "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty())
        .call(|| "fsetxattr(user.overlay.opaque)")?;
    Ok(())
}

/// What containers do: see whiteouts, copy up, delete a directory and make it anew.
fn check_sample(merged: &Path) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root: OwnedFd =
        rustix::fs::open(merged, flags, Mode::empty()).call(|| format!("open({merged:?})"))?;
    let exists = |name: &str| rustix::fs::statat(&root, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    let wrong = |why: &str| Err(Error::host("layers are not shown as they must be").cause(why));
    if exists("deleted") || exists("hidden/old") || !exists("kept/file") {
        return wrong("whiteouts of layers are not honoured");
    }
    rustix::fs::chmodat(&root, "kept/file", Mode::from(0o600), AtFlags::empty())
        .call(|| "chmod() of a file of a layer")?;
    rustix::fs::unlinkat(&root, "kept/file", AtFlags::empty()).call(|| "unlink() of a file of a layer")?;
    rustix::fs::unlinkat(&root, "kept", AtFlags::REMOVEDIR).call(|| "rmdir() of a directory of a layer")?;
    rustix::fs::mkdirat(&root, "kept", Mode::from(0o755)).call(|| "mkdir() over a deleted directory")?;
    if exists("kept/file") {
        return wrong("a directory made anew shows its old content");
    }
    Ok(())
}

/// The hidden role that probes inside the store's namespace: arguments are the two directories.
pub fn probe_role_main(args: Vec<OsString>) -> ExitCode {
    let mut args = args.into_iter().map(PathBuf::from);
    let (Some(data), Some(run)) = (args.next(), args.next()) else { return ExitCode::from(125) };
    let Some(sync) = crate::sys::spawn::inherited_fd(userns::SYNC_FD) else { return ExitCode::from(125) };
    let probe = || {
        userns::enter_store(sync.as_fd())?;
        let dirs = Dirs::only(data, run);
        Store::open(&dirs)?.probe_driver()
    };
    match probe() {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = rustix::net::send(&sync, &error.to_wire(), SendFlags::NOSIGNAL);
            ExitCode::FAILURE
        }
    }
}

/// Whether the current user namespace maps one id only: then owners cannot be set.
pub(super) fn single_id() -> Result<bool> {
    let map = std::fs::read_to_string("/proc/self/uid_map").call(|| "open(\"/proc/self/uid_map\")")?;
    Ok(userns::idmap::parse_text(&map).is_some_and(|map| userns::idmap::size(&map) == 1))
}

/// The driver's name, as `info` shows it.
pub fn name(driver: Driver) -> &'static str {
    match driver {
        Driver::Overlay => "overlay",
        Driver::FuseOverlayfs => "fuse-overlayfs",
        Driver::Vfs => "vfs",
    }
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}
