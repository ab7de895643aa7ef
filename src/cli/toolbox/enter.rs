//! `coracle toolbox enter`.

use super::distro::DistroFlags;
use crate::cli::App;
use crate::error::Result;

/// Enter a box: a login shell, or a command
///
/// Starts the box when it does not run. The environment is the caller's, the directory too where the box has it; the exit
/// code is the command's, else as for exec.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle toolbox enter [OPTIONS] [NAME] [-- COMMAND [ARG...]]")]
pub struct Args {
    #[command(flatten)]
    pub distro: DistroFlags,
    /// Name or id; not needed where there is one box, or one of this machine's own distribution
    #[arg(value_name = "NAME", conflicts_with_all = ["distro", "release"])]
    pub name: Option<String>,
    /// Instead of the login shell
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let chosen = args.distro.name()?;
    super::enter(app, chosen.as_deref().or(args.name.as_deref()), &args.command)
}
