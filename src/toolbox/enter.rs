//! A command in a running box: which shell, which directory, which environment.

use super::devcontainer;
use super::env::{self, Surroundings};
use super::identity::Identity;
use super::live::{self, HOST};
use crate::engine::{self, peek::peek, users};
use crate::error::{Context, Error, Result};
use crate::ondisk::container::Container;
use crate::ondisk::toolbox::{Home, Toolbox};
use crate::paths::Dirs;
use crate::sys::fs::{Symlinks, file_type, open_below};
use rustix::fs::{FileType, OFlags};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// An OCI process, and what the user should be told.
#[derive(Debug)]
pub struct Prepared {
    pub process: Value,
    pub notes: Vec<String>,
}

/// The process that runs `command`, or the user's login shell, in a box that runs. `host`: the caller's environment.
pub fn process(
    dirs: &Dirs,
    c: &Container,
    who: &Identity,
    host: &BTreeMap<String, String>,
    command: &[String],
) -> Result<Prepared> {
    let what = || format!("cannot enter box {}", c.name);
    live::write(dirs, c).what(what)?;
    let toolbox = super::record(dirs, c)?.ok_or_else(|| Error::internal("a box without a record"))?;
    let found = peek(dirs, c, |root| {
        let (process, notes) = prepare(dirs, c, &Inside { root, toolbox: &toolbox, who }, host, command)?;
        Ok(json!([process, notes]))
    })?;
    let (process, notes) = serde_json::from_value(found)
        .map_err(|e| Error::internal(format_args!("cannot read an answer: {e}")))?;
    Ok(Prepared { process, notes })
}

fn prepare(
    dirs: &Dirs,
    c: &Container,
    inside: &Inside<'_>,
    host: &BTreeMap<String, String>,
    command: &[String],
) -> Result<(Value, Vec<String>)> {
    let what = || format!("cannot enter box {}", c.name);
    let who = inside.who;
    let config = engine::inspect::runtime_config(dirs, c);
    let mut process = config.get("process").cloned().ok_or_else(|| {
        Error::corrupt(format_args!("cannot read config.json of box {}", c.name))
            .hint("See `coracle system check`.")
    })?;
    if inside.toolbox.init {
        become_user(&mut process, who);
    }
    let mut notes = Vec::new();
    let shell = inside.shell(&who.shell);
    let around = Surroundings {
        who,
        path: value_of(&process, "PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin"),
        same: &|path| inside.is_shared(path),
        exists: &|path| rustix::fs::stat(path).is_ok(),
        locale: &|locale| inside.has_locale(locale),
        shell: shell.as_deref().unwrap_or("/bin/sh"),
        isolated: inside.toolbox.isolated,
    };
    let (mut env, gone) = env::environment(host, &around);
    notes.extend(gone);
    let kept = ["HOSTNAME", "container"]
        .map(|name| (name.to_owned(), value_of(&process, name).unwrap_or("").to_owned()));
    env.extend(kept);
    for (name, value) in &inside.toolbox.device_env {
        env.retain(|(other, _)| other != name);
        env.push((name.clone(), value.clone()));
    }
    let project = inside.toolbox.dev.as_ref();
    let own = project.map(|dev| devcontainer::environment(dev, &process)).unwrap_or_default();
    for (name, value) in &own {
        env.retain(|(other, _)| other != name);
        env.extend(value.clone().map(|value| (name.clone(), value)));
    }
    let directory = match project {
        Some(dev) if inside.is(&dev.workspace, FileType::Directory) => dev.workspace.clone(),
        Some(dev) => {
            notes.push(format!("{} is not in the box; using {}", dev.workspace, who.home));
            who.home.clone()
        }
        None => inside.directory(&mut notes),
    };
    env.push(("PWD".to_owned(), directory.clone()));
    let args = match (command, shell) {
        (command, shell)
            if project.is_some_and(|dev| dev.root) && !(command.is_empty() && shell.is_none()) =>
        {
            devcontainer::as_root(&own, command)
        }
        ([], None) => {
            return Err(Error::new(crate::error::Kind::CommandNotFound, what())
                .cause(format_args!("{} has no shell: neither {} nor /bin/sh is there", c.image, who.shell))
                .hint(format_args!("Run a program of its own: `coracle toolbox run {} PROGRAM`.", c.name)));
        }
        ([], Some(shell)) => {
            if shell != who.shell {
                notes.push(format!("{} is not in the box; using {shell}", who.shell));
            }
            vec![shell, "-l".to_owned()]
        }
        (command, _) => command.to_vec(),
    };
    process["args"] = json!(args);
    process["cwd"] = json!(directory);
    process["env"] = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok((process, notes))
}

