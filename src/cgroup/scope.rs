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
use super::property::Property;
use crate::error::{Error, Kind, Result};
use crate::paths;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The interface of its own.
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// A busy manager may take seconds; longer than this and something is wrong with it.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a scope of the same name, whose processes just ended, may stay before we say so: a manager of a machine under load
/// forgets it after some seconds.
const OLD_SCOPE: Duration = Duration::from_secs(10);
/// After this its manager has not heard that it is empty, as may be after a daemon-reload, and is told.
const NOT_HEARD: Duration = Duration::from_secs(1);

/// Whose systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// The user's own `systemd --user`.
    User,
    /// Pid 1; for real root.
    System,
}

impl Manager {
    /// The one that the caller's scopes are made by.
    pub fn own() -> Self {
        if rustix::process::geteuid().is_root() { Self::System } else { Self::User }
    }
}

/// What the scope is called and what goes into it.
#[derive(Debug, Clone)]
pub struct Scope {
    /// `coracle-<id>.scope`.
    pub name: String,
    pub pid: i32,
    pub description: String,
    /// `x.slice`; none: the manager's default.
    pub slice: Option<String>,
    /// What the container's annotations ask for; they come last, so that they win.
    pub properties: Vec<Property>,
}

/// A scope that was asked for. systemd works on it while the caller does something else.
#[derive(Debug)]
pub struct Request {
    manager: Manager,
    scope: Scope,
    /// Where the question lies.
    asked: Option<(Connection, u32)>,
    /// Where to ask next, should nobody be there who knows of scopes.
    untried: std::vec::IntoIter<(Address, bool)>,
}

/// Asks the caller's systemd for the scope `name` around `pid`. None: in a Slurm step, which must not be left.
pub fn request(name: String, pid: i32, description: String) -> Option<Request> {
    if paths::env("SLURM_JOB_ID").is_some() {
        return None;
    }
    Some(Request::send(Manager::own(), Scope { name, pid, description, slice: None, properties: Vec::new() }))
}

/// Makes the scope in a manager and slice of the caller's choice, and returns its cgroup path when the move is seen.
/// None: there is no manager to ask.
pub fn create_in(manager: Manager, scope: Scope) -> Result<Option<String>> {
    Request::send(manager, scope).finish()
}

impl Request {
    /// Does not wait, and does not fail: what stands in the way is for `finish` to say.
    pub fn send(manager: Manager, scope: Scope) -> Self {
        let mut request = Self { manager, scope, asked: None, untried: addresses(manager).into_iter() };
        request.ask_next();
        request
    }

    /// Asks at the next address that answers. False: there is none.
    fn ask_next(&mut self) -> bool {
        self.asked = self.untried.find_map(|(address, hello)| {
            let mut connection = Connection::open(&address, hello, TIMEOUT).ok()?;
            let serial = queue_start(&mut connection, &self.scope);
            // A failure is met again when the answer is read.
            let _ = connection.flush();
            Some((connection, serial))
        });
        self.asked.is_some()
    }

    /// Waits until the process is in its scope and returns the scope's cgroup path. None: there is no manager.
    pub fn finish(mut self) -> Result<Option<String>> {
        while let Some((mut connection, serial)) = self.asked.take() {
            match started(&mut connection, serial, &self.scope) {
                Ok(()) => return wait_moved(&mut connection, &self.scope).map(Some),
                Err(e) if no_manager(&e) => self.ask_next(),
                Err(e) => return Err(explain(e, &self.scope, self.manager)),
            };
        }
        Ok(None)
    }
}

/// True when a manager answers; for `doctor`.
pub fn reachable(manager: Manager) -> bool {
    addresses(manager).into_iter().any(|(address, hello)| {
        let Ok(mut connection) = Connection::open(&address, hello, Duration::from_secs(1)) else {
            return false;
        };
        property(&mut connection, "Version").is_ok()
    })
}

/// The manager's answer about a property of its own: a variant.
pub(super) fn property(connection: &mut Connection, name: &str) -> Result<dbus::Message> {
    let mut body = Body::default();
    body.string(MANAGER);
    body.string(name);
    ask(connection, "org.freedesktop.DBus.Properties", "Get", "ss", body)
}

/// Asks the manager, and waits for the answer.
pub(super) fn ask(
    connection: &mut Connection,
    interface: &str,
    member: &str,
    signature: &str,
    body: Body,
) -> Result<dbus::Message> {
    let serial = queue(connection, interface, member, signature, body);
    connection.reply(serial)
}

fn queue(connection: &mut Connection, interface: &str, member: &str, signature: &str, body: Body) -> u32 {
    connection.queue(&Call {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface,
        member,
        signature,
        body,
    })
}

