//! `coracle doctor`: tries what containers need, and says what to fix.

use crate::cli::{App, format, ui};
use crate::engine;
use crate::error::{Error, Result};

/// Check by trying what containers need on this machine
///
/// Every check that does not pass comes with a command that fixes it. Exit code 0: all pass; 1: something fails;
/// 2: warnings only.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Print JSON
    #[arg(long, conflicts_with = "fix_script")]
    pub json: bool,
    /// Print a shell script of the fixes for the administrator
    #[arg(long)]
    pub fix_script: bool,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let report = engine::doctor::doctor(&app.dirs_without_store()?);
    if args.json {
        let value = serde_json::to_value(&report)
            .map_err(|e| Error::internal(format_args!("cannot show the report: {e}")))?;
        ui::out(&format::json(&value)?)?;
    } else if args.fix_script {
        ui::out(&report.fix_script())?;
        return Ok(0);
    } else {
        ui::out(&report.text())?;
    }
    Ok(report.exit_code())
}
