//! Boxes: containers that one lives in, with one's own user, home, tools and desktop (`coracle toolbox`).
//!
//! A box is an ordinary container (keep-id, the host's network, processes and IPC) with `toolbox.json` beside its records.
//! Nothing is installed in it and no script of the image runs: any image will do, offline. What a user needs comes from us:
//!
//! - **Into the root file system**, before the start (`create` says what, `store::seed` puts it there): the user's lines in
//!   passwd and group, sudo where the image has none, links for hosts, resolv.conf and the time zone.
//! - **Mounts of the host's places** (`places`): decided anew at every start. What is gone is one warning, never a failure.
//! - **/run/coracle**, a read-only directory of ours (`live`): what those links lead to, written anew at every enter.
//! - **The environment** (`env`): the caller's at every enter, without what describes the host's own file system.
//!
//! A file describes boxes: several (`assemble`), or that of a project, as editors read it (`devcontainer`).
//!
//! With `--host-exec` a command in the box can run one on the host (`host`).
//!
//! With `--init` the image's own init is process 1 (`init`).
//!
//! An isolated box has none of the host's: private namespaces, the usual limits on capabilities and system calls, an own home.
//!
//! Process 1 of the box is `coracle-oci pause` (`inside`): it waits. Commands come in as `exec` does it, by the monitor. The
//! same program, owned by the box's root and setuid, is its `sudo`: one that is bound from the host could not be, for the
//! host's files are the user's. It gives what is in the box and nothing of the host: its root is a subordinate id there.

pub mod assemble;
pub mod create;
pub mod devcontainer;
pub mod devices;
pub mod distro;
pub mod enter;
mod env;
pub mod export;
pub mod home;
pub mod host;
pub mod identity;
pub mod init;
pub mod inside;
mod live;
pub mod manager;
mod moved;
pub mod packages;
mod places;
mod rpm;
pub mod succession;

use crate::engine;
use crate::error::{Context, Error, Result};
use crate::monitor::client::{self, LaunchOptions};
use crate::monitor::records;
use crate::ondisk::container::{Container, Status};
use crate::ondisk::toolbox::{NAME, Toolbox};
use crate::ondisk::{self, Durability};
use crate::paths::Dirs;
use crate::sys::CallContext;
use serde_json::Value;
use std::time::{Duration, Instant};

/// The label of boxes, for `ps --filter`; `toolbox.json` is what counts.
pub const LABEL: &str = "coracle.toolbox";

/// How long another command's start may take.
const OTHERS_START: Duration = Duration::from_secs(20);

/// The box's record; `None`: the container is no box.
pub fn record(dirs: &Dirs, c: &Container) -> Result<Option<Toolbox>> {
    if !c.labels.contains_key(LABEL) {
        return Ok(None);
    }
    ondisk::read_opt(engine::lookup::open_container(dirs, &c.id)?, NAME)
        .what(|| format!("cannot use box {}", c.name))
        .hint(|| format!(
            "Its files are there: copy them out with `coracle export {0}` or `coracle cp`, then `coracle toolbox rm {0}`.",
            c.name
        ))
}

/// The box of this name or id.
pub fn find(dirs: &Dirs, name: &str) -> Result<Container> {
    let absent = || {
        Error::not_found(format_args!("no box {name:?}"))
            .hint("List the boxes with `coracle toolbox list`, or make it with `coracle toolbox create`.")
    };
    let c = engine::find(dirs, name).map_err(|e| match e.kind() {
        crate::error::Kind::NotFound => absent(),
        _ => e,
    })?;
    if record(dirs, &c)?.is_none() {
        return Err(Error::usage(format_args!("container {} is not a box", c.name))
            .cause("it was not made by `coracle toolbox create`")
            .hint(format_args!("Run a command in it with `coracle exec -it {} sh`.", c.name)));
    }
    Ok(c)
}

/// The same, also when its record is damaged: it can be removed.
pub fn find_to_remove(dirs: &Dirs, name: &str) -> Result<Container> {
    match find(dirs, name) {
        Err(e) if e.kind() == crate::error::Kind::Corrupt => engine::find(dirs, name),
        found => found,
    }
}

/// The box of this name, or the only one, or the one with the name that this machine's own distribution gives.
pub fn find_or_only(dirs: &Dirs, name: Option<&str>, usual: Option<&str>) -> Result<Container> {
    if let Some(name) = name {
        return find(dirs, name);
    }
    let mut boxes = current(dirs)?.into_iter();
    match (boxes.next(), boxes.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            Err(Error::not_found("there is no box").hint("Make one with `coracle toolbox create -i IMAGE`."))
        }
        _ if usual.is_some_and(|usual| find(dirs, usual).is_ok()) => find(dirs, usual.unwrap_or_default()),
        _ => {
            Err(Error::usage("there is more than one box")
                .hint("Name one; `coracle toolbox list` lists them."))
        }
    }
}

