//! Our own binary must survive the containers that it starts (CVE-2019-5736).
//!
//! A container can make us execute ourselves inside it (a command or an interpreter that is `/proc/self/exe`), and then
//! has a link to our file in /proc/PID/exe, through the mount that we were started from. So, where somebody in a
//! container could write the file, we first execute ourselves again through a read-only copy of that mount, which no
//! container can reach to change it. An unprivileged user may not copy mounts: then a sealed copy in memory does.
//!
//! The question "could somebody write it" is asked of the kernel: whoever may be in a container holds no more rights on
//! the file than we do. A binary that root has installed is not writable for a user (nor for root of a user namespace),
//! so the usual case costs two system calls.

use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use crate::sys::fs::may;
use crate::sys::mount::{self, ATTR_RDONLY, MountAttr};
use crate::sys::process::{ExecStrings, fexecve};
use rustix::fs::{Access, CWD, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

const SELF: &std::ffi::CStr = c"/proc/self/exe";

/// Returns when the binary is safe from containers; else replaces the process by a protected one.
pub fn protect() -> Result<()> {
    if !writable()? {
        return Ok(());
    }
    let copy = match read_only_bind() {
        Ok(tree) => tree,
        Err(_) => sealed_copy()?,
    };
    let failed = execute(&copy);
    Err(failed)
        .call(|| "execveat(a protected copy of /proc/self/exe)")
        .what(|| "cannot protect the runtime's own binary")
}

/// Whether we, and so perhaps a container, could write our file: through this mount, or as a file that is not sealed.
fn writable() -> Result<bool> {
    match may(SELF, Access::WRITE_OK) {
        // EROFS: the mount is read-only, perhaps by our own doing.
        Err(Errno::ROFS) => return Ok(false),
        Err(Errno::ACCESS | Errno::PERM) => {
            // A group of the container could still write it, if the file lets its group.
            let stat = rustix::fs::stat(SELF).call(|| "stat(/proc/self/exe)")?;
            return Ok(stat.st_mode & 0o022 != 0);
        }
        Ok(()) => {}
        Err(e) => Err(e).call(|| "faccessat(/proc/self/exe)")?,
    }
    let file = rustix::fs::open(SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| "open(/proc/self/exe)")?;
    Ok(!rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::WRITE)))
}

fn read_only_bind() -> rustix::io::Result<OwnedFd> {
    let tree = mount::clone_tree(CWD, SELF, false)?;
    mount::set_attr(tree.as_fd(), &MountAttr { set: ATTR_RDONLY, ..MountAttr::default() }, false)?;
    Ok(tree)
}

fn sealed_copy() -> Result<OwnedFd> {
    let cannot = || "cannot protect the runtime's own binary";
    let source = rustix::fs::open(SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| "open(/proc/self/exe)")
        .what(cannot)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels that ask whether a memory file may be executed want to be told; older ones do not know the flag.
    let copy = match rustix::fs::memfd_create(c"coracle-oci", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"coracle-oci", flags),
        other => other,
    }
    .call(|| "memfd_create()")
    .what(cannot)?;
    while rustix::fs::sendfile(&copy, &source, None, 64 << 20).call(|| "sendfile()").what(cannot)? > 0 {}
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&copy, seals).call(|| "fcntl(F_ADD_SEALS)").what(cannot)?;
    Ok(copy)
}

fn execute(copy: &OwnedFd) -> Errno {
    let (Ok(argv), Ok(envp)) = (strings(std::env::args_os()), strings(environment())) else {
        return Errno::INVAL;
    };
    fexecve(copy.as_fd(), &ExecStrings::new(argv), &ExecStrings::new(envp))
}

fn environment() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        name
    })
}

fn strings(all: impl Iterator<Item = OsString>) -> Result<Vec<CString>> {
    all.map(|text| {
        CString::new(text.into_vec()).map_err(|_| Error::internal("an argument contains a NUL byte"))
    })
    .collect()
}
