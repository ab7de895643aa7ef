//! `coracle volume inspect`.

use crate::cli::App;
use crate::cli::inspect::{Object, show};
use crate::error::{Error, Result};
use crate::store::volume;

/// Show everything about volumes
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// All volumes
    #[arg(short, long, conflicts_with = "names")]
    pub all: bool,
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Names
    #[arg(value_name = "VOLUME")]
    pub names: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let names = if args.all {
        volume::list(&dirs)?.0.into_iter().map(|v| v.name.to_string()).collect()
    } else {
        args.names.clone()
    };
    if names.is_empty() && !args.all {
        return Err(Error::usage("no volume given").hint("Name one or more volumes, or use --all."));
    }
    if names.is_empty() {
        crate::cli::ui::line("[]")?;
        return Ok(0);
    }
    show(&dirs, Object::Volume, &names, args.format.as_deref(), false)
}
