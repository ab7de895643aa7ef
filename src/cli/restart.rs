//! `coracle restart`.

use crate::cli::flags::attach::RelayFlags;
use crate::cli::flags::select::{self, Select};
use crate::cli::{App, parse, ui};
use crate::engine;
use crate::error::{Error, Result};
use crate::ondisk::container::Status;
use crate::toolbox;

/// Stop containers and start them again
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    #[command(flatten)]
    pub select: Select,
    /// All running containers
    #[arg(long, conflicts_with_all = ["all", "containers", "latest"])]
    pub running: bool,
    /// Seconds before SIGKILL; negative: never
    #[arg(short, long, value_name = "SECONDS")]
    pub time: Option<i64>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let relay = RelayFlags { detach_keys: parse::detach::DEFAULT.to_owned(), sig_proxy: false };
    let launch = relay.to_launch(app, false, false, false)?;
    let mut select = args.select.clone();
    select.all |= args.running;
    let only_running = args.running;
    let chosen =
        select.resolve(&dirs, |s| !only_running || matches!(s.status, Status::Running | Status::Paused))?;
    select::each(chosen, |c| {
        if c.auto_remove && engine::lookup::state(&dirs, &c)?.status != Status::Created {
            return Err(Error::usage(format_args!("cannot restart container {}", c.name))
                .cause("it was made with --rm, so its stop removes it"));
        }
        toolbox::refresh(&dirs, &c)?.iter().for_each(ui::warn);
        engine::restart::restart(&dirs, &c, args.time, &launch).map_err(super::start::own_code)
    })
}
