//! The process on the host that runs what its box asks for. See `toolbox::host`.
//!
//! One poll loop, no thread. It holds nothing of a running command but its process and the connection of who wants it.

use super::{Command, NOTE, REQUEST, ROLE, Request, SOCKET};
use crate::engine;
use crate::error::{Context, Error, Kind, Result};
use crate::external::command_at;
use crate::id::ContainerId;
use crate::monitor::client;
use crate::monitor::protocol::{self, event, input};
use crate::ondisk::container::Container;
use crate::ondisk::toolbox::{Home, Toolbox};
use crate::paths::Dirs;
use crate::sys::spawn::{in_initial_user_namespace, inherited_fd, lead_session, parent_user_namespace};
use crate::sys::{self, CallContext, null, pidfd, socket, tty};
use crate::toolbox::live;
use crate::userns::SYNC_FD;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::net::{RecvFlags, SendFlags, SocketType};
use rustix::process::{Pid, Signal};
use rustix::pty::OpenptFlags;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};

/// A user namespace: its file's device and inode.
type Namespace = (u64, u64);

/// How many user namespaces one may be below the box's.
const DEPTH: usize = 32;

struct Server {
    dirs: Dirs,
    container: Container,
    toolbox: Toolbox,
    /// The box's.
    inside: Namespace,
    listener: OwnedFd,
    /// Ends with the box.
    monitor: OwnedFd,
    environment: BTreeMap<String, String>,
    /// Whose request has not come yet.
    pending: Vec<(OwnedFd, Peer)>,
    running: Vec<Running>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Host,
    Box,
}

struct Running {
    child: Child,
    pidfd: OwnedFd,
    /// None: it has gone, and the command knows.
    client: Option<OwnedFd>,
}

/// `coracle --role host DATA RUN ID`.
pub fn role_main(args: Vec<OsString>) -> ExitCode {
    if sys::fds::close_inherited(SYNC_FD + 1).is_err() {
        return ExitCode::FAILURE;
    }
    let Some(sync) = inherited_fd(SYNC_FD) else { return ExitCode::FAILURE };
    let answer = |data: &[u8]| {
        let _ = socket::send(sync.as_fd(), data, &[], &[], SendFlags::empty());
    };
    match Server::new(&args) {
        Ok(mut server) => {
            answer(&[REQUEST]);
            drop(sync);
            server.serve();
            ExitCode::SUCCESS
        }
        Err(error) => {
            answer(&error.to_wire());
            ExitCode::FAILURE
        }
    }
}