/// Every box with its state, oldest first, and what could not be read.
pub fn list(dirs: &Dirs) -> Result<engine::lookup::Listing> {
    let (mut good, mut bad) = engine::list(dirs)?;
    good.retain(|(c, _)| match record(dirs, c) {
        Ok(found) => found.is_some(),
        Err(e) => {
            // Removed just now, perhaps.
            bad.extend(dirs.container(&c.id).exists().then_some(e));
            false
        }
    });
    Ok((good, bad))
}

/// Every box but those that are kept beside another (`succession`), oldest first.
pub fn current(dirs: &Dirs) -> Result<Vec<Container>> {
    let aside = |c: &Container| matches!(record(dirs, c), Ok(Some(r)) if succession::is_aside(c, &r));
    Ok(list(dirs)?.0.into_iter().map(|(c, _)| c).filter(|c| !aside(c)).collect())
}

/// Starts the box when it does not run, with the host's places as they are now. Returns what is gone.
pub fn start(dirs: &Dirs, c: &Container, launch: &LaunchOptions) -> Result<Vec<String>> {
    let begun = Instant::now();
    loop {
        let state = engine::lookup::state(dirs, c)?;
        match state.status {
            // Its first process is dead, and the monitor has not written that down yet.
            Status::Running if has_ended(state.pid) && begun.elapsed() < OTHERS_START => {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            Status::Running => return Ok(Vec::new()),
            Status::Paused => {
                client::resume(dirs, &c.id).what(|| format!("cannot wake up box {}", c.name))?;
            }
            _ => {}
        }
        let warnings = refresh(dirs, c)?;
        match engine::start(dirs, c, launch) {
            Ok(_) => return Ok(warnings),
            // Somebody else enters at this moment.
            Err(e) if e.kind() == crate::error::Kind::InUse && begun.elapsed() < OTHERS_START => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(e) => return Err(e),
        }
    }
}

/// Whether the process has no root directory any more: it is gone, or waits to be collected.
fn has_ended(pid: Option<i32>) -> bool {
    let root = |pid| rustix::fs::stat(format!("/proc/{pid}/root"));
    pid.is_some_and(|pid| matches!(root(pid), Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH)))
}

/// Before a start: the mounts of the host's places in config.json, and our own directory. Returns what is gone since the
/// last start. Does nothing for a container that is no box.
pub fn refresh(dirs: &Dirs, c: &Container) -> Result<Vec<String>> {
    let Some(before) = record(dirs, c)? else { return Ok(Vec::new()) };
    let mut toolbox = before.clone();
    let what = || format!("cannot prepare box {}", c.name);
    live::write(dirs, c).what(what)?;
    let dir = records::lock(dirs, &c.id)?;
    succession::fetch_home(dirs, c, &mut toolbox).what(what)?;
    let text =
        std::fs::read(dirs.container(&c.id).join("config.json")).call(|| "read(config.json)").what(what)?;
    let damaged = || Error::corrupt("the file config.json is damaged").hint("See `coracle system check`.");
    let read: Value = serde_json::from_slice(&text).map_err(|e| damaged().cause(e).wrap(what()))?;
    let mut config = read.clone();
    let former = moved::follow(dirs, &dir).what(what)?;
    let places = places::now(dirs, c, &toolbox)?;
    let mut gone = places::gone(&toolbox.mounted, &places);
    gone.retain(|place| Some(place) != former.as_ref());
    let mounts = config.get_mut("mounts").and_then(Value::as_array_mut).ok_or_else(damaged)?;
    places::replace(mounts, &toolbox.mounted, &places);
    let (gifts, said) = devices::now(dirs, c, &toolbox);
    devices::replace(&mut config, &mut toolbox, &gifts);
    toolbox.mounted = places.into_iter().map(|place| place.destination).collect();
    // They are all that is known of the box: written when they must be, and never left half.
    if config != read {
        ondisk::publish(&dir, "config.json", &config, Durability::Whole)?;
    }
    if toolbox != before {
        ondisk::publish(&dir, NAME, &toolbox, Durability::Whole)?;
    }
    let warn = |place: String| format!("{place} is gone from the host: box {} starts without it", c.name);
    let home = places::home_out_of_sight(dirs, &toolbox).map(|why| {
        format!(
            "{why}: box {0} starts without it; once it is there again, `coracle toolbox stop {0}` and enter",
            c.name
        )
    });
    Ok(home.into_iter().chain(gone.into_iter().map(warn)).chain(said).collect())
}
