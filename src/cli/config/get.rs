//! `coracle config get`.

use crate::cli::{App, ui};
use crate::config::user::{KEYS, User};
use crate::error::Result;

/// Show what was set; exit code 1 if KEY was not
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// storage.root or storage.max_size; without one, all that are set
    #[arg(value_name = "KEY")]
    pub key: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let user = User::read(&app.bare_dirs()?)?;
    let Some(key) = &args.key else {
        for (key, value) in KEYS.into_iter().filter_map(|key| Some((key, user.get(key)?))) {
            ui::line(format_args!("{key} = {value}"))?;
        }
        return Ok(0);
    };
    super::known(key)?;
    match user.get(key) {
        Some(value) => ui::line(value).map(|()| 0),
        None => Ok(1),
    }
}
