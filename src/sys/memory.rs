//! System calls: reading the memory of another process in one step.
//!
//! /proc/PID/mem does the same, bound to the process by the open file, with three calls instead of one.

#![allow(unsafe_code)] // process_vm_readv(2): rustix lacks it

use rustix::io::{Errno, Result};
use std::ffi::c_void;

/// The kernel reads a part whole or not at all: one part ends where the smallest page does.
const PAGE: usize = 4096;

/// What a process, named by one of its threads, has at `address`: at least up to the next page. EFAULT: nothing is there.
pub fn read(thread: u32, address: u64, bytes: &mut [u8]) -> Result<usize> {
    let address = usize::try_from(address).map_err(|_| Errno::FAULT)?;
    let first = bytes.len().min(PAGE - address % PAGE);
    let part = |from: usize, length| libc::iovec {
        iov_base: address.wrapping_add(from) as *mut c_void,
        iov_len: length,
    };
    let here = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let there = [part(0, first), part(first, bytes.len() - first)];
    // SAFETY: the kernel writes to `bytes` alone, as many as it has; the other addresses mean nothing in this process.
    let read =
        unsafe { libc::process_vm_readv(thread.cast_signed(), &raw const here, 1, there.as_ptr(), 2, 0) };
    usize::try_from(read)
        .map_err(|_| Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::FAULT))
}

#[cfg(test)]
mod tests {
    use super::read;
    use rustix::io::Errno;

    #[test]
    fn what_is_there_and_what_is_not() {
        let (said, mut bytes) = (*b"what is there", [0u8; 13]);
        let own = std::process::id();
        assert_eq!((read(own, said.as_ptr() as u64, &mut bytes), bytes), (Ok(13), said));
        assert_eq!(read(own, 8, &mut bytes), Err(Errno::FAULT));
    }
}
