//! `coracle container prune`: removes containers that have ended. Runs in the store's namespace.

use crate::cli::{App, filter, ui};
use crate::engine;
use crate::error::Result;
use crate::userns;

/// Remove all containers that are not running
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Only containers that match: label, until, name, …
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        if !args.force && !ui::confirm("This removes all containers that are not running. Go on?")? {
            return Ok(0);
        }
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let filters = filter::containers(&args.filter, &dirs)?;
    let (removed, failed) = engine::prune::containers(&dirs, &filters)?;
    removed.iter().try_for_each(|c| ui::line(&c.id))?;
    Ok(ui::errors(&failed))
}
