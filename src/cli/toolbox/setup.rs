//! What several subcommands do to a box before it is used: commands as its root, packages, and a place for the next one.

use crate::cli::{App, parse, ui};
use crate::engine;
use crate::error::{Error, Kind, Result};
use crate::monitor::client::{self, ExecRequest};
use crate::ondisk::container::{Container, Status};
use crate::ondisk::toolbox::Turn;
use crate::paths::Dirs;
use crate::toolbox::create::Wanted;
use crate::toolbox::{self, succession};

/// What prints on stderr alone: stdout is for names.
const QUIET: [&str; 4] = ["sh", "-c", "exec \"$@\" >&2", "sh"];

/// Runs a command as the root of a box that runs, without a terminal. What it prints goes to our stderr. Returns its exit
/// code.
pub(super) fn as_root(dirs: &Dirs, c: &Container, command: &[String]) -> Result<u8> {
    let words = std::iter::once("sudo").chain(QUIET).map(str::to_owned);
    execute(dirs, c, words.chain(command.iter().cloned()).collect())
}

/// The same as the user.
pub(super) fn as_user(dirs: &Dirs, c: &Container, command: &[String]) -> Result<u8> {
    execute(dirs, c, QUIET.map(str::to_owned).into_iter().chain(command.iter().cloned()).collect())
}

fn execute(dirs: &Dirs, c: &Container, words: Vec<String>) -> Result<u8> {
    let who = toolbox::identity::caller(dirs)?;
    let prepared = toolbox::enter::process(dirs, c, &who, &parse::env::host(), &words)?;
    let request = ExecRequest {
        process: prepared.process,
        tty: false,
        interactive: false,
        detach: false,
        detach_keys: Vec::new(),
        preserved: Vec::new(),
    };
    Ok(crate::cli::exec::exit_code(&client::exec(dirs, c, &request)?))
}

/// Runs commands one after the other; one that fails ends it.
pub(super) fn all_as_root(dirs: &Dirs, c: &Container, commands: &[Vec<String>]) -> Result<()> {
    for command in commands {
        let code = as_root(dirs, c, command)?;
        if code != 0 {
            return Err(Error::new(Kind::External, format_args!("`{}` failed", command.join(" ")))
                .cause(format_args!("it ended with exit code {code}; what it says is above"))
                .with_exit_code(code));
        }
    }
    Ok(())
}

/// Installs packages by the box's own package manager.
pub(super) fn install(dirs: &Dirs, c: &Container, packages: &[String]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    all_as_root(dirs, c, &toolbox::manager::of_box(dirs, c)?.install(packages))
}

/// Makes a box and completes it, in the place of `old` where there is one: that is removed when the new one is complete.
/// What cannot be completed would be taken for complete the next time: it is removed.
pub(super) fn make(
    dirs: &Dirs,
    mut wanted: Wanted,
    old: Option<&Container>,
    complete: impl FnOnce(&Container) -> Result<()>,
) -> Result<Container> {
    let name = wanted.name.clone();
    if old.is_some() {
        wanted.name = succession::next_name(&name);
        wanted.turn = Turn::Next;
        make_free(dirs, &wanted.name)?;
    }
    let who = toolbox::identity::caller(dirs)?;
    let created = toolbox::create::create(dirs, &wanted, &who)?;
    created.warnings.iter().for_each(ui::warn);
    let c = created.container;
    let done = complete(&c).and_then(|()| match old {
        Some(old) => {
            engine::stop::stop(dirs, &c, None)?;
            let former = succession::former_name(&name);
            make_free(dirs, &former)?;
            succession::take_over(dirs, old, &c)?;
            let next = toolbox::find(dirs, &name)?;
            make_free(dirs, &former)?;
            Ok(next)
        }
        None => Ok(c.clone()),
    });
    done.or_else(|e| {
        remove(dirs, &c)?;
        Err(no_half(e))
    })
}

/// After a box that could not be completed was removed.
pub(super) fn no_half(e: Error) -> Error {
    e.hint("No half-made box is left: correct the file, and repeat the command.")
}

/// Removes a box with everything in it.
pub(super) fn remove(dirs: &Dirs, c: &Container) -> Result<()> {
    engine::rm::remove_replaced(dirs, &c.id)
}

/// Removes the box of this name that was kept beside another, or was begun and never finished, so that the name is free.
pub(super) fn make_free(dirs: &Dirs, name: &str) -> Result<()> {
    match succession::aside(dirs, name)? {
        Some(c) => remove(dirs, &c),
        None => Ok(()),
    }
}

/// Starts a box; what is gone from the host is said at the next enter.
pub(super) fn start(app: &App, dirs: &Dirs, c: &Container) -> Result<()> {
    super::started(app, dirs, c).map(drop)
}

/// Does something in a box that must run for it. One that did not run is stopped again.
pub(super) fn while_running<T>(
    app: &App,
    dirs: &Dirs,
    c: &Container,
    act: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let running = engine::lookup::state(dirs, c)?.status == Status::Running;
    let done = start(app, dirs, c).and_then(|()| act());
    if !running {
        engine::stop::stop(dirs, c, None)?;
    }
    done
}
