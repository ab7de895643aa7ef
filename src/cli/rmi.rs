//! `coracle rmi`: remove images or their names. Runs in the store's namespace.

use crate::cli::{App, ui};
use crate::engine;
use crate::error::{Error, Kind, Result};
use crate::store::Store;
use crate::userns;

/// Remove images, or names of images
///
/// An image goes with its last name. Exit code 1: there is no such image; 2: a container uses it.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// All images
    #[arg(short, long, conflicts_with = "images")]
    pub all: bool,
    /// All names of the image, and the containers that use it
    #[arg(short, long)]
    pub force: bool,
    /// Do not complain about images that do not exist
    #[arg(short, long)]
    pub ignore: bool,
    /// Names or ids
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if args.images.is_empty() && !args.all {
        return Err(Error::usage("no image given").hint("Name one or more images, or use --all."));
    }
    if !userns::inside_store() {
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let store = Store::open(&dirs)?;
    let names = if args.all {
        store.images()?.0.into_iter().map(|i| i.id.to_string()).collect()
    } else {
        args.images.clone()
    };
    let mut code = 0;
    for name in &names {
        match engine::rm::remove_image(&dirs, &store, name, args.force || args.all, args.force) {
            Ok(removed) => say(&removed)?,
            Err(e) if e.kind() == Kind::NotFound && args.ignore => {}
            Err(e) if e.kind() == Kind::NotFound => {
                code = ui::error(
                    &Error::not_found(format_args!("{name}: image not known"))
                        .hint("List images with `coracle images`.")
                        .with_exit_code(1),
                );
            }
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}

/// Prints what became of an image and its names.
pub fn say(removed: &crate::store::collect::Removed) -> Result<()> {
    for name in &removed.untagged {
        ui::line(format_args!("Untagged: {name}"))?;
    }
    if let Some(id) = &removed.image {
        ui::line(format_args!("Deleted: {id}"))?;
    }
    Ok(())
}
