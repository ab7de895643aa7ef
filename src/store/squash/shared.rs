//! One mount of an image for all of its containers: finding its holder, starting one, and being one.

use super::file::SquashFile;
use super::mount;
use crate::error::{Context, Error, Result};
use crate::ondisk::{self, Durability};
use crate::paths::{self, Dirs};
use crate::store::lock;
use crate::sys::{self, CallContext};
use crate::userns::{self, SYNC_FD, StoreMap};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The hidden role of a holder.
pub const HOLDER_ROLE: &str = "hold-image";
const IMAGE_FD: i32 = 4;
const READY: u8 = b'R';

/// The record of a holder.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    version: u32,
    generation: String,
    holder: i32,
    /// squashfuse: the holder's child, never reaped, so the number is its own for as long as the holder lives.
    server: i32,
}

/// A use of an image's mount. As long as `users` is open, in whatever process, the mount can be joined.
#[derive(Debug)]
pub struct Shared {
    pub user_namespace: OwnedFd,
    pub mount_namespace: OwnedFd,
    /// Holds the shared lock.
    pub users: OwnedFd,
    /// Where it is mounted.
    pub path: PathBuf,
    /// squashfuse: readable when it has ended.
    pub server: OwnedFd,
}

/// Puts a process that was started, and is not yet let go, into a cgroup of its own where that can be had.
pub type Place<'a> = &'a dyn Fn(&str, i32);

impl Shared {
    /// Joins the image's mount, or makes it.
    pub fn acquire(dirs: &Dirs, image: &SquashFile, place: Place<'_>) -> Result<Self> {
        let key = key(image);
        let what = || format!("cannot mount the image file {}", image.path);
        dirs.open_run()?;
        let dir = directory(dirs, &key);
        for path in [dirs.run.join("squash"), dir.clone()] {
            match rustix::fs::mkdir(&path, Mode::from(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e).call(|| format!("mkdir({path:?})")).what(what),
            }
        }
        let handle = open_directory(&dir).what(what)?;
        let _lock = flock(handle.as_fd(), "lock", FlockOperation::LockExclusive).what(what)?;
        match join(&dir, handle.as_fd()).what(what)? {
            Some(shared) => Ok(shared),
            None => start(dirs, image, &key, handle.as_fd(), place).what(what),
        }
    }
}

fn directory(dirs: &Dirs, key: &str) -> PathBuf {
    dirs.run.join("squash").join(key)
}

/// Which mount: the file, and in a Slurm step the step, because Slurm kills every process of it at its end.
fn key(image: &SquashFile) -> String {
    use sha2::Digest;
    let step = ["SLURM_JOB_ID", "SLURM_STEP_ID"].map(|name| paths::env(name).unwrap_or_default());
    let text = format!("{} {} {step:?}", image.stamp, image.offset);
    let digest: [u8; 32] = sha2::Sha256::digest(text.as_bytes()).into();
    crate::id::hex(digest.get(..16).unwrap_or_default())
}

fn open_directory(dir: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(dir, flags, Mode::empty()).call(|| format!("open({dir:?})"))?)
}

fn flock(dir: BorrowedFd<'_>, name: &str, operation: FlockOperation) -> sys::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        rustix::fs::openat(dir, name, flags, Mode::from(0o600)).call(|| format!("openat({name:?})"))?;
    loop {
        match rustix::fs::flock(&file, operation) {
            Err(Errno::INTR) => {}
            other => return other.call(|| format!("flock({name:?})")).map(|()| file),
        }
    }
}

/// The mount of a holder that lives and serves; `None` where there is none.
fn join(dir: &Path, handle: BorrowedFd<'_>) -> Result<Option<Shared>> {
    // A record that cannot be read is of a holder that is not to be had.
    let Ok(Some(holder)) = ondisk::read_opt::<Holder>(handle, "holder") else { return Ok(None) };
    let name = |what: &str| format!("{what}-{}", holder.generation);
    let Ok(users) = flock(handle, &name("users"), FlockOperation::NonBlockingLockShared) else {
        return Ok(None);
    };
    // Now it cannot end by itself. It may have been killed.
    let alive = || !lock::is_free(handle, &name("alive"));
    let namespace = |kind: &str| {
        let path = format!("/proc/{}/ns/{kind}", holder.holder);
        rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    };
    if !alive() {
        return Ok(None);
    }
    let (user, mounts) = (namespace("user"), namespace("mnt"));
    let server = serving(holder.server);
    let (true, Some(server)) = (alive(), server) else { return Ok(None) };
    let opened =
        |fd: rustix::io::Result<OwnedFd>| fd.call(|| format!("open(\"/proc/{}/ns\")", holder.holder));
    Ok(Some(Shared {
        user_namespace: opened(user)?,
        mount_namespace: opened(mounts)?,
        users,
        path: dir.join(name("mnt")),
        server,
    }))
}

/// The process, unless it has ended: a server that ended is not reaped as long as its holder lives.
fn serving(pid: i32) -> Option<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid)?;
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()?;
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let lives = rustix::event::poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&now)) == Ok(0);
    lives.then_some(pidfd)
}

