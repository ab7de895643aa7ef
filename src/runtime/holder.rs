//! `coracle-oci hold FD`: keeps a container of ranks alive for as long as there is a rank.
//!
//! Each rank holds a shared lock on the file at FD, by an open file of its own (`engine::ranks`). The kernel gives it back
//! at the rank's end, however that comes. Who gets the exclusive lock knows that there is nobody, says so in the file, so
//! that nobody comes any more, and ends; with it the container does.

use crate::sys::spawn::inherited_fd;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::ffi::OsString;

/// Waits. Returns the exit status.
pub fn main(args: &[OsString]) -> u8 {
    let number = args.first().and_then(|fd| fd.to_str()).and_then(|fd| fd.parse().ok());
    let Some(users) = number.and_then(inherited_fd) else { return 125 };
    loop {
        match rustix::fs::flock(&users, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            Err(_) => return 125,
            Ok(()) => break,
        }
    }
    u8::from(rustix::io::pwrite(&users, b"ended\n", 0).is_err())
}
