//! One box in the place of another: the next one is made beside the old one, takes its name over when it is whole, and the
//! old one is kept under another name to go back to.
//!
//! Names are changed one by one, so that after a crash at any point every box is there under one of three names, NAME,
//! NAME.new and NAME.old, and a `rollback` gives NAME to the former one. What was begun and not finished (NAME.new) is
//! removed by who begins again.
//!
//! An own home moves along, and so do changes above the host's: it belongs to the name, not to the image. The two homes change places in one step. Who is to
//! have which is written down before the names change, by the number of its inode, and done again at the next start where
//! it was not done.

use crate::engine::{self, lookup, rename, stop};
use crate::error::{Context, Error, Result};
use crate::monitor::records;
use crate::ondisk::container::{Container, Status};
use crate::ondisk::toolbox::{Fetch, Home, NAME, Toolbox, Turn};
use crate::ondisk::{self, Durability};
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

const NEXT: &str = ".new";
const FORMER: &str = ".old";

/// The name of the box that will have `name`.
pub fn next_name(name: &str) -> String {
    format!("{name}{NEXT}")
}

/// The name of the box that had `name`.
pub fn former_name(name: &str) -> String {
    format!("{name}{FORMER}")
}

/// Whether it is no box that one means without naming it.
pub fn is_aside(c: &Container, toolbox: &Toolbox) -> bool {
    match toolbox.turn {
        Turn::Current => false,
        Turn::Next => c.name.as_str().ends_with(NEXT),
        Turn::Former => c.name.as_str().ends_with(FORMER),
    }
}

/// Whether nobody has the name, and the former box of it is kept.
pub fn has_former_alone(dirs: &Dirs, name: &str) -> Result<bool> {
    Ok(engine::lookup::id_of_name(dirs, name)?.is_none() && aside(dirs, &former_name(name))?.is_some())
}

