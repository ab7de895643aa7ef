//! System calls of a process that stays for weeks and must be small: splitting in two that
//! share their memory pages (fork), and giving back the pages of code that only the start needed.
//!
//! fork has three callers. `engine::peek` and `monitor::owners` have a child that answers a question and ends. The monitor has its
//! guard. A guard that is an exec of its own would pay again for every page that
//! the loader relocates; the fork shares them with the monitor until one of the two writes.

#![allow(unsafe_code, reason = "fork and madvise have no safe face: what is safe depends on the process")]

use super::{CallContext, Result};
use rustix::process::Pid;

/// Which of the two the caller is now.
#[derive(Debug)]
pub enum Side {
    /// The old process, with the pid of the new one.
    Parent(Pid),
    Child,
}

/// Splits the process. Refused (EINVAL) when it has a second thread: that one's locks would stay locked in the child.
pub fn fork() -> Result<Side> {
    // SAFETY: unsharing memory changes nothing in a process with one thread, and fails in one with more.
    let alone = unsafe { libc::unshare(libc::CLONE_VM) };
    check(alone).call(|| "unshare(CLONE_VM) before fork()")?;
    // SAFETY: there is no other thread at this point (just checked), so the child may go on with all of this program's
    // functions: no lock is held by anybody else.
    let pid = unsafe { libc::fork() };
    check(pid).call(|| "fork()")?;
    Ok(Pid::from_raw(pid).map_or(Side::Child, Side::Parent))
}

/// Gives back this program's own code and constants: the kernel maps a page again when it is used, from the file. In a
/// process that waits for weeks they are most of its memory.
pub fn forget_code() {
    // SAFETY: the auxiliary vector is the kernel's, and its entries live as long as the process.
    let (headers, count) = unsafe { (libc::getauxval(libc::AT_PHDR), libc::getauxval(libc::AT_PHNUM)) };
    let headers =
        std::ptr::with_exposed_provenance::<libc::Elf64_Phdr>(usize::try_from(headers).unwrap_or(0));
    if headers.is_null() {
        return;
    }
    // SAFETY: AT_PHDR points to AT_PHNUM program headers of this program, which the kernel has mapped for good.
    let headers = unsafe { std::slice::from_raw_parts(headers, usize::try_from(count).unwrap_or(0)) };
    // SAFETY: only its address is taken.
    let file_start = (&raw const __ehdr_start) as u64;
    let first = headers.iter().find(|header| header.p_type == libc::PT_LOAD && header.p_offset == 0);
    let Some(first) = first else { return };
    let base = file_start.wrapping_sub(first.p_vaddr);
    for header in
        headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0)
    {
        let begin = base.wrapping_add(header.p_vaddr) & !0xFFF;
        let length = (header.p_vaddr & 0xFFF) + header.p_memsz;
        let address =
            std::ptr::with_exposed_provenance_mut::<libc::c_void>(usize::try_from(begin).unwrap_or(0));
        // SAFETY: the range is one loadable segment that was never writable (the loader's relocations are in others), so
        // every page of it equals the file, and dropping the mapping of a page loses nothing.
        unsafe { libc::madvise(address, usize::try_from(length).unwrap_or(0), libc::MADV_DONTNEED) };
    }
}

unsafe extern "C" {
    /// The linker's name for where this program's ELF header was loaded.
    static __ehdr_start: u8;
}

fn check(returned: libc::c_int) -> std::io::Result<()> {
    if returned < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
