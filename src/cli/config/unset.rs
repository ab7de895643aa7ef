//! `coracle config unset`.

use crate::cli::App;
use crate::config::user::User;
use crate::engine;
use crate::error::Result;

/// Take back what was set
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// storage.root or storage.max_size
    #[arg(value_name = "KEY")]
    pub key: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    super::known(&args.key)?;
    let dirs = app.bare_dirs()?;
    let mut user = User::read(&dirs)?;
    user.set(&args.key, None);
    engine::settings::write(&dirs, &user)?;
    Ok(0)
}
