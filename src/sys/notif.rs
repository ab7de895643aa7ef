//! System calls: the listener of a seccomp filter, which answers the calls of other processes (seccomp_unotify(2)), and
//! statx into plain bytes, as another process wants to find them.

#![allow(unsafe_code)] // seccomp(2), its ioctls and a raw statx: rustix lacks them

use rustix::io::{Errno, Result};
use std::ffi::c_long;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Most bytes of a notification or an answer; the kernel says how many it has.
const ROOM: usize = 512;

/// A call that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification {
    /// Names it among all of this filter.
    pub id: u64,
    /// The thread that called, in the pid namespace of the listener's reader.
    pub pid: u32,
    pub number: i32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    pub args: [u64; 6],
}

/// What the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Value(i64),
    Error(Errno),
    /// The kernel does what was asked.
    GoOn,
    /// It has been given already (`give_fd`).
    Given,
}

/// How large this kernel's notification and answer are (SECCOMP_GET_NOTIF_SIZES).
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    notification: usize,
    answer: usize,
}

impl Sizes {
    pub fn ask() -> Result<Self> {
        const SECCOMP_GET_NOTIF_SIZES: c_long = 3;
        let mut sizes = [0u16; 3];
        // SAFETY: the kernel writes three u16 to `sizes`, which has them.
        let done =
            unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, sizes.as_mut_ptr()) };
        if done != 0 {
            return Err(last_error());
        }
        let [notification, answer, _] = sizes.map(usize::from);
        // Both structs only ever grow at their ends.
        if !(80..=ROOM).contains(&notification) || !(24..=ROOM).contains(&answer) {
            return Err(Errno::NOSYS);
        }
        Ok(Self { notification, answer })
    }
}

/// The next call that waits. ENOENT: it was killed meanwhile.
pub fn receive(listener: BorrowedFd<'_>, sizes: Sizes) -> Result<Notification> {
    // _IOWR('!', 0, struct seccomp_notif)
    let request = ioctl_number(3, 0, 80);
    // The kernel wants zeros.
    let mut space = [0u64; ROOM / 8];
    debug_assert!(sizes.notification <= ROOM);
    // SAFETY: the kernel writes a notification of the size that it said, which fits in `space` (checked in `Sizes::ask`).
    let done = unsafe { libc::ioctl(listener.as_raw_fd(), request, space.as_mut_ptr()) };
    if done != 0 {
        return Err(last_error());
    }
    // struct seccomp_notif { u64 id; u32 pid, flags; struct seccomp_data { int nr; u32 arch; u64 ip, args[6]; } }
    let [id, pid_flags, number_arch, _, args @ ..] = space;
    let [a, b, c, d, e, f, ..] = args;
    let (pid, _) = halves(pid_flags);
    let (number, arch) = halves(number_arch);
    Ok(Notification { id, pid, number: number.cast_signed(), arch, args: [a, b, c, d, e, f] })
}

/// Gives the answer. ENOENT: nobody waits for it any more.
pub fn answer(listener: BorrowedFd<'_>, sizes: Sizes, id: u64, answer: Answer) -> Result<()> {
    const SECCOMP_USER_NOTIF_FLAG_CONTINUE: u32 = 1;
    let request = ioctl_number(3, 1, 24);
    let (value, error, flags) = match answer {
        Answer::Value(value) => (value, 0, 0),
        Answer::Error(errno) => (0, -errno.raw_os_error(), 0),
        Answer::GoOn => (0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE),
        Answer::Given => return Ok(()),
    };
    debug_assert!(sizes.answer <= ROOM);
    // struct seccomp_notif_resp { u64 id; s64 val; s32 error; u32 flags; }
    let mut space = [0u64; ROOM / 8];
    space[..3].copy_from_slice(&[id, value.cast_unsigned(), whole(error.cast_unsigned(), flags)]);
    // SAFETY: the kernel reads an answer of the size that it said, which fits in `space` (checked in `Sizes::ask`).
    let done = unsafe { libc::ioctl(listener.as_raw_fd(), request, space.as_mut_ptr()) };
    if done == 0 { Ok(()) } else { Err(last_error()) }
}

/// Answers with a file that the caller has open from now on. EINVAL: kernels before 5.14 do not do both at once.
pub fn give_fd(listener: BorrowedFd<'_>, id: u64, fd: BorrowedFd<'_>, close_on_exec: bool) -> Result<()> {
    const SECCOMP_ADDFD_FLAG_SEND: u32 = 2;
    // _IOW('!', 3, struct seccomp_notif_addfd)
    let request = ioctl_number(1, 3, 24);
    let flags = if close_on_exec { libc::O_CLOEXEC.cast_unsigned() } else { 0 };
    // struct seccomp_notif_addfd { u64 id; u32 flags, srcfd, newfd, newfd_flags; }
    let space = [id, whole(SECCOMP_ADDFD_FLAG_SEND, fd.as_raw_fd().cast_unsigned()), whole(0, flags)];
    // SAFETY: the kernel reads one struct seccomp_notif_addfd, which is as large as `space`.
    let done = unsafe { libc::ioctl(listener.as_raw_fd(), request, space.as_ptr()) };
    if done >= 0 { Ok(()) } else { Err(last_error()) }
}

/// Whether that call still waits: only then its pid, and what was looked up by it, is the caller's.
pub fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    // _IOW('!', 2, __u64)
    let request = ioctl_number(1, 2, 8);
    // SAFETY: the kernel reads one u64.
    unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw const id) == 0 }
}

/// Caller and reader take turns on one CPU, which is most of a call's cost. Kernels before 6.6 do not know it.
pub fn take_turns(listener: BorrowedFd<'_>) {
    const SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP: u64 = 1;
    let request = ioctl_number(1, 4, 8);
    // SAFETY: the kernel takes the number itself, no memory.
    unsafe { libc::ioctl(listener.as_raw_fd(), request, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) };
}

/// Size of `struct statx`.
pub const STATX_SIZE: usize = 256;

/// statx(2) of an open file, as the kernel writes it.
pub fn statx(fd: BorrowedFd<'_>, flags: i32, mask: u32) -> Result<[u8; STATX_SIZE]> {
    let mut bytes = [0u8; STATX_SIZE];
    // SAFETY: the path is an empty C string, and the kernel writes one struct statx, which is as large as `bytes`.
    let done = unsafe {
        libc::syscall(
            libc::SYS_statx,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags | libc::AT_EMPTY_PATH,
            mask,
            bytes.as_mut_ptr(),
        )
    };
    if done == 0 { Ok(bytes) } else { Err(last_error()) }
}

/// `_IOC(direction, '!', number, size)`.
const fn ioctl_number(direction: u32, number: u32, size: u32) -> libc::Ioctl {
    (direction << 30 | size << 16 | 0x21 << 8 | number).cast_signed()
}

fn halves(word: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]))
}

fn whole(first: u32, second: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
