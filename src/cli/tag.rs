//! `coracle tag`.

use crate::cli::App;
use crate::error::{Error, Result};
use crate::store::Store;

/// Give an image more names
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Name or id
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The new names; without a registry: localhost/
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let store = Store::open(&app.dirs()?)?;
    let image = store.own_image("name", "tag", &args.image)?.ok_or_else(|| unknown(&args.image))?;
    for name in &args.names {
        crate::engine::site::check_name(&image, name)?;
        store.tag(&image.id, name)?;
    }
    Ok(0)
}

/// The image, or podman's words.
pub fn find(store: &Store, name: &str) -> Result<crate::store::Image> {
    store.find_image(name)?.ok_or_else(|| unknown(name))
}

/// podman's words for an image that nobody has.
pub fn unknown(name: &str) -> Error {
    Error::not_found(format_args!("{name}: image not known")).hint("List images with `coracle images`.")
}
