//! `coracle toolbox enter`.

use crate::cli::App;
use crate::error::Result;

/// Enter a box: a login shell, or a command
///
/// Starts the box when it does not run. The environment is the caller's, the directory too where the box has it; the exit
/// code is the command's, else as for exec.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle toolbox enter [OPTIONS] [NAME] [-- COMMAND [ARG...]]")]
pub struct Args {
    /// The box that `create --distro` makes
    #[arg(short, long, value_name = "DISTRO", conflicts_with = "name")]
    pub distro: Option<String>,
    /// The box that `create --release` makes
    #[arg(short, long, value_name = "RELEASE", conflicts_with = "name")]
    pub release: Option<String>,
    /// Name or id; not needed where there is one box, or one of this machine's own distribution
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Instead of the login shell
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if args.distro.is_some() || args.release.is_some() {
        let choice = super::of_distro(args.distro.as_deref(), args.release.as_deref())?;
        return super::enter(app, Some(&choice.name), &args.command);
    }
    super::enter(app, args.name.as_deref(), &args.command)
}
