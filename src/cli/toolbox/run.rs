//! `coracle toolbox run`.

use crate::cli::App;
use crate::error::{Error, Result};

/// Run a command in a box
///
/// Starts the box when it does not run. Flags end at the box: everything after it belongs to the command.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle toolbox run NAME COMMAND [ARG...]")]
pub struct Args {
    /// Name or id, then command and arguments
    #[arg(value_name = "NAME", trailing_var_arg = true)]
    pub words: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    match args.words.split_first() {
        Some((name, command)) if !command.is_empty() => super::enter(app, Some(name), command),
        _ => Err(Error::usage("no command given").hint("For example: `coracle toolbox run BOX make`.")),
    }
}
