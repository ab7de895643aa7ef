//! `coracle rename`.

use crate::cli::App;
use crate::engine;
use crate::error::Result;

/// Give a container another name
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// The new name
    #[arg(value_name = "NAME")]
    pub name: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let c = engine::find(&dirs, &args.container)?;
    engine::rename::rename(&dirs, &c, &args.name)?;
    Ok(0)
}
