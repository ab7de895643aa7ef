//! The side in the box: `coracle`, `xdg-open` and `flatpak-spawn`, which are `coracle-oci` under other names there.

use super::{Command, NOTE, Request, SOCKET, words};
use crate::error::{Context, Error, Result};
use crate::monitor::client;
use crate::monitor::protocol::{self, MAX_PACKET, event, input};
use crate::paths;
use crate::sys::signal::{PASSED_ON, SignalFd, is_ignored};
use crate::sys::{self, CallContext, socket, tty};
use crate::toolbox::live;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::net::{RecvFlags, SocketType};
use rustix::process::Signal;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Of the box's environment: about the terminal that the command writes to.
const ABOUT_THE_TERMINAL: [&str; 3] = ["TERM", "COLORTERM", "NO_COLOR"];

/// What is said to the user before the command's own words.
pub type Say<'a> = &'a mut dyn FnMut(&str);

/// Whether this process is in a box that may run the host's commands.
pub fn is_offered() -> bool {
    let socket = format!("{}/{SOCKET}", live::PLACE);
    rustix::fs::stat(socket).is_ok_and(|st| FileType::from_raw_mode(st.st_mode) == FileType::Socket)
}

/// `coracle …` in a box: `host` runs a command, everything else is the host's coracle.
pub fn coracle(args: &[OsString], say: Say<'_>) -> Result<u8> {
    let all = texts(args);
    if let Some((word, rest)) = all.split_first()
        && word == "host"
        && let Some(wanted) = words::host(rest)?
    {
        return run(wanted, say);
    }
    run(Command { args: all, own: true, ..Command::default() }, say)
}

/// `xdg-open`.
pub fn xdg_open(args: &[OsString], say: Say<'_>) -> Result<u8> {
    // Below /run/host a box sees what the host sees at its root.
    let on_host = |arg: String| match arg.strip_prefix(live::HOST) {
        Some(path) if path.starts_with('/') => path.to_owned(),
        _ => arg,
    };
    let args = std::iter::once("xdg-open".to_owned()).chain(texts(args).into_iter().map(on_host)).collect();
    run(Command { args, ..Command::default() }, say)
}

/// `flatpak-spawn --host`.
pub fn flatpak_spawn(args: &[OsString], say: Say<'_>) -> Result<u8> {
    run(words::flatpak_spawn(&texts(args))?, say)
}

/// Why `coracle host` does nothing here.
pub fn refusal() -> Error {
    let what = "cannot run a command on the host";
    if !super::in_a_box() {
        return Error::usage(what)
            .cause("this is the host, or a container that is no box")
            .hint("`coracle host` is for boxes made with `coracle toolbox create --host-exec`; here the command alone does it.");
    }
    let refused = Error::new(crate::error::Kind::Denied, what);
    if Path::new(super::MARK).exists() {
        return refused.cause("nobody has entered this box since it was started").hint(
            "On the host: `coracle toolbox enter`; the box runs commands in the environment of that session.",
        );
    }
    if Path::new(live::PLACE).is_dir() {
        return refused
            .cause("this box was made without --host-exec")
            .hint("On the host: `coracle toolbox create --host-exec`. A box that exists cannot get it.");
    }
    refused
        .cause("this box is isolated")
        .hint("On the host: make a box with `coracle toolbox create --host-exec`.")
}

fn texts(args: &[OsString]) -> Vec<String> {
    args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
}

/// Runs it on the host, and gives its exit code.
fn run(mut wanted: Command, say: Say<'_>) -> Result<u8> {
    if !is_offered() {
        return Err(refusal());
    }
    let what = || "cannot run a command on the host";
    let connection = connect().what(what)?;
    let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    wanted.terminal = rustix::termios::isatty(stdin) && rustix::termios::isatty(stdout);
    wanted.size = tty::own_size().filter(|_| wanted.terminal);
    wanted.cwd = std::env::current_dir().map(|cwd| cwd.to_string_lossy().into_owned()).unwrap_or_default();
    for name in ABOUT_THE_TERMINAL {
        if let Some(value) = paths::env(name).and_then(|value| value.into_string().ok()) {
            wanted.env.insert(0, (name.to_owned(), value));
        }
    }
    let terminal = wanted.terminal;
    // From now on they are the command's, but for what its terminal makes of keys. SIGTSTP stops us as well.
    let theirs = PASSED_ON.into_iter().chain([libc::SIGTSTP]);
    let taken: Vec<i32> = theirs.filter(|s| !is_ignored(*s) && !terminal).collect();
    let signals = SignalFd::new(&taken)?;
    let stdio = [stdin, stdout, rustix::stdio::stderr()];
    super::send(&connection, &Request::Run(wanted), if terminal { &[] } else { &stdio }).what(what)?;
    let mut master = None;
    loop {
        let mut fds = [PollFd::new(&signals, PollFlags::IN), PollFd::new(&connection, PollFlags::IN)];
        client::poll(&mut fds)?;
        let [signalled, told] = fds.map(|fd| !fd.revents().is_empty());
        if signalled {
            pass_on(&signals, &connection);
        }
        if !told {
            continue;
        }
        let (mut packet, mut received) = (vec![0u8; MAX_PACKET], Vec::new());
        let read =
            socket::recv(connection.as_fd(), &mut packet, &mut received, RecvFlags::empty()).unwrap_or(0);
        match packet.get(..read).unwrap_or_default().split_first() {
            None => return Err(Error::internal("the box's process on the host has ended").wrap(what())),
            Some((&NOTE, text)) => say(&String::from_utf8_lossy(text)),
            Some((&event::TERMINAL, _)) => master = received.pop(),
            Some((&event::ERROR, error)) => return Err(protocol::decode_error(error)),
            Some((&event::EXITED, code)) => {
                return Ok(u8::try_from(protocol::number(code).unwrap_or(125) & 0xff).unwrap_or(125));
            }
            Some((&event::STARTED, _)) => {
                if let Some(master) = &master {
                    drop(signals);
                    let outcome = client::relay_terminal(&connection, master, true, &[])?;
                    return Ok(match outcome {
                        client::Outcome::Exited(code) => u8::try_from(code & 0xff).unwrap_or(125),
                        _ => 0,
                    });
                }
            }
            Some(_) => {}
        }
    }
}

fn pass_on(signals: &SignalFd, connection: &OwnedFd) {
    while let Some(signal) = signals.next() {
        let _ = protocol::send(connection.as_fd(), input::SIGNAL, &signal.to_le_bytes());
        if signal == libc::SIGTSTP {
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
        }
    }
}

/// Connects as the user, also from a root shell of the box's.
fn connect() -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir =
        rustix::fs::open(live::PLACE, flags, Mode::empty()).call(|| format!("open({:?})", live::PLACE))?;
    let owner = rustix::fs::statat(&dir, SOCKET, rustix::fs::AtFlags::empty()).call(|| "stat(host)")?.st_uid;
    if rustix::process::geteuid().as_raw() != owner && rustix::process::geteuid().is_root() {
        sys::creds::set_uid(owner).call(|| format!("setresuid({owner})"))?;
    }
    socket::connect_at(dir.as_fd(), SOCKET, SocketType::SEQPACKET).map_err(|e| {
        Error::from(e).hint(
            "The box's process on the host may have ended: enter the box again with `coracle toolbox enter`.",
        )
    })
}
