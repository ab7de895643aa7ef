//! `coracle update`.

use crate::cli::flags::resources::ResourceFlags;
use crate::cli::{App, ui};
use crate::engine;
use crate::engine::options::Limits;
use crate::error::{Error, Result};

/// Change the limits of a container, running or not
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    #[command(flatten)]
    pub resources: ResourceFlags,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let limits = args.resources.to_limits()?;
    if limits == Limits::default() {
        return Err(Error::usage("no limit given").hint("For example: `coracle update --memory 256m NAME`."));
    }
    let dirs = app.dirs()?;
    let c = engine::find(&dirs, &args.container)?;
    engine::update::update(&dirs, &c, &limits)?;
    ui::line(&c.id)?;
    Ok(0)
}
