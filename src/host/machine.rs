//! Kernel and architecture.

use super::{Probe, Report};
use rustix::io::Errno;

/// Architectures whose system calls the seccomp compiler knows.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

pub(super) fn probe(report: &mut Report) {
    let uname = rustix::system::uname();
    let (release, arch) = (uname.release().to_string_lossy(), uname.machine().to_string_lossy());
    let fact = format!("{release} on {arch}");
    let missing: Vec<&str> = [("openat2", openat2()), ("pidfd_open", pidfd_open())]
        .into_iter()
        .filter_map(|(name, done)| matches!(done, Err(Errno::NOSYS | Errno::PERM)).then_some(name))
        // Who may not mount is told EPERM: only ENOSYS says that the call is missing.
        .chain((mount_setattr() == Err(Errno::NOSYS)).then_some("mount_setattr"))
        .collect();
    report.probes.push(if !missing.is_empty() {
        let calls = missing.join(", ");
        Probe::fail(
            "kernel",
            format!("{fact}: the system calls {calls} are missing or forbidden by a seccomp filter"),
        )
        .fix_as_root("boot a kernel of version 5.12 or later, or allow these calls in the outer sandbox")
    } else if !ARCHITECTURES.contains(&arch.as_ref()) {
        Probe::warn("kernel", format!("{fact}: this architecture is not tested"))
    } else {
        Probe::pass("kernel", fact)
    });
}

fn openat2() -> rustix::io::Result<()> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let resolve = rustix::fs::ResolveFlags::IN_ROOT;
    rustix::fs::openat2(rustix::fs::CWD, "/", flags, rustix::fs::Mode::empty(), resolve).map(drop)
}

fn pidfd_open() -> rustix::io::Result<()> {
    rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).map(drop)
}

fn mount_setattr() -> rustix::io::Result<()> {
    let root = rustix::fs::open(
        "/",
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    // Changes nothing, whoever asks.
    crate::sys::mount::set_attr(
        std::os::fd::AsFd::as_fd(&root),
        &crate::sys::mount::MountAttr::default(),
        false,
    )
}
