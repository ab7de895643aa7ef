//! `coracle toolbox up`. What files say: `crate::toolbox::devcontainer`.

use super::{create, setup};
use crate::cli::flags::mounts::{DeviceFlags, refuse_twice};
use crate::cli::{App, parse, ui};
use crate::engine::{self, options::MountOption, options::PullPolicy};
use crate::error::{Context, Error, Kind, Result};
use crate::id::ContainerName;
use crate::ondisk::container::Container;
use crate::ondisk::toolbox::{Dev, Home, Turn};
use crate::paths::Dirs;
use crate::sys::CallContext;
use crate::toolbox::create::Wanted;
use crate::toolbox::devcontainer::commands::{ATTACH, Command, START};
use crate::toolbox::devcontainer::{self, Declared, Project, metadata::LABEL};
use crate::toolbox::succession;
use std::fs::File;
use std::path::Path;

/// Make a project's box as its devcontainer.json says, start it, and run a command in it
///
/// The file is DIR/.devcontainer/devcontainer.json or DIR/.devcontainer.json, else the only DIR/.devcontainer/NAME/devcontainer.json. The box is made when it is not there, and its
/// commands (onCreateCommand, updateContentCommand, postCreateCommand) run once; postStartCommand runs at the first `up`
/// after each start, postAttachCommand at every one. All of them, and `toolbox enter`, begin in the workspace folder. You
/// are yourself in it, whatever user the file names; root, where it says root. What the image says in its label
/// devcontainer.metadata counts where the file says nothing. Ports need no forwarding: the network is
/// the host's. Images are not built, and features not installed. Prints the name of the box.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle toolbox up [OPTIONS] [DIR] [-- COMMAND [ARG...]]")]
pub struct Args {
    /// Make the box anew, after a change of the file. The old one is removed when the new one is complete
    #[arg(long)]
    pub recreate: bool,
    /// Name of a box that is made; else that of the file, or the directory's
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The file; else the usual one. Each file has a box of its own
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// The project; else this directory
    #[arg(value_name = "DIR")]
    pub dir: Option<String>,
    /// What to run in the box
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let cwd = app.cwd()?;
    let config = args.config.as_deref().map(|path| cwd.join(path));
    let project = devcontainer::find(&cwd.join(args.dir.as_deref().unwrap_or(".")), config.as_deref())?;
    let dirs = app.dirs()?;
    crate::toolbox::identity::caller(&dirs)?;
    let declared = declared(args, &dirs, &project)?;
    declared.warnings.iter().for_each(|text| ui::warn(format_args!("{}: {text}", project.file)));
    let c = {
        let _lock = alone(&project)?;
        let c = made(args, app, &dirs, &project, &declared)?;
        start(app, &dirs, &c, &declared)?;
        c
    };
    for command in &declared.attach {
        execute(&dirs, &c, &declared.dev, ATTACH, command)?;
    }
    if args.command.is_empty() {
        ui::line(&c.name)?;
        ui::note(format_args!("Enter it with `coracle toolbox enter {}`.", c.name));
        return Ok(0);
    }
    super::enter(app, Some(c.name.as_str()), &args.command)
}

/// What the file says, and what the image says where the file says nothing. For a box that is to be made the image is fetched.
fn declared(args: &Args, dirs: &Dirs, project: &Project) -> Result<Declared> {
    let env = parse::env::host();
    let declared = devcontainer::read(project, &env, None)?;
    let labels = match devcontainer::box_of(dirs, project)? {
        Some((c, _)) if !args.recreate => c.labels,
        _ => engine::source::labels(dirs, &declared.image)
            .what(|| format!("cannot make a box from {}", project.file))?,
    };
    match labels.get(LABEL) {
        Some(label) => devcontainer::read(project, &env, Some(label)),
        None => Ok(declared),
    }
}

/// Of two at once the second waits until the box is whole.
fn alone(project: &Project) -> Result<Option<File>> {
    let path = &project.file;
    let file = File::open(path).call(|| format!("open({path:?})")).what(|| format!("cannot read {path}"))?;
    // Some file systems lock nothing that is opened for reading.
    Ok(file.lock().is_ok().then_some(file))
}

