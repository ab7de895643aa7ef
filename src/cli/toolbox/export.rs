//! `coracle toolbox export`.

use crate::cli::{App, ui};
use crate::error::{Error, Result};
use crate::paths::Dirs;
use crate::toolbox::{self, export};
use std::path::Path;

/// Put a box's applications into the host's menu, and its programs into ~/.local/bin
///
/// Prints what was written. It goes on working after a move of coracle where coracle is in PATH; --check --fix repairs the
/// rest.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    override_usage = "coracle toolbox export BOX APPLICATION...\n       coracle toolbox export --bin BOX PROGRAM...\n       coracle toolbox export --check [--fix]"
)]
pub struct Args {
    /// Programs, not applications: paths in the box, or names
    #[arg(long, conflicts_with = "check")]
    pub bin: bool,
    /// Take them back
    #[arg(long, conflicts_with = "check")]
    pub delete: bool,
    /// Look at all that was exported; exit code 1 when something does not work any more
    #[arg(long, conflicts_with = "words")]
    pub check: bool,
    /// With --check: repair it, or remove it where its box or program is gone
    #[arg(long, requires = "check")]
    pub fix: bool,
    /// The box, then names: of the menu entry (org.gnome.gedit, gedit), or as the menu shows it
    #[arg(value_name = "BOX NAME")]
    pub words: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let host = export::Host::here(flags(app)?)?;
    if args.check {
        return check(&dirs, &host, args.fix);
    }
    let Some((of_box, names)) = args.words.split_first().filter(|(_, names)| !names.is_empty()) else {
        return Err(Error::usage("nothing to export given").hint(
            "For example: `coracle toolbox export BOX gedit`, `coracle toolbox export --bin BOX htop`.",
        ));
    };
    if args.delete {
        return delete(&dirs, &host, of_box, names, args.bin);
    }
    let c = toolbox::find(&dirs, of_box)?;
    super::started(app, &dirs, &c)?.iter().for_each(ui::warn);
    let mut code = 0;
    for name in names {
        let written = match args.bin {
            true => export::program(&dirs, &c, &host, name),
            false => export::application(&dirs, &c, &host, name),
        };
        match written {
            Ok(path) => ui::line(path.display())?,
            Err(e) => code = ui::error(&e),
        }
    }
    if args.bin && code == 0 && !crate::paths::search_path().contains(&host.programs) {
        ui::warn(format_args!("{} is not in your PATH", host.programs.display()));
    }
    Ok(code)
}

/// What a script must give coracle to find the same box.
pub(super) fn flags(app: &App) -> Result<Vec<String>> {
    let mut flags = Vec::new();
    for (flag, dir) in [("--root", &app.globals.root), ("--runroot", &app.globals.runroot)] {
        if let Some(dir) = dir {
            flags.extend([flag.to_owned(), app.cwd()?.join(dir).to_string_lossy().into_owned()]);
        }
    }
    Ok(flags)
}

fn delete(dirs: &Dirs, host: &export::Host, of_box: &str, names: &[String], bin: bool) -> Result<u8> {
    let all = export::check(dirs, host)?;
    let mut code = 0;
    for name in names {
        let removed = match all.iter().find(|one| export::is_export_of(one, of_box, name, bin)) {
            Some(one) => export::remove(&one.path).map(|()| one.path.as_path()),
            None => Err(Error::not_found(format_args!("{name} of box {of_box} is not exported"))
                .hint("See what is with `coracle toolbox export --check`.")),
        };
        match removed.map(Path::display) {
            Ok(path) => ui::line(path)?,
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}

fn check(dirs: &Dirs, host: &export::Host, fix: bool) -> Result<u8> {
    let mut code = 0;
    for one in export::check(dirs, host)? {
        let path = one.path.display();
        match &one.trouble {
            None => ui::line(format_args!("ok        {path}"))?,
            Some(trouble) if fix => {
                ui::line(format_args!("{:<9} {path}: {trouble}", export::fix(host, &one)?))?;
            }
            Some(trouble) => {
                code = 1;
                ui::line(format_args!("broken    {path}: {trouble}"))?;
            }
        }
    }
    Ok(code)
}
