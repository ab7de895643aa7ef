//! Cgroups of scopes that no systemd knows any more.
//!
//! A scope whose processes have all ended before systemd could move them in fails, is forgotten, and its cgroup stays: it
//! was never populated, so systemd never hears that it is empty. That happens where a start is killed at its first steps.
//! They hold nothing and cost little, but nobody else removes them.

use super::dbus::{Body, Call, Connection, Message};
use super::delegate;
use super::fs::Cgroup;
use super::scope::{Manager, addresses};
use crate::error::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
            let empty = !is_populated(&path) && is_unknown(&mut connection, &name);
            if empty && matches!(Cgroup::open(&path), Ok(Some(cgroup)) if cgroup.remove().is_ok()) {
                removed.push(name);
            }
        }
    }
    removed
}

/// The manager's cgroup, as a directory.
fn own_cgroup(connection: &mut Connection) -> Option<PathBuf> {
    let mut body = Body::default();
    body.string("org.freedesktop.systemd1.Manager");
    body.string("ControlGroup");
    let answer = ask(connection, "org.freedesktop.DBus.Properties", "Get", "ss", body).ok()?;
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
    match ask(connection, "org.freedesktop.systemd1.Manager", "GetUnit", "s", body) {
        Ok(_) => false,
        Err(e) => e.causes().iter().any(|cause| cause.contains("org.freedesktop.systemd1.NoSuchUnit")),
    }
}

fn ask(
    connection: &mut Connection,
    interface: &'static str,
    member: &'static str,
    signature: &'static str,
    body: Body,
) -> Result<Message> {
    let serial = connection.queue(&Call {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface,
        member,
        signature,
        body,
    });
    connection.reply(serial)
}
