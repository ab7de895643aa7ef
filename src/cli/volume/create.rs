//! `coracle volume create`.

use crate::cli::{App, parse, ui};
use crate::error::{Error, Kind, Result};
use crate::id::VolumeName;
use crate::store::volume::{self, VolumeOptions};

/// Make a volume and print its name
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Do nothing when there is a volume of this name
    #[arg(long)]
    pub ignore: bool,
    /// Set a label
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Name; a random one if not given
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let name = args.name.as_deref().map(VolumeName::parse).transpose()?;
    let labels = args.label.iter().map(|l| parse::label::pair(l)).collect::<Result<_>>()?;
    let options = VolumeOptions { labels, ..VolumeOptions::default() };
    match volume::create(&dirs, name.as_ref().map(VolumeName::as_str), options) {
        Ok(record) => ui::line(&record.name)?,
        Err(e) if e.kind() == Kind::InUse && args.ignore => {
            ui::line(name.as_ref().map_or("", VolumeName::as_str))?;
        }
        Err(e) if e.kind() == Kind::InUse => {
            let name = args.name.as_deref().unwrap_or_default();
            return Err(Error::in_use(format_args!(
                "volume with name {name} already exists: volume already exists"
            ))
            .hint("Use --ignore to take it as it is, or choose another name."));
        }
        Err(e) => return Err(e),
    }
    Ok(0)
}
