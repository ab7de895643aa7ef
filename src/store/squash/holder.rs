//! The holder of an image's mount: a process that keeps it for whoever comes next (see the parent module).
//!
//! It says `MOUNTED` when the mount can be joined, so that the container's monitor need not wait until the image's root has
//! been looked at, and `SERVING` when the image can be read. What goes wrong is said instead, and nothing stays of it.

use super::idle::Idle;
use super::{ahead, leave, mount, place};
use crate::error::{Error, Result};
use crate::ondisk::{self, Durability};
use crate::sys::{self, CallContext};
use crate::userns::{self, SYNC_FD};
use rustix::fs::{AtFlags, FlockOperation, Mode};
use rustix::net::SendFlags;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The hidden role of a holder.
pub const HOLDER_ROLE: &str = "hold-image";
pub(super) const IMAGE_FD: i32 = 4;
pub(super) const MOUNTED: u8 = b'M';
pub(super) const SERVING: u8 = b'R';

/// Its arguments before the programs.
const FIXED: usize = 5;

/// Who maps the ids of its user namespace: whoever started it, or nobody but itself.
pub(super) const MAPPED_FROM_OUTSIDE: &str = "outside";
pub(super) const MAPPED_BY_ITSELF: &str = "itself";

/// The record of a holder.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Holder {
    version: u32,
    pub generation: String,
    pub holder: i32,
    /// squashfuse: the holder's child, never reaped, so the number is its own for as long as the holder lives.
    pub server: i32,
}

/// `coracle --role hold-image RUN KEY GENERATION OFFSET MAPPED [PROGRAM...]`, fd 3 the sync socket, fd 4 the image.
pub fn holder_main(args: Vec<OsString>) -> ExitCode {
    if sys::fds::close_inherited(IMAGE_FD + 1).is_err() {
        return ExitCode::FAILURE;
    }
    let fds = (sys::spawn::inherited_fd(SYNC_FD), sys::spawn::inherited_fd(IMAGE_FD));
    let (Some(sync), Some(image)) = fds else { return ExitCode::FAILURE };
    match hold(&sync, &image, &args) {
        Ok((held, idle)) => {
            let _ = rustix::net::send(&sync, &[SERVING], SendFlags::NOSIGNAL);
            drop((sync, image));
            // Not before: whoever waits for us would wait for all that is unpacked.
            ahead::read(&held.path, args.get(FIXED..).unwrap_or_default());
            held.until_unused(&idle);
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

fn hold(sync: &OwnedFd, image: &OwnedFd, args: &[OsString]) -> Result<(Held, Idle)> {
    let [run, key, generation, offset, mapped, ..] = args else {
        return Err(Error::internal("the role wants RUN KEY GENERATION OFFSET MAPPED"));
    };
    let generation = generation.to_string_lossy().into_owned();
    let offset = offset.to_string_lossy().parse().map_err(|_| Error::internal("no offset"))?;
    let _ = rustix::process::setsid();
    // A batch system signals every process of a step. The payloads decide what becomes of them: their files stay until they
    // have ended. (libfuse leaves an ignored signal ignored.)
    sys::spawn::ignore(&[
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGUSR2,
    ]);
    // Nor does it belong to the CPUs of the rank that came first.
    let _ = sys::cpus::use_all();
    if mapped == MAPPED_BY_ITSELF {
        userns::enter_store_alone()?;
    } else {
        userns::enter_store(sync.as_fd())?;
    }
    rustix::process::chdir("/").call(|| "chdir(\"/\")")?;
    sys::null::leave_stdio()?;
    let dir = place::directory(Path::new(run), &key.to_string_lossy());
    let handle = place::open_directory(&dir)?;
    let alive = place::flock(
        handle.as_fd(),
        &format!("alive-{generation}"),
        FlockOperation::NonBlockingLockExclusive,
    )?;
    let name = format!("mnt-{generation}");
    rustix::fs::mkdirat(&handle, &name, Mode::from(0o700)).call(|| format!("mkdirat({name:?})"))?;
    let path = dir.join(&name);
    let held = Held { directory: handle, path, generation, _alive: alive };
    match held.mount(sync, image, offset) {
        Ok(idle) => Ok((held, idle)),
        Err(error) => {
            held.take_away();
            Err(error)
        }
    }
}

impl Held {
    fn mount(&self, sync: &OwnedFd, image: &OwnedFd, offset: u64) -> Result<Idle> {
        let server = mount::begin(image.as_fd(), offset, &self.path)?;
        // While it comes up.
        let idle = Idle::of(image, &server.pidfd)?;
        if !idle.stays() {
            leave::mark_waited_for(self.directory.as_fd(), &self.generation);
        }
        let record = Holder {
            version: ondisk::VERSION,
            generation: self.generation.clone(),
            holder: rustix::process::getpid().as_raw_nonzero().get(),
            server: server.pid,
        };
        ondisk::publish(&self.directory, "holder", &record, Durability::Volatile)?;
        server.await_greeting(&self.path)?;
        let _ = rustix::net::send(sync, &[MOUNTED], SendFlags::NOSIGNAL);
        server.await_service(&self.path)?;
        Ok(idle)
    }

    /// Waits until nobody uses the mount, nor comes for a while, and takes away what stands for it.
    fn until_unused(self, idle: &Idle) {
        let directory = self.directory.as_fd();
        let users = format!("users-{}", self.generation);
        let _locks = loop {
            // Who comes in the moment in which we have this starts another holder.
            let Ok(nobody) = place::flock(directory, &users, FlockOperation::LockExclusive) else { return };
            let before = place::last_use(&nobody);
            drop(nobody);
            let ends = idle.is_cut_short();
            // With it nobody comes.
            let Ok(lock) = place::lock(directory) else { return };
            match place::flock(directory, &users, FlockOperation::NonBlockingLockExclusive) {
                Ok(nobody) if ends || place::last_use(&nobody) == before => break (lock, nobody),
                _ => {}
            }
        };
        self.take_away();
        if let Some(dir) = self.path.parent() {
            place::vacate(directory, dir);
        }
    }

    /// Under the lock, which at the start is our caller's.
    fn take_away(&self) {
        let directory = self.directory.as_fd();
        let ours = ondisk::read_opt::<Holder>(directory, "holder").ok().flatten();
        if ours.is_some_and(|holder| holder.generation == self.generation) {
            let _ = rustix::fs::unlinkat(directory, "holder", AtFlags::empty());
        }
        mount::unmount(&self.path);
        place::remove(directory, &self.generation);
    }
}
