//! Empty scopes that systemd keeps.
//!
//! Where a start is killed at its first steps, a scope's processes may end while systemd still moves them in: then it does not
//! hear that the cgroup is empty and keeps the scope, or forgets it and leaves the cgroup. They hold nothing and cost little,
//! but nobody else removes them.

use super::dbus::{Body, Connection};
use super::delegate;
use super::fs::Cgroup;
use super::scope::{MANAGER, Manager, addresses, ask, property, stop};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(1);
/// Where scopes lie below the manager's own cgroup: the default slices of users' managers and of pid 1.
const SLICES: [&str; 3] = ["", "app.slice", "system.slice"];

/// Removes them; returns the names of the scopes. Nothing where there is no manager: who knows what it would know.
pub fn remove() -> Vec<String> {
    let manager = Manager::own();
    let open = |(address, hello)| Connection::open(&address, hello, PATIENCE).ok();
    let Some(mut connection) = addresses(manager).into_iter().find_map(open) else { return Vec::new() };
    let Some(top) = own_cgroup(&mut connection) else { return Vec::new() };
    let mut removed = Vec::new();
    for slice in SLICES {
        for (name, path) in scopes(&top.join(slice)) {
            if !is_populated(&path) && end(&mut connection, &name, &path) {
                removed.push(name);
            }
        }
    }
    removed
}

/// Ends one that was seen empty. systemd does one thing after the other: once it has answered, it is not in the middle of
/// moving a process into a directory that was there before, and what is empty still will stay so.
fn end(connection: &mut Connection, name: &str, path: &Path) -> bool {
    let until = Instant::now() + PATIENCE;
    let mut asked = false;
    while Instant::now() < until {
        let unknown = is_unknown(connection, name);
        if is_populated(path) {
            return !path.exists();
        }
        if unknown {
            return matches!(Cgroup::open(path), Ok(Some(cgroup)) if cgroup.remove().is_ok());
        }
        if !asked {
            asked = true;
            stop(connection, name);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// The manager's cgroup, as a directory.
fn own_cgroup(connection: &mut Connection) -> Option<PathBuf> {
    let answer = property(connection, "ControlGroup").ok()?;
    let mut body = answer.body();
    let path = (body.signature()? == "s").then(|| body.string())??;
    Some(Path::new(delegate::tree()?.mount).join(path.trim_start_matches('/')))
}

fn scopes(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    named.filter(|(name, _)| name.starts_with("coracle-") && name.ends_with(".scope")).collect()
}

/// Also true where it cannot be read.
fn is_populated(path: &Path) -> bool {
    std::fs::read_to_string(path.join("cgroup.events"))
        .map_or(true, |events| !events.lines().any(|line| line == "populated 0"))
}

fn is_unknown(connection: &mut Connection, name: &str) -> bool {
    let mut body = Body::default();
    body.string(name);
    match ask(connection, MANAGER, "GetUnit", "s", body) {
        Ok(_) => false,
        Err(e) => e.causes().iter().any(|cause| cause.contains("org.freedesktop.systemd1.NoSuchUnit")),
    }
}
