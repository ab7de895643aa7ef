//! `coracle toolbox diff`.

use crate::cli::{App, ui};
use crate::error::Result;
use crate::toolbox;

/// List the packages that a box has and its image has not, those removed, and those of another version
///
/// From the lists of dpkg, apk and pacman, and from the box's own rpm. One line each: added NAME VERSION, removed NAME VERSION, changed NAME OLD -> NEW.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Name or id; not needed where there is one box
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let c = super::named_or_usual(&dirs, args.name.as_deref())?;
    super::started(app, &dirs, &c)?.iter().for_each(ui::warn);
    toolbox::packages::diff(&dirs, &c)?.iter().try_for_each(ui::foreign_line)?;
    Ok(0)
}
