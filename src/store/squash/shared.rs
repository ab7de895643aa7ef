//! One mount of an image for all of its containers: finding its holder, or starting one (`holder` is its own side).

use super::file::SquashFile;
use super::holder::{HOLDER_ROLE, Holder, IMAGE_FD, MAPPED_BY_ITSELF, MAPPED_FROM_OUTSIDE, MOUNTED, SERVING};
use super::place::{Locked, directory, flock, mark_use, sweep, sweep_others};
use crate::error::{Context, Error, Result};
use crate::ondisk;
use crate::paths::{self, Dirs};
use crate::store::lock;
use crate::sys::CallContext;
use crate::userns::{self, StoreMap};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

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

/// Asks for a cgroup of its own for a process that was started and is not yet let go; the answer waits until it is there.
pub type Place = fn(&str, i32) -> Box<dyn FnOnce()>;

/// A holder that was found or started.
#[derive(Debug)]
pub enum Begun {
    Found(Shared),
    Started(Starting),
}

/// A holder on its way.
#[derive(Debug)]
pub struct Starting {
    dir: PathBuf,
    handle: OwnedFd,
    lock: OwnedFd,
    users: OwnedFd,
    sync: OwnedFd,
    path: PathBuf,
    map: StoreMap,
    image: String,
}

/// A mount that is found or made meanwhile, by a thread. Dropped, it waits for that: a holder is never left half placed.
#[derive(Debug)]
pub struct Coming(Option<JoinHandle<Result<Mounted>>>);

/// A mount that stands. Who looks into it waits for its server.
#[derive(Debug)]
pub struct Mounted {
    pub shared: Shared,
    /// Its holder's socket and the lock, until its server has said that it serves.
    starting: Option<(OwnedFd, OwnedFd)>,
    image: String,
}

/// Who shares a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharers {
    /// All containers of the user; of a Slurm step, those of the step, for Slurm kills every process of it at its end.
    All,
    /// Those that have one id, and that were started in one cgroup: what ends one of them there ends them all.
    OfOurCgroup,
}

impl Shared {
    /// Begins to join the image's mount, or to make it in a user namespace with this map.
    pub fn begin(dirs: &Dirs, image: &SquashFile, map: &StoreMap, place: Place) -> Result<Coming> {
        let wanted = Wanted::new(dirs, image, map, Sharers::All)?;
        let acquire = move || wanted.begin(Some(place))?.mounted();
        Ok(Coming(Some(std::thread::Builder::new().spawn(acquire).call(|| "clone(CLONE_THREAD)")?)))
    }

    /// The same without a thread, for a caller who alone is mapped and where the holder stays where it was started.
    pub fn begin_here(dirs: &Dirs, image: &SquashFile, map: &StoreMap) -> Result<Begun> {
        Wanted::new(dirs, image, map, Sharers::OfOurCgroup)?.begin(None)
    }
}

impl Begun {
    /// Where it is mounted, or will be.
    pub fn path(&self) -> &Path {
        match self {
            Self::Found(shared) => &shared.path,
            Self::Started(starting) => &starting.path,
        }
    }

    /// Waits until it is mounted.
    pub fn mounted(self) -> Result<Mounted> {
        match self {
            Self::Found(shared) => Ok(Mounted { shared, starting: None, image: String::new() }),
            Self::Started(starting) => {
                let image = starting.image.clone();
                starting.mounted().what(|| cannot_mount(&image))
            }
        }
    }
}

impl Starting {
    fn mounted(self) -> Result<Mounted> {
        let Self { dir, handle, lock, users, sync, map, image, .. } = self;
        hear(&sync, MOUNTED).map_err(|error| explain(error, &map))?;
        let Some(shared) = join(&dir, handle.as_fd())? else {
            // squashfuse has ended already, and the holder says why.
            hear(&sync, SERVING)?;
            return Err(Error::internal("the holder of an image's mount ended as soon as it was there"));
        };
        drop(users);
        Ok(Mounted { shared, starting: Some((sync, lock)), image })
    }
}

fn explain(error: Error, map: &StoreMap) -> Error {
    match map {
        StoreMap::SingleUid { reason, .. } => {
            error.cause(format_args!("only your own id is mapped: {reason}"))
        }
        _ => error,
    }
}

fn cannot_mount(image: &str) -> String {
    format!("cannot mount the image file {image}")
}

impl Coming {
    /// Waits until it is mounted.
    pub fn mounted(mut self) -> Result<Mounted> {
        let thread = self.0.take().ok_or_else(|| Error::internal("a mount that was waited for"))?;
        thread.join().map_err(|_| Error::internal("the thread that mounts the image ended early"))?
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let _ = self.0.take().map(JoinHandle::join);
    }
}

impl Mounted {
    /// Waits until the image can be read.
    pub fn served(self) -> Result<Shared> {
        if let Some((sync, _lock)) = &self.starting {
            hear(sync, SERVING).what(|| cannot_mount(&self.image))?;
        }
        Ok(self.shared)
    }
}

