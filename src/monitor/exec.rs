//! `exec`: further processes in the container, started here because only we are inside its cgroup.
//!
//! The runtime runs detached, so that its exit status is its own (a failure, with words in its log) and the process's is the
//! process's: ours to reap, as the nearest subreaper. Without a tty the process has the client's own fds. With one, the
//! client gets the master of its pty, and we keep a copy: when the client leaves (detach keys, or killed), we read and
//! forget what the process writes, so that it neither blocks nor gets SIGHUP.

use super::ctr_stdio;
use super::events::{Monitor, is_through_fd};
use super::protocol::{self, event};
use crate::error::{Context, Error, Result};
use crate::external::runtime::{FIRST_FD, Run, exec_args};
use crate::ondisk::container::Status;
use crate::sys::{null, socket, tty};
use rustix::fs::AtFlags;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::Pid;
use std::os::fd::{AsFd, OwnedFd};

/// One of them.
#[derive(Debug)]
pub(super) struct Exec {
    number: u32,
    stage: Stage,
    /// Gone when the client is.
    pub client: Option<OwnedFd>,
    /// Our copy of its pty's master.
    pub master: Option<OwnedFd>,
    console: Option<OwnedFd>,
    size: Option<(u16, u16)>,
}

#[derive(Debug)]
enum Stage {
    /// The runtime works.
    Starting(Run),
    Running(Pid),
}

/// All of them, and the exits of children that nobody has claimed yet.
#[derive(Debug, Default)]
pub(super) struct Execs {
    pub all: Vec<Exec>,
    next_number: u32,
    unclaimed: Vec<(Pid, i32)>,
}

impl Exec {
    /// Output that nobody reads any more.
    pub(super) fn drains(&self) -> bool {
        self.client.is_none() && self.master.is_some() && matches!(self.stage, Stage::Running(_))
    }

    fn tell(&self, tag: u8, data: &[u8]) {
        if let Some(client) = &self.client {
            let _ = socket::send(client.as_fd(), &[tag], data, &[], SendFlags::DONTWAIT);
        }
    }

    fn fail(&self, error: &Error) {
        self.tell(event::ERROR, &protocol::encode_error(error));
    }

    /// The client said something or left: it has nothing to say.
    pub(super) fn client_left(&mut self) {
        let mut byte = [0u8; 64];
        let Some(client) = &self.client else { return };
        match socket::recv(client.as_fd(), &mut byte, &mut Vec::new(), RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN) => {}
            Ok(read) if read > 0 => {}
            _ => self.client = None,
        }
    }

    /// Reads and forgets.
    pub(super) fn drain(&mut self) {
        let mut buf = [0u8; 4096];
        if let Some(master) = &self.master
            && !matches!(rustix::io::read(master, &mut buf), Ok(1..) | Err(rustix::io::Errno::AGAIN))
        {
            self.master = None;
        }
    }
}

impl Monitor {
    /// Starts the runtime for a request; the answer goes to `client`.
    pub(super) fn start_exec(
        &mut self,
        client: OwnedFd,
        fds: Vec<OwnedFd>,
        tty: bool,
        size: Option<(u16, u16)>,
    ) {
        if let Err(error) = self.try_exec(&client, fds, tty, size) {
            let json = protocol::encode_error(&error);
            let _ = socket::send(client.as_fd(), &[event::ERROR], &json, &[], SendFlags::DONTWAIT);
        }
    }

