//! `exec`, client side. Without a tty our own fds go to the process, and we only wait; but one that is a terminal is never
//! given away (a program could type into it): the process gets a pipe, and we copy. With a tty we hold the pty's master and
//! relay the terminal ourselves. The monitor is never between.

use super::launch::set_console_size;
use super::relay::{DetachKeys, Signals, poll};
use super::{Outcome, outcome_from_record, request};
use crate::error::{Context, Error, Result};
use crate::monitor::protocol::{self, MAX_PACKET, Request, event};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::sys::tty::{self, RawMode};
use crate::sys::{CallContext, null};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What is to run.
#[derive(Debug)]
pub struct ExecRequest {
    /// An OCI `process` object; its `terminal` is set from `tty`.
    pub process: serde_json::Value,
    pub tty: bool,
    pub interactive: bool,
    pub detach: bool,
    pub detach_keys: Vec<u8>,
    /// For the process, from number 3 on.
    pub preserved: Vec<OwnedFd>,
}

/// Runs a process in a running container.
pub fn exec(dirs: &Dirs, container: &Container, wanted: &ExecRequest) -> Result<Outcome> {
    let id = &container.id;
    let what = || format!("cannot run a command in container {}", container.name);
    let size = wanted.tty.then(tty::own_size).flatten();
    let process = process_file(wanted, size).what(what)?;
    let null = null::open()?;
    let mut pipes = Pipes::default();
    // Other runtimes say on the process's stderr what they have said in their log: it is held back until it has started.
    let hold = container.runtime.is_some();
    let stdio = if wanted.tty || wanted.detach {
        None
    } else {
        Some(pipes.make(wanted.interactive, hold).what(what)?)
    };
    let mut fds = match (&stdio, wanted.tty) {
        (_, true) => vec![process.as_fd()],
        (None, false) => vec![process.as_fd(), null.as_fd(), null.as_fd(), null.as_fd()],
        (Some([stdin, stdout, stderr]), false) => {
            vec![process.as_fd(), stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]
        }
    };
    fds.extend(wanted.preserved.iter().map(AsFd::as_fd));
    let connection = request(dirs, id, &Request::Exec { tty: wanted.tty, size }, &fds)?
        .ok_or_else(super::not_running)
        .what(what)?;
    drop((process, stdio));

    let mut master = None;
    let started = wait_started(&connection, &mut master).what(what)?;
    match (started, master) {
        (Progress::Exited(code), None) => {
            pipes.drain()?;
            Ok(Outcome::Exited(code))
        }
        (Progress::Gone, _) => outcome_from_record(dirs, id),
        _ if wanted.detach => Ok(Outcome::Started),
        (_, Some(master)) => relay_terminal(&connection, &master, wanted.interactive, &wanted.detach_keys),
        (Progress::Started, None) => match pipes.relay(&connection)? {
            Some(code) => Ok(Outcome::Exited(code)),
            None => outcome_from_record(dirs, id),
        },
    }
}

/// The process object as a file that the runtime can read by its fd: nothing to clean up, no limit of a packet.
fn process_file(wanted: &ExecRequest, size: Option<(u16, u16)>) -> Result<OwnedFd> {
    let mut process = wanted.process.clone();
    if let Some(process) = process.as_object_mut() {
        process.insert("terminal".to_owned(), wanted.tty.into());
        set_console_size(process, size);
    }
    let json = serde_json::to_vec(&process)
        .map_err(|e| Error::internal(format_args!("cannot encode process: {e}")))?;
    let fd = rustix::fs::memfd_create("process.json", rustix::fs::MemfdFlags::CLOEXEC)
        .call(|| "memfd_create(\"process.json\")")?;
    let mut file = File::from(fd);
    file.write_all(&json).call(|| "write(\"process.json\")")?;
    Ok(file.into())
}

enum Progress {
    Started,
    Exited(i32),
    Gone,
}

