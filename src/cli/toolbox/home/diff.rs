//! `coracle toolbox home diff`.

use crate::cli::{App, ui};
use crate::error::Result;
use crate::{toolbox, userns};

/// List what a box has changed in its view of the host's home
///
/// One path a line, from the home on: A added, C changed, D deleted.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Name or id
    #[arg(value_name = "NAME")]
    pub name: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let home = toolbox::home::open(&dirs, &toolbox::find(&dirs, &args.name)?)?;
    home.changes()?.iter().try_for_each(ui::foreign_line)?;
    Ok(0)
}
