//! `coracle host`: a command on the host, from inside a box. There `toolbox::host::client` does it, before any of this; here
//! are its help and the refusal outside.

use crate::cli::App;
use crate::error::Result;
use crate::toolbox::host::client;

/// Run a command on the host, from inside a box
///
/// For boxes made with `toolbox create --host-exec`. The command runs as you, in the environment of the session that entered
/// the box last, in the same directory or the nearest that the host has. Its terminal, its open files, signals and the exit
/// code are as if it ran in the box.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle host [OPTIONS] COMMAND [ARG...]")]
pub struct Args {
    /// Set an environment variable
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Working directory on the host
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Command and arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub command: Vec<String>,
}

pub fn run(_args: &Args, _app: &App) -> Result<u8> {
    Err(client::refusal())
}
