//! `coracle untag`.

use crate::cli::App;
use crate::cli::tag::unknown;
use crate::error::{Error, Result};
use crate::store::Store;

/// Take names from an image; without names, all of them
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Name or id
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The names to take away
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let store = Store::open(&app.dirs()?)?;
    let image = store.own_image("take names from", "untag", &args.image)?;
    let image = image.ok_or_else(|| unknown(&args.image))?;
    let names = if args.names.is_empty() { &image.names } else { &args.names };
    for name in names {
        if !store.untag(name)? {
            return Err(Error::not_found(format_args!("{name}: tag not known")).hint(format_args!(
                "See the names of the image with `coracle inspect --format '{{{{.RepoTags}}}}' {}`.",
                args.image
            )));
        }
    }
    Ok(0)
}
