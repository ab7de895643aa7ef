//! `coracle container inspect`.

use crate::cli::App;
use crate::cli::flags::select;
use crate::cli::inspect::{Object, show};
use crate::error::Result;

/// Show everything about containers
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// The container that was created last
    #[arg(short, long)]
    pub latest: bool,
    /// Also how much the container has written
    #[arg(short, long)]
    pub size: bool,
    /// Names or ids
    #[arg(value_name = "CONTAINER")]
    pub names: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let mut names = args.names.clone();
    if args.latest {
        names.insert(0, select::latest(&dirs)?.id.as_str().to_owned());
    }
    show(&dirs, Object::Container, &names, args.format.as_deref(), args.size)
}