/// The project's box, as it is or made now.
fn made(args: &Args, app: &App, dirs: &Dirs, project: &Project, declared: &Declared) -> Result<Container> {
    let what = || format!("cannot make a box from {}", project.file);
    let Some((c, dev)) = devcontainer::box_of(dirs, project)? else {
        let name = args.name.clone().unwrap_or_else(|| declared.name.clone());
        return make(app, dirs, name, declared, None).what(what);
    };
    if let Some(name) = args.name.as_ref().filter(|name| **name != c.name.as_str()) {
        return Err(Error::in_use(what())
            .cause(format_args!("its box is there, by the name of {}", c.name))
            .hint(format_args!("Give that one the name: `coracle rename {} {name}`.", c.name)));
    }
    let name = c.name.to_string();
    if !dev.completed {
        setup::remove(dirs, &c).what(what)?;
        return make(app, dirs, name, declared, None).what(what);
    }
    if args.recreate {
        return make(app, dirs, name, declared, Some(&c)).what(what);
    }
    if dev.digest != declared.dev.digest {
        ui::warn(format_args!(
            "{} has changed since box {name} was made; --recreate makes it anew, without what was installed in it",
            project.file
        ));
    }
    Ok(c)
}

fn make(
    app: &App,
    dirs: &Dirs,
    name: String,
    declared: &Declared,
    old: Option<&Container>,
) -> Result<Container> {
    ContainerName::parse(&name)?;
    if old.is_none() && engine::lookup::id_of_name(dirs, &name)?.is_some() {
        return Err(Error::in_use(format_args!("the name {name:?} is in use by another container"))
            .hint("Give the box another one: `coracle toolbox up --name NAME`."));
    }
    let dev = &declared.dev;
    let (volumes, mut all) = create::volumes(&declared.volumes, Path::new(&dev.folder))?;
    all.extend(mounts(&dev.mounts, &dev.folder)?);
    refuse_twice(&all)?;
    let devices = DeviceFlags { device: declared.devices.clone(), gpus: declared.gpus.clone() };
    let wanted = Wanted {
        shown: name.clone(),
        name,
        turn: Turn::Current,
        image: declared.image.clone(),
        home: Home::Host,
        isolated: false,
        read_only_host: false,
        init: false,
        devices: devices.to_options()?,
        volumes,
        mounts: all,
        host_exec: false,
        dev: Some(dev.clone()),
        pull: PullPolicy::Missing,
        driver: app.globals.storage_driver()?,
        argv: app.argv.clone(),
    };
    setup::make(dirs, wanted, old, |c| {
        setup::start(app, dirs, c)?;
        for (key, command) in &declared.creation {
            execute(dirs, c, &declared.dev, key, command)?;
        }
        change(dirs, c, |dev| dev.completed = true)
    })
}

/// As `--mount` takes them; relative sources begin in the project.
pub(super) fn mounts(all: &[String], folder: &str) -> Result<Vec<MountOption>> {
    all.iter().map(|text| parse::mount::parse(text, Path::new(folder))).collect()
}

/// Starts it when it does not run, and does what is due after that.
fn start(app: &App, dirs: &Dirs, c: &Container, declared: &Declared) -> Result<()> {
    super::started(app, dirs, c)?.iter().for_each(ui::warn);
    let now = engine::lookup::state(dirs, c)?.started;
    let mut due = false;
    change(dirs, c, |dev| {
        dev.remote_env.clone_from(&declared.dev.remote_env);
        dev.root = declared.dev.root;
        due = dev.started != now;
    })?;
    for command in declared.start.iter().filter(|_| due) {
        execute(dirs, c, &declared.dev, START, command)?;
    }
    change(dirs, c, |dev| dev.started = now)
}

fn change(dirs: &Dirs, c: &Container, how: impl FnOnce(&mut Dev)) -> Result<()> {
    succession::change(dirs, c, |record| {
        if let Some(dev) = &mut record.dev {
            how(dev);
        }
    })
}

fn execute(dirs: &Dirs, c: &Container, dev: &Dev, key: &str, command: &Command) -> Result<()> {
    // Not in the home, where they would do what they do to the project.
    if !devcontainer::has_workspace(dirs, c, dev)? {
        return Err(Error::not_found(format_args!("cannot run {key}"))
            .cause(format_args!("workspaceFolder {} is not in the box", dev.workspace))
            .hint("Give the directory a mount, `workspaceMount`, or leave workspaceFolder out."));
    }
    let words = devcontainer::words(dirs, c, command);
    match setup::as_user(dirs, c, &words)? {
        0 => Ok(()),
        code => Err(Error::new(Kind::External, format_args!("{key} failed: `{}`", words.join(" ")))
            .cause(format_args!("it ended with exit code {code}; what it says is above"))
            .with_exit_code(code)),
    }
}
