//! `coracle image inspect`.

use crate::cli::App;
use crate::cli::inspect::{Object, show};
use crate::error::Result;

/// Show everything about images
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Names or ids
    #[arg(value_name = "IMAGE")]
    pub names: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    show(&app.dirs()?, Object::Image, &args.names, args.format.as_deref(), false)
}