fn wait_started(connection: &OwnedFd, master: &mut Option<OwnedFd>) -> Result<Progress> {
    let mut packet = vec![0u8; MAX_PACKET];
    loop {
        let mut fds = Vec::new();
        let received = super::receive(connection, &mut packet, &mut fds)?;
        match received.split_first() {
            None => return Ok(Progress::Gone),
            Some((&event::TERMINAL, _)) => *master = fds.pop(),
            Some((&event::STARTED, _)) => return Ok(Progress::Started),
            Some((&event::EXITED, code)) => {
                return Ok(Progress::Exited(protocol::number(code).unwrap_or(255)));
            }
            Some((&event::ERROR, json)) => return Err(protocol::decode_error(json)),
            Some(_) => {}
        }
    }
}

/// Our ends of the pipes that stand for terminals.
#[derive(Default)]
struct Pipes {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Pipes {
    /// The stdio of the process: ours, or pipes where ours are terminals.
    fn make(&mut self, interactive: bool, hold_stderr: bool) -> Result<[OwnedFd; 3]> {
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).call(|| "pipe2(O_CLOEXEC)");
        let copy =
            |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 3).call(|| "fcntl(F_DUPFD_CLOEXEC)");
        let output = |ours: BorrowedFd<'_>, slot: &mut Option<OwnedFd>, hold: bool| -> Result<OwnedFd> {
            if !hold && !rustix::termios::isatty(ours) {
                return Ok(copy(ours)?);
            }
            let (read, write) = pipe()?;
            *slot = Some(read);
            Ok(write)
        };
        let stdout = output(rustix::stdio::stdout(), &mut self.stdout, false)?;
        let stderr = output(rustix::stdio::stderr(), &mut self.stderr, hold_stderr)?;
        let stdin = rustix::stdio::stdin();
        let stdin = if !interactive {
            null::open()?
        } else if rustix::termios::isatty(stdin) {
            let (read, write) = pipe()?;
            self.stdin = Some(write);
            read
        } else {
            copy(stdin)?
        };
        Ok([stdin, stdout, stderr])
    }

    /// Copies until the process has ended. `None`: the monitor is gone.
    fn relay(&mut self, connection: &OwnedFd) -> Result<Option<i32>> {
        let keyboard = rustix::stdio::stdin();
        loop {
            let mut fds = vec![PollFd::new(connection, PollFlags::IN)];
            fds.extend(self.stdout.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(self.stderr.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(self.stdin.is_some().then(|| PollFd::new(&keyboard, PollFlags::IN)));
            poll(&mut fds)?;
            let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
            let mut next = |open: bool| open && ready.next().unwrap_or(false);
            let told = next(true);
            let (out, err, typed) =
                (next(self.stdout.is_some()), next(self.stderr.is_some()), next(self.stdin.is_some()));
            if out && !copy_some(self.stdout.as_ref(), rustix::stdio::stdout())? {
                self.stdout = None;
            }
            if err && !copy_some(self.stderr.as_ref(), rustix::stdio::stderr())? {
                self.stderr = None;
            }
            if typed
                && !copy_some(Some(&keyboard), self.stdin.as_ref().map_or(keyboard, AsFd::as_fd))
                    .unwrap_or(false)
            {
                self.stdin = None;
            }
            if told {
                let code = super::exit_code(connection)?;
                self.drain()?;
                return Ok(code);
            }
        }
    }

    /// What is still in the pipes; a background process that holds them open is not waited for.
    fn drain(&mut self) -> Result<()> {
        for (pipe, to) in
            [(self.stdout.take(), rustix::stdio::stdout()), (self.stderr.take(), rustix::stdio::stderr())]
        {
            let Some(pipe) = pipe else { continue };
            rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK).call(|| "fcntl(O_NONBLOCK)")?;
            let mut buf = [0u8; 16 << 10];
            while let Ok(read @ 1..) = rustix::io::read(&pipe, &mut buf) {
                write_all(to, buf.get(..read).unwrap_or_default())?;
            }
        }
        Ok(())
    }
}

