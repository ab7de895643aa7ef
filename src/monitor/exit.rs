//! The end of a container: last output, record, helpers, runtime, rootfs, removal, and only then the client's answer.
//!
//! Nothing here stops at the first failure: what can be cleaned is cleaned. A client that hears the exit code may rely on
//! all of it: `run --rm --name x` twice in a row works. Only the files of a container that nobody can find any more go after it.

use super::ctr_log::{Stream, now};
use super::events::Monitor;
use super::protocol::event;
use super::{cgroup, control, oom, remove};
use crate::external::runtime::delete_args;
use crate::ondisk::container::{Restart, Status};
use crate::ondisk::{Durability, publish};
use crate::sys::null;
use crate::sys::reap::kill_children;
use rustix::fs::AtFlags;
use rustix::process::{Signal, WaitOptions};
use std::os::fd::AsFd;
use std::time::Duration;

/// Most chunks that are read after the end: a process outside the container may hold the pipes and write for ever.
const LAST_CHUNKS: usize = 64;

/// Pause before the first restart; it doubles up to `MAX_BACKOFF`.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// A payload that ran this long has recovered: its next restart waits the least again.
const HEALTHY: Duration = Duration::from_secs(10);

impl Monitor {
    /// Takes down what one run of the payload needed; the rootfs stays. Fills the record in memory.
    pub(super) fn bring_down(&mut self, code: i32) {
        self.drain_output();
        if let Some(cgroup) = &self.cgroup {
            self.state.oom_killed |= oom::was_oom_killed(cgroup.as_fd());
            cgroup::kill(cgroup.as_fd(), cgroup::PAYLOAD);
        }
        self.payload = None;
        self.kill_at = None;
        let deletion = self.delete_from_runtime();
        if let Some(network) = self.network.take() {
            let _ = rustix::process::kill_process(network.pid, Signal::KILL);
            if self.container.network.ports.is_empty() {
                self.leaving = Some(network.pid);
            } else {
                // Its ports are free only when it is gone.
                let _ = rustix::process::waitpid(Some(network.pid), WaitOptions::empty());
            }
        }
        self.reap();
        self.end_execs();
        if let Some(run) = deletion {
            let _ = run.wait();
        }
        self.end_recorder();
        // With the host's pid namespace and without a cgroup the payload's other processes are children of ours now.
        kill_children(|pid| self.leaving == Some(pid));
        if let Some(cgroup) = &self.cgroup {
            cgroup::remove(cgroup.as_fd(), cgroup::PAYLOAD);
        }
        self.state.status = Status::Exited;
        self.state.exit_code = Some(code);
        self.state.finished = Some(now());
        self.state.pid = None;
        self.state.pid_start = None;
        if self.state.oom_killed && self.state.error.is_none() {
            self.state.error = Some("out of memory".to_owned());
        }
    }

    fn drain_output(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            for _ in 0..LAST_CHUNKS {
                if !self.relay(stream) {
                    break;
                }
            }
        }
        self.stdio = super::ctr_stdio::CtrStdio::default();
    }

    fn delete_from_runtime(&self) -> Option<crate::external::runtime::Run> {
        let null = null::open().ok()?;
        let args = delete_args(self.container.id.as_str());
        self.runtime.start(&args, [null.as_fd(), null.as_fd(), null.as_fd()], &[], &[]).ok()
    }

    /// Whether, and after how long, the payload is to be started again.
    pub(super) fn restart_after(&self, code: i32, ran: Duration) -> Option<Duration> {
        if self.state.stop_requested {
            return None;
        }
        let again = match self.container.restart {
            Restart::No => false,
            Restart::Always | Restart::UnlessStopped => true,
            Restart::OnFailure { max } => code != 0 && max.is_none_or(|max| self.state.restarts < max),
        };
        again.then(|| backoff(self.state.restarts, ran))
    }

    /// The very end: after this no trace of the container runs or is mounted.
    pub(super) fn finish(mut self, code: i32) {
        self.state.monitor_pid = None;
        let last_word = self.last_word(code);
        let _ = rustix::fs::unlinkat(&self.run, control::SOCKET, AtFlags::empty());
        if !self.container.auto_remove {
            let recorded = publish(&self.bundle, "state.json", &self.state, Durability::Durable);
            // A full disk: then at least without the sync, and else recovery writes 137.
            recorded.or_else(|_| self.publish()).ok();
        }
        let server = self.rootfs.umount();
        drop(server);
        let remains = if self.container.auto_remove {
            remove::forget(&self.dirs, &self.container, true).ok().flatten()
        } else {
            remove::clean_run_dir(&self.run);
            None
        };
        drop(self.lock);
        self.clients.finish(event::EXITED, &last_word);
        // Nobody needs to wait for the rest: files (if we are killed, the next command goes on with them), and the kernel's
        // taking down of a network device, which is 20 ms.
        let _ = remains.map(remove::Remains::clear);
        if let Some(helper) = self.leaving {
            let _ = rustix::process::waitpid(Some(helper), WaitOptions::empty());
        }
    }
}

fn backoff(restarts: u32, ran: Duration) -> Duration {
    if ran >= HEALTHY {
        return MIN_BACKOFF;
    }
    let factor = 1u32.checked_shl(restarts).unwrap_or(u32::MAX);
    MIN_BACKOFF.saturating_mul(factor).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_wait_longer_each_time_until_the_payload_stays_up() {
        let short = Duration::from_millis(5);
        assert_eq!(backoff(0, short), Duration::from_millis(100));
        assert_eq!(backoff(3, short), Duration::from_millis(800));
        assert_eq!(backoff(40, short), MAX_BACKOFF);
        assert_eq!(backoff(40, HEALTHY), MIN_BACKOFF);
    }
}
