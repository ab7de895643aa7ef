//! `coracle create`: make a container without starting it.

use crate::cli::flags::create::CreateFlags;
use crate::cli::{App, ui};
use crate::engine;
use crate::error::Result;

/// Make a container without starting it, and print its id
///
/// Flags end at the image: everything after it belongs to the command in the container.
#[derive(Debug, Clone, clap::Parser)]
#[command(disable_help_flag = true, override_usage = "coracle create [OPTIONS] IMAGE [COMMAND [ARG...]]")]
pub struct Args {
    #[command(flatten)]
    pub create: CreateFlags,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    args.create.check_cidfile()?;
    let dirs = app.dirs()?;
    let options = args.create.to_options(app)?;
    let created = engine::create(&dirs, &options)?;
    created.warnings.iter().for_each(ui::warn);
    args.create.write_cidfile(created.container.id.as_str())?;
    ui::line(&created.container.id)?;
    Ok(0)
}
