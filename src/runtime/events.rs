//! `events`: statistics at an interval, and a word when the kernel ended a process for want of memory.
//!
//! Nothing is polled that the kernel would tell: the end of the container comes by its pidfd, the lack of memory by
//! inotify on v2 and by an eventfd on v1.

use super::args::Context;
use super::spawn::pidfd_of;
use super::state::{StateDir, Status, is_alive, no_such_container};
use crate::cgroup::fs::Cgroup;
use crate::cgroup::stats;
use crate::error::{Error, Result};
use crate::id::RuntimeId;
use crate::sys::{self, CallContext};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::fs::inotify;
use rustix::fs::{Mode, OFlags};
use serde_json::{Value, json};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub interval: Duration,
    /// Statistics once, and no more.
    pub once: bool,
}

/// Tells events to `tell` until the container ends.
pub fn events(
    context: &Context,
    id: &RuntimeId,
    wanted: Wanted,
    tell: &mut dyn FnMut(&Value) -> Result<()>,
) -> Result<()> {
    let dir = StateDir::get(context, id)?;
    let record = dir.record()?.ok_or_else(no_such_container)?;
    if dir.status(Some(&record)) == Status::Stopped {
        return Err(Error::in_use(format_args!("container with id {id} is not running")));
    }
    let cgroup = record.cgroup.as_ref().map(|path| Cgroup::open(Path::new(path))).transpose()?.flatten();
    let cgroup = cgroup.ok_or_else(|| {
        Error::host(format_args!("container {id} has no cgroup")).cause("there is nothing that counts for it")
    })?;
    let stats = || json!({ "type": "stats", "id": id.as_str(), "data": stats::of(&cgroup) });
    if wanted.once {
        return tell(&stats());
    }
    let pidfd = pidfd_of(record.pid)?;
    let watch = watch_memory(&cgroup);
    let mut kills = stats::oom_kills(&cgroup);
    let interval = wanted.interval.min(sys::pidfd::LONGEST);
    let mut next = Instant::now() + interval;
    let told = sys::pidfd::is_pollable(pidfd.as_fd());
    while is_alive(&record) {
        let mut left = next.saturating_duration_since(Instant::now());
        if !told {
            left = left.min(sys::pidfd::LOOK);
        }
        let limit = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut fds: Vec<_> = told.then(|| PollFd::new(&pidfd, PollFlags::IN)).into_iter().collect();
        fds.extend(watch.as_ref().map(|watch| PollFd::new(watch.fd(), PollFlags::IN)));
        let ready = rustix::event::poll(&mut fds, Some(&limit)).unwrap_or(0);
        let memory = fds.get(usize::from(told)).is_some_and(|fd| !fd.revents().is_empty());
        drop(fds);
        if let Some(watch) = watch.as_ref().filter(|_| memory) {
            watch.clear();
        }
        let now = stats::oom_kills(&cgroup);
        if now > kills {
            kills = now;
            tell(&json!({ "type": "oom", "id": id.as_str() }))?;
        }
        if (told && ready == 0) || Instant::now() >= next {
            tell(&stats())?;
            next = Instant::now() + interval;
        }
    }
    Ok(())
}

/// What becomes readable when memory was short.
#[derive(Debug)]
enum Watch {
    V2(OwnedFd),
    /// With the file that the eventfd is about: the kernel asks for it.
    V1 {
        event: OwnedFd,
        _about: OwnedFd,
    },
}

impl Watch {
    fn fd(&self) -> &OwnedFd {
        match self {
            Self::V2(fd) | Self::V1 { event: fd, .. } => fd,
        }
    }

    fn clear(&self) {
        let mut buffer = [0u8; 1024];
        let _ = rustix::io::read(self.fd(), &mut buffer);
    }
}

/// None where there is no memory controller.
fn watch_memory(cgroup: &Cgroup) -> Option<Watch> {
    if let Some(dir) = cgroup.v1().iter().find(|dir| dir.has("memory")) {
        let open = |name: &str, flags| {
            rustix::fs::open(dir.path.join(name), flags | OFlags::CLOEXEC, Mode::empty()).ok()
        };
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
        let about = open("memory.oom_control", OFlags::RDONLY)?;
        let control = open("cgroup.event_control", OFlags::WRONLY)?;
        let line = format!("{} {}", event.as_raw_fd(), about.as_fd().as_raw_fd());
        rustix::io::write(&control, line.as_bytes()).call(|| "write(cgroup.event_control)").ok()?;
        return Some(Watch::V1 { event, _about: about });
    }
    let notify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok()?;
    inotify::add_watch(&notify, cgroup.path().join("memory.events"), inotify::WatchFlags::MODIFY).ok()?;
    Some(Watch::V2(notify))
}
