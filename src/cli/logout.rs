//! `coracle logout`.

use crate::cli::login::domain;
use crate::cli::{App, ui};
use crate::engine;
use crate::error::Result;
use crate::registry::AuthOptions;
use std::path::PathBuf;

/// Forget the credentials for a registry
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// All registries
    #[arg(short, long, conflicts_with = "registry")]
    pub all: bool,
    /// File with credentials
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// Registry; docker.io if not given
    #[arg(value_name = "REGISTRY")]
    pub registry: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let options = AuthOptions { authfile: args.authfile.clone(), ..AuthOptions::default() };
    let registry = if args.all { None } else { Some(domain(args.registry.as_deref())?) };
    engine::login::log_out(&app.dirs_without_store()?, registry.as_deref(), &options)?;
    match registry {
        Some(domain) => ui::line(format_args!("Removed login credentials for {domain}"))?,
        None => ui::line("Removed login credentials for all registries")?,
    }
    Ok(0)
}
