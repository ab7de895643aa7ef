//! `coracle volume rm`. Runs in the store's namespace.

use crate::cli::{App, ui};
use crate::engine::{self, rm::RemoveOptions};
use crate::error::{Error, Kind, Result};
use crate::id::VolumeName;
use crate::paths::Dirs;
use crate::store::volume;
use crate::userns;

/// Remove volumes with what is in them
///
/// Exit code 1: there is no such volume; 2: a container uses it.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// All volumes
    #[arg(short, long, conflicts_with = "names")]
    pub all: bool,
    /// Also the containers that use them, stopped first
    #[arg(short, long)]
    pub force: bool,
    /// With --force: seconds before SIGKILL
    #[arg(short, long, value_name = "SECONDS")]
    pub time: Option<i64>,
    /// Names
    #[arg(value_name = "VOLUME")]
    pub names: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if args.names.is_empty() && !args.all {
        return Err(Error::usage("no volume given").hint("Name one or more volumes, or use --all."));
    }
    if !userns::inside_store() {
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let names = if args.all {
        volume::list(&dirs)?.0.into_iter().map(|v| v.name.to_string()).collect()
    } else {
        args.names.clone()
    };
    let mut code = 0;
    for name in &names {
        match remove(&dirs, name, args) {
            Ok(()) => ui::line(name)?,
            Err(e) if e.kind() == Kind::NotFound && args.force => {}
            Err(e) if e.kind() == Kind::NotFound => {
                code = ui::error(
                    &Error::not_found(format_args!("no volume with name {name:?} found: no such volume"))
                        .hint("List volumes with `coracle volume ls`.")
                        .with_exit_code(1),
                );
            }
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}

fn remove(dirs: &Dirs, name: &str, args: &Args) -> Result<()> {
    if args.force {
        for user in volume::users(dirs, &VolumeName::parse(name)?)? {
            let options = RemoveOptions { force: true, timeout: args.time, volumes: false };
            engine::rm::remove(dirs, &engine::find(dirs, &user)?, options)?;
        }
    }
    volume::remove(dirs, name)
}
