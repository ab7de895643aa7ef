//! `coracle rm`: remove containers with their files. Runs in the store's namespace, where those files can be removed.

use crate::cli::flags::select::Select;
use crate::cli::{App, ui};
use crate::engine;
use crate::error::{Kind, Result};
use crate::userns;

/// Remove containers
///
/// A running one only with --force, which stops it first. Exit code 1: there is no such container; 2: it is running.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Names or ids
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// All containers
    #[arg(short, long, conflicts_with_all = ["containers", "latest", "cidfile", "filter"])]
    pub all: bool,
    /// The container that was created last
    #[arg(short, long, conflicts_with_all = ["containers", "cidfile", "filter"])]
    pub latest: bool,
    /// Read the id from a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Vec<String>,
    /// Only containers that match, see ps
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Stop running containers first
    #[arg(short, long)]
    pub force: bool,
    /// Do not complain about containers that do not exist
    #[arg(short, long)]
    pub ignore: bool,
    /// With --force: seconds before SIGKILL; negative: never
    #[arg(short, long, value_name = "SECONDS")]
    pub time: Option<i64>,
    /// Also remove their anonymous volumes
    #[arg(short, long)]
    pub volumes: bool,
    /// Print nothing for what went well (`run --replace`)
    #[arg(long, hide = true)]
    pub quiet: bool,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let Args { containers, all, latest, cidfile, filter, .. } = args.clone();
    let select = Select { containers, all, latest, cidfile, filter };
    let mut code = 0;
    for (word, container) in select.resolve(&dirs, |_| true)? {
        let options =
            engine::rm::RemoveOptions { force: args.force, timeout: args.time, volumes: args.volumes };
        match container.and_then(|c| engine::rm::remove(&dirs, &c, options)) {
            Ok(()) if args.quiet => {}
            Ok(()) => ui::line(&word)?,
            // --force asks for the end state, and that is there already.
            Err(e) if e.kind() == Kind::NotFound && (args.ignore || args.force) => {}
            Err(e) if e.kind() == Kind::NotFound => code = ui::error(&no_such(&word, e)),
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}

/// podman's words and exit code.
fn no_such(word: &str, e: crate::error::Error) -> crate::error::Error {
    if word.is_empty() {
        return e.with_exit_code(1);
    }
    crate::error::Error::not_found(format_args!(
        "no container with ID or name {word:?} found: no such container"
    ))
    .hint("See what there is with `coracle ps -a`.")
    .with_exit_code(1)
}
