//! `coracle stop`: end containers gently, then by force.

use crate::cli::flags::select::{self, Select};
use crate::cli::{App, ui};
use crate::engine::signals::name as signal_name;
use crate::engine::{self, stop::Stopped};
use crate::error::{Kind, Result};
use crate::ondisk::container::Status;

/// Stop running containers
///
/// Sends the container's stop signal (SIGTERM), and SIGKILL when it is still there after the time.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    #[command(flatten)]
    pub select: Select,
    /// Do not complain about containers that do not exist
    #[arg(short, long)]
    pub ignore: bool,
    /// Seconds before SIGKILL; negative: never
    #[arg(short, long, value_name = "SECONDS")]
    pub time: Option<i64>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let mut chosen = args
        .select
        .resolve(&dirs, |s| matches!(s.status, Status::Running | Status::Paused | Status::Stopping))?;
    if args.ignore {
        chosen.retain(|(_, c)| !matches!(c, Err(e) if e.kind() == Kind::NotFound));
    }
    select::each(chosen, |c| {
        if engine::stop::stop(&dirs, &c, args.time)? == Stopped::Killed && args.time != Some(0) {
            let seconds = args.time.unwrap_or_else(|| i64::from(c.stop_timeout));
            ui::warn(format_args!(
                "StopSignal {} failed to stop container {} in {seconds} seconds, resorting to SIGKILL",
                signal_name(c.stop_signal),
                c.name
            ));
        }
        Ok(())
    })
}
