//! `coracle toolbox home commit`.

use crate::cli::{App, ui};
use crate::engine;
use crate::error::{Error, Result};
use crate::ondisk::container::Status;
use crate::{toolbox, userns};

/// Make a box's changes of the home those of the host
///
/// Prints them as diff does. Files become yours, with their mode and time of change; what is neither file, directory nor
/// link stays in the box. The box must not run.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Name or id
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Only these, from the home on; else all
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let c = toolbox::find(&dirs, &args.name)?;
    let home = toolbox::home::open(&dirs, &c)?;
    if !matches!(engine::lookup::state(&dirs, &c)?.status, Status::Exited | Status::Created) {
        return Err(Error::in_use(format_args!("cannot commit the home of box {}", c.name))
            .cause("it is running, and would not see that its changes are gone")
            .hint(format_args!("Stop it first: `coracle toolbox stop {}`.", c.name)));
    }
    let mut committed = Vec::new();
    for change in home.chosen(&args.paths)? {
        if home.commit(&change)? {
            ui::foreign_line(&change)?;
            committed.push(change);
        } else {
            ui::warn(format_args!(
                "{} is no file, directory or link: it stays in the box",
                change.path.display()
            ));
        }
    }
    home.settle(&committed)?;
    Ok(0)
}
