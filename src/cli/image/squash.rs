//! `coracle image squash`: an image as one file. Runs in the store's namespace, where layers can be read and mounted.

use crate::cli::App;
use crate::engine;
use crate::error::{Error, Result};
use crate::userns;

/// Write an image to one file, a squashfs, that `coracle run FILE` runs without unpacking it
///
/// The file holds everything: the merged layers, compressed by zstd, and the image's config. It can lie on a shared disk:
/// each machine mounts it once, however many containers use it. The same image gives the same bytes. A file of that name
/// is replaced in one step.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// zstd's compression level, 1 to 22
    #[arg(long, value_name = "N", default_value_t = 9)]
    pub compression_level: u8,
    /// Name or id
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The file to write: app.sqsh
    #[arg(value_name = "FILE")]
    pub file: String,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !(1..=22).contains(&args.compression_level) {
        return Err(Error::usage(format_args!("invalid --compression-level {}", args.compression_level))
            .cause("zstd has levels from 1 to 22"));
    }
    if !userns::inside_store() {
        return app.in_store();
    }
    let target = app.cwd()?.join(&args.file);
    engine::squash::squash(&app.dirs()?, &args.image, &target, args.compression_level)?;
    Ok(0)
}
