//! `coracle image prune`: removes images that nothing needs. Runs in the store's namespace.

use crate::cli::{App, images, ui};
use crate::engine;
use crate::error::Result;
use crate::userns;

/// Remove images without a name; with --all, those that no container uses
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Also images with names, when no container uses them
    #[arg(short, long)]
    pub all: bool,
    /// Only images that match: label, until
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        let what = if args.all { "all images that no container uses" } else { "all images without a name" };
        if !args.force && !ui::confirm(&format!("This removes {what}. Go on?"))? {
            return Ok(0);
        }
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let filters = images::filters(&args.filter, &dirs)?;
    let (removed, failed) = engine::prune::images(&dirs, args.all, &filters)?;
    removed.iter().try_for_each(ui::line)?;
    Ok(ui::errors(&failed))
}