    fn try_exec(
        &mut self,
        client: &OwnedFd,
        mut fds: Vec<OwnedFd>,
        tty: bool,
        size: Option<(u16, u16)>,
    ) -> Result<()> {
        if self.payload.is_none() {
            return Err(Error::in_use("it is not running"));
        }
        if self.state.status == Status::Paused {
            return Err(Error::in_use("it is paused")
                .hint(format_args!("Let it go on with `coracle unpause {}`.", self.container.name)));
        }
        self.check_recorder()?;
        if fds.len() < if tty { 1 } else { 4 } {
            return Err(Error::internal("an exec request with the wrong number of fds"));
        }
        let preserved = fds.split_off(if tty { 1 } else { 4 });
        self.execs.next_number += 1;
        let number = self.execs.next_number;
        let process = fds.remove(0);
        let socket_name = console_name(number);
        let console = tty.then(|| ctr_stdio::listen_console(self.run.as_fd(), &socket_name)).transpose()?;
        let console_path = console.is_some().then(|| self.console_path(&socket_name, FIRST_FD + 1));
        let args = exec_args(
            self.container.id.as_str(),
            &format!("/proc/self/fd/{FIRST_FD}"),
            &self.run_path.join(pid_file(number)),
            console_path.as_deref(),
            preserved.len(),
        );
        let null = null::open()?;
        let stdio = match fds.as_slice() {
            [stdin, stdout, stderr] => [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
            _ => [null.as_fd(), null.as_fd(), null.as_fd()],
        };
        let mut passed = vec![process.as_fd()];
        if console_path.is_some_and(|path| is_through_fd(&path)) {
            passed.push(self.run.as_fd());
        }
        let run = self.runtime.start(&args, stdio, &preserved, &self.with_recorder(passed))?;
        let client =
            client.try_clone().map_err(|e| Error::internal(format_args!("cannot copy a socket: {e}")))?;
        self.execs.all.push(Exec {
            number,
            stage: Stage::Starting(run),
            client: Some(client),
            master: None,
            console,
            size,
        });
        Ok(())
    }

    /// A child has ended that is not the payload. True: it was one of these.
    pub(super) fn exec_runtime_ended(&mut self, pid: Pid, code: i32) -> bool {
        let starting = |exec: &Exec| matches!(&exec.stage, Stage::Starting(run) if run.pid == pid);
        let Some(index) = self.execs.all.iter().position(starting) else { return false };
        let exec = self.execs.all.remove(index);
        match self.exec_started(exec, code) {
            (exec, Ok(pid)) => {
                exec.tell(event::STARTED, &pid.as_raw_nonzero().get().to_le_bytes());
                self.execs.all.push(exec);
                let early = self.execs.unclaimed.iter().position(|(ended, _)| *ended == pid);
                if let Some(early) = early {
                    let (pid, code) = self.execs.unclaimed.swap_remove(early);
                    self.exec_ended(pid, code);
                }
            }
            (exec, Err(error)) => exec.fail(&error),
        }
        true
    }

    fn exec_started(&self, mut exec: Exec, code: i32) -> (Exec, Result<Pid>) {
        let Stage::Starting(run) = &exec.stage else { return (exec, Err(Error::internal("not starting"))) };
        if exec.console.is_some() {
            let _ = rustix::fs::unlinkat(&self.run, console_name(exec.number), AtFlags::empty());
        }
        if code != 0 {
            let failure = run.failure(code, b"");
            return (exec, Err(failure));
        }
        let pid = self.read_pid(&pid_file(exec.number));
        let _ = rustix::fs::unlinkat(&self.run, pid_file(exec.number), AtFlags::empty());
        let terminal = exec.console.take().map(|console| self.pass_terminal(&exec, &console)).transpose();
        match (pid, terminal) {
            (Ok(pid), Ok(master)) => {
                exec.stage = Stage::Running(pid);
                exec.master = master;
                (exec, Ok(pid))
            }
            (Err(error), _) | (_, Err(error)) => (exec, Err(error)),
        }
    }

    fn pass_terminal(&self, exec: &Exec, console: &OwnedFd) -> Result<OwnedFd> {
        let master = ctr_stdio::receive_master(console.as_fd()).what(|| "cannot get the terminal")?;
        if let Some(size) = exec.size {
            tty::set_size(&master, size)?;
        }
        if let Some(client) = &exec.client {
            let _ =
                socket::send(client.as_fd(), &[event::TERMINAL], &[], &[master.as_fd()], SendFlags::DONTWAIT);
        }
        Ok(master)
    }

    /// A process of ours has ended. One that is not known (yet) is remembered while a runtime is at work.
    pub(super) fn exec_ended(&mut self, pid: Pid, code: i32) {
        let found =
            self.execs.all.iter().position(|exec| matches!(exec.stage, Stage::Running(p) if p == pid));
        if let Some(index) = found {
            let exec = self.execs.all.remove(index);
            exec.tell(event::EXITED, &code.to_le_bytes());
        } else if self.execs.all.iter().any(|exec| matches!(exec.stage, Stage::Starting(_))) {
            self.execs.unclaimed.push((pid, code));
        } else {
            self.execs.unclaimed.clear();
        }
    }

    /// The container has ended: so have all of them, whatever their status was.
    pub(super) fn end_execs(&mut self) {
        for exec in std::mem::take(&mut self.execs.all) {
            exec.tell(event::EXITED, &137i32.to_le_bytes());
        }
    }
}

fn pid_file(number: u32) -> String {
    format!("exec-{number}.pid")
}

fn console_name(number: u32) -> String {
    format!("exec-{number}.tty")
}
