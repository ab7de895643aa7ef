//! `coracle export`: the files of a container as tar. Runs in the store's namespace, where they can be read.

use crate::cli::{App, cp, ui};
use crate::engine;
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use crate::userns;
use std::fs::File;

/// Write the files of a container to a tar archive
///
/// What is mounted in it (volumes, binds, /proc) is not part of it.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
    /// The open root directory of a running container: ID=FD (from ourselves)
    #[arg(long, value_name = "ID=FD", hide = true)]
    pub root_fd: Vec<String>,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let c = engine::find(&dirs, &args.container)?;
    if args.output.is_none() && ui::stdout_is_terminal() {
        return Err(Error::usage("cannot write an archive to the terminal")
            .hint("Redirect stdout, or name a file: `coracle export --output FILE CONTAINER`."));
    }
    if !userns::inside_store() {
        return cp::in_store(app, "export", &[&c]);
    }
    let root = cp::take_roots(&args.root_fd)?.remove(c.id.as_str());
    let to = match &args.output {
        Some(file) => File::create(file)
            .call(|| format!("open({file:?}, O_CREAT)"))
            .what(|| format!("cannot export container {}", c.name))?,
        None => {
            let stdout = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3);
            File::from(stdout.call(|| "fcntl(F_DUPFD_CLOEXEC)")?)
        }
    };
    engine::export::export(&dirs, &c, root, to)?;
    Ok(0)
}
