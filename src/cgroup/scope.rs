//! A transient systemd scope for a container: the one thing that we ask of systemd.
//!
//! The scope is delegated (`Delegate=yes`): below it the cgroup files are ours, and systemd keeps out. Called by the
//! command line in the host's user namespace with the monitor's pid, and by `coracle-oci --systemd-cgroup`.
//!
//! The user's manager is asked on the bus of the runtime directory, then on its private socket (2.5 against 2.1 ms in all:
//! it sends every property of every unit there), then on `$DBUS_SESSION_BUS_ADDRESS`, which after `dbus-run-session` is a
//! bus with no manager. Nearly all of that time is systemd's own work.
//!
//! The call has an answer when the job is queued, not when it is done, so we wait until `/proc/<pid>/cgroup` shows the
//! move: that is what the caller needs. The JobRemoved signal serves to hear of a failure.
//!
//! Inside a Slurm step no scope is made: it would take the container out of the job's limits and accounting.

use super::dbus::{self, Address, Body, Call, Connection};
use super::delegate;
use crate::error::{Error, Kind, Result};
use crate::paths;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A busy manager may take seconds; longer than this and something is wrong with it.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a scope of the same name, whose processes just ended, may stay before we say so.
const OLD_SCOPE: Duration = Duration::from_secs(3);

/// Whose systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// The user's own `systemd --user`.
    User,
    /// Pid 1; for real root.
    System,
}

/// What the scope is called and what goes into it.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `coracle-<id>.scope`.
    pub name: &'a str,
    pub pid: i32,
    pub description: &'a str,
    /// `x.slice`; none: the manager's default.
    pub slice: Option<&'a str>,
}

/// Makes the scope `name` around `pid` in the caller's systemd and returns its cgroup path when the move is seen.
/// None: there is no manager to ask, or a Slurm step that must not be left.
pub fn create(name: &str, pid: i32, description: &str) -> Result<Option<String>> {
    if paths::env("SLURM_JOB_ID").is_some() {
        return Ok(None);
    }
    let manager = if rustix::process::geteuid().is_root() { Manager::System } else { Manager::User };
    create_in(manager, &Scope { name, pid, description, slice: None })
}

/// The same in a manager and slice of the caller's choice.
pub fn create_in(manager: Manager, scope: &Scope<'_>) -> Result<Option<String>> {
    for (address, hello) in addresses(manager) {
        let Ok(mut connection) = Connection::open(&address, hello, TIMEOUT) else { continue };
        match start_unit(&mut connection, scope) {
            Ok(()) => return wait_moved(&mut connection, scope).map(Some),
            Err(e) if no_manager(&e) => {}
            Err(e) => return Err(explain(e, scope, manager)),
        }
    }
    Ok(None)
}

/// True when a manager answers; for `doctor`.
pub fn reachable(manager: Manager) -> bool {
    addresses(manager).into_iter().any(|(address, hello)| {
        let Ok(mut connection) = Connection::open(&address, hello, Duration::from_secs(1)) else {
            return false;
        };
        let mut body = Body::default();
        body.string("org.freedesktop.systemd1.Manager");
        body.string("Version");
        let serial = connection.queue(&Call {
            destination: "org.freedesktop.systemd1",
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            signature: "ss",
            body,
        });
        connection.reply(serial).is_ok()
    })
}

/// Where to look, and whether it is a bus.
fn addresses(manager: Manager) -> Vec<(Address, bool)> {
    match manager {
        Manager::System => vec![
            (Address::Path("/run/dbus/system_bus_socket".into()), true),
            (Address::Path("/run/systemd/private".into()), false),
        ],
        Manager::User => user_addresses(),
    }
}

fn user_addresses() -> Vec<(Address, bool)> {
    let uid = rustix::process::geteuid().as_raw();
    let mut dirs: Vec<PathBuf> = paths::env("XDG_RUNTIME_DIR").map(PathBuf::from).into_iter().collect();
    dirs.push(format!("/run/user/{uid}").into());
    // Somebody else's runtime directory (after `su`) has somebody else's manager.
    dirs.retain(|dir| rustix::fs::stat(dir).is_ok_and(|st| st.st_uid == uid));
    let private = dirs.iter().map(|dir| (Address::Path(dir.join("systemd/private")), false));
    let named =
        paths::env("DBUS_SESSION_BUS_ADDRESS").and_then(|text| text.into_string().ok()).unwrap_or_default();
    let named = Address::parse_list(&named).into_iter().map(|address| (address, true));
    let usual = dirs.iter().map(|dir| (Address::Path(dir.join("bus")), true));
    usual.chain(private).chain(named).collect()
}

/// Asks for the scope. The last one of this name may be empty and not yet forgotten: then it is asked for again.
fn start_unit(connection: &mut Connection, scope: &Scope<'_>) -> Result<()> {
    let until = Instant::now() + OLD_SCOPE;
    loop {
        let serial = connection.queue(&Call {
            destination: "org.freedesktop.systemd1",
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.systemd1.Manager",
            member: "StartTransientUnit",
            signature: "ssa(sv)a(sa(sv))",
            body: arguments(scope),
        });
        match connection.reply(serial) {
            Err(e) if unit_exists(&e) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other.map(drop),
        }
    }
}