/// Starts a holder and waits until it serves. Under the lock.
fn start(
    dirs: &Dirs,
    image: &SquashFile,
    key: &str,
    handle: BorrowedFd<'_>,
    place: Place<'_>,
) -> Result<Shared> {
    sweep(handle);
    let mut random = [0u8; 8];
    crate::id::random_bytes(&mut random)?;
    let generation = crate::id::hex(&random);
    // Before the holder waits for it.
    let users = flock(handle, &format!("users-{generation}"), FlockOperation::LockShared)?;
    let map = userns::store_map()?;
    let args: [OsString; 4] =
        [dirs.run.clone().into(), key.into(), generation.into(), image.offset.to_string().into()];
    let child = userns::spawn_role(HOLDER_ROLE, &args, &[(image.fd(), IMAGE_FD)])?;
    place(key, child.pid);
    userns::map_role(&child, &map)?;
    let mut answer = vec![0u8; 64 << 10];
    let (_, n) = rustix::net::recv(&child.sync, &mut answer, RecvFlags::empty()).call(|| "recv(holder)")?;
    match answer.get(..n).and_then(<[u8]>::split_first) {
        Some((&READY, _)) => {}
        Some((_, words)) => return Err(explain(Error::from_wire(words), &map)),
        None => return Err(Error::internal("the holder of an image's mount ended too early")),
    }
    let joined = join(&directory(dirs, key), handle)?;
    drop(users);
    joined.ok_or_else(|| Error::internal("the holder of an image's mount ended as soon as it was there"))
}

fn explain(error: Error, map: &StoreMap) -> Error {
    match map {
        StoreMap::SingleUid { reason, .. } => {
            error.cause(format_args!("only your own id is mapped: {reason}"))
        }
        _ => error,
    }
}

/// Removes what killed holders left and nobody uses any more. A user may outlive its holder: its files stay.
fn sweep(handle: BorrowedFd<'_>) {
    let names = crate::store::list_dir(handle).unwrap_or_default();
    for generation in names.iter().filter_map(|name| name.to_str()?.strip_prefix("users-")) {
        let alive = !lock::is_free(handle, &format!("alive-{generation}"));
        if !alive && lock::is_free(handle, &format!("users-{generation}")) {
            remove(handle, generation);
        }
    }
}

fn remove(handle: BorrowedFd<'_>, generation: &str) {
    let _ = rustix::fs::unlinkat(handle, format!("mnt-{generation}"), AtFlags::REMOVEDIR);
    let _ = rustix::fs::unlinkat(handle, format!("alive-{generation}"), AtFlags::empty());
    let _ = rustix::fs::unlinkat(handle, format!("users-{generation}"), AtFlags::empty());
}

/// `coracle --role hold-image RUN KEY GENERATION OFFSET`, fd 3 the sync socket, fd 4 the image.
pub fn holder_main(args: Vec<OsString>) -> ExitCode {
    if sys::fds::close_inherited(IMAGE_FD + 1).is_err() {
        return ExitCode::FAILURE;
    }
    let fds = (sys::spawn::inherited_fd(SYNC_FD), sys::spawn::inherited_fd(IMAGE_FD));
    let (Some(sync), Some(image)) = fds else { return ExitCode::FAILURE };
    match hold(&sync, &image, &args) {
        Ok(held) => {
            let _ = rustix::net::send(&sync, &[READY], SendFlags::NOSIGNAL);
            drop((sync, image));
            held.until_unused();
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut words = vec![b'E'];
            words.extend(error.to_wire());
            let _ = rustix::net::send(&sync, &words, SendFlags::NOSIGNAL);
            ExitCode::FAILURE
        }
    }
}

struct Held {
    directory: OwnedFd,
    /// Where it is mounted.
    path: PathBuf,
    generation: String,
    _alive: OwnedFd,
}

fn hold(sync: &OwnedFd, image: &OwnedFd, args: &[OsString]) -> Result<Held> {
    let [run, key, generation, offset] = args else {
        return Err(Error::internal("the role wants RUN KEY GENERATION OFFSET"));
    };
    let generation = generation.to_string_lossy().into_owned();
    let offset = offset.to_string_lossy().parse().map_err(|_| Error::internal("no offset"))?;
    let _ = rustix::process::setsid();
    userns::enter_store(sync.as_fd())?;
    rustix::process::chdir("/").call(|| "chdir(\"/\")")?;
    leave_stdio()?;
    let dir = Path::new(run).join("squash").join(key);
    let directory = open_directory(&dir)?;
    let alive =
        flock(directory.as_fd(), &format!("alive-{generation}"), FlockOperation::NonBlockingLockExclusive)?;
    let name = format!("mnt-{generation}");
    rustix::fs::mkdirat(&directory, &name, Mode::from(0o700)).call(|| format!("mkdirat({name:?})"))?;
    let path = dir.join(&name);
    let served = mount::mount(image.as_fd(), offset, &path).inspect_err(|_| {
        mount::unmount(&path);
        remove(directory.as_fd(), &generation);
    })?;
    let record = Holder {
        version: ondisk::VERSION,
        generation: generation.clone(),
        holder: rustix::process::getpid().as_raw_nonzero().get(),
        server: served.pid,
    };
    ondisk::publish(&directory, "holder", &record, Durability::Volatile)?;
    Ok(Held { directory, path, generation, _alive: alive })
}

/// The caller's terminal or pipe must not be kept by us.
fn leave_stdio() -> Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .call(|| "open(\"/dev/null\")")?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .call(|| "dup2(/dev/null)")?;
    Ok(())
}

impl Held {
    /// Waits until nobody uses the mount, and takes away what stands for it.
    fn until_unused(self) {
        let directory = self.directory.as_fd();
        let users = format!("users-{}", self.generation);
        let Ok(_nobody) = flock(directory, &users, FlockOperation::LockExclusive) else { return };
        let Ok(_lock) = flock(directory, "lock", FlockOperation::LockExclusive) else { return };
        let ours = ondisk::read_opt::<Holder>(directory, "holder").ok().flatten();
        if ours.is_some_and(|holder| holder.generation == self.generation) {
            let _ = rustix::fs::unlinkat(directory, "holder", AtFlags::empty());
        }
        mount::unmount(&self.path);
        remove(directory, &self.generation);
    }
}
