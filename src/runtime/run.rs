//! `run`: create and start in one, without the wait between them.

use super::args::{Context, CreateArgs, RunArgs};
use super::create::{Mode, bear};
use super::foreground::{self, Beside, Orphans, Signals};
use super::shield::Shield;
use super::{console, delete, selfexe, spawn, start};
use crate::error::Result;

/// Runs the container. In the foreground: returns its exit code and removes it.
pub fn run(context: &Context, args: &CreateArgs, how: &RunArgs) -> Result<i32> {
    // Before signals are caught: what replaces us starts with a clean mask.
    selfexe::protect()?;
    let server = how.server.as_ref();
    let signals = Signals::wanted(how.detach, args.dies_with_us)?;
    let orphans = args.dies_with_us.then(|| Orphans::adopt(server)).transpose()?;
    let shield = Shield::raise(args.dies_with_us)?;
    let born = bear(context, args, Mode::Run { detach: how.detach });
    shield.lower();
    let born = born?;
    let started = spawn::hear_exec(&born.child, &born.plan);
    // execve closes one fd after the other: until the marker is closed too, others see a created container.
    start::wait_until_executed(&born.dir);
    // A container whose poststart hook fails is stopped, says the specification.
    if let Err(e) = started.and_then(|()| start::run_poststart(&born.record)) {
        spawn::kill_and_reap(&born.child);
        if let Some(Ok(terminal)) = born.console.as_ref().map(console::receive) {
            foreground::last_output(terminal);
        }
        let _ = delete::remove(context, &born.dir, Some(&born.record), true);
        return Err(e);
    }
    let Some(signals) = signals else {
        return born.notify.map_or(Ok(0), |notify| notify.wait(&born.record).map(|()| 0));
    };
    let terminal = born.console.as_ref().map(console::receive).transpose()?;
    let beside = Beside { terminal, notify: born.notify.as_ref(), server, shield, orphans };
    let code = foreground::follow(&born.child, &signals, beside)?;
    if !how.keep {
        delete::remove(context, &born.dir, Some(&born.record), true)?;
    }
    Ok(code)
}
