//! `coracle toolbox rmi`. Runs in the store's namespace, where the files of images can be removed.

use crate::cli::{App, ui};
use crate::error::{Error, Result};
use crate::paths::Dirs;
use crate::store::Store;
use crate::{engine, toolbox, userns};
use std::collections::BTreeSet;

/// The label of images that were prepared for toolbox.
const PREPARED: &str = "com.github.containers.toolbox";

/// Remove images of boxes
///
/// Exit code 1: there is no such image; 2: a box, or another container, is made of it.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// All images that boxes are made of, and those that were prepared for toolbox
    #[arg(short, long, conflicts_with = "images")]
    pub all: bool,
    /// The boxes and other containers that are made of them, too
    #[arg(short, long)]
    pub force: bool,
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
    let names = if args.all { of_boxes(&dirs, &store)? } else { args.images.iter().cloned().collect() };
    let mut code = 0;
    for name in &names {
        match engine::rm::remove_image(&dirs, &store, name, args.force || args.all, args.force) {
            Ok(removed) => crate::cli::rmi::say(&removed)?,
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}

fn of_boxes(dirs: &Dirs, store: &Store) -> Result<BTreeSet<String>> {
    let used: BTreeSet<String> = toolbox::list(dirs)?.0.into_iter().filter_map(|(c, _)| c.image_id).collect();
    let images = store.images()?.0.into_iter();
    let of_box = |image: &crate::store::Image| {
        used.contains(image.id.as_str()) || image.config.labels.contains_key(PREPARED)
    };
    Ok(images.filter(of_box).map(|image| image.id.to_string()).collect())
}
