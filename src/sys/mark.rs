//! A number on a process, which its children inherit and which stays when it executes another program.
//!
//! It is the soft limit RLIMIT_LOCKS: kept per process, copied by every kind of fork, and of no meaning to any kernel since
//! 2.4.25. Nothing else that is inherited can be set from outside and read without stopping the process.

#![allow(unsafe_code)] // prlimit(2) of another process: rustix only sets limits

use rustix::io::{Errno, Result};

/// struct rlimit64.
type Limit = [u64; 2];

/// The number on a process, given by one of its threads. Where there is none, it is `u64::MAX` or what a limit said.
pub fn read(thread: u32) -> Result<u64> {
    limit(thread).map(|[number, _]| number)
}

/// Puts a number on a process. EINVAL: its hard limit is below.
pub fn write(thread: u32, number: u64) -> Result<()> {
    let [_, most] = limit(thread)?;
    let new: Limit = [number, most];
    // SAFETY: the kernel reads one struct rlimit64 from `new`, and writes nothing to a null pointer.
    let done = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            thread,
            libc::RLIMIT_LOCKS,
            new.as_ptr(),
            std::ptr::null_mut::<Limit>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(last_error()) }
}

fn limit(thread: u32) -> Result<Limit> {
    let mut old: Limit = [0; 2];
    // SAFETY: the kernel reads nothing from a null pointer, and writes one struct rlimit64, which is as large as `old`.
    let done = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            thread,
            libc::RLIMIT_LOCKS,
            std::ptr::null::<Limit>(),
            old.as_mut_ptr(),
        )
    };
    if done == 0 { Ok(old) } else { Err(last_error()) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
