//! System calls: starting our own program again (posix_spawn, so that a process with threads may do it) with fds at
//! given numbers, and leaving the caller's user namespace. std's `Command` cannot place fds without code after fork.

#![allow(unsafe_code, reason = "posix_spawn and unshare have no safe face in rustix or std")]

use super::{CallContext, Error, Result};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Fds are moved above this number first, so that placing one cannot overwrite another.
const SCRATCH_FD: RawFd = 100;

/// Where the system's own programs are.
const OF_THE_SYSTEM: [&[u8]; 3] = [b"/usr/", b"/bin/", b"/sbin/"];
/// What a site's administrator has put beside them.
const BESIDE: &[u8] = b"/usr/local/";
/// What a variable for the loader of shared libraries begins with.
const OF_THE_LOADER: &[u8] = b"LD_";

/// Whether a program is the system's and takes the system's libraries: what `module load` or a package manager of the user's says
/// in LD_LIBRARY_PATH is for other programs, and breaks this one.
pub fn is_systems(program: &[u8]) -> bool {
    OF_THE_SYSTEM.iter().any(|begin| program.starts_with(begin)) && !program.starts_with(BESIDE)
}

/// Whether it is for the loader of shared libraries.
pub fn is_loaders(variable: &[u8]) -> bool {
    variable.starts_with(OF_THE_LOADER)
}

/// Starts `program` with `argv` and the caller's environment; a program of the system's has none for its loader. In the child `fds[i].0` stands at number `fds[i].1`;
/// every other fd is closed by its CLOEXEC flag. No signal is blocked in it, and SIGPIPE, which Rust programs ignore, acts
/// again: both would be inherited by the payload. Returns the pid.
pub fn spawn(program: &CStr, argv: &[CString], fds: &[(BorrowedFd<'_>, RawFd)]) -> Result<i32> {
    start(program, argv, fds, 0)
}

/// The same as the leader of a process group of its own.
pub fn spawn_leader(program: &CStr, argv: &[CString], fds: &[(BorrowedFd<'_>, RawFd)]) -> Result<i32> {
    // Which one: 0, as it is in new attributes, is the child's own.
    start(program, argv, fds, libc::POSIX_SPAWN_SETPGROUP)
}

fn start(
    program: &CStr,
    argv: &[CString],
    fds: &[(BorrowedFd<'_>, RawFd)],
    more_flags: libc::c_int,
) -> Result<i32> {
    let moved: Vec<(OwnedFd, RawFd)> = fds
        .iter()
        .map(|(fd, number)| Ok((super::fds::copy_above(fd, SCRATCH_FD)?, *number)))
        .collect::<Result<_>>()?;
    let mut pointers: Vec<*mut libc::c_char> = argv.iter().map(|a| a.as_ptr().cast_mut()).collect();
    pointers.push(std::ptr::null_mut());
    let without_loaders = environment(is_systems(program.to_bytes()));
    let mut pid = 0;
    // SAFETY: actions, attributes and the signal set are initialised before use, the first two destroyed after; `program`, `pointers` and
    // `without_loaders` (with their final nulls) are NUL-terminated and live across the call, and posix_spawn only reads them.
    let errno = unsafe {
        let mut actions: libc::posix_spawn_file_actions_t = std::mem::zeroed();
        libc::posix_spawn_file_actions_init(&raw mut actions);
        for (fd, number) in &moved {
            libc::posix_spawn_file_actions_adddup2(&raw mut actions, fd.as_raw_fd(), *number);
        }
        let mut attributes: libc::posix_spawnattr_t = std::mem::zeroed();
        libc::posix_spawnattr_init(&raw mut attributes);
        let mut signals: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const signals);
        libc::sigaddset(&raw mut signals, libc::SIGPIPE);
        libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const signals);
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF | more_flags;
        libc::posix_spawnattr_setflags(&raw mut attributes, flags as libc::c_short);
        let errno = libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            &raw const actions,
            &raw const attributes,
            pointers.as_ptr(),
            without_loaders.as_ptr(),
        );
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        libc::posix_spawnattr_destroy(&raw mut attributes);
        errno
    };
    if errno == 0 { Ok(pid) } else { Err(Error::new(format_args!("posix_spawn({program:?})"), errno)) }
}

/// The caller's environment, as exec takes it.
fn environment(without_loaders: bool) -> Vec<*mut libc::c_char> {
    let mut variables = Vec::new();
    // SAFETY: `environ` is an array of NUL-terminated strings that a null ends. It is never changed in this crate
    // (std::env::set_var is banned), so reading it does not race, and its strings live as long as the process.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            if !without_loaders || !is_loaders(CStr::from_ptr(*next).to_bytes()) {
                variables.push(*next);
            }
            next = next.add(1);
        }
    }
    variables.push(std::ptr::null_mut());
    variables
}

unsafe extern "C" {
    static environ: *mut *mut libc::c_char;
}

/// Takes ownership of a fd that the parent placed at `number`, and gives it its CLOEXEC flag back.
/// `None` when nothing is there.
pub fn inherited_fd(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: the number is only probed: F_GETFD on a number that is not open fails with EBADF and touches nothing.
    let probe = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if probe < 0 {
        return None;
    }
    // SAFETY: it is open (just probed), and a role process calls this once per number before it opens anything else,
    // so nothing else in the process owns it.
    let fd = unsafe { std::os::fd::FromRawFd::from_raw_fd(number) };
    let fd: OwnedFd = fd;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(fd)
}