impl Server {
    fn new(args: &[OsString]) -> Result<Self> {
        let [data, run, id] = args else {
            return Err(Error::internal(format_args!("the role {ROLE} wants DATA RUN ID")));
        };
        let id = ContainerId::parse(&id.to_string_lossy())?;
        let dirs = Dirs::only(data.into(), run.into());
        let container = engine::find(&dirs, id.as_str())?;
        let toolbox = crate::toolbox::record(&dirs, &container)?
            .filter(|toolbox| toolbox.host_exec && !toolbox.isolated)
            .ok_or_else(|| Error::internal("a box that is not to run the host's commands"))?;
        let _ = rustix::process::setsid();
        rustix::process::chdir("/").call(|| "chdir(\"/\")")?;
        null::leave_stdio()?;
        let ended = || Error::in_use("it is not running");
        let monitor = client::watch(&dirs, &id)?.ok_or_else(ended)?;
        let pid = engine::lookup::state(&dirs, &container)?.pid.ok_or_else(ended)?;
        let inside = namespace_of(pid).ok_or_else(ended)?;
        let path = dirs.container(&id).join(live::DIRECTORY);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path:?})"))?;
        let listener = socket::listen_at(dir.as_fd(), SOCKET, SocketType::SEQPACKET)?;
        Ok(Self {
            dirs,
            container,
            toolbox,
            inside,
            listener,
            monitor,
            environment: BTreeMap::new(),
            pending: Vec::new(),
            running: Vec::new(),
        })
    }

    /// Until the box ends.
    fn serve(&mut self) {
        loop {
            let watched = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
            let mut fds = vec![watched(self.monitor.as_fd()), watched(self.listener.as_fd())];
            fds.extend(self.pending.iter().map(|(fd, _)| watched(fd.as_fd())));
            fds.extend(self.running.iter().map(|one| watched(one.pidfd.as_fd())));
            fds.extend(self.running.iter().filter_map(|one| Some(watched(one.client.as_ref()?.as_fd()))));
            if self.pending.is_empty() && self.running.is_empty() {
                // It may wait for weeks.
                sys::fork::forget_code();
            }
            if client::poll(&mut fds).is_err() {
                return;
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            let mut ready = ready.into_iter();
            let (ended, asked) = (ready.next() == Some(true), ready.next() == Some(true));
            if ended {
                self.running.iter_mut().for_each(Running::hang_up);
                return;
            }
            let told: Vec<bool> = ready.by_ref().take(self.pending.len()).collect();
            let done: Vec<bool> = ready.by_ref().take(self.running.len()).collect();
            for (one, done) in self.running.iter_mut().zip(&done) {
                if one.client.is_some() && ready.next() == Some(true) && !done {
                    one.hear();
                }
            }
            let mut at = done.into_iter();
            self.running.retain_mut(|one| !(at.next() == Some(true) && one.ended()));
            for (index, _) in told.iter().enumerate().rev().filter(|(_, told)| **told) {
                let (connection, peer) = self.pending.swap_remove(index);
                self.first_packet(connection, peer);
            }
            if asked {
                self.accept();
            }
        }
    }

    fn accept(&mut self) {
        let Ok(connection) = socket::accept(self.listener.as_fd()) else { return };
        match self.peer(&connection) {
            Some(peer) => self.pending.push((connection, peer)),
            None => refuse(
                &connection,
                &Error::new(Kind::Denied, "cannot run a command on the host")
                    .cause(format_args!("the caller is not the user of box {}", self.container.name))
                    .hint("Use `coracle host` in that box, or make this one with `--host-exec`."),
            ),
        }
    }

    /// Who has connected. None: nobody that is served.
    fn peer(&self, connection: &OwnedFd) -> Option<Peer> {
        let (pid, uid) = socket::peer(connection.as_fd()).ok()?;
        if uid != rustix::process::getuid().as_raw() {
            return None;
        }
        // Held while it is looked at: its pid cannot become another's.
        let process = pidfd::of_peer(connection.as_fd(), pid).ok()?;
        let pid = pidfd::pid_of(process.as_fd()).ok()?;
        let own =
            rustix::fs::open(user_namespace(pid), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        pidfd::signal(process.as_fd(), 0).ok()?;
        let st = rustix::fs::fstat(&own).ok()?;
        let namespace = (st.st_dev, st.st_ino);
        if namespace == self.inside {
            return Some(Peer::Box);
        }
        if Some(namespace) == namespace_of(rustix::process::getpid().as_raw_nonzero().get()) {
            return in_initial_user_namespace().then_some(Peer::Host);
        }
        let mut at = own;
        for _ in 0..DEPTH {
            at = parent_user_namespace(at.as_fd()).ok()?;
            let st = rustix::fs::fstat(&at).ok()?;
            if (st.st_dev, st.st_ino) == self.inside {
                return Some(Peer::Box);
            }
        }
        None
    }

    fn first_packet(&mut self, connection: OwnedFd, peer: Peer) {
        let (mut tag, mut fds) = ([0u8; 1], Vec::new());
        let read = socket::recv(connection.as_fd(), &mut tag, &mut fds, RecvFlags::DONTWAIT);
        if !matches!(read, Ok(1)) || tag != [REQUEST] || fds.is_empty() {
            return;
        }
        let file = fds.remove(0);
        match (super::receive(file), peer) {
            (Ok(Request::Environment(environment)), Peer::Host) => {
                self.environment = environment;
                let _ = protocol::send(connection.as_fd(), event::OK, &[]);
            }
            (Ok(Request::Run(command)), Peer::Box) => {
                let name = command.args.first().filter(|_| !command.own).map_or("coracle", String::as_str);
                let what = format!("cannot run {name} on the host");
                match self.run(&connection, &command, fds).what(|| what) {
                    Ok((child, pidfd)) => {
                        self.running.push(Running { child, pidfd, client: Some(connection) });
                    }
                    Err(error) => refuse(&connection, &error),
                }
            }
            (Err(error), _) => refuse(&connection, &error),
            _ => {}
        }
    }

    fn run(&self, connection: &OwnedFd, wanted: &Command, fds: Vec<OwnedFd>) -> Result<(Child, OwnedFd)> {
        let (program, args) = match (wanted.own, wanted.args.split_first()) {
            (true, _) => (PathBuf::from("/proc/self/exe"), wanted.args.as_slice()),
            (false, Some((program, args))) => (PathBuf::from(program), args),
            (false, None) => return Err(Error::usage("no command given")),
        };
        let (directory, note) = self.directory(wanted)?;
        if let Some(note) = note {
            let _ = protocol::send(connection.as_fd(), NOTE, note.as_bytes());
        }
        let mut command = command_at(&program);
        if wanted.own {
            command.arg0("coracle").arg("--root").arg(&self.dirs.data).arg("--runroot").arg(&self.dirs.run);
        }
        command.args(args).env_clear().envs(self.environment.iter().filter(|_| !wanted.clear));
        command.envs(wanted.env.iter().map(|(name, value)| (name, value)));
        for name in &wanted.unset {
            command.env_remove(name);
        }
        command.current_dir(&directory).env("PWD", &directory);
        let mut stdio = fds.into_iter().map(Stdio::from);
        let (stdin, stdout, stderr, master) = if wanted.terminal {
            let (master, ours) = terminal(wanted.size)?;
            let copy = || ours.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)").map(Stdio::from);
            (copy()?, copy()?, copy()?, Some(master))
        } else {
            let mut next = || stdio.next().ok_or_else(|| Error::internal("a request without its fds"));
            (next()?, next()?, next()?, None)
        };
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        lead_session(&mut command, wanted.terminal);
        let child = command.spawn().map_err(|e| not_started(&e))?;
        let pid = i32::try_from(child.id()).unwrap_or_default();
        let pidfd = pidfd::open(pid).call(|| format!("pidfd_open({pid})"))?;
        if let Some(master) = master {
            let fds = [master.as_fd()];
            socket::send(connection.as_fd(), &[event::TERMINAL], &[], &fds, SendFlags::empty())
                .call(|| "sendmsg(terminal)")?;
        }
        let _ = protocol::send(connection.as_fd(), event::STARTED, &pid.to_le_bytes());
        Ok((child, pidfd))
    }

    /// The directory of the host's that the client's is, or the nearest, and a word when it is another.
    fn directory(&self, wanted: &Command) -> Result<(PathBuf, Option<String>)> {
        if let Some(directory) = &wanted.directory {
            if !Path::new(directory).is_dir() {
                return Err(Error::usage(format_args!("{directory} is not a directory of the host")));
            }
            return Ok((directory.into(), None));
        }
        let home = PathBuf::from(self.environment.get("HOME").map_or("/", String::as_str));
        let cwd = Path::new(&wanted.cwd);
        let own_home = self.toolbox.home != Home::Host && cwd.starts_with(&home);
        let below =
            |place: &&String| cwd.starts_with(place) && ![live::HOST, live::PLACE].contains(&place.as_str());
        let on_host = match cwd.strip_prefix(live::HOST) {
            Ok(rest) => Path::new("/").join(rest),
            Err(_) if !own_home && self.toolbox.mounted.iter().any(|place| below(&place)) => cwd.to_owned(),
            Err(_) => home,
        };
        let nearest = on_host.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/")).to_owned();
        let same =
            nearest == cwd || cwd.strip_prefix(live::HOST).is_ok_and(|r| Path::new("/").join(r) == nearest);
        let note = (!same).then(|| format!("{} is not on the host; using {}", wanted.cwd, nearest.display()));
        Ok((nearest, note))
    }
}