/// Where to look, and whether it is a bus.
pub(super) fn addresses(manager: Manager) -> Vec<(Address, bool)> {
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

fn queue_start(connection: &mut Connection, scope: &Scope) -> u32 {
    queue(connection, MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", arguments(scope))
}

/// Waits for the answer. The last scope of this name may be empty and not yet forgotten: then it is asked for again.
fn started(connection: &mut Connection, mut serial: u32, scope: &Scope) -> Result<()> {
    let begun = Instant::now();
    let mut ended = false;
    loop {
        match connection.reply(serial) {
            Err(e) if unit_exists(&e) && begun.elapsed() < OLD_SCOPE => {
                if !ended && begun.elapsed() > NOT_HEARD {
                    ended = true;
                    end_if_empty(connection, &scope.name);
                }
                std::thread::sleep(Duration::from_millis(5));
                serial = queue_start(connection, scope);
            }
            other => return other.map(drop),
        }
    }
}

/// Ends a scope in which there is no process. What stands in the way of it is for the next start to say.
fn end_if_empty(connection: &mut Connection, name: &str) {
    let mut unit = Body::default();
    unit.string(name);
    let Ok(answer) = ask(connection, MANAGER, "GetUnitProcesses", "s", unit) else { return };
    // An array, a(sus); its length comes first.
    if answer.body().u32() != Some(0) {
        return;
    }
    stop(connection, name);
}

/// Asks the manager to stop a unit. Where it cannot be stopped it stays.
pub(super) fn stop(connection: &mut Connection, name: &str) {
    let mut body = Body::default();
    body.string(name);
    body.string("fail");
    let _ = ask(connection, MANAGER, "StopUnit", "ss", body);
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
fn arguments(scope: &Scope) -> Body {
    let mut body = Body::default();
    body.string(&scope.name);
    body.string("fail");
    body.array(8, |properties| {
        let mut property = |name: &str, signature: &str, value: &dyn Fn(&mut Body)| {
            properties.align(8);
            properties.string(name);
            properties.signature(signature);
            value(properties);
        };
        property("Description", "s", &|b| b.string(&scope.description));
        property("PIDs", "au", &|b| b.array(4, |pids| pids.u32(scope.pid.unsigned_abs())));
        property("Delegate", "b", &|b| b.u32(1));
        property("DefaultDependencies", "b", &|b| b.u32(0));
        property("CollectMode", "s", &|b| b.string("inactive-or-failed"));
        property("TasksMax", "t", &|b| b.u64(u64::MAX));
        if let Some(slice) = &scope.slice {
            property("Slice", "s", &|b| b.string(slice));
        }
        scope.properties.iter().for_each(|property| property.write(properties));
    });
    body.array(8, |_| {});
    body
}

/// Waits for the move. The pauses grow from 0.2 ms: the manager needs about one.
fn wait_moved(connection: &mut Connection, scope: &Scope) -> Result<String> {
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
            None => pause = (pause * 2).min(Duration::from_millis(1)),
        }
    }
    Err(failed(scope).cause(format_args!(
        "systemd did not move process {} in {} s",
        scope.pid,
        TIMEOUT.as_secs()
    )))
}

/// The result of our job's end, if it is not "done". The signal has: id, job, unit, result.
fn failure(signal: &dbus::Message, scope: &Scope) -> Option<String> {
    let mut body = signal.body();
    let (_id, _job, unit, result) = (body.u32()?, body.string()?, body.string()?, body.string()?);
    (unit == scope.name && result != "done").then_some(result)
}

fn failed(scope: &Scope) -> Error {
    Error::new(Kind::External, format_args!("cannot make the scope {}", scope.name))
}

fn unit_exists(error: &Error) -> bool {
    error.causes().iter().any(|cause| cause.contains("org.freedesktop.systemd1.UnitExists"))
}

fn explain(error: Error, scope: &Scope, manager: Manager) -> Error {
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
        let scope = Scope {
            name: "coracle-x.scope".into(),
            pid: 1,
            description: "x".into(),
            slice: None,
            properties: Vec::new(),
        };
        let refused = Error::new(Kind::Denied, "systemd refused")
            .cause("org.freedesktop.systemd1.UnitExists: Unit coracle-x.scope was already loaded");
        let error = explain(refused, &scope, Manager::User);
        assert_eq!(error.kind(), Kind::InUse);
        assert_eq!(error.what(), "cannot make the scope coracle-x.scope");
        assert_eq!(error.hints(), ["End what still runs there: `systemctl --user stop coracle-x.scope`."]);
    }
}
