//! `coracle container exists`: an answer by exit code.

use crate::cli::App;
use crate::engine;
use crate::error::{Kind, Result};

/// Check whether a container exists: exit code 0 or 1
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    match engine::find(&app.dirs()?, &args.container) {
        Ok(_) => Ok(0),
        Err(e) if e.kind() == Kind::NotFound => Ok(1),
        Err(e) => Err(e),
    }
}
