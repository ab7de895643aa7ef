//! Role processes: our own program again, inside the store's user namespace. See `userns` for the handshake.

use super::{IdMaps, IdRange, NEWGIDMAP, NEWUIDMAP, StoreMap, idmap};
use crate::error::{Context, Error, Result};
use crate::external::runtime::{LIMIT_HINT, LIMIT_REACHED};
use crate::external::{Tool, last_words};
use crate::paths::Dirs;
use crate::sys::{self, CallContext};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::ffi::{CStr, CString, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The number at which a role process finds its end of the sync socket.
pub const SYNC_FD: RawFd = 3;

/// The number at which it finds the user namespace that it is to join.
pub const USERNS_FD: RawFd = 4;

const UNSHARED: u8 = b'U';
const MAPPED: u8 = b'M';

static INSIDE: AtomicBool = AtomicBool::new(false);

/// A role process that was started.
#[derive(Debug)]
pub struct RoleChild {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// Our end of the SOCK_SEQPACKET pair.
    pub sync: OwnedFd,
}

/// Starts `coracle --role NAME ARGS`. The child finds the sync socket at fd 3 and each of `fds` at its number.
pub fn spawn_role(role: &str, args: &[OsString], fds: &[(BorrowedFd<'_>, RawFd)]) -> Result<RoleChild> {
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .call(|| "socketpair(AF_UNIX, SOCK_SEQPACKET)")?;
    let fixed = ["coracle".into(), "--role".into(), OsString::from(role)];
    let argv: Vec<CString> = fixed
        .into_iter()
        .chain(args.iter().cloned())
        .map(|arg| CString::new(arg.into_vec()).map_err(|_| Error::usage("an argument contains a NUL byte")))
        .collect::<Result<_>>()?;
    let mut placed = vec![(theirs.as_fd(), SYNC_FD)];
    placed.extend_from_slice(fds);
    const SELF: &CStr = c"/proc/self/exe";
    let pid = sys::spawn::spawn(SELF, &argv, &placed).what(|| format!("cannot start the {role} process"))?;
    let pidfd = rustix::process::pidfd_open(
        rustix::process::Pid::from_raw(pid).ok_or_else(|| Error::internal("posix_spawn gave pid 0"))?,
        rustix::process::PidfdFlags::empty(),
    )
    .call(|| format!("pidfd_open({pid})"))?;
    Ok(RoleChild { pid, pidfd, sync: ours })
}

/// The maps of a role process, on their way.
#[derive(Debug)]
pub struct Mapping(JoinHandle<Result<()>>);

/// Waits until the child has left our user namespace, writes its maps, and lets it go on.
pub fn map_role(child: &RoleChild, map: &StoreMap) -> Result<()> {
    map_role_when(child, map, || {})
}

/// The same for a child that is to wait for something else too. That is waited for even where the maps fail: until then
/// the child stays.
pub fn map_role_when(child: &RoleChild, map: &StoreMap, ready: impl FnOnce()) -> Result<()> {
    let written = write_maps(child.sync.as_fd(), child.pid, map);
    ready();
    written?;
    let_go(child)
}

/// The same up to where the child goes on, by a thread: the caller has something else to do meanwhile, and the start of each
/// helper would hold it up until the helper has begun.
pub fn start_mapping(child: &RoleChild, map: &StoreMap) -> Result<Mapping> {
    let sync = child.sync.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
    let (pid, map) = (child.pid, map.clone());
    let thread = std::thread::Builder::new().spawn(move || write_maps(sync.as_fd(), pid, &map));
    Ok(Mapping(thread.call(|| "clone(CLONE_THREAD)")?))
}

impl Mapping {
    /// Waits for the maps and lets the child go on.
    pub fn finish(self, child: &RoleChild) -> Result<()> {
        self.0.join().map_err(|_| Error::internal("the thread that writes the id maps ended early"))??;
        let_go(child)
    }
}

fn write_maps(sync: BorrowedFd<'_>, pid: i32, map: &StoreMap) -> Result<()> {
    let mut byte = [0u8; 1024];
    let (_, received) = rustix::net::recv(sync, &mut byte, RecvFlags::empty()).call(|| "recv(sync)")?;
    match byte.get(..received) {
        Some([UNSHARED]) => {}
        Some([b'E', errno @ ..]) => {
            let errno = std::str::from_utf8(errno).ok().and_then(|text| text.parse().ok());
            return Err(cannot_unshare(errno.unwrap_or(libc::EIO)));
        }
        _ => return Err(Error::internal("a role process ended before it had its user namespace")),
    }
    match map {
        StoreMap::Subordinate(maps) => {
            let uid = start_mapper(&NEWUIDMAP, pid, &maps.uids)?;
            let gid = start_mapper(&NEWGIDMAP, pid, &maps.gids)?;
            finish_mapper(&NEWUIDMAP, uid)?;
            finish_mapper(&NEWGIDMAP, gid)
        }
        StoreMap::Direct(maps) => {
            super::root::with_own_file_access(|| write_directly(&pid.to_string(), maps, false))
        }
        StoreMap::SingleUid { maps, .. } => write_directly(&pid.to_string(), maps, true),
    }
}

/// Lets a child go on that waits in `await_go`.
fn let_go(child: &RoleChild) -> Result<()> {
    rustix::net::send(&child.sync, &[MAPPED], SendFlags::NOSIGNAL).call(|| "send(sync)")?;
    Ok(())
}

fn cannot_unshare(errno: i32) -> Error {
    let error = Error::host("cannot create a user namespace");
    let call = "unshare(CLONE_NEWUSER|CLONE_NEWNS)";
    if matches!(errno, libc::ENOSPC | libc::EUSERS) {
        return limit_reached(error, call);
    }
    error.cause(sys::Error::new(call, errno)).hint("See what this machine forbids with `coracle doctor`.")
}

/// Says that it is the kernel's limit on namespaces that stands in the way. Its own word for that is ENOSPC, "no space left
/// on device", which would send everybody to look at their disks. The limit may be that of a namespace further out: only a
/// zero of our own is named.
pub fn limit_reached(error: Error, call: &str) -> Error {
    let limit = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    let why = match limit.trim() {
        "0" => "user.max_user_namespaces is 0",
        _ => LIMIT_REACHED,
    };
    error.cause(format_args!("{why} ({call}: ENOSPC)")).hint(LIMIT_HINT)
}

/// An unprivileged writer must give up setgroups first (user_namespaces(7), CVE-2014-8989).
fn write_directly(pid: &str, maps: &IdMaps, deny_setgroups: bool) -> Result<()> {
    if deny_setgroups {
        write_proc(pid, "setgroups", "deny")?;
    }
    write_proc(pid, "uid_map", &idmap::to_text(&maps.uids))?;
    write_proc(pid, "gid_map", &idmap::to_text(&maps.gids))
}

fn write_proc(pid: &str, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let fd = rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).call(|| format!("open({path:?})"))?;
    rustix::io::write(&fd, text.as_bytes()).call(|| format!("write({path:?}, {text:?})"))?;
    Ok(())
}

fn start_mapper(tool: &Tool, pid: i32, ranges: &[IdRange]) -> Result<Child> {
    let mut command = tool.command()?;
    command.arg(pid.to_string());
    for range in ranges {
        command.args([range.inside, range.outside, range.count].map(|n| n.to_string()));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command.spawn().call(|| format!("execve({})", tool.name))?)
}

fn finish_mapper(tool: &Tool, child: Child) -> Result<()> {
    let output = child.wait_with_output().call(|| format!("wait for {}", tool.name))?;
    if output.status.success() {
        return Ok(());
    }
    Err(tool
        .failed(&last_words(&output.stderr, &output.status.to_string()))
        .hint("See what stands in the way with `coracle doctor`: file modes of newuidmap, a nosuid mount, NoNewPrivileges, or a range that is not yours."))
}

/// Child side: leaves the caller's user namespace for a new one that the parent maps; ends as its root.
pub fn enter_store(sync: BorrowedFd<'_>) -> Result<()> {
    if let Err(e) = sys::spawn::unshare_user_and_mounts() {
        let _ = rustix::net::send(sync, format!("E{}", e.raw_os_error()).as_bytes(), SendFlags::NOSIGNAL);
        return Err(e.into());
    }
    rustix::net::send(sync, &[UNSHARED], SendFlags::NOSIGNAL).call(|| "send(sync)")?;
    await_go(sync)?;
    settle()
}

/// Child side: the same with the caller's own id alone mapped. For that nobody's help is needed, and nobody is waited for.
pub fn enter_store_alone() -> Result<()> {
    let map = StoreMap::only_me(String::new());
    sys::spawn::unshare_user_and_mounts().map_err(|e| cannot_unshare(e.raw_os_error()))?;
    write_directly("self", map.maps(), true)?;
    settle()
}

/// Child side: waits until the parent lets us go on.
fn await_go(sync: BorrowedFd<'_>) -> Result<()> {
    let mut byte = [0u8];
    let (_, received) = rustix::net::recv(sync, &mut byte, RecvFlags::empty()).call(|| "recv(sync)")?;
    if received != 1 || byte != [MAPPED] {
        return Err(Error::internal("the parent gave up before the id maps were written"));
    }
    Ok(())
}

/// The same in a user namespace that stands: the monitor's of a running container (a FUSE file system lets in only those of
/// the namespace in which it was mounted, whatever their ids).
pub fn join_store(namespace: BorrowedFd<'_>) -> Result<()> {
    sys::spawn::join_user_and_unshare_mounts(namespace)?;
    settle()
}

fn settle() -> Result<()> {
    sys::spawn::become_root_of_namespace()?;
    // Mounts of ours must not reach the caller's namespace; its unmounts may reach ours.
    rustix::mount::mount_change(
        "/",
        rustix::mount::MountPropagationFlags::DOWNSTREAM | rustix::mount::MountPropagationFlags::REC,
    )
    .call(|| "mount(\"/\", MS_SLAVE|MS_REC)")?;
    INSIDE.store(true, Ordering::Relaxed);
    Ok(())
}

/// Whether this process is a role process inside the store's user namespace.
pub fn inside_store() -> bool {
    INSIDE.load(Ordering::Relaxed)
}

/// Runs `coracle ARGS` again inside the store's user namespace, with our stdio, and returns its exit code.
///
/// The child dies with us; it is in our process group, so that the terminal's signals reach both and it decides.
pub fn run_in_store(dirs: &Dirs, args: &[OsString]) -> Result<u8> {
    run_in_store_with(dirs, args, &[], None)
}

/// The same, with more of our fds, each at its number; with `join` in that user namespace, which has the same map.
pub fn run_in_store_with(
    dirs: &Dirs,
    args: &[OsString],
    fds: &[(BorrowedFd<'_>, RawFd)],
    join: Option<BorrowedFd<'_>>,
) -> Result<u8> {
    let map = super::store_map()?;
    dirs.open_data()?;
    dirs.open_run()?;
    let child = match join {
        Some(namespace) => {
            let fds: Vec<_> = fds.iter().copied().chain([(namespace, USERNS_FD)]).collect();
            spawn_role("in-store-of", args, &fds)?
        }
        None => {
            let child = spawn_role("in-store", args, fds)?;
            map_role(&child, &map)?;
            child
        }
    };
    // They reach our child from the terminal as well, and the child decides: we wait for it.
    sys::spawn::ignore(&[libc::SIGINT, libc::SIGQUIT]);
    let status = loop {
        let id = rustix::process::WaitId::PidFd(child.pidfd.as_fd());
        match rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other.call(|| format!("waitid({})", child.pid))?,
        }
    };
    let status = status.ok_or_else(|| Error::internal("waitid returned no status"))?;
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 125,
    };
    Ok(u8::try_from(code).unwrap_or(125))
}