/// The box of this name, where it is one that we keep beside another; none: nobody has the name. Another container that has
/// it is an error.
pub fn aside(dirs: &Dirs, name: &str) -> Result<Option<Container>> {
    if engine::lookup::id_of_name(dirs, name)?.is_none() {
        return Ok(None);
    }
    let c = match engine::find(dirs, name) {
        Ok(c) => c,
        Err(e) if e.kind() == crate::error::Kind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    match super::record(dirs, &c)? {
        Some(toolbox) if is_aside(&c, &toolbox) => Ok(Some(c)),
        _ => Err(Error::in_use(format_args!("the name {name:?} is in use by {}", c.id.short()))
            .cause("a box that changes places with another needs it")
            .hint(format_args!("Rename that one: `coracle rename {name} NEWNAME`."))),
    }
}

/// `next` takes the name of `old`, which is kept. NAME.old is free.
pub fn take_over(dirs: &Dirs, old: &Container, next: &Container) -> Result<()> {
    let name = old.name.as_str();
    let what = || format!("cannot put the new box in the place of {name}");
    promise_home(dirs, old, next).what(what)?;
    set_turn(dirs, old, Turn::Former).what(what)?;
    rename::rename(dirs, old, &former_name(name)).what(what)?;
    rename::rename(dirs, next, name)
        .what(what)
        .hint(|| format!("Go back to the old one with `coracle toolbox rollback {name}`."))?;
    arrive(dirs, next).what(what)
}

/// Gives `name` back to the box that had it. The one that has it now is kept in its place. Returns whether there is one.
pub fn go_back(dirs: &Dirs, name: &str) -> Result<bool> {
    let what = || format!("cannot go back to the former box of {name}");
    let Some(former) = aside(dirs, &former_name(name)).what(what)? else {
        return Err(Error::not_found(what())
            .cause("none is kept: a box has a former one after `coracle toolbox rebase`")
            .hint("List the boxes with `coracle toolbox list`."));
    };
    let current = match lookup::id_of_name(dirs, name)? {
        Some(_) => Some(super::find(dirs, name).what(what)?),
        None => None,
    };
    if lookup::state(dirs, &former)?.status == Status::Running {
        stop::stop(dirs, &former, None).what(what)?;
    }
    if let Some(current) = &current {
        promise_home(dirs, current, &former).what(what)?;
        if aside(dirs, &next_name(name)).what(what)?.is_some() {
            return Err(Error::in_use(what())
                .cause(format_args!("{} is left from a rebase that did not end", next_name(name)))
                .hint(format_args!("Remove it with `coracle toolbox rm --force {}`.", next_name(name))));
        }
        set_turn(dirs, current, Turn::Next).what(what)?;
        rename::rename(dirs, current, &next_name(name)).what(what)?;
    }
    rename::rename(dirs, &former, name).what(what)?;
    arrive(dirs, &former).what(what)?;
    if let Some(current) = &current {
        let current = engine::find(dirs, current.id.as_str())?;
        set_turn(dirs, &current, Turn::Former).what(what)?;
        rename::rename(dirs, &current, &former_name(name)).what(what)?;
    }
    Ok(current.is_some())
}

/// Writes down that `to` will have the own home of `from`.
fn promise_home(dirs: &Dirs, from: &Container, to: &Container) -> Result<()> {
    let kind = |c| Ok::<_, Error>(super::record(dirs, c)?.map_or(Home::Host, |toolbox| toolbox.home));
    if kind(from)? == Home::Host || kind(from)? != kind(to)? {
        return Ok(());
    }
    let path = home(dirs, from.id.as_str());
    let inode = rustix::fs::stat(&path).call(|| format!("stat({path:?})"))?.st_ino;
    change(dirs, to, |toolbox| toolbox.fetches = Some(Fetch { from: from.id.to_string(), inode }))
}

/// It has its name: it is the current one, and gets its home.
fn arrive(dirs: &Dirs, c: &Container) -> Result<()> {
    let dir = records::lock(dirs, &c.id)?;
    let mut toolbox: Toolbox = ondisk::read(&dir, NAME)?;
    toolbox.turn = Turn::Current;
    fetch_home(dirs, c, &mut toolbox)?;
    ondisk::publish(&dir, NAME, &toolbox, Durability::Durable)
}

fn set_turn(dirs: &Dirs, c: &Container, turn: Turn) -> Result<()> {
    change(dirs, c, |toolbox| toolbox.turn = turn)
}

/// Changes the record of a box, for good.
pub fn change(dirs: &Dirs, c: &Container, how: impl FnOnce(&mut Toolbox)) -> Result<()> {
    let dir = records::lock(dirs, &c.id)?;
    let mut toolbox: Toolbox = ondisk::read(&dir, NAME)?;
    how(&mut toolbox);
    ondisk::publish(&dir, NAME, &toolbox, Durability::Durable)
}

fn home(dirs: &Dirs, id: &str) -> PathBuf {
    dirs.data.join("containers").join(id).join("home")
}

/// Fetches the home that was promised, if it is not here yet. The caller holds the lock of the box's records and publishes
/// `toolbox`.
pub(super) fn fetch_home(dirs: &Dirs, c: &Container, toolbox: &mut Toolbox) -> Result<()> {
    let Some(fetch) = toolbox.fetches.clone() else { return Ok(()) };
    // The box whose name it still is has it for good: its successor did not come to be.
    if is_aside(c, toolbox) {
        return Ok(());
    }
    let (theirs, ours) = (home(dirs, &fetch.from), home(dirs, c.id.as_str()));
    if rustix::fs::stat(&theirs).is_ok_and(|found| found.st_ino == fetch.inode) {
        exchange(&theirs, &ours)?;
    }
    toolbox.fetches = None;
    Ok(())
}

fn exchange(theirs: &Path, ours: &Path) -> Result<()> {
    let call = || format!("renameat2({theirs:?}, {ours:?}, RENAME_EXCHANGE)");
    match rustix::fs::renameat_with(CWD, theirs, CWD, ours, RenameFlags::EXCHANGE) {
        // A file system without that call. In between a box has no home and says so at its start.
        Err(Errno::INVAL | Errno::NOSYS) => {
            let aside = ours.with_extension("aside");
            let rename = |from: &Path, to: &Path| {
                rustix::fs::rename(from, to).call(|| format!("rename({from:?}, {to:?})"))
            };
            rename(ours, &aside)?;
            rename(theirs, ours)?;
            Ok(rename(&aside, theirs)?)
        }
        other => Ok(other.call(call)?),
    }
}
