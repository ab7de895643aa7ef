//! What /proc/self/mountinfo says of the file system that a file is on (proc_pid_mountinfo(5)).

use rustix::fs::{AtFlags, StatxFlags};
use std::os::fd::AsFd;

/// Type and source of it, of an open file. The file system itself is not asked anything.
pub fn kind_and_source(fd: impl AsFd) -> Option<(String, String)> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let st = rustix::fs::statx(fd, c"", flags, StatxFlags::empty()).ok()?;
    let number = format!("{}:{}", st.stx_dev_major, st.stx_dev_minor);
    let text = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = text.lines().find(|line| line.split(' ').nth(2) == Some(&number))?;
    let (kind, rest) = line.split_once(" - ")?.1.split_once(' ')?;
    Some((kind.to_owned(), rest.split(' ').next()?.to_owned()))
}
