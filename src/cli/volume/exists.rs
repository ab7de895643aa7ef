//! `coracle volume exists`: an answer by exit code.

use crate::cli::App;
use crate::error::Result;
use crate::store::volume;

/// Check whether a volume exists: exit code 0 or 1
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Name
    #[arg(value_name = "VOLUME")]
    pub name: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    Ok(u8::from(volume::get(&app.dirs()?, &args.name)?.is_none()))
}
