//! `coracle system migrate`: for scripts and programs that call it after podman was updated (toolbox does).

use crate::cli::App;
use crate::error::Result;

/// Make what an older version left ready for this one: there is nothing to do
///
/// Every command reads what older versions wrote, and repairs what it touches. Running containers go on.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {}

pub fn run(_: &Args, _: &App) -> Result<u8> {
    Ok(0)
}
