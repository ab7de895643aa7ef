//! `coracle wait`: block until containers end, and print their exit codes.

use crate::cli::{App, parse, ui};
use crate::engine;
use crate::error::{Error, Kind, Result};

/// Wait until containers end, and print their exit codes
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// What to wait for: created, running, paused, exited or stopped; several are alternatives
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub condition: Vec<String>,
    /// A container that does not exist counts as ended with -1
    #[arg(long)]
    pub ignore: bool,
    /// How often to look, for conditions other than the end
    #[arg(short, long, value_name = "DURATION", default_value = "250ms")]
    pub interval: String,
    /// The container that was created last
    #[arg(short, long)]
    pub latest: bool,
    /// Names or ids
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    // A bare number is milliseconds here, as in podman.
    let text = if args.interval.bytes().all(|b| b.is_ascii_digit()) {
        format!("{}ms", args.interval)
    } else {
        args.interval.clone()
    };
    let interval = parse::time::duration("--interval", &text)?.unsigned_abs();
    let conditions = args.condition.iter().map(|c| engine::wait::condition(c)).collect::<Result<Vec<_>>>()?;
    let mut names = args.containers.clone();
    if args.latest {
        names.push(crate::cli::flags::select::latest(&dirs)?.id.as_str().to_owned());
    }
    if names.is_empty() {
        return Err(Error::usage("no container given").hint("Name one or more containers, or use --latest."));
    }
    let mut code = 0;
    for name in &names {
        let waited =
            engine::find(&dirs, name).and_then(|c| engine::wait::wait(&dirs, &c, &conditions, interval));
        match waited {
            Ok(exit_code) => ui::line(exit_code)?,
            Err(e) if args.ignore && e.kind() == Kind::NotFound => ui::line(-1)?,
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}
