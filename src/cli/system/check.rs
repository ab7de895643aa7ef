//! `coracle system check`. Runs in the store's namespace, where every file can be read.

use crate::cli::{App, ui};
use crate::engine;
use crate::error::Result;
use crate::userns;

/// Check everything on disk against its record
///
/// Exit code 0: all is well; 1: problems were found (with --repair: are left).
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Remove what is damaged and can be had again, and leftovers
    #[arg(short, long)]
    pub repair: bool,
    /// Also say what is left over and harmless
    #[arg(short, long)]
    pub verbose: bool,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        let removed = engine::system_check::remove_cgroups();
        for text in removed.iter().filter(|_| args.verbose) {
            ui::line(format_args!("note: {text}"))?;
        }
        return app.in_store();
    }
    let findings = engine::system_check::check(&app.dirs()?, args.repair)?;
    for text in &findings.repaired {
        ui::line(format_args!("repaired: {text}"))?;
    }
    if args.verbose {
        for text in &findings.notes {
            ui::line(format_args!("note: {text}"))?;
        }
    }
    for problem in &findings.problems {
        ui::error(problem);
    }
    if findings.problems.is_empty() && findings.repaired.is_empty() {
        ui::line("no problems found")?;
    }
    Ok(u8::from(!findings.problems.is_empty()))
}
