//! `fanout`: many ranks on this machine without a launcher of MPI programs. We are the launcher.
//!
//! All ranks are in one container (`ranks`), each the child of one of our own children, `coracle-oci rank`, which waits for
//! it, passes signals on and dies with us. One poll loop: ends, signals, and the ranks' output where lines are to be tagged.
//!
//! The exit code is the highest of all, as srun's; the first bad one where that ended the others.

use super::create::Created;
use super::options::{CreateOptions, NamespaceMode};
use super::ranks;
use crate::error::{Error, Result};
use crate::external::runtime::exit_code;
use crate::paths::Dirs;
use crate::sys::signal::{PASSED_ON, SignalFd};
use crate::sys::{CallContext, null};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, WaitOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Longest line that is kept together.
const MAX_LINE: usize = 64 << 10;

/// What is to be done beside the container's own options.
#[derive(Debug, Clone, Copy)]
pub struct Fanout {
    pub ranks: u32,
    /// Give output line by line, with the rank that wrote it.
    pub tagged: bool,
    /// The first rank that fails ends all.
    pub kill_on_bad_exit: bool,
}

/// Where a rank writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Gets a rank's line, with its newline if it has one.
pub type Output<'a> = &'a mut dyn FnMut(u32, Stream, &[u8]) -> Result<()>;

/// Runs all ranks to their ends. Returns the exit code.
pub fn run(
    dirs: &Dirs,
    options: &CreateOptions,
    wanted: Fanout,
    told: impl FnOnce(&Created),
    output: Output<'_>,
) -> Result<i32> {
    // What a rank leaves behind there would outlive us; a launcher's own step ends it.
    let loose = (options.namespaces.pid == NamespaceMode::Host).then_some("--pid host");
    if let Some(flag) = ranks::hindrance(options).or(loose) {
        return Err(Error::usage(format_args!("cannot fan out with {flag}"))
            .cause("all ranks are in one container, which ends with them and has the cgroup of its caller")
            .hint("Leave it out, or start each rank with `coracle run`."));
    }
    let mut random = [0u8; 8];
    crate::id::random_bytes(&mut random)?;
    let step = format!("fanout {}", crate::id::hex(&random));
    let shared = ranks::acquire(dirs, options, &step, told)?;
    // From before the first start: no end is missed.
    let signals = SignalFd::new(&[&[libc::SIGCHLD][..], &PASSED_ON].concat())?;
    let mut all = Vec::new();
    for number in 0..wanted.ranks {
        match start(dirs, options, &shared, number, wanted) {
            Ok(rank) => all.push(rank),
            Err(error) => {
                all.iter().for_each(|rank: &Rank| rank.signal(libc::SIGKILL));
                return Err(error.wrap(format_args!("cannot start rank {number}")));
            }
        }
    }
    drop(shared);
    attend(&mut all, &signals, options.stop_timeout, wanted, output)
}

struct Rank {
    number: u32,
    /// None: it has ended.
    pid: Option<Pid>,
    streams: Vec<Lines>,
}

impl Rank {
    fn signal(&self, signal: i32) {
        if let Some(pid) = self.pid {
            let _ = crate::sys::process::signal(pid.as_raw_nonzero().get(), signal);
        }
    }
}

/// The variables by which programs know who they are: Open MPI's, PMI's, Slurm's and torchrun's.
fn identity(number: u32, size: u32) -> Vec<(String, String)> {
    let rank =
        ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "PMI_RANK", "SLURM_PROCID", "SLURM_LOCALID"];
    let sizes = ["OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "PMI_SIZE", "SLURM_NTASKS"];
    let torch = [("RANK", number), ("LOCAL_RANK", number), ("WORLD_SIZE", size), ("LOCAL_WORLD_SIZE", size)];
    let named =
        rank.map(|name| (name, number)).into_iter().chain(sizes.map(|name| (name, size))).chain(torch);
    named.map(|(name, value)| (name.to_owned(), value.to_string())).collect()
}

fn start(
    dirs: &Dirs,
    options: &CreateOptions,
    shared: &ranks::Shared,
    number: u32,
    wanted: Fanout,
) -> Result<Rank> {
    let me = rustix::process::getpid();
    let rank = shared.rank(dirs, options, &identity(number, wanted.ranks), 0, Some(me))?;
    let null = null::open()?;
    let reads = options.process.interactive && number == 0;
    let stdin = if reads { rustix::stdio::stdin() } else { null.as_fd() };
    if !wanted.tagged {
        let pid = rank.start([stdin, rustix::stdio::stdout(), rustix::stdio::stderr()])?;
        return Ok(Rank { number, pid: Some(pid), streams: Vec::new() });
    }
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).call(|| "pipe2(O_CLOEXEC)");
    let (out, err) = (pipe()?, pipe()?);
    let pid = rank.start([stdin, out.1.as_fd(), err.1.as_fd()])?;
    let streams = [(Stream::Stdout, out.0), (Stream::Stderr, err.0)];
    let streams = streams.map(|(stream, fd)| Lines { stream, fd, kept: Vec::new() }).into();
    Ok(Rank { number, pid: Some(pid), streams })
}

