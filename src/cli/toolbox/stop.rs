//! `coracle toolbox stop`.

use crate::cli::{App, ui};
use crate::error::Result;
use crate::{engine, toolbox};

/// Stop boxes; the next enter starts them again
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// All boxes
    #[arg(short, long, conflicts_with = "names")]
    pub all: bool,
    /// Names or ids
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let mut code = 0;
    for name in super::chosen(&dirs, args.all, &args.names)? {
        let stopped = toolbox::find(&dirs, &name).and_then(|c| engine::stop::stop(&dirs, &c, None));
        match stopped {
            Ok(_) => ui::line(&name)?,
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}
