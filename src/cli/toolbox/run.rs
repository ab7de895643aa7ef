//! `coracle toolbox run`.

use super::distro::DistroFlags;
use crate::cli::App;
use crate::error::{Error, Result};

/// Run a command in a box
///
/// Starts the box when it does not run. Flags end at the box: everything after it belongs to the command, but for a `--` that
/// may stand between them. Where a flag says which box, as toolbox(1) has it, all words are the command.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle toolbox run NAME [--] COMMAND [ARG...]\n       \
                            coracle toolbox run OPTIONS [--] COMMAND [ARG...]")]
pub struct Args {
    /// Name or id of the box
    #[arg(short, long, value_name = "NAME", conflicts_with_all = ["distro", "release"])]
    pub container: Option<String>,
    #[command(flatten)]
    pub distro: DistroFlags,
    /// Name or id, then command and arguments
    #[arg(value_name = "NAME", trailing_var_arg = true)]
    pub words: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let chosen = match &args.container {
        None => args.distro.name()?,
        container => container.clone(),
    };
    let (name, command) = match (&chosen, args.words.split_first()) {
        (None, Some((name, words))) => (Some(name), words.strip_prefix(&["--".to_owned()]).unwrap_or(words)),
        _ => (chosen.as_ref(), args.words.as_slice()),
    };
    if command.is_empty() {
        return Err(Error::usage("no command given").hint("For example: `coracle toolbox run BOX make`."));
    }
    super::enter(app, name.map(String::as_str), command)
}
