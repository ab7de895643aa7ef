//! A process that is held by a fd: signalled, waited for and joined, and never mistaken for another one that got its pid.
//!
//! A pidfd where there are any (pidfd_open, Linux 5.3). Elsewhere, and where a seccomp filter around us refuses the call, the
//! process's directory in /proc: it is of one process for ever as well, and what is read in it fails when that one is
//! gone; only waiting must look again and again.
//!
//! `signal` and `join` are used after clone: bare errnos, no allocation.

#![allow(
    unsafe_code,
    reason = "pidfd_send_signal takes raw numbers: rustix knows no real-time signals, and no SO_PEERPIDFD"
)]

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How often a process is looked at where the kernel does not tell its end.
pub const LOOK: Duration = Duration::from_millis(10);

/// What is longer has no end on the kernel's clock: a century stands for it.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Holds the process `pid` of our pid namespace. ESRCH: there is none.
pub fn open(pid: i32) -> Result<OwnedFd> {
    let number = Pid::from_raw(pid).filter(|_| pid > 0).ok_or(Errno::SRCH)?;
    match rustix::process::pidfd_open(number, PidfdFlags::empty()) {
        // The call needs no right: EPERM is an old engine's word for one that it does not know.
        Err(Errno::NOSYS | Errno::PERM) => directory(pid),
        other => other,
    }
}

/// Not in libc yet.
const SO_PEERPIDFD: i32 = 77;

/// Holds the process that made the other end of a socket: the kernel names it (Linux 6.5). Elsewhere it is found by its
/// `pid`, which by now may be another's. ESRCH: it has ended.
pub fn of_peer(socket: BorrowedFd<'_>, pid: i32) -> Result<OwnedFd> {
    let (mut fd, mut size) = (-1i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: both point to what the kernel may write, of the size that is given.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut fd).cast(),
            &raw mut size,
        )
    };
    if got == 0 && fd >= 0 {
        // SAFETY: the kernel has just made it for us. It is CLOEXEC.
        return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    match Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL) {
        Errno::NOPROTOOPT => open(pid),
        // It was reaped before it could be held.
        Errno::INVAL => Err(Errno::SRCH),
        e => Err(e),
    }
}

/// Its directory in /proc.
pub fn directory(pid: i32) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty()) {
        Err(Errno::NOENT) => Err(Errno::SRCH),
        other => other,
    }
}

/// Whether poll(2) on it waits for the end of the process. A directory is always ready.
pub fn is_pollable(process: BorrowedFd<'_>) -> bool {
    super::fs::file_type(process).is_ok_and(|kind| kind != rustix::fs::FileType::Directory)
}

/// Sends any signal, real-time ones too. ESRCH: the process has ended.
pub fn signal(process: BorrowedFd<'_>, signal: i32) -> Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: no siginfo is given, so the kernel makes one.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, info, 0) };
    if sent == 0 {
        return Ok(());
    }
    match Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL) {
        // A filter may say either, and a process of somebody else's is EPERM for kill as well.
        Errno::NOSYS | Errno::PERM => super::process::signal(pid_of(process)?, signal),
        e => Err(e),
    }
}

/// SIGKILL, whatever comes of it.
pub fn kill(process: BorrowedFd<'_>) {
    let _ = signal(process, libc::SIGKILL);
}

/// Its pid, while it is there: from the pidfd's own description, or from the directory.
pub fn pid_of(process: BorrowedFd<'_>) -> Result<i32> {
    let mut text = [0u8; 1024];
    if !is_pollable(process) {
        let length = read(process, c"stat", &mut text)?;
        return number(text.get(..length).unwrap_or_default());
    }
    let own = rustix::fs::open(c"/proc/self/fdinfo", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let (mut name, mut at) = ([0u8; 12], 11);
    let mut left = process.as_raw_fd().unsigned_abs();
    while at > 0 {
        at -= 1;
        *name.get_mut(at).ok_or(Errno::INVAL)? = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    let name = CStr::from_bytes_until_nul(name.get(at..).unwrap_or_default()).map_err(|_| Errno::INVAL)?;
    let length = read(own.as_fd(), name, &mut text)?;
    let mut lines = text.get(..length).unwrap_or_default().split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(b"Pid:")).ok_or(Errno::SRCH)?;
    // -1: it has been reaped.
    number(line.trim_ascii_start())
}

fn read(dir: BorrowedFd<'_>, name: &CStr, text: &mut [u8]) -> Result<usize> {
    let file = rustix::fs::openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::read(&file, text)
}

fn number(text: &[u8]) -> Result<i32> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    let value = digits.fold(0i32, |all, byte| all.saturating_mul(10).saturating_add(i32::from(byte - b'0')));
    if value > 0 { Ok(value) } else { Err(Errno::SRCH) }
}