/// The first process is the box's root; commands are the user's.
fn become_user(process: &mut Value, who: &Identity) {
    let user =
        users::User { uid: who.uid, gid: who.gid, groups: Vec::new(), home: who.home.clone(), name: None };
    engine::exec::set_user(process, &user);
}

fn value_of<'p>(process: &'p Value, name: &str) -> Option<&'p str> {
    let env = process.get("env")?.as_array()?;
    env.iter().filter_map(Value::as_str).find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
}

/// The box's files, seen from outside.
struct Inside<'a> {
    root: OwnedFd,
    toolbox: &'a Toolbox,
    who: &'a Identity,
}

impl Inside<'_> {
    fn find(&self, path: &str) -> Option<OwnedFd> {
        open_below(self.root.as_fd(), &CString::new(path).ok()?, OFlags::PATH, Symlinks::InRoot).ok()
    }

    fn is(&self, path: &str, kind: FileType) -> bool {
        self.find(path).is_some_and(|fd| file_type(fd.as_fd()) == Ok(kind))
    }

    /// The user's shell, or the best that is there.
    fn shell(&self, wanted: &str) -> Option<String> {
        let all = [wanted, "/bin/bash", "/usr/bin/bash", "/bin/sh"];
        all.into_iter().find(|shell| self.is(shell, FileType::RegularFile)).map(str::to_owned)
    }

    /// A place of the host's that the box has under the same path.
    fn is_shared(&self, path: &str) -> bool {
        let own_home = self.toolbox.home == Home::Own && Path::new(path).starts_with(&self.who.home);
        let below =
            |place: &&String| Path::new(path).starts_with(place) && *place != HOST && *place != live::PLACE;
        !own_home && self.toolbox.mounted.iter().any(|place| below(&place))
    }

    /// glibc knows the locales that are installed and C.UTF-8; other C libraries take every name.
    fn has_locale(&self, locale: &str) -> bool {
        if matches!(locale, "" | "C" | "POSIX" | "C.UTF-8" | "C.utf8") {
            return true;
        }
        let glibc = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
        if !glibc.iter().any(|path| self.is(path, FileType::RegularFile)) {
            return true;
        }
        let directory = format!("/usr/lib/locale/{}", locale.replace("UTF-8", "utf8"));
        self.is("/usr/lib/locale/locale-archive", FileType::RegularFile)
            || self.is(&directory, FileType::Directory)
    }

    /// Where the caller is, in the box: the same path, the host's directory below /run/host, or the nearest above it.
    fn directory(&self, notes: &mut Vec<String>) -> String {
        let home = &self.who.home;
        let Some(cwd) = std::env::current_dir().ok().and_then(|cwd| cwd.to_str().map(str::to_owned)) else {
            notes.push(format!("the current directory is gone; using {home}"));
            return home.clone();
        };
        if self.is_shared(&cwd) && self.is(&cwd, FileType::Directory) || cwd == *home {
            return cwd;
        }
        let on_host = format!("{HOST}{}", cwd.trim_end_matches('/'));
        let mut at = Path::new(&on_host);
        while at.starts_with(HOST) {
            let path = at.to_string_lossy();
            if self.is(&path, FileType::Directory) {
                notes.push(format!("{cwd} of the host is {on_host} in the box; using {path}"));
                return path.into_owned();
            }
            let Some(above) = at.parent() else { break };
            at = above;
        }
        notes.push(format!("{cwd} is not in the box; using {home}"));
        home.clone()
    }
}