impl Running {
    /// The client said something, or left.
    fn hear(&mut self) {
        let Some(client) = &self.client else { return };
        let mut packet = [0u8; 64];
        match socket::recv(client.as_fd(), &mut packet, &mut Vec::new(), RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN) => {}
            Ok(read @ 1..) => {
                let signal = match packet.get(..read).unwrap_or_default().split_first() {
                    Some((&input::SIGNAL, number)) => protocol::number(number),
                    _ => None,
                };
                self.signal(signal.and_then(Signal::from_named_raw));
            }
            _ => self.hang_up(),
        }
    }

    fn hang_up(&mut self) {
        self.client = None;
        self.signal(Some(Signal::HUP));
        self.signal(Some(Signal::CONT));
    }

    /// To the command's process group: it leads one.
    fn signal(&self, signal: Option<Signal>) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (Some(pid), Some(signal)) = (pid, signal) {
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    /// Tells the client the exit code, when it has ended.
    fn ended(&mut self) -> bool {
        let Ok(Some(status)) = self.child.try_wait() else { return false };
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        if let Some(client) = &self.client {
            let _ = protocol::send(client.as_fd(), event::EXITED, &code.to_le_bytes());
        }
        true
    }
}

fn refuse(connection: &OwnedFd, error: &Error) {
    let _ = protocol::send(connection.as_fd(), event::ERROR, &protocol::encode_error(error));
}

fn not_started(e: &std::io::Error) -> Error {
    let kind = match e.kind() {
        std::io::ErrorKind::NotFound => Kind::CommandNotFound,
        _ => Kind::CannotInvoke,
    };
    Error::new(kind, e.to_string())
}

/// Master and the command's end of a new terminal of the host's.
fn terminal(size: Option<(u16, u16)>) -> Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).call(|| "open(\"/dev/ptmx\")")?;
    rustix::pty::unlockpt(&master).call(|| "ioctl(TIOCSPTLCK)")?;
    let ours = rustix::pty::ioctl_tiocgptpeer(&master, flags).call(|| "ioctl(TIOCGPTPEER)")?;
    if let Some(size) = size {
        tty::set_size(&master, size)?;
    }
    Ok((master, ours))
}

fn user_namespace(pid: i32) -> String {
    format!("/proc/{pid}/ns/user")
}

fn namespace_of(pid: i32) -> Option<Namespace> {
    rustix::fs::stat(user_namespace(pid)).ok().map(|st| (st.st_dev, st.st_ino))
}
