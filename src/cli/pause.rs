//! `coracle pause`.

use crate::cli::App;
use crate::cli::flags::select::{self, Select};
use crate::engine;
use crate::error::Result;
use crate::ondisk::container::Status;

/// Freeze all processes of containers
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    #[command(flatten)]
    pub select: Select,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let chosen = args.select.resolve(&dirs, |s| s.status == Status::Running)?;
    select::each(chosen, |c| engine::kill::pause(&dirs, &c))
}
