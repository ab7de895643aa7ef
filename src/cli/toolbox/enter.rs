//! `coracle toolbox enter`.

use crate::cli::App;
use crate::error::Result;

/// Enter a box: a login shell, or a command
///
/// Starts the box when it does not run. The environment is the caller's, the directory too where the box has it; the exit
/// code is the command's, else as for exec.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle toolbox enter [NAME] [-- COMMAND [ARG...]]")]
pub struct Args {
    /// Name or id; not needed where there is one box
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Instead of the login shell
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    super::enter(app, args.name.as_deref(), &args.command)
}
