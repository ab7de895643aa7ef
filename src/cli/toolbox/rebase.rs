//! `coracle toolbox rebase`.

use super::{create, setup, up};
use crate::cli::{App, ui};
use crate::engine::{self, options::PullPolicy};
use crate::error::{Context, Error, Result};
use crate::ondisk::container::Container;
use crate::ondisk::toolbox::{Toolbox, Turn};
use crate::paths::Dirs;
use crate::toolbox::create::Wanted;
use crate::toolbox::{self, succession};

/// Make a box anew from a newer image, with the packages that were added to it
///
/// They are those of `diff` that somebody asked for, or all where nobody wrote that down (microdnf and yum without dnf); what
/// they need comes with them. An own home is kept, what else was changed in the old box is not. The old box becomes NAME.old,
/// in the place of an older one: `rollback` goes back to it. Whatever fails before the new box is complete leaves the old one
/// as it was.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// The image; else a newer one of the same name
    #[arg(short, long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Leave this package out, for example one that is no more. Several times for several
    #[arg(long, value_name = "PACKAGE")]
    pub without: Vec<String>,
    /// Name or id; not needed where there is one box
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let old = super::named_or_usual(&dirs, args.name.as_deref())?;
    let record = toolbox::record(&dirs, &old)?.ok_or_else(|| Error::internal("a box without a record"))?;
    let what = || format!("cannot rebase box {}", old.name);
    if succession::is_aside(&old, &record) {
        return Err(Error::usage(what())
            .cause("it is kept beside the box of that name, to go back to")
            .hint("Go back to it with `coracle toolbox rollback`, then rebase it."));
    }
    let packages = setup::while_running(app, &dirs, &old, || toolbox::packages::chosen(&dirs, &old))
        .what(what)?
        .into_iter()
        .filter(|package| !args.without.contains(package))
        .collect::<Vec<_>>();
    let wanted = wanted(args, app, &old, &record).what(what)?;
    setup::make_free(&dirs, &wanted.name).what(what)?;
    let who = toolbox::identity::caller(&dirs)?;
    let created = toolbox::create::create(&dirs, &wanted, &who).what(what)?;
    created.warnings.iter().for_each(ui::warn);
    let next = created.container;
    if let Err(e) = install(app, &dirs, &next, packages) {
        setup::remove(&dirs, &next)?;
        return Err(e.wrap(what()).hint(format_args!(
            "The box is as it was. A package that is no more can be left out: `--without PACKAGE`; see `coracle toolbox diff {}`.",
            old.name
        )));
    }
    // Only now the box before the old one is not needed any more.
    setup::make_free(&dirs, &succession::former_name(old.name.as_str())).what(what)?;
    succession::take_over(&dirs, &old, &next)?;
    ui::line(&old.name)?;
    Ok(0)
}

/// As the old one was made, from another image.
fn wanted(args: &Args, app: &App, old: &Container, record: &Toolbox) -> Result<Wanted> {
    let (volumes, mut mounts) = create::volumes(&record.volumes, &app.cwd()?)?;
    if let Some(dev) = &record.dev {
        mounts.extend(up::mounts(&dev.mounts, &dev.folder)?);
    }
    Ok(Wanted {
        name: succession::next_name(old.name.as_str()),
        shown: old.name.to_string(),
        turn: Turn::Next,
        image: args.image.clone().unwrap_or_else(|| old.image.clone()),
        home: record.home,
        isolated: record.isolated,
        read_only_host: record.read_only_host,
        init: record.init,
        devices: toolbox::devices::options(&record.devices),
        host_exec: record.host_exec,
        dev: record.dev.clone(),
        volumes,
        mounts,
        pull: if args.image.is_some() { PullPolicy::Missing } else { PullPolicy::Newer },
        driver: app.globals.storage_driver()?,
        argv: app.argv.clone(),
    })
}

/// What the image has already is not installed again: it has its own version.
fn install(app: &App, dirs: &Dirs, c: &Container, mut packages: Vec<String>) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    setup::start(app, dirs, c)?;
    let there = toolbox::packages::names(dirs, c)?;
    packages.retain(|package| !there.contains(package));
    setup::install(dirs, c, &packages)?;
    // It starts with its own name and home.
    engine::stop::stop(dirs, c, None).map(drop)
}
