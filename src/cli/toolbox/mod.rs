//! `coracle toolbox …`: boxes to live in. What a box is: `crate::toolbox`.

pub mod assemble;
pub mod create;
pub mod diff;
pub mod distro;
pub mod enter;
pub mod export;
pub mod home;
pub mod list;
pub mod rebase;
pub mod rm;
pub mod rmi;
pub mod rollback;
pub mod run;
mod setup;
pub mod stop;
pub mod up;
pub mod upgrade;

use crate::cli::global::CgroupManager;
use crate::cli::{App, parse, ui};
use crate::error::{Error, Result};
use crate::monitor::client::{self, ExecRequest, LaunchOptions};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::toolbox;

/// Starts the box when it must be, and runs the command, or the login shell, in it. Returns the command's exit code.
fn enter(app: &App, name: Option<&str>, command: &[String]) -> Result<u8> {
    let dirs = app.dirs()?;
    let c = named_or_usual(&dirs, name)?;
    let who = toolbox::identity::caller(&dirs)?;
    let warnings = started(app, &dirs, &c)?;
    let prepared = toolbox::enter::process(&dirs, &c, &who, &parse::env::host(), command)?;
    for text in warnings.iter().chain(&prepared.notes) {
        ui::warn(text);
    }
    let tty = ui::stdin_is_terminal() && ui::stdout_is_terminal();
    let request = ExecRequest {
        process: prepared.process,
        tty,
        interactive: true,
        detach: false,
        detach_keys: Vec::new(),
        preserved: Vec::new(),
    };
    // Terminals that know it open a new tab in the same box.
    let told = tty && crate::paths::env("VTE_VERSION").is_some();
    if told {
        ui::out(&format!("\x1b]777;container;push;{};toolbox;{}\x1b\\", c.name, who.uid))?;
    }
    let outcome = client::exec(&dirs, &c, &request);
    if told {
        ui::out("\x1b]777;container;pop;;;\x1b\\")?;
    }
    Ok(super::exec::exit_code(&outcome?))
}

/// The box of this name; without one the only box, or that of this machine's own distribution.
fn named_or_usual(dirs: &Dirs, name: Option<&str>) -> Result<Container> {
    let usual = distro::DistroFlags::default().choice().ok();
    toolbox::find_or_only(dirs, name, usual.as_ref().map(|usual| usual.name.as_str()))
}

/// Starts the box when it does not run. Returns what is gone from the host.
fn started(app: &App, dirs: &Dirs, c: &Container) -> Result<Vec<String>> {
    let launch = LaunchOptions {
        attach: false,
        stdin: false,
        detach_keys: Vec::new(),
        sig_proxy: false,
        scope: app.globals.cgroup_manager()? == CgroupManager::Systemd,
        preserved: Vec::new(),
    };
    let mut warnings = toolbox::start(dirs, c, &launch)?;
    let record = toolbox::record(dirs, c)?;
    if record.as_ref().is_some_and(|record| record.init) {
        warnings.extend(toolbox::init::wait(dirs, c)?);
    }
    if record.is_some_and(|record| record.host_exec)
        && let Err(e) = toolbox::host::offer(dirs, c, &parse::env::host())
    {
        let why = e.causes().last().map_or("", String::as_str);
        warnings.push(format!("{}: {why}", e.what()));
    }
    Ok(warnings)
}

/// The boxes that a command is about.
fn chosen(dirs: &Dirs, all: bool, names: &[String]) -> Result<Vec<String>> {
    if all {
        return Ok(toolbox::list(dirs)?.0.into_iter().map(|(c, _)| c.name.to_string()).collect());
    }
    if names.is_empty() {
        return Err(Error::usage("no box given").hint("Name one or more boxes, or use --all."));
    }
    Ok(names.to_vec())
}
