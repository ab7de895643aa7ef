//! `coracle attach`: connect to a running container.

use crate::cli::App;
use crate::cli::flags::attach::RelayFlags;
use crate::cli::flags::select;
use crate::engine;
use crate::error::{Error, Result};
use crate::monitor::client;
use crate::ondisk::container::Status;

/// Connect to a running container's terminal or streams
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    #[command(flatten)]
    pub relay: RelayFlags,
    /// Do not connect stdin
    #[arg(long)]
    pub no_stdin: bool,
    /// The container that was created last
    #[arg(short, long)]
    pub latest: bool,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let c = select::one(&dirs, args.container.as_deref(), args.latest)?;
    if engine::lookup::state(&dirs, &c)?.status != Status::Running {
        return Err(Error::in_use(format_args!("cannot attach to container {}", c.name))
            .cause("you can only attach to running containers")
            .hint(format_args!("Start it with `coracle start --attach {}`.", c.name)));
    }
    let launch = args.relay.to_launch(app, true, c.interactive && !args.no_stdin, c.tty)?;
    let outcome = client::attach(&dirs, &c, &launch)?;
    Ok(super::exec::exit_code(&outcome))
}