/// Takes `count` fds from number 3 on that our caller left open for us. Ours have CLOEXEC, and an inherited one never has:
/// so a number that the caller did not open is never mistaken for one of ours. The error is the number that is not open.
pub fn callers_fds(count: u32) -> std::result::Result<Vec<OwnedFd>, RawFd> {
    let wanted: Vec<RawFd> = (3..).take(count as usize).collect();
    for &number in &wanted {
        // SAFETY: the number is only probed: F_GETFD on a number that is not open fails with EBADF and touches nothing.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        if flags < 0 || flags & libc::FD_CLOEXEC != 0 {
            return Err(number);
        }
    }
    // Probed above: open, and not ours.
    Ok(wanted.into_iter().filter_map(inherited_fd).collect())
}

/// Moves the calling (single-threaded) process into a new user namespace and a new mount namespace that it owns.
pub fn unshare_user_and_mounts() -> Result<()> {
    // SAFETY: with these two flags unshare changes only the caller's namespaces; fds and memory stay as they are.
    let done = unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) };
    if done == 0 {
        return Ok(());
    }
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    Err(Error::new("unshare(CLONE_NEWUSER|CLONE_NEWNS)", errno))
}

/// Moves the calling (single-threaded) process into an existing user namespace and a new mount namespace that it owns.
pub fn join_user_and_unshare_mounts(namespace: BorrowedFd<'_>) -> Result<()> {
    rustix::thread::move_into_link_name_space(namespace, Some(rustix::thread::LinkNameSpaceType::User))
        .call(|| "setns(CLONE_NEWUSER)")?;
    unshare_mounts()
}

/// Moves the calling (single-threaded) process into a copy of its mount namespace.
pub fn unshare_mounts() -> Result<()> {
    // SAFETY: with this flag unshare changes only the caller's mount namespace, root and working directory.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    if done == 0 {
        return Ok(());
    }
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    Err(Error::new("unshare(CLONE_NEWNS)", errno))
}

/// The user namespace in which another one was made (ioctl_ns(2), NS_GET_PARENT). EPERM when that is none of the caller's.
pub fn parent_user_namespace(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    const NS_GET_PARENT: libc::c_ulong = 0xb702;
    // SAFETY: the request has no argument, and its result is a new fd of ours, or -1.
    let fd = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_PARENT as libc::Ioctl) };
    if fd < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        return Err(Error::new("ioctl(NS_GET_PARENT)", errno));
    }
    // SAFETY: just made, and owned by nobody else. The kernel gives it the CLOEXEC flag.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) })
}

/// The parent is gone or will take us with it: the kernel sends `signal` when the thread that started us ends.
/// Cleared by a change of credentials, so it is set after those.
pub fn die_with_parent(signal: i32) -> Result<()> {
    let signal = rustix::process::Signal::from_named_raw(signal).ok_or(Errno::INVAL);
    signal
        .and_then(|s| rustix::process::set_parent_process_death_signal(Some(s)))
        .call(|| "prctl(PR_SET_PDEATHSIG)")
}

/// uid and gid 0 of the current user namespace, for the whole (single-threaded) process, real, effective and saved.
pub fn become_root_of_namespace() -> Result<()> {
    let (gid, uid) = (rustix::fs::Gid::ROOT, rustix::fs::Uid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid).call(|| "setresgid(0, 0, 0)")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).call(|| "setresuid(0, 0, 0)")
}

/// The command will lead a session and a process group of its own; `terminal`: its stdin is the session's terminal.
pub fn lead_session(command: &mut impl std::os::unix::process::CommandExt, terminal: bool) {
    let lead = move || {
        rustix::process::setsid()?;
        if terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        Ok(())
    };
    // SAFETY: it runs between fork and exec, and is two system calls: nothing is allocated, no lock is taken.
    unsafe { command.pre_exec(lead) };
}

/// Ignores `signals`, and so do the programs that this process starts from now on, unless they say otherwise themselves.
pub fn ignore(signals: &[i32]) {
    for &signal in signals {
        // SAFETY: SIG_IGN installs no handler, so nothing of ours runs in signal context.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// The ids that the kernel checks and records for file access, for the calling thread (setfsuid(2)). Real root gives up its
/// file privileges with a uid other than 0, and gets them back with 0; other privileges stay.
pub fn set_fs_ids(uid: u32, gid: u32) -> Result<()> {
    fs_ids(uid, gid).call(|| format!("setfsuid({uid})"))
}

/// The same where nothing may be allocated. It makes the process one that others may not look into (PR_SET_DUMPABLE), until
/// it starts a program.
pub fn fs_ids(uid: u32, gid: u32) -> rustix::io::Result<()> {
    // SAFETY: both calls take numbers and change only this thread's credentials; they report the previous id, never fail.
    unsafe {
        libc::setfsgid(gid);
        libc::setfsuid(uid);
    }
    // SAFETY: as above; -1 is no id, so this only asks.
    let now = unsafe { libc::setfsuid(libc::uid_t::MAX) };
    if u32::try_from(now) == Ok(uid) { Ok(()) } else { Err(rustix::io::Errno::PERM) }
}

/// Inode number of the machine's first user namespace (PROC_USER_INIT_INO in the kernel's proc_ns.h).
const INITIAL_USERNS_INODE: u64 = 0xEFFF_FFFD;

/// Whether the calling process is in the machine's first user namespace. By the namespace itself: the layout of uid_map
/// says nothing sure.
pub fn in_initial_user_namespace() -> bool {
    rustix::fs::stat("/proc/self/ns/user").is_ok_and(|st| st.st_ino == INITIAL_USERNS_INODE)
}