/// What has to be known for it.
struct Wanted {
    dirs: Dirs,
    image: OwnedFd,
    name: String,
    offset: u64,
    programs: Vec<String>,
    key: String,
    map: StoreMap,
}

impl Wanted {
    fn new(dirs: &Dirs, image: &SquashFile, map: &StoreMap, sharers: Sharers) -> Result<Self> {
        Ok(Self {
            dirs: dirs.clone(),
            image: image.fd().try_clone_to_owned().call(|| "fcntl(F_DUPFD_CLOEXEC)")?,
            name: image.path.clone(),
            offset: image.offset,
            programs: image.programs.clone(),
            key: key(image, sharers),
            map: map.clone(),
        })
    }

    fn begin(&self, place: Option<Place>) -> Result<Begun> {
        self.find_or_start(place).what(|| cannot_mount(&self.name))
    }

    fn find_or_start(&self, place: Option<Place>) -> Result<Begun> {
        self.dirs.open_run()?;
        let dir = directory(&self.dirs.run, &self.key);
        let Locked { handle, lock } = Locked::made(&self.dirs.run, &dir)?;
        match join(&dir, handle.as_fd())? {
            Some(shared) => Ok(Begun::Found(shared)),
            None => self.start(dir, handle, lock, place).map(Begun::Started),
        }
    }

    /// Starts a holder. Under the lock.
    fn start(&self, dir: PathBuf, handle: OwnedFd, lock: OwnedFd, place: Option<Place>) -> Result<Starting> {
        sweep(handle.as_fd());
        sweep_others(&self.dirs.run, &self.key);
        let mut random = [0u8; 8];
        crate::id::random_bytes(&mut random)?;
        let generation = crate::id::hex(&random);
        // Before the holder waits for it.
        let users = flock(handle.as_fd(), &format!("users-{generation}"), FlockOperation::LockShared)?;
        let path = dir.join(format!("mnt-{generation}"));
        let mut args: Vec<OsString> = vec![
            self.dirs.run.clone().into(),
            (&self.key).into(),
            generation.into(),
            self.offset.to_string().into(),
            if place.is_some() { MAPPED_FROM_OUTSIDE } else { MAPPED_BY_ITSELF }.into(),
        ];
        args.extend(self.programs.iter().map(OsString::from));
        let child = userns::spawn_role(HOLDER_ROLE, &args, &[(self.image.as_fd(), IMAGE_FD)])?;
        if let Some(place) = place {
            let placed = place(&self.key, child.pid);
            userns::map_role_when(&child, &self.map, placed)?;
        }
        let (map, image) = (self.map.clone(), self.name.clone());
        Ok(Starting { dir, handle, lock, users, sync: child.sync, path, map, image })
    }
}

/// Waits for this word of a holder.
fn hear(sync: &OwnedFd, word: u8) -> Result<()> {
    let mut answer = vec![0u8; 64 << 10];
    let (_, n) = rustix::net::recv(sync, &mut answer, RecvFlags::empty()).call(|| "recv(holder)")?;
    match answer.get(..n).and_then(<[u8]>::split_first) {
        Some((first, _)) if *first == word => Ok(()),
        Some((_, words)) => Err(Error::from_wire(words)),
        None => Err(Error::internal("the holder of an image's mount ended too early")),
    }
}

/// Which mount: the file, and whose.
fn key(image: &SquashFile, sharers: Sharers) -> String {
    use sha2::Digest;
    let step = ["SLURM_JOB_ID", "SLURM_STEP_ID"].map(|name| paths::env(name).unwrap_or_default());
    let cgroup = (sharers == Sharers::OfOurCgroup)
        .then(|| std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
    let text = format!("{} {} {step:?} {cgroup:?}", image.stamp, image.offset);
    let digest: [u8; 32] = sha2::Sha256::digest(text.as_bytes()).into();
    crate::id::hex(digest.get(..16).unwrap_or_default())
}

/// The mount of a holder that lives and serves; `None` where there is none.
fn join(dir: &Path, handle: BorrowedFd<'_>) -> Result<Option<Shared>> {
    // A record that cannot be read is of a holder that is not to be had.
    let Ok(Some(holder)) = ondisk::read_opt::<Holder>(handle, "holder") else { return Ok(None) };
    let name = |what: &str| format!("{what}-{}", holder.generation);
    let Ok(users) = flock(handle, &name("users"), FlockOperation::NonBlockingLockShared) else {
        return Ok(None);
    };
    mark_use(&users);
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
    // One that is being killed loses its namespaces before its lock; one of another user namespace lets us in nowhere.
    let not_to_be_had = [Errno::NOENT, Errno::SRCH, Errno::ACCESS, Errno::PERM];
    if [&user, &mounts].into_iter().any(|fd| fd.as_ref().is_err_and(|errno| not_to_be_had.contains(errno))) {
        return Ok(None);
    }
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
