//! `coracle config set`.

use crate::cli::{App, ui};
use crate::config::user::{User, check};
use crate::engine;
use crate::error::{Error, Result};

/// Set something for all commands to come
///
/// It is kept in coracle/config.toml below $XDG_CONFIG_HOME (~/.config). storage.root is the directory of images, containers
/// and volumes, as --root DIR; what is in the former one stays there. storage.max_size is the most that images may take, such
/// as 20g: when others are pulled, images go that no container uses, those first that were unused for longest.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// storage.root or storage.max_size
    #[arg(value_name = "KEY")]
    pub key: String,
    #[arg(value_name = "VALUE")]
    /// Its value
    pub value: String,
}

/// What such a value looks like.
fn example(key: &str) -> String {
    let value = if key == "storage.root" { "/scratch/$USER/coracle" } else { "20g" };
    format!("For example: `coracle config set {key} {value}`.")
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    super::known(&args.key)?;
    let dirs = app.bare_dirs()?;
    let mut user = User::read(&dirs)?;
    let is_root = args.key == "storage.root";
    let value = if is_root {
        app.cwd()?.join(&args.value).to_string_lossy().into_owned()
    } else {
        args.value.clone()
    };
    check(&args.key, &value).map_err(|why| {
        Error::usage(format_args!("invalid value {:?} of {}: {why}", args.value, args.key))
            .hint(example(&args.key))
    })?;
    if is_root {
        for note in engine::settings::notes(&dirs, value.as_ref())? {
            ui::warn(note);
        }
    }
    user.set(&args.key, Some(value));
    engine::settings::write(&dirs, &user)?;
    Ok(0)
}
