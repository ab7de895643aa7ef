//! `coracle system prune`. Runs in the store's namespace.

use crate::cli::parse::size;
use crate::cli::{App, filter, images, ui, volume};
use crate::engine::{self, prune::PruneOptions};
use crate::error::{Error, Result};
use crate::userns;

/// Remove everything that nothing uses
///
/// Containers that have ended, images without a name (with --all: images that no container uses), with --volumes also
/// volumes that no container uses.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Also images with names
    #[arg(short, long)]
    pub all: bool,
    /// Only what matches: label, until
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// Also volumes
    #[arg(long)]
    pub volumes: bool,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        if !args.force && !ui::confirm(&question(args))? {
            return Ok(0);
        }
        return app.in_store();
    }
    let dirs = app.dirs()?;
    for text in &args.filter {
        let (key, _) = filter::split(text)?;
        if !matches!(key, "label" | "label!" | "until") {
            return Err(filter::unknown(key, "label, label!, until"));
        }
    }
    // podman: `until` says nothing about volumes.
    let for_volumes: Vec<String> = args.filter.iter().filter(|f| !f.starts_with("until")).cloned().collect();
    if args.volumes && for_volumes.len() != args.filter.len() {
        return Err(Error::usage("--volumes cannot be combined with --filter until="));
    }
    let pruned = engine::prune::everything(
        &dirs,
        PruneOptions { all: args.all, volumes: args.volumes },
        &filter::containers(&args.filter, &dirs)?,
        &images::filters(&args.filter, &dirs)?,
        &volume::filters(&for_volumes)?,
    )?;
    let volumes: Vec<String> = pruned.volumes.iter().map(|v| v.name.to_string()).collect();
    for (title, list) in
        [("Containers", &pruned.containers), ("Volumes", &volumes), ("Images", &pruned.images)]
    {
        if !list.is_empty() {
            ui::line(format_args!("Deleted {title}\n{}", list.join("\n")))?;
        }
    }
    ui::line(format_args!("Total reclaimed space: {}", size::human(pruned.bytes, "")))?;
    Ok(ui::errors(&pruned.failed))
}

fn question(args: &Args) -> String {
    let mut what = vec!["all containers that are not running"];
    what.push(if args.all { "all images that no container uses" } else { "all images without a name" });
    if args.volumes {
        what.push("all volumes that no container uses");
    }
    format!("This removes {}. Go on?", what.join(", "))
}
