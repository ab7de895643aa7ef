//! `coracle toolbox rollback`.

use crate::cli::{App, ui};
use crate::error::Result;
use crate::toolbox::{self, succession};

/// Go back to the box as it was before the last rebase
///
/// The two change places: a second rollback goes forward again. An own home stays with the name.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Name; not needed where there is one box
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let name = match &args.name {
        // After a rebase that was killed: it must not be taken for the beginning of another box's id.
        Some(name) if succession::has_former_alone(&dirs, name)? => name.clone(),
        Some(name) => match toolbox::find(&dirs, name) {
            Ok(c) => c.name.to_string(),
            Err(e) if e.kind() == crate::error::Kind::NotFound => name.clone(),
            Err(e) => return Err(e),
        },
        None => super::named_or_usual(&dirs, None)?.name.to_string(),
    };
    succession::go_back(&dirs, &name)?;
    ui::line(name)?;
    Ok(0)
}
