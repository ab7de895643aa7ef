//! `coracle volume prune`. Runs in the store's namespace.

use crate::cli::{App, ui};
use crate::engine;
use crate::error::Result;
use crate::userns;

/// Remove all volumes that no container uses
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Only volumes that match, see volume ls
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        let question = "This removes all volumes that no container uses, with what is in them. Go on?";
        if !args.force && !ui::confirm(question)? {
            return Ok(0);
        }
        return app.in_store();
    }
    let (removed, failed) = engine::volume::prune(&app.dirs()?, &super::filters(&args.filter)?)?;
    removed.iter().try_for_each(|v| ui::line(&v.name))?;
    Ok(ui::errors(&failed))
}