/// True when the other side is a bus without systemd, or does not know us (another user's).
fn no_manager(error: &Error) -> bool {
    const SIGNS: [&str; 6] = [
        "Error.ServiceUnknown",
        "Error.NameHasNoOwner",
        "Error.Spawn.",
        "authentication refused",
        "closed the connection",
        "Broken pipe",
    ];
    error.causes().iter().any(|cause| SIGNS.iter().any(|sign| cause.contains(sign)))
}

/// Name, mode, properties, auxiliary units. The properties are those that podman and crun set: with default
/// dependencies systemd would order the scope against its own shutdown; without TasksMax its default limit would count.
fn arguments(scope: &Scope<'_>) -> Body {
    let mut body = Body::default();
    body.string(scope.name);
    body.string("fail");
    body.array(8, |properties| {
        let mut property = |name: &str, signature: &str, value: &dyn Fn(&mut Body)| {
            properties.align(8);
            properties.string(name);
            properties.signature(signature);
            value(properties);
        };
        property("Description", "s", &|b| b.string(scope.description));
        property("PIDs", "au", &|b| b.array(4, |pids| pids.u32(scope.pid.unsigned_abs())));
        property("Delegate", "b", &|b| b.u32(1));
        property("DefaultDependencies", "b", &|b| b.u32(0));
        property("CollectMode", "s", &|b| b.string("inactive-or-failed"));
        property("TasksMax", "t", &|b| b.u64(u64::MAX));
        if let Some(slice) = scope.slice {
            property("Slice", "s", &|b| b.string(slice));
        }
    });
    body.array(8, |_| {});
    body
}

/// Waits for the move. The pauses grow from 0.2 ms: the manager needs about one.
fn wait_moved(connection: &mut Connection, scope: &Scope<'_>) -> Result<String> {
    let until = Instant::now() + TIMEOUT;
    let mut pause = Duration::from_micros(200);
    let suffix = format!("/{}", scope.name);
    while Instant::now() < until {
        match delegate::path_of(scope.pid) {
            Some(path) if path.ends_with(&suffix) => return Ok(path),
            Some(_) => {}
            None => {
                return Err(failed(scope)
                    .cause(format_args!("process {} ended, or no cgroup v2 is mounted", scope.pid)));
            }
        }
        match connection.receive(pause)? {
            Some(signal) if signal.kind == dbus::SIGNAL && signal.member == "JobRemoved" => {
                if let Some(result) = failure(&signal, scope) {
                    return Err(failed(scope)
                        .cause(format_args!("systemd: the scope's job ended as {result:?}"))
                        .hint(format_args!(
                            "See why with `systemctl --user status {}` or `journalctl --user -e`.",
                            scope.name
                        )));
                }
            }
            Some(_) => {}
            None => pause = (pause * 2).min(Duration::from_millis(5)),
        }
    }
    Err(failed(scope).cause(format_args!(
        "systemd did not move process {} in {} s",
        scope.pid,
        TIMEOUT.as_secs()
    )))
}

/// The result of our job's end, if it is not "done". The signal has: id, job, unit, result.
fn failure(signal: &dbus::Message, scope: &Scope<'_>) -> Option<String> {
    let mut body = signal.body();
    let (_id, _job, unit, result) = (body.u32()?, body.string()?, body.string()?, body.string()?);
    (unit == scope.name && result != "done").then_some(result)
}

fn failed(scope: &Scope<'_>) -> Error {
    Error::new(Kind::External, format_args!("cannot make the scope {}", scope.name))
}

fn unit_exists(error: &Error) -> bool {
    error.causes().iter().any(|cause| cause.contains("org.freedesktop.systemd1.UnitExists"))
}

fn explain(error: Error, scope: &Scope<'_>, manager: Manager) -> Error {
    let systemctl = if manager == Manager::User { "systemctl --user" } else { "systemctl" };
    let in_use = unit_exists(&error);
    let error = error.wrap(format_args!("cannot make the scope {}", scope.name));
    if in_use {
        return error
            .with_kind(Kind::InUse)
            .hint(format_args!("End what still runs there: `{systemctl} stop {}`.", scope.name));
    }
    error.hint(format_args!(
        "Look at the manager with `{systemctl} status`, or start without a cgroup of its own: `--cgroups=disabled`."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_without_systemd_is_passed_over() {
        let error = |text: &str| Error::new(Kind::Denied, "systemd refused").cause(text);
        assert!(no_manager(&error("org.freedesktop.DBus.Error.ServiceUnknown: no such name")));
        assert!(!no_manager(&error("org.freedesktop.DBus.Error.AccessDenied: no")));
    }

    #[test]
    fn a_unit_that_exists_is_in_use() {
        let scope = Scope { name: "coracle-x.scope", pid: 1, description: "x", slice: None };
        let refused = Error::new(Kind::Denied, "systemd refused")
            .cause("org.freedesktop.systemd1.UnitExists: Unit coracle-x.scope was already loaded");
        let error = explain(refused, &scope, Manager::User);
        assert_eq!(error.kind(), Kind::InUse);
        assert_eq!(error.what(), "cannot make the scope coracle-x.scope");
        assert_eq!(error.hints(), ["End what still runs there: `systemctl --user stop coracle-x.scope`."]);
    }
}
