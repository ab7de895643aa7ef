//! System calls: signals as events (signalfd), signals to processes (pidfd), and the mask that children start with.
//!
//! libc and not rustix: rustix has no signalfd, and no real-time signals (`--stop-signal SIGRTMIN+3`).

#![allow(unsafe_code, reason = "signalfd and sigprocmask take raw sets and numbers")]

use super::{CallContext, Error, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What a command passes on to the one that it stands for. Not the stops of job control: those are the command's own.
pub const PASSED_ON: [i32; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGCONT,
];

/// Signals that arrive as readable events instead of interrupting. Blocked for the process as long as it lives:
/// `spawn::spawn` gives children an empty mask again.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks `signals` in the calling thread and opens a fd (CLOEXEC, non-blocking) that reports them.
    pub fn new(signals: &[i32]) -> Result<Self> {
        let set = signal_set(signals);
        // SAFETY: `set` is initialised by signal_set and only read; no old mask is asked for.
        let blocked = unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        check(i64::from(blocked)).call(|| "sigprocmask(SIG_BLOCK)")?;
        // SAFETY: as above; -1 asks for a new fd.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        check(i64::from(fd)).call(|| "signalfd()")?;
        // SAFETY: the kernel just gave us this fd, nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal that waits, or none.
    pub fn next(&self) -> Option<i32> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer has `size` bytes, and the kernel writes whole records only.
        let read = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if usize::try_from(read) != Ok(size) {
            return None;
        }
        // SAFETY: a whole record was written (just checked); every bit pattern is valid for its integers.
        let info = unsafe { info.assume_init() };
        i32::try_from(info.ssi_signo).ok()
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes `signals` out of the blocked ones, so that they act again as they did.
pub fn unblock(signals: &[i32]) {
    let set = signal_set(signals);
    // SAFETY: `set` is initialised by signal_set and only read; no old mask is asked for.
    unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Whether the caller's parent had this signal ignored (`nohup`, a background job).
pub fn is_ignored(signal: i32) -> bool {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null new action sigaction only writes the old one, which is a zeroed struct of plain data.
    let done = unsafe { libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr()) };
    // SAFETY: zeroed at least, and plain data.
    done == 0 && unsafe { old.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Sends a signal, real-time ones too, to the process behind a pidfd.
pub fn send(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    super::pidfd::signal(pidfd, signal).call(|| format!("pidfd_send_signal({signal})"))
}

fn signal_set(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: sigemptyset initialises the set; sigaddset only changes it, and refuses bad numbers with EINVAL.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

fn check(returned: i64) -> std::io::Result<()> {
    if returned < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// The number of a signal that the caller knows to be out of range.
pub fn valid(signal: i32) -> Result<i32> {
    if (1..=64).contains(&signal) {
        return Ok(signal);
    }
    Err(Error::new(format_args!("signal {signal}"), libc::EINVAL))
}
