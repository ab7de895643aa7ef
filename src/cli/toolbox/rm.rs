//! `coracle toolbox rm`. Runs in the store's namespace, where the box's files can be removed.

use crate::cli::{App, ui};
use crate::engine::{self, rm::RemoveOptions};
use crate::error::{Error, Kind, Result};
use crate::{toolbox, userns};

/// Remove boxes with everything in them, except what is in the host's home
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// All boxes
    #[arg(short, long, conflicts_with = "names")]
    pub all: bool,
    /// Stop running boxes first
    #[arg(short, long)]
    pub force: bool,
    /// Names or ids
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let options = RemoveOptions { force: args.force, timeout: None, volumes: true };
    let mut code = 0;
    for name in super::chosen(&dirs, args.all, &args.names)? {
        let removed =
            toolbox::find_to_remove(&dirs, &name).and_then(|c| engine::rm::remove(&dirs, &c, options));
        match removed {
            Ok(()) => ui::line(&name)?,
            Err(e) if e.kind() == Kind::InUse => code = ui::error(&in_use(&name, &e)),
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}

fn in_use(name: &str, e: &Error) -> Error {
    Error::in_use(format_args!("cannot remove box {name}: it is running"))
        .hint(format_args!("Stop it with `coracle toolbox stop {name}`, or use --force."))
        .with_exit_code(e.exit_code())
}