/// Whether it has ended; a zombie has. For a directory.
fn has_ended(process: BorrowedFd<'_>) -> bool {
    let mut text = [0u8; 1024];
    let Ok(length) = read(process, c"stat", &mut text) else { return true };
    let stat = text.get(..length).unwrap_or_default();
    let after = stat.iter().rposition(|byte| *byte == b')').map_or(0, |at| at + 2);
    matches!(stat.get(after), None | Some(b'Z' | b'X'))
}

/// Waits for its end, at most that long. Whether it has come.
pub fn wait(process: BorrowedFd<'_>, limit: Duration) -> Result<bool> {
    let end = Instant::now() + limit.min(LONGEST);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if is_pollable(process) {
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            match rustix::event::poll(&mut [PollFd::from_borrowed_fd(process, PollFlags::IN)], Some(&left)) {
                Err(Errno::INTR) => {}
                other => return other.map(|ready| ready > 0),
            }
        } else if has_ended(process) {
            return Ok(true);
        } else if left.is_zero() {
            return Ok(false);
        } else {
            std::thread::sleep(LOOK.min(left));
        }
    }
}

/// The kinds of namespaces, as flags and by name; a user namespace first, for the rights in it, and the mounts last.
const KINDS: [(i32, &CStr); 8] = [
    (libc::CLONE_NEWUSER, c"ns/user"),
    (libc::CLONE_NEWCGROUP, c"ns/cgroup"),
    (libc::CLONE_NEWIPC, c"ns/ipc"),
    (libc::CLONE_NEWUTS, c"ns/uts"),
    (libc::CLONE_NEWNET, c"ns/net"),
    (libc::CLONE_NEWPID, c"ns/pid"),
    (libc::CLONE_NEWTIME, c"ns/time"),
    (libc::CLONE_NEWNS, c"ns/mnt"),
];

/// Joins the namespaces `kinds` (CLONE_NEW*) of a process: all at once by its pidfd (Linux 5.8), else one by one by its
/// `directory`.
pub fn join(process: BorrowedFd<'_>, directory: BorrowedFd<'_>, kinds: u64) -> Result<()> {
    let all = ThreadNameSpaceType::from_bits_retain(kinds as u32);
    match rustix::thread::move_into_thread_name_spaces(process, all) {
        Err(Errno::INVAL | Errno::BADF) => {}
        other => return other,
    }
    // All are opened first: the rights to do so may be gone after the first one.
    let mut opened: [Option<OwnedFd>; KINDS.len()] = [const { None }; KINDS.len()];
    for ((kind, name), place) in KINDS.iter().zip(&mut opened) {
        if kinds & *kind as u64 != 0 {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            *place = Some(rustix::fs::openat(directory, *name, flags, Mode::empty())?);
        }
    }
    opened
        .iter()
        .flatten()
        .try_for_each(|fd| rustix::thread::move_into_link_name_space(fd.as_fd(), None::<LinkNameSpaceType>))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "real processes to look at")]
mod tests {
    use super::*;

    #[test]
    fn the_peer_of_a_socket_is_held_and_not_its_pid() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        // The pid counts only where the kernel cannot say it better.
        let peer = of_peer(ours.as_fd(), std::process::id() as i32).unwrap();
        assert_eq!(pid_of(peer.as_fd()), Ok(std::process::id() as i32));
        let dir = std::env::temp_dir().join(format!("peer-{}", std::process::id()));
        let listener = std::os::unix::net::UnixListener::bind(&dir).unwrap();
        let script = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])";
        let mut child = std::process::Command::new("python3").args(["-c", script]).arg(&dir).spawn().unwrap();
        let (connection, _) = listener.accept().unwrap();
        child.wait().unwrap();
        std::fs::remove_file(&dir).unwrap();
        let gone = of_peer(connection.as_fd(), 1).and_then(|peer| pid_of(peer.as_fd()));
        assert!(gone == Err(Errno::SRCH) || gone == Ok(1), "{gone:?}");
    }

    #[test]
    fn a_directory_is_as_good_as_a_pidfd() {
        for hold in [open, directory] {
            let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
            let held = hold(child.id() as i32).unwrap();
            assert_eq!(pid_of(held.as_fd()), Ok(child.id() as i32));
            assert_eq!(wait(held.as_fd(), Duration::from_millis(30)), Ok(false));
            signal(held.as_fd(), libc::SIGKILL).unwrap();
            assert_eq!(wait(held.as_fd(), Duration::from_secs(20)), Ok(true));
            child.wait().unwrap();
            assert_eq!(signal(held.as_fd(), 0), Err(Errno::SRCH));
        }
        assert_eq!(open(0).unwrap_err(), Errno::SRCH);
        assert_eq!(directory(i32::MAX).unwrap_err(), Errno::SRCH);
    }
}
