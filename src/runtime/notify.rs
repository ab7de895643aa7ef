//! NOTIFY_SOCKET: a service manager waits until the container says that it is ready.
//!
//! The container never gets the manager's own socket: it could say anything there in our name. At `create` a directory of
//! its state is bound on /run/notify, read-only; at `start` a socket of ours is put in it. Of what comes there `READY=` is
//! passed on, then MAINPID is ours to say, and BARRIER waits until the manager has taken both (sd_notify(3), runc).

use super::state::{StateDir, is_alive};
use crate::error::{Context, Error, Result};
use crate::ondisk::runtime_state::{NOTIFY, RuntimeState};
use crate::sys::CallContext;
use oci_spec::runtime::{MountBuilder, Spec};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use std::ffi::OsStr;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Where the container finds it.
const INSIDE: &str = "/run/notify";
/// The socket's name, in both places.
const NAME: &str = "notify.sock";
/// How long the manager may take for what was said.
const BARRIER: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// At `create`: the directory, its mount, and the variable in the payload's environment.
pub fn prepare(config: &mut Spec, dir: &StateDir) -> Result<()> {
    rustix::fs::mkdirat(&dir.fd, NOTIFY, Mode::from(0o755)).call(|| format!("mkdirat({NOTIFY:?})"))?;
    let options = ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned).to_vec();
    let mount = MountBuilder::default()
        .destination(INSIDE)
        .typ("bind")
        .source(dir.path.join(NOTIFY))
        .options(options)
        .build()
        .map_err(Error::internal)?;
    let mut mounts = config.mounts().clone().unwrap_or_default();
    mounts.push(mount);
    config.set_mounts(Some(mounts));
    if let Some(process) = config.process_mut() {
        let mut env = process.env().clone().unwrap_or_default();
        env.push(format!("NOTIFY_SOCKET={INSIDE}/{NAME}"));
        process.set_env(Some(env));
    }
    Ok(())
}

/// Our socket in the container, and the manager's.
#[derive(Debug)]
pub struct Notify {
    inside: OwnedFd,
    manager: OwnedFd,
}

impl Notify {
    /// Opens both. None: the container was created without.
    pub fn open(dir: &StateDir, manager: &OsStr) -> Result<Option<Self>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match rustix::fs::openat(&dir.fd, NOTIFY, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.call(|| format!("openat({NOTIFY:?})"))?,
        };
        let cannot = || format!("cannot use NOTIFY_SOCKET={}", manager.display());
        let inside = datagrams()?;
        // Short, however deep the state directory is.
        let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()))
            .call(|| "sun_path")?;
        rustix::net::bind(&inside, &address).call(|| format!("bind({NAME:?})"))?;
        rustix::fs::chmodat(&folder, NAME, Mode::from(0o777), AtFlags::empty())
            .call(|| format!("chmodat({NAME:?}, 0777)"))?;
        let outside = datagrams()?;
        let address = match manager.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddrUnix::new_abstract_name(name),
            None => SocketAddrUnix::new(manager),
        };
        let address = address.call(|| "sun_path").what(cannot)?;
        rustix::net::connect(&outside, &address).call(|| format!("connect({manager:?})")).what(cannot)?;
        Ok(Some(Self { inside, manager: outside }))
    }

    /// Readable when the container has said something.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inside.as_fd()
    }

    /// Waits until the payload is ready, or gone.
    pub fn wait(&self, record: &RuntimeState) -> Result<()> {
        let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while is_alive(record) {
            let mut fds = [PollFd::from_borrowed_fd(self.fd(), PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&moment)) {
                Ok(0) | Err(Errno::INTR) => continue,
                other => other.call(|| "poll()")?,
            };
            if self.hear(Some(record.pid))? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes one message; true for `READY=`, which is passed on. `pid` is then said to be the main process.
    pub fn hear(&self, pid: Option<i32>) -> Result<bool> {
        let mut buffer = [0u8; 4096];
        let (_, len) = match rustix::net::recv(&self.inside, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            other => other.call(|| "recv(NOTIFY_SOCKET)")?,
        };
        let said = buffer.get(..len).unwrap_or_default();
        let Some(line) = said.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"READY=")) else {
            return Ok(false);
        };
        self.say(&[line, b"\n"].concat())?;
        if let Some(pid) = pid {
            self.say(format!("MAINPID={pid}\n").as_bytes())?;
        }
        self.barrier();
        Ok(true)
    }

    fn say(&self, text: &[u8]) -> Result<()> {
        rustix::net::send(&self.manager, text, SendFlags::NOSIGNAL).call(|| "send(NOTIFY_SOCKET)")?;
        Ok(())
    }

    /// The manager closes the fd when it has read everything before. One that does not know of it costs the wait alone.
    fn barrier(&self) {
        let Ok((ours, theirs)) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC) else { return };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = [theirs.as_fd()];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
            return;
        }
        let sent = rustix::net::sendmsg(
            &self.manager,
            &[IoSlice::new(b"BARRIER=1")],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        );
        drop(theirs);
        if sent.is_ok() {
            let _ = rustix::event::poll(&mut [PollFd::new(&ours, PollFlags::HUP)], Some(&BARRIER));
        }
    }
}

fn datagrams() -> Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .call(|| "socket(AF_UNIX, SOCK_DGRAM)")?)
}
