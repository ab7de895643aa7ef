//! `coracle image exists`: an answer by exit code.

use crate::cli::App;
use crate::error::Result;
use crate::store::Store;

/// Check whether an image is in the store: exit code 0 or 1
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Name or id
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let store = Store::open(&app.dirs()?)?;
    Ok(u8::from(store.find_image(&args.image)?.is_none()))
}
