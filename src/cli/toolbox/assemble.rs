//! `coracle toolbox assemble`. What files say: `crate::toolbox::assemble`.

use super::distro::DistroFlags;
use super::{create, setup};
use crate::cli::flags::mounts::DeviceFlags;
use crate::cli::{App, ui};
use crate::engine::{self, options::PullPolicy};
use crate::error::{Context, Error, Kind, Result};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::toolbox::assemble::{self, Declared};
use crate::toolbox::create::Wanted;
use crate::toolbox::{self, export};
use std::path::{Path, PathBuf};

/// Make all boxes that a file declares, or remove them
///
/// The file is a distrobox.ini, or one of coracle's own in TOML: a table for each box, with image (or distro and release),
/// packages, home, isolate, read-only-host, init, host-exec, devices, gpus, volumes, setup, setup-before, export, export-bin, start, pull, replace. What a
/// key asks for and coracle does not do is an error before anything is made. Prints the names of the boxes that were made;
/// one that is there already is left as it is. A box that cannot be completed is removed again, and the others are made.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle toolbox assemble [OPTIONS] [create|rm] [FILE]")]
pub struct Args {
    /// The file, as distrobox-assemble takes it
    #[arg(long, value_name = "FILE")]
    pub file: Option<String>,
    /// Only this box of the file
    #[arg(short, long, value_name = "NAME")]
    pub name: Option<String>,
    /// Make boxes anew that are there. The old one is removed when the new one is complete; an own home is kept
    #[arg(short = 'R', long)]
    pub replace: bool,
    /// create (if neither is given) or rm, then the file; else toolbox.toml or distrobox.ini of this directory
    #[arg(value_name = "create|rm FILE")]
    pub words: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let (remove, files) = match args.words.split_first() {
        Some((word, files)) if word == "create" || word == "rm" => (word == "rm", files),
        _ => (false, args.words.as_slice()),
    };
    let path = match (args.file.as_ref(), files) {
        (Some(file), []) | (None, [file]) => PathBuf::from(file),
        (None, []) => assemble::usual_file(&app.cwd()?)?,
        _ => {
            return Err(Error::usage("more than one file with boxes given")
                .hint("Name one: `coracle toolbox assemble create FILE`."));
        }
    };
    let dirs = app.dirs()?;
    let who = toolbox::identity::caller(&dirs)?;
    let mut boxes = assemble::read(&path, &who.home)?;
    if let Some(name) = &args.name {
        let all: Vec<String> = boxes.iter().map(|one| one.name.clone()).collect();
        boxes.retain(|one| one.name == *name);
        if boxes.is_empty() {
            return Err(Error::not_found(format_args!("no box {name:?} in {}", path.display()))
                .hint(format_args!("There are {}.", all.join(", "))));
        }
    }
    match remove {
        true => each(&boxes, |one| remove_box(&dirs, one)),
        false => create_boxes(app, &dirs, &path, &boxes, args.replace),
    }
}

/// Goes on after a failure. Returns the exit code.
fn each<T>(all: &[T], mut act: impl FnMut(&T) -> Result<()>) -> Result<u8> {
    let mut code = 0;
    for one in all {
        match act(one) {
            Ok(()) => {}
            Err(e) if e.is_already_said() => code = e.exit_code(),
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}

fn remove_box(dirs: &Dirs, one: &Declared) -> Result<()> {
    match toolbox::find(dirs, &one.name) {
        Err(e) if e.kind() == Kind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(c) => setup::remove(dirs, &c).and_then(|()| ui::line(&one.name)),
    }
}

fn create_boxes(app: &App, dirs: &Dirs, path: &Path, boxes: &[Declared], replace: bool) -> Result<u8> {
    let wanted = |one: &Declared| {
        let args = create::Args {
            image: one.image.clone(),
            distro: DistroFlags { distro: one.distro.clone(), release: one.release.clone() },
            home: one.home.clone(),
            isolate: one.isolate,
            read_only_host: one.read_only_host,
            init: one.init,
            devices: DeviceFlags { device: one.devices.clone(), gpus: one.gpus.clone() },
            host_exec: one.host_exec,
            volume: one.volumes.clone(),
            name: Some(one.name.clone()),
        };
        create::wanted(&args, app)
            .what(|| format!("cannot read boxes from {}: box {}", path.display(), one.name))
    };
    let all: Vec<(&Declared, Wanted)> =
        boxes.iter().map(|one| Ok((one, wanted(one)?))).collect::<Result<_>>()?;
    each(&all, |(one, wanted)| {
        make(app, dirs, one, wanted, replace || one.replace)
            .what(|| format!("cannot assemble box {}", one.name))
    })
}

fn make(app: &App, dirs: &Dirs, one: &Declared, wanted: &Wanted, replace: bool) -> Result<()> {
    let old = match engine::lookup::id_of_name(dirs, &one.name)? {
        Some(_) => Some(toolbox::find(dirs, &one.name)?),
        None => None,
    };
    if old.is_some() && !replace {
        ui::warn(format_args!("box {} is there already; --replace makes it anew", one.name));
        return Ok(());
    }
    let mut wanted = wanted.clone();
    if one.pull {
        wanted.pull = PullPolicy::Newer;
    }
    let c = setup::make(dirs, wanted, old.as_ref(), |c| complete(app, dirs, one, c))?;
    if let Err(e) = exported(app, dirs, one, &c) {
        if old.is_none() {
            setup::remove(dirs, &c)?;
        }
        return Err(setup::no_half(e));
    }
    if one.start {
        setup::start(app, dirs, &c)?;
    } else {
        engine::stop::stop(dirs, &c, None)?;
    }
    ui::line(&one.name)
}

/// Scripts and packages.
fn complete(app: &App, dirs: &Dirs, one: &Declared, c: &Container) -> Result<()> {
    if !one.must_run() {
        return Ok(());
    }
    setup::start(app, dirs, c)?;
    script(dirs, c, &one.before)?;
    setup::install(dirs, c, &one.packages)?;
    script(dirs, c, &one.after)
}

fn script(dirs: &Dirs, c: &Container, text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let code = setup::as_root(dirs, c, &["sh", "-ec", text].map(str::to_owned))?;
    match code {
        0 => Ok(()),
        code => {
            Err(Error::new(Kind::External, format_args!("a script of its setup failed: {:?}", text.trim()))
                .cause(format_args!("it ended with exit code {code}; what it says is above")))
        }
    }
}

fn exported(app: &App, dirs: &Dirs, one: &Declared, c: &Container) -> Result<()> {
    if one.applications.is_empty() && one.programs.is_empty() {
        return Ok(());
    }
    setup::start(app, dirs, c)?;
    let host = export::Host::here(super::export::flags(app)?)?;
    for name in &one.applications {
        export::application(dirs, c, &host, name)?;
    }
    for name in &one.programs {
        export::program(dirs, c, &host, name)?;
    }
    Ok(())
}
