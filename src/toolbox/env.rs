//! The environment of a command in a box: the caller's, read anew at every enter, without what speaks of the host's own
//! file system. Sockets and files that variables name are given by their path in the box. One that is gone from the host
//! is left out, with a word: a program without a display starts, one with a dead display may not.

use super::identity::Identity;
use super::live::HOST;
use std::collections::BTreeMap;

/// About the host's programs, its shell, or the process that calls: nothing for the box.
const LEFT_OUT: [&str; 24] = [
    "BASHOPTS",
    "BASH_ENV",
    "ENV",
    "FPATH",
    "GCONV_PATH",
    "HOME",
    "HOST",
    "HOSTNAME",
    "INFOPATH",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LOCPATH",
    "LOGNAME",
    "MANPATH",
    "NOTIFY_SOCKET",
    "OLDPWD",
    "PWD",
    "SHELL",
    "SHLVL",
    "USER",
    "container",
];

/// All that an isolated box hears of the caller's, beside LC_*.
const HARMLESS: [&str; 8] = ["COLORTERM", "EDITOR", "LANG", "LANGUAGE", "NO_COLOR", "PAGER", "TERM", "TZ"];

/// Variables that name a socket or a file, with what may stand before the path.
const PATHS: [(&str, &[&str]); 10] = [
    ("DBUS_SESSION_BUS_ADDRESS", &["unix:path="]),
    ("DBUS_SYSTEM_BUS_ADDRESS", &["unix:path="]),
    ("GPG_AGENT_INFO", &[""]),
    ("KRB5CCNAME", &["FILE:", "DIR:", ""]),
    ("PIPEWIRE_REMOTE", &[""]),
    ("PULSE_SERVER", &["unix:"]),
    ("SSH_AUTH_SOCK", &[""]),
    ("WAYLAND_DISPLAY", &[""]),
    ("XAUTHORITY", &[""]),
    ("XDG_RUNTIME_DIR", &[""]),
];

/// What is known of the box.
pub struct Surroundings<'a> {
    pub who: &'a Identity,
    /// The image's PATH.
    pub path: &'a str,
    /// Whether a path of the host is the same in the box.
    pub same: &'a dyn Fn(&str) -> bool,
    /// Whether a path exists on the host.
    pub exists: &'a dyn Fn(&str) -> bool,
    /// Whether programs of the box know this locale.
    pub locale: &'a dyn Fn(&str) -> bool,
    pub shell: &'a str,
    /// Only what is harmless goes in.
    pub isolated: bool,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("who", self.who)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Name and value, and what was left out because it is gone.
pub fn environment(
    host: &BTreeMap<String, String>,
    around: &Surroundings<'_>,
) -> (Vec<(String, String)>, Vec<String>) {
    let mut env: BTreeMap<String, String> = host
        .iter()
        .filter(|(k, _)| passes(k) && (!around.isolated || harmless(k)))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let mut gone = Vec::new();
    for (name, prefixes) in PATHS {
        let Some(value) = env.get(name).cloned() else { continue };
        let in_box = match translated(&value, prefixes, around) {
            Place::Other => continue,
            Place::At(value) => Some(value),
            Place::Gone(path) => {
                gone.push(format!("{name} is left out: {path} is not there"));
                None
            }
        };
        env.remove(name);
        env.extend(in_box.map(|value| (name.to_owned(), value)));
    }
    // Usually the name of a socket in the runtime directory.
    if let (Some(name), Some(dir)) = (env.get("WAYLAND_DISPLAY"), host.get("XDG_RUNTIME_DIR"))
        && !name.contains('/')
        && !(around.exists)(&format!("{dir}/{name}"))
    {
        gone.push(format!("WAYLAND_DISPLAY is left out: {dir}/{name} is not there"));
        env.remove("WAYLAND_DISPLAY");
    }
    if let Some(socket) = env.get("DISPLAY").and_then(|display| x_socket(display))
        && !(around.exists)(&socket)
    {
        env.remove("DISPLAY");
        gone.push(format!("DISPLAY is left out: {socket} is not there"));
    }
    let names: Vec<String> = env.keys().filter(|k| *k == "LANG" || k.starts_with("LC_")).cloned().collect();
    if names.iter().any(|name| env.get(name).is_some_and(|locale| !(around.locale)(locale))) {
        names.iter().for_each(|name| drop(env.remove(name)));
        env.insert("LANG".into(), "C.UTF-8".into());
    }
    let who = around.who;
    for (name, value) in [
        ("HOME", who.home.as_str()),
        ("USER", &who.name),
        ("LOGNAME", &who.name),
        ("SHELL", around.shell),
        ("PATH", &path(host.get("PATH").map_or("", String::as_str), around)),
    ] {
        env.insert(name.into(), value.into());
    }
    (env.into_iter().collect(), gone)
}

