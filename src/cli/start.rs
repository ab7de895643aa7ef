//! `coracle start`: start containers that were made or have ended.

use crate::cli::flags::attach::RelayFlags;
use crate::cli::flags::select::{self, Select};
use crate::cli::{App, ui};
use crate::engine;
use crate::error::{Error, Result};
use crate::ondisk::container::Status;
use crate::toolbox;

/// Start containers
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Stay connected to the container; the exit code is its own
    #[arg(short, long)]
    pub attach: bool,
    /// Connect stdin too
    #[arg(short, long)]
    pub interactive: bool,
    #[command(flatten)]
    pub relay: RelayFlags,
    #[command(flatten)]
    pub select: StartSelect,
}

/// `Select`, without the short forms that `start` has for other things.
#[derive(Debug, Clone, clap::Args)]
pub struct StartSelect {
    /// Names or ids
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// All containers that are not running
    #[arg(long, conflicts_with_all = ["containers", "latest"])]
    pub all: bool,
    /// The container that was created last
    #[arg(short, long, conflicts_with_all = ["containers", "filter"])]
    pub latest: bool,
    /// Only containers that match, see ps
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let StartSelect { containers, all, latest, filter } = args.select.clone();
    let select = Select { containers, all, latest, filter, cidfile: Vec::new() };
    let chosen = select.resolve(&dirs, |s| matches!(s.status, Status::Created | Status::Exited))?;
    if !args.attach {
        let launch = args.relay.to_launch(app, false, false, false)?;
        return select::each(chosen, |c| {
            if matches!(engine::lookup::state(&dirs, &c)?.status, Status::Running | Status::Stopping) {
                return Ok(());
            }
            toolbox::refresh(&dirs, &c)?.iter().for_each(ui::warn);
            engine::start(&dirs, &c, &launch).map(drop).map_err(own_code)
        });
    }
    let mut chosen = chosen.into_iter();
    let (Some((_, container)), None) = (chosen.next(), chosen.next()) else {
        return Err(Error::usage("--attach wants exactly one container"));
    };
    let c = container?;
    let stdin = args.interactive || (c.interactive && c.tty);
    let launch = args.relay.to_launch(app, true, stdin, c.tty)?;
    let outcome = match engine::lookup::state(&dirs, &c)?.status {
        Status::Running => crate::monitor::client::attach(&dirs, &c, &launch)?,
        _ => engine::start(&dirs, &c, &launch).map_err(own_code)?,
    };
    ui::debug(|| format!("{} ended: {outcome:?}", c.name));
    Ok(super::exec::exit_code(&outcome))
}

/// podman's code of a start that failed, also where the command was not found: 126 and 127 are for `run` and `exec`.
pub fn own_code(error: Error) -> Error {
    error.with_exit_code(125)
}