/// Copies what is there. False: the end.
fn copy_some(from: Option<impl AsFd>, to: BorrowedFd<'_>) -> Result<bool> {
    let Some(from) = from else { return Ok(false) };
    let mut buf = [0u8; 16 << 10];
    match rustix::io::read(from, &mut buf) {
        Ok(0) => Ok(false),
        Ok(read) => write_all(to, buf.get(..read).unwrap_or_default()).map(|()| true),
        Err(Errno::INTR | Errno::AGAIN) => Ok(true),
        Err(_) => Ok(false),
    }
}

/// Our terminal ↔ the master, until the process has ended and everything that it wrote is read.
pub fn relay_terminal(
    connection: &OwnedFd,
    master: &OwnedFd,
    interactive: bool,
    detach_keys: &[u8],
) -> Result<Outcome> {
    let signals = Signals::take(true, false)?;
    // Our terminal may have got its size before its changes are told to us.
    if let Some(size) = tty::own_size().filter(|size| tty::size(master) != Some(*size)) {
        tty::set_size(master, size)?;
    }
    let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    let mut raw = match interactive && rustix::termios::isatty(stdin) {
        true => Some(RawMode::enter(stdin)?),
        false => None,
    };
    let mut keys = DetachKeys::new(detach_keys.to_vec());
    let mut reads_stdin = interactive;
    let mut output_open = true;
    let mut exited = None;
    loop {
        if let (Some(code), false) = (exited, output_open) {
            return Ok(Outcome::Exited(code));
        }
        let mut fds = vec![PollFd::new(&signals, PollFlags::IN), PollFd::new(connection, PollFlags::IN)];
        fds.extend(output_open.then(|| PollFd::new(master, PollFlags::IN)));
        fds.extend(reads_stdin.then(|| PollFd::new(&stdin, PollFlags::IN)));
        poll(&mut fds)?;
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let mut next = || ready.next().unwrap_or(false);
        let (signalled, told) = (next(), next());
        let printable = output_open && next();
        let typed = reads_stdin && next();

        if signalled {
            signals.serve_terminal(&mut raw, || tty::own_size().map(|size| tty::set_size(master, size)));
        }
        if printable {
            output_open = copy_some(Some(master), stdout)?;
        } else if exited.is_some() {
            // Ended, and nothing more comes: what a background process holds open is not waited for.
            output_open = false;
        }
        if typed {
            match read_keys(&mut keys)? {
                Typed::Detach => return Ok(Outcome::Detached),
                Typed::End => {
                    reads_stdin = false;
                    write_all(master, &[4])?;
                }
                Typed::Keys(typed) => write_all(master, &typed)?,
            }
        }
        if told && exited.is_none() {
            exited = Some(super::exit_code(connection)?.unwrap_or(137));
        }
    }
}

enum Typed {
    Keys(Vec<u8>),
    End,
    Detach,
}

fn read_keys(keys: &mut DetachKeys) -> Result<Typed> {
    let mut buf = [0u8; 4096];
    match rustix::io::read(rustix::stdio::stdin(), &mut buf) {
        Ok(0) => Ok(Typed::End),
        Ok(read) => Ok(match keys.filter(buf.get(..read).unwrap_or_default()) {
            (_, true) => Typed::Detach,
            (typed, false) => Typed::Keys(typed),
        }),
        Err(Errno::INTR | Errno::AGAIN) => Ok(Typed::Keys(Vec::new())),
        Err(_) => Ok(Typed::End),
    }
}

fn write_all(to: impl AsFd, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        match rustix::io::write(&to, data) {
            Ok(written) => data = data.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => poll(&mut [PollFd::new(&to, PollFlags::OUT)])?,
            // The process has closed its terminal: its exit code comes.
            Err(Errno::IO) => return Ok(()),
            Err(e) => return Err(e).call(|| "write(terminal)").map_err(Error::from),
        }
    }
    Ok(())
}