/// Until all have ended, and what they have written is given.
fn attend(
    all: &mut [Rank],
    signals: &SignalFd,
    patience: u32,
    wanted: Fanout,
    output: Output<'_>,
) -> Result<i32> {
    let mut highest = 0;
    let mut kill_at: Option<Instant> = None;
    while all.iter().any(|rank| rank.pid.is_some() || !rank.streams.is_empty()) {
        let (signalled, ready) = wait(all, signals, kill_at)?;
        for (rank, ready) in all.iter_mut().zip(ready) {
            rank.give(&ready, output)?;
        }
        if signalled {
            while let Some(signal) = signals.next() {
                if signal != libc::SIGCHLD {
                    all.iter().for_each(|rank| rank.signal(signal));
                }
            }
        }
        for code in reap(all)? {
            // What follows the first bad end is our doing.
            if kill_at.is_none() {
                highest = highest.max(code);
            }
            if code != 0 && wanted.kill_on_bad_exit && kill_at.is_none() {
                all.iter().for_each(|rank| rank.signal(libc::SIGTERM));
                kill_at = Some(Instant::now() + Duration::from_secs(u64::from(patience)));
            }
        }
        if kill_at.is_some_and(|at| at <= Instant::now()) {
            // What waits for a rank takes it along.
            all.iter().for_each(|rank| rank.signal(libc::SIGKILL));
            kill_at = kill_at.map(|at| at + Duration::from_secs(u64::from(patience.max(1))));
        }
    }
    Ok(highest)
}

/// Whether there are signals, and which streams of which rank can be read.
fn wait(all: &[Rank], signals: &SignalFd, until: Option<Instant>) -> Result<(bool, Vec<Vec<bool>>)> {
    let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
    fds.extend(all.iter().flat_map(|rank| &rank.streams).map(|lines| PollFd::new(&lines.fd, PollFlags::IN)));
    let left = until.map(|at| at.saturating_duration_since(Instant::now()));
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    match rustix::event::poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(e) => return Err(e).call(|| "poll(ranks)").map_err(Error::from),
    }
    let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
    let signalled = ready.next().unwrap_or(false);
    let of_rank = |rank: &Rank| ready.by_ref().take(rank.streams.len()).collect();
    Ok((signalled, all.iter().map(of_rank).collect()))
}

/// The exit codes of those that have ended since.
fn reap(all: &mut [Rank]) -> Result<Vec<i32>> {
    let mut codes = Vec::new();
    loop {
        let (pid, status) = match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(ended)) => ended,
            Ok(None) | Err(Errno::CHILD) => return Ok(codes),
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e).call(|| "waitpid(-1)").map_err(Error::from),
        };
        // Others are helpers of the start.
        if let Some(rank) = all.iter_mut().find(|rank| rank.pid == Some(pid)) {
            rank.pid = None;
            codes.push(exit_code(status));
        }
    }
}

/// One stream of a rank, cut into lines.
struct Lines {
    stream: Stream,
    fd: OwnedFd,
    /// The beginning of a line whose end has not come.
    kept: Vec<u8>,
}

impl Rank {
    fn give(&mut self, ready: &[bool], output: Output<'_>) -> Result<()> {
        let mut at_end = Vec::new();
        for (lines, _) in self.streams.iter_mut().zip(ready).filter(|(_, ready)| **ready) {
            at_end.push((lines.stream, !lines.give(self.number, output)?));
        }
        self.streams.retain(|lines| !at_end.contains(&(lines.stream, true)));
        Ok(())
    }
}

impl Lines {
    /// Reads once. False at the end.
    fn give(&mut self, rank: u32, output: Output<'_>) -> Result<bool> {
        let mut buffer = [0u8; 16 << 10];
        let read = match rustix::io::read(&self.fd, &mut buffer) {
            Err(Errno::INTR | Errno::AGAIN) => return Ok(true),
            Err(_) => 0,
            Ok(read) => read,
        };
        self.kept.extend(buffer.get(..read).unwrap_or_default());
        while let Some(end) = self.kept.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.kept.drain(..=end).collect();
            output(rank, self.stream, &line)?;
        }
        if !self.kept.is_empty() && (read == 0 || self.kept.len() > MAX_LINE) {
            output(rank, self.stream, &std::mem::take(&mut self.kept))?;
        }
        Ok(read > 0)
    }
}
