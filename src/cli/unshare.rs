//! `coracle unshare`: a command in the store's user namespace, where the files of containers have their owners.

use crate::cli::{App, ui};
use crate::error::{Error, Kind, Result};
use crate::external::command_at;
use crate::userns;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Run a command as root of the user namespace of images and containers
///
/// There, files of images and volumes have the owners that containers see. Without a command: $SHELL.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle unshare [COMMAND [ARG...]]")]
pub struct Args {
    /// Command and arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub command: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        return app.in_store();
    }
    let env = super::parse::env::host();
    let shell = env.get("SHELL").cloned().unwrap_or_else(|| "/bin/sh".to_owned());
    let (program, rest) = args.command.split_first().map_or((&shell, &[][..]), |(p, r)| (p, r));
    ui::debug(|| format!("execve {program:?} {rest:?}"));
    // Returns only when it failed.
    let e = command_at(Path::new(program)).args(rest).exec();
    let kind =
        if e.kind() == std::io::ErrorKind::NotFound { Kind::CommandNotFound } else { Kind::CannotInvoke };
    Err(Error::new(kind, format_args!("cannot run {program}")).cause(e))
}
