//! `coracle cp`: between host and containers. Runs in the store's namespace, where the containers' files can be read.

use crate::cli::App;
use crate::engine;
use crate::engine::cp::{CopyOptions, Place, copy};
use crate::error::{Error, Result};
use crate::paths::Dirs;
use crate::userns;

/// Copy files between the host and containers, running or not
///
/// One of the two is CONTAINER:PATH, or both. `-` is a tar stream on stdin or stdout. SOURCE/. means what is in a directory.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Keep owners
    #[arg(short, long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_parser = crate::cli::tree::go_bool)]
    pub archive: bool,
    /// Let a directory replace a file, and a file a directory
    #[arg(long)]
    pub overwrite: bool,
    /// What to copy
    #[arg(value_name = "[CONTAINER:]SOURCE")]
    pub source: String,
    /// Where to
    #[arg(value_name = "[CONTAINER:]TARGET")]
    pub target: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let (from, to) = (place(&dirs, &args.source)?, place(&dirs, &args.target)?);
    if !matches!(from, Place::Container(..)) && !matches!(to, Place::Container(..)) {
        return Err(Error::usage("neither the source nor the target is in a container")
            .hint("Write CONTAINER:PATH for one of them, for example `coracle cp web:/etc/hosts .`."));
    }
    if !userns::inside_store() {
        return app.in_store();
    }
    copy(&dirs, &from, &to, CopyOptions { archive: args.archive, overwrite: args.overwrite })?;
    Ok(0)
}

/// `-`, `container:path`, or a path of the host: those begin with `/` or `.`, or have no container in front.
fn place(dirs: &Dirs, text: &str) -> Result<Place> {
    if text == "-" {
        return Ok(Place::Stream);
    }
    if text.starts_with(['/', '.']) {
        return Ok(Place::Host(text.to_owned()));
    }
    match text.split_once(':') {
        Some((name, path)) if !name.contains('/') => {
            if path.is_empty() {
                return Err(Error::usage(format_args!("no path after {text:?}")));
            }
            Ok(Place::Container(Box::new(engine::find(dirs, name)?), path.to_owned()))
        }
        _ => Ok(Place::Host(text.to_owned())),
    }
}