fn harmless(name: &str) -> bool {
    HARMLESS.contains(&name) || name.starts_with("LC_")
}

fn passes(name: &str) -> bool {
    let prefixes = ["LD_", "BASH_FUNC_", "XDG_SEAT", "XDG_VTNR"];
    let system = ["XDG_DATA_DIRS", "XDG_CONFIG_DIRS", "PATH", "_"];
    !LEFT_OUT.contains(&name)
        && !system.contains(&name)
        && !prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The image's, and before it what the caller has of it in the home.
fn path(host: &str, around: &Surroundings<'_>) -> String {
    let home = format!("{}/", around.who.home.trim_end_matches('/'));
    let own = host.split(':').filter(|dir| dir.starts_with(&home) && (around.same)(dir));
    let all: Vec<&str> = own.chain(around.path.split(':')).collect();
    all.join(":")
}

enum Place {
    At(String),
    Gone(String),
    /// No path: a host and port, a name that another variable completes.
    Other,
}

fn translated(value: &str, prefixes: &[&str], around: &Surroundings<'_>) -> Place {
    for prefix in prefixes {
        let Some(rest) = value.strip_prefix(prefix).filter(|rest| rest.starts_with('/')) else { continue };
        let (path, more) = rest.split_at(rest.find([',', ':', ';']).unwrap_or(rest.len()));
        return if !(around.exists)(path) {
            Place::Gone(path.to_owned())
        } else if (around.same)(path) {
            Place::At(value.to_owned())
        } else {
            Place::At(format!("{prefix}{HOST}{path}{more}"))
        };
    }
    Place::Other
}

/// The socket of a display on this machine.
fn x_socket(display: &str) -> Option<String> {
    let number = display.strip_prefix("unix").unwrap_or(display).strip_prefix(':')?;
    let number = number.split('.').next()?;
    number.bytes().all(|b| b.is_ascii_digit()).then(|| format!("/tmp/.X11-unix/X{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_of_the_host_is_left_out_and_sockets_are_found() {
        let who = Identity {
            name: "ada".into(),
            uid: 1000,
            gid: 1000,
            group: "ada".into(),
            gecos: String::new(),
            home: "/home/ada".into(),
            shell: "/bin/zsh".into(),
        };
        let around = Surroundings {
            who: &who,
            path: "/usr/bin:/bin",
            same: &|path| path.starts_with("/home/ada") || path.starts_with("/tmp"),
            exists: &|path| !path.contains("gone"),
            locale: &|locale| locale == "C.UTF-8",
            shell: "/bin/sh",
            isolated: false,
        };
        let host = [
            ("PATH", "/opt/bin:/home/ada/bin"),
            ("LD_PRELOAD", "x.so"),
            ("EDITOR", "vi"),
            ("SHELL", "/bin/zsh"),
            ("SSH_AUTH_SOCK", "/var/agent"),
            ("XAUTHORITY", "/tmp/x"),
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus,guid=1"),
            ("KRB5CCNAME", "KCM:"),
            ("PULSE_SERVER", "unix:/gone"),
            ("DISPLAY", ":0"),
            ("LANG", "de_DE.UTF-8"),
            ("LC_TIME", "C"),
        ];
        let host = host.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let (env, gone) = environment(&host, &around);
        let get = |name: &str| env.iter().find(|(n, _)| n == name).map_or("-", |(_, v)| v.as_str());
        assert_eq!(get("PATH"), "/home/ada/bin:/usr/bin:/bin");
        assert_eq!((get("LD_PRELOAD"), get("EDITOR"), get("SHELL")), ("-", "vi", "/bin/sh"));
        assert_eq!((get("SSH_AUTH_SOCK"), get("XAUTHORITY")), ("/run/host/var/agent", "/tmp/x"));
        assert_eq!(get("DBUS_SESSION_BUS_ADDRESS"), "unix:path=/run/host/run/bus,guid=1");
        assert_eq!((get("KRB5CCNAME"), get("PULSE_SERVER"), get("DISPLAY")), ("KCM:", "-", ":0"));
        assert_eq!((get("LANG"), get("LC_TIME")), ("C.UTF-8", "-"));
        assert_eq!(gone, ["PULSE_SERVER is left out: /gone is not there"]);
        let (env, gone) = environment(&host, &Surroundings { isolated: true, same: &|_| false, ..around });
        let names: Vec<&str> = env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["EDITOR", "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER"]);
        assert_eq!(gone.len(), 0);
    }
}
