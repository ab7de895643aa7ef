//! `coracle kill`.

use crate::cli::App;
use crate::cli::flags::select::{self, Select};
use crate::engine;
use crate::error::Result;
use crate::ondisk::container::Status;

/// Send a signal to containers
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Names or ids
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// All running containers
    #[arg(short, long, conflicts_with_all = ["containers", "latest", "cidfile"])]
    pub all: bool,
    /// The container that was created last
    #[arg(short, long, conflicts_with_all = ["containers", "cidfile"])]
    pub latest: bool,
    /// Read the id from a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Vec<String>,
    /// The signal, by name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let signal = engine::signals::parse(&args.signal)?;
    let dirs = app.dirs()?;
    let Args { containers, all, latest, cidfile, .. } = args.clone();
    let select = Select { containers, all, latest, cidfile, filter: Vec::new() };
    let chosen = select.resolve(&dirs, |s| matches!(s.status, Status::Running | Status::Paused))?;
    select::each(chosen, |c| engine::kill::kill(&dirs, &c, signal))
}
