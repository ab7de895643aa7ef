//! `coracle top`.

use crate::cli::flags::select;
use crate::cli::{App, table, ui};
use crate::engine;
use crate::error::{Error, Result};

/// Show the processes of a container
///
/// Columns: user, uid, huser, group, gid, hgroup, pid, hpid, ppid, pgid, pcpu, etime, tty, time, args, comm, state, nice,
/// rss, vsz, groups, hgroups, capinh, capprm, capeff, capbnd, seccomp, label. Names with an h in front are the host's view.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle top [OPTIONS] CONTAINER [COLUMN...]")]
pub struct Args {
    /// The container that was created last
    #[arg(short, long)]
    pub latest: bool,
    /// Name or id, then columns
    #[arg(value_name = "CONTAINER", trailing_var_arg = true)]
    pub words: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let (c, columns) = if args.latest {
        (select::latest(&dirs)?, args.words.as_slice())
    } else {
        let (name, columns) = args
            .words
            .split_first()
            .ok_or_else(|| Error::usage("no container given").hint("Name a container, or use --latest."))?;
        (engine::find(&dirs, name)?, columns)
    };
    ui::out(&table::render(&engine::top::top(&dirs, &c, columns)?))?;
    Ok(0)
}
