//! Reading ahead: the program that a container runs first, while its start goes on.
//!
//! Before it, the names at which a start looks: squashfuse does one thing after the other, and each of those questions would
//! wait behind the program.
//!
//! A program's pages are asked for one after the other as it touches them, and each time somebody waits until squashfuse
//! has unpacked a block. Nothing else is to be done on the other CPUs meanwhile, so they are asked for before: the kernel
//! keeps what comes, and nobody waits for it here. What cannot be read shows itself when it is run.

use crate::sys::fs::{Symlinks, open_below};
use rustix::fs::{Advice, FileType, Mode, OFlags};
use std::ffi::{CString, OsString};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// Most bytes that are asked for: what of a large program is touched first is not known, and what is unpacked for nothing is
/// in the way of what the start itself looks up.
const MOST: u64 = 2 << 20;

/// The kernel reads no more of a FUSE file for one request (`read_ahead_kb`), and drops the rest of it.
const AT_ONCE: NonZeroU64 = NonZeroU64::new(128 << 10).unwrap();

/// Where files of ours are put, in the order of their mounts. The kernel keeps that they are there, and that they are not.
const LOOKED_UP: [&str; 6] =
    ["etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf", "etc/hostname", "run/.containerenv"];

/// Asks for the first of `programs`, paths below `root`, that is there.
pub(super) fn read(root: &Path, programs: &[OsString]) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(root) = rustix::fs::open(root, flags, Mode::empty()) else { return };
    for path in LOOKED_UP.map(CString::new).into_iter().flatten() {
        let _ = open_below(root.as_fd(), &path, OFlags::PATH | OFlags::NOFOLLOW, Symlinks::InRoot);
    }
    let found = programs.iter().find_map(|path| {
        let path = CString::new(path.clone().into_vec()).ok()?;
        // Never held up by a fifo.
        open_below(root.as_fd(), &path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Symlinks::InRoot)
            .ok()
    });
    if let Some(program) = found {
        ask_for(&program);
    }
}

fn ask_for(program: &OwnedFd) {
    let Ok(stat) = rustix::fs::fstat(program) else { return };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return;
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0).min(MOST);
    let mut at = 0;
    while at < size {
        if rustix::fs::fadvise(program, at, Some(AT_ONCE), Advice::WillNeed).is_err() {
            return;
        }
        at += AT_ONCE.get();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{Errno, ReadWriteFlags};
    use std::io::{IoSliceMut, Write};

    fn scratch(name: &str) -> std::path::PathBuf {
        #[allow(clippy::disallowed_methods, reason = "a test's own directory")]
        std::env::temp_dir().join(format!("coracle-{name}-{}", std::process::id()))
    }

    /// Whether the last byte can be had without waiting for a disk.
    fn is_at_hand(file: &std::fs::File, size: u64) -> bool {
        let mut byte = [0u8];
        match rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut byte)], size - 1, ReadWriteFlags::NOWAIT) {
            Ok(read) => read == 1,
            Err(errno) => {
                assert_eq!(errno, Errno::AGAIN);
                false
            }
        }
    }

    #[test]
    fn the_first_program_that_is_there_is_read_to_its_end() {
        let base = scratch("ahead");
        std::fs::create_dir_all(base.join("usr/bin")).unwrap();
        std::os::unix::fs::symlink("/usr/bin", base.join("bin")).unwrap();
        let size = 3 * AT_ONCE.get() + 17;
        let program = base.join("usr/bin/program");
        let mut file = std::fs::File::create(&program).unwrap();
        file.write_all(&vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
        file.sync_all().unwrap();
        let file = std::fs::File::open(&program).unwrap();
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        // A directory in memory has no disk to wait for.
        if !is_at_hand(&file, size) {
            read(&base, &["/sbin/program", "/bin/program"].map(OsString::from));
            let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
            while !is_at_hand(&file, size) && std::time::Instant::now() < until {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert!(is_at_hand(&file, size));
        }
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn what_is_no_program_holds_nobody_up() {
        let base = scratch("ahead-not");
        std::fs::create_dir_all(base.join("directory")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, base.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        std::os::unix::fs::symlink("loop", base.join("loop")).unwrap();
        for name in ["directory", "fifo", "loop", "missing", "a\0b", ""] {
            read(&base, &[OsString::from(name)]);
        }
        std::fs::remove_dir_all(&base).unwrap();
    }
}
