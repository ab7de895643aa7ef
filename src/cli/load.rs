//! `coracle load`: images from an archive. Runs in the store's namespace, where layers are unpacked.

use crate::cli::{App, ui};
use crate::engine::image;
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use crate::userns;
use std::os::fd::OwnedFd;

/// Load images from a docker-archive or oci-archive, compressed or not
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Read this file instead of stdin
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<String>,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if args.input.is_none() && ui::stdin_is_terminal() {
        return Err(Error::usage("cannot read an archive from the terminal")
            .hint("Redirect stdin, or name a file: `coracle load --input FILE`."));
    }
    if !userns::inside_store() {
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let (archive, name): (OwnedFd, &str) = match args.input.as_deref() {
        Some(file) => {
            let opened = std::fs::File::open(file).call(|| format!("open({file:?})"));
            (opened.what(|| format!("cannot load {file}"))?.into(), file)
        }
        None => {
            let stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
            (stdin.call(|| "fcntl(F_DUPFD_CLOEXEC)")?, "the archive on stdin")
        }
    };
    for (id, names) in image::load(&dirs, archive, name, args.quiet, |text| ui::warn(text))? {
        if names.is_empty() {
            ui::line(format_args!("Loaded image: {}", id.prefixed()))?;
        }
        for name in names {
            ui::line(format_args!("Loaded image: {name}"))?;
        }
    }
    Ok(0)
}
