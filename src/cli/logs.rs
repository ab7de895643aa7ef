//! `coracle logs`: what a container wrote, stdout to stdout, stderr to stderr.

use crate::cli::flags::select;
use crate::cli::{App, parse, ui};
use crate::engine::{self, logs::LogStream};
use crate::error::{Error, Result};
use jiff::Timestamp;

/// Show what containers wrote
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Colour what says whose line it is
    #[arg(long)]
    pub color: bool,
    /// Go on until the container ends
    #[arg(short, long)]
    pub follow: bool,
    /// The container that was created last
    #[arg(short, long)]
    pub latest: bool,
    /// With several containers, put their names before the lines instead of their ids
    #[arg(short, long)]
    pub names: bool,
    /// Only what was written after this time, or in this duration
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only the last N lines; -1 for all
    #[arg(long, value_name = "N", default_value_t = -1)]
    pub tail: i64,
    /// Put its time before each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Only what was written before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Names or ids
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// Colours of names: red, green, yellow, blue, magenta, cyan.
const COLOURS: [u8; 6] = [31, 32, 33, 34, 35, 36];

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let now = Timestamp::now();
    let time = |flag: &str, text: &Option<String>| {
        text.as_deref().map(|t| parse::time::point(flag, t, now)).transpose()
    };
    let options = engine::logs::LogOptions {
        since: time("--since", &args.since)?,
        until: time("--until", &args.until)?,
        tail: usize::try_from(args.tail).ok(),
        follow: args.follow,
        timestamps: args.timestamps,
    };
    let mut containers = Vec::new();
    if args.latest {
        containers.push(select::latest(&dirs)?);
    }
    for name in &args.containers {
        containers.push(engine::find(&dirs, name)?);
    }
    if containers.is_empty() {
        return Err(Error::usage("no container given").hint("Name one or more containers, or use --latest."));
    }
    // As podman: of several containers each line says whose it is.
    let named = containers.len() > 1;
    let prefix = |at: usize| {
        let c = containers.get(at).filter(|_| named)?;
        let colour = COLOURS.get(at % COLOURS.len()).copied().unwrap_or(0);
        let whose = if args.names { c.name.as_str() } else { c.id.short() };
        Some(if args.color { format!("\x1b[{colour}m{whose}\x1b[0m ") } else { format!("{whose} ") })
    };
    let prefixes: Vec<Option<String>> = (0..containers.len()).map(prefix).collect();
    engine::logs::read(&dirs, &containers, &options, &mut |at, stream, line| {
        let mut bytes = prefixes.get(at).and_then(Clone::clone).unwrap_or_default().into_bytes();
        bytes.extend_from_slice(line);
        match stream {
            LogStream::Stdout => ui::bytes(&bytes),
            LogStream::Stderr => ui::err_bytes(&bytes),
        }
    })?;
    Ok(0)
}
