//! `coracle toolbox upgrade`.

use super::setup;
use crate::cli::{App, ui};
use crate::error::{Context, Result};
use crate::toolbox;

/// Bring the packages of boxes up to date, by their own package managers
///
/// apt, apk, dnf, microdnf, yum, pacman, zypper or xbps, without questions. Prints the names of the boxes that are up to
/// date; the exit code is that of the package manager that failed last. A box that did not run is stopped again.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// All boxes, but for former ones (rollback)
    #[arg(short, long, conflicts_with = "names")]
    pub all: bool,
    /// Names or ids; not needed where there is one box
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let boxes = match (args.all, args.names.as_slice()) {
        (true, _) => toolbox::current(&dirs)?,
        (false, []) => vec![super::named_or_usual(&dirs, None)?],
        (false, names) => names.iter().map(|name| toolbox::find(&dirs, name)).collect::<Result<_>>()?,
    };
    let mut code = 0;
    for c in &boxes {
        let upgraded = setup::while_running(app, &dirs, c, || {
            setup::all_as_root(&dirs, c, &toolbox::manager::of_box(&dirs, c)?.upgrade())
        });
        match upgraded.what(|| format!("cannot upgrade box {}", c.name)) {
            Ok(()) => ui::line(&c.name)?,
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}
