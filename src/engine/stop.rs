//! Ending a container: its stop signal, some patience, then SIGKILL.

use super::lookup;
use crate::error::{Context, Error, Result};
use crate::monitor::client;
use crate::ondisk::container::{Container, Status};
use crate::paths::Dirs;
use std::time::{Duration, Instant};

/// How long the monitor may take to record an end after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// How long a monitor may live after its last word: it unmounts.
pub const LAST_MOMENTS: Duration = Duration::from_secs(5);

/// What `stop` had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It was not running.
    Already,
    /// By its stop signal.
    Gently,
    /// By SIGKILL, after the time.
    Killed,
}

/// Stops a container; `None`: its own patience, negative: as long as it takes.
pub fn stop(dirs: &Dirs, c: &Container, timeout: Option<i64>) -> Result<Stopped> {
    let what = || format!("cannot stop container {}", c.name);
    match lookup::state(dirs, c)?.status {
        Status::Created => return Ok(Stopped::Already),
        // Between two runs of a restart policy its monitor lives on, and must be told.
        Status::Exited if !client::is_alive(dirs, &c.id)? => return Ok(Stopped::Already),
        // A frozen process takes no signal.
        Status::Paused => client::resume(dirs, &c.id).what(what)?,
        Status::Running | Status::Stopping | Status::Exited => {}
    }
    let seconds = timeout.unwrap_or_else(|| i64::from(c.stop_timeout));
    let patience = u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs);
    if patience.is_zero() {
        return kill_and_wait(dirs, c).what(what).map(|()| Stopped::Killed);
    }
    signal(dirs, c, c.stop_signal).what(what)?;
    if ended_within(dirs, c, patience)? {
        return Ok(Stopped::Gently);
    }
    kill_and_wait(dirs, c).what(what)?;
    Ok(Stopped::Killed)
}

fn kill_and_wait(dirs: &Dirs, c: &Container) -> Result<()> {
    signal(dirs, c, libc::SIGKILL)?;
    if ended_within(dirs, c, AFTER_KILL)? {
        return Ok(());
    }
    Err(Error::host("it does not end").cause("10 seconds after SIGKILL its processes are still there").hint(
        format_args!(
            "A process that waits for a device or a file server cannot be killed: see `coracle top {}`.",
            c.name
        ),
    ))
}

/// A signal that means the end. That it is ending already is no failure: its monitor then listens no more.
fn signal(dirs: &Dirs, c: &Container, number: i32) -> Result<()> {
    match client::signal(dirs, &c.id, number, true) {
        Err(_) if ended_within(dirs, c, LAST_MOMENTS)? => Ok(()),
        other => other,
    }
}

/// Looks often at first: most containers end at once.
fn ended_within(dirs: &Dirs, c: &Container, patience: Duration) -> Result<bool> {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if !client::is_alive(dirs, &c.id)? {
            return Ok(true);
        }
        if begin.elapsed() >= patience {
            return Ok(false);
        }
        std::thread::sleep(pause.min(patience.saturating_sub(begin.elapsed())));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
