//! `kill`: a signal by pidfd to the first process; to all by the cgroup.

use super::args::Context;
use super::spawn::pidfd_of;
use super::state::{StateDir, Status, is_alive, no_such_container};
use crate::cgroup::fs::Cgroup;
use crate::error::{Error, Result};
use crate::id::RuntimeId;
use crate::ondisk::runtime_state::RuntimeState;
use crate::sys::{self, CallContext};
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::path::Path;
use std::str::FromStr;

/// `kill`.
pub fn kill(context: &Context, id: &RuntimeId, signal: i32, all: bool) -> Result<()> {
    let dir = StateDir::get(context, id)?;
    let record = dir.record()?.ok_or_else(no_such_container)?;
    let stopped = dir.status(Some(&record)) == Status::Stopped;
    // Without a pid namespace of its own, the death of the first process ends nobody else.
    let everybody = all || (signal == libc::SIGKILL && !record.own_pid_namespace);
    if everybody
        && let Some(cgroup) = cgroup(&record)?
        && (all || !stopped || !cgroup.processes()?.is_empty())
    {
        return signal_all(&cgroup, signal);
    }
    if stopped && all {
        return Ok(());
    }
    if stopped {
        return Err(Error::not_found("container not running").cause("no such process"));
    }
    signal_init(&record, signal)
}

fn cgroup(record: &RuntimeState) -> Result<Option<Cgroup>> {
    match &record.cgroup {
        Some(path) => Cgroup::open(Path::new(path)),
        None => Ok(None),
    }
}

fn signal_all(cgroup: &Cgroup, signal: i32) -> Result<()> {
    if signal == libc::SIGKILL {
        return cgroup.kill_all();
    }
    for pid in cgroup.processes()? {
        match sys::process::signal(pid, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(e) => Err(e).call(|| format!("kill({pid}, {signal})"))?,
        }
    }
    Ok(())
}

/// A signal to the first process, never to another one that got its pid.
pub fn signal_init(record: &RuntimeState, signal: i32) -> Result<()> {
    let gone = || Error::not_found("container not running").cause("no such process");
    let pidfd = pidfd_of(record.pid).map_err(|e| if e.errno() == Some(libc::ESRCH) { gone() } else { e })?;
    // The fd is of whoever had the pid when it was opened: the start time says who that was.
    if !is_alive(record) {
        return Err(gone());
    }
    match sys::pidfd::signal(pidfd.as_fd(), signal) {
        Err(Errno::SRCH) => Err(gone()),
        other => other.call(|| format!("pidfd_send_signal({}, {signal})", record.pid)).map_err(out_of_reach),
    }
}

/// Root of one user namespace may not signal a user of another one beside it. The owner of both, outside, may.
pub fn out_of_reach(error: sys::Error) -> Error {
    let refused = error.raw_os_error() == libc::EPERM && !sys::spawn::in_initial_user_namespace();
    let error = Error::from(error);
    if !refused {
        return error;
    }
    error
        .cause("only its owner outside may signal a process of another user namespace that has no cgroup of its own")
        .hint("Run this command outside of `buildah unshare`, as yourself: each of those has a user namespace of its own.")
}

/// `9`, `KILL`, `SIGKILL`, `RTMIN+3`.
pub fn parse_signal(text: &str) -> Result<i32> {
    let unknown = || Error::usage(format_args!("unknown signal {text:?}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (0..=64).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    // The kernel's numbers: libc keeps the first ones for itself and moves its own SIGRTMIN.
    let offset = |rest: &str| if rest.is_empty() { Some(0) } else { rest.parse::<i32>().ok() };
    if let Some(number) = name.strip_prefix("RTMIN").and_then(offset).map(|n| 34 + n) {
        return if (34..=64).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    if let Some(number) = name.strip_prefix("RTMAX").and_then(offset).map(|n| 64 + n) {
        return if (34..=64).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    nix::sys::signal::Signal::from_str(&format!("SIG{name}")).map(|s| s as i32).map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::parse_signal;

    #[test]
    fn signals_have_three_spellings() {
        for text in ["9", "KILL", "SIGKILL", "kill"] {
            assert_eq!(parse_signal(text).unwrap(), 9, "{text}");
        }
        assert_eq!(parse_signal("RTMIN+3").unwrap(), 37);
        assert_eq!(parse_signal("SIGRTMAX-1").unwrap(), 63);
        for bad in ["", "65", "-1", "SIGNOPE", "RTMIN+40"] {
            assert!(parse_signal(bad).is_err(), "{bad}");
        }
    }
}
