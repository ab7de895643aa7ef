//! `coracle unpause`.

use crate::cli::App;
use crate::cli::flags::select::{self, Select};
use crate::engine;
use crate::error::Result;
use crate::ondisk::container::Status;

/// Let paused containers go on
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    #[command(flatten)]
    pub select: Select,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let chosen = args.select.resolve(&dirs, |s| s.status == Status::Paused)?;
    select::each(chosen, |c| engine::kill::unpause(&dirs, &c))
}
