//! `coracle toolbox upgrade`.

use super::setup;
use crate::cli::{App, ui};
use crate::error::{Context, Error, Kind, Result};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::toolbox::{self, succession};

/// Bring the packages of boxes up to date, by their own package managers
///
/// apt, apk, dnf, microdnf, yum, pacman, zypper or xbps, without questions; zypper by dist-upgrade where openSUSE has no
/// releases. Prints the names of the boxes that are up to date; the exit code is that of the package manager that failed
/// last. A box that did not run is stopped again.
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
            Err(e) => code = ui::error(&with_way_out(&dirs, c, e)),
        }
    }
    Ok(code)
}

/// What a package manager has left half done is the box's; one that was rebased has a whole one beside it.
fn with_way_out(dirs: &Dirs, c: &Container, error: Error) -> Error {
    if error.kind() != Kind::External {
        return error;
    }
    match succession::aside(dirs, &succession::former_name(c.name.as_str())) {
        Ok(Some(_)) => error.hint(format_args!(
            "Put right what it says, and repeat the command; or go back to the box of before the last rebase: \
             `coracle toolbox rollback {}`.",
            c.name
        )),
        _ => error.hint("Put right what it says, and repeat the command."),
    }
}
