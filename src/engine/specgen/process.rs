//! The `process` part: command, environment, user, capabilities, rlimits.

use super::{Facts, ImageDefaults};
use crate::engine::options::{CreateOptions, SecurityOptions};
use crate::error::{Error, Result};
use serde_json::{Value, json};

/// Where programs are looked for when the image says nothing (podman's default).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// podman's default set.
const DEFAULT_CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// Where `--init` puts our reaper (podman's path).
const INIT_PATH: &str = "/run/podman-init";

/// The sets of the payload. Inheritable is never filled for root (CVE-2022-27649).
#[derive(Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub bounding: Vec<String>,
    /// Effective and permitted.
    effective: Vec<String>,
    /// Inheritable and ambient: only for a non-root user, and only what was asked for by name.
    ambient: Vec<String>,
}

impl Capabilities {
    /// From --privileged, --cap-add and --cap-drop: drops first, then adds (podman's order).
    pub fn decide(security: &SecurityOptions, uid: u32) -> Result<Self> {
        let all = || crate::caps::NAMES.iter().map(|name| (*name).to_owned());
        let known = |name: &String| name == "ALL" || crate::caps::NAMES.contains(&name.as_str());
        if let Some(name) = security.cap_add.iter().chain(&security.cap_drop).find(|name| !known(name)) {
            return Err(Error::usage(format_args!("unknown capability {name:?}"))
                .hint("The names are listed in capabilities(7), for example CAP_NET_RAW."));
        }
        let adds_all = security.cap_add.iter().any(|c| c == "ALL");
        let drops_all = security.cap_drop.iter().any(|c| c == "ALL");
        let mut set: Vec<String> = match (security.privileged || adds_all, drops_all) {
            (true, _) => all().collect(),
            (false, true) => Vec::new(),
            (false, false) => DEFAULT_CAPABILITIES.iter().map(|c| (*c).to_owned()).collect(),
        };
        set.retain(|c| !security.cap_drop.contains(c));
        let added = security.cap_add.iter().filter(|c| *c != "ALL");
        set.extend(added.clone().cloned());
        set.sort();
        set.dedup();
        let (effective, ambient) = if uid == 0 {
            (set.clone(), Vec::new())
        } else {
            let mut asked: Vec<String> = added.cloned().collect();
            asked.sort();
            asked.dedup();
            (asked.clone(), asked)
        };
        Ok(Self { bounding: set, effective, ambient })
    }
}

/// Entrypoint and arguments as podman joins them: `--entrypoint` drops the image's command.
pub fn command(options: &CreateOptions, image: &ImageDefaults) -> Result<Vec<String>> {
    let mut argv = options.entrypoint.clone().unwrap_or_else(|| image.entrypoint.clone());
    if options.command.is_empty() && options.entrypoint.is_none() {
        argv.extend(image.cmd.iter().cloned());
    }
    argv.extend(options.command.iter().cloned());
    if argv.is_empty() {
        return Err(Error::usage("no command to run")
            .cause("neither the command line nor the image names one")
            .hint("Give a command after the image, for example `coracle run IMAGE sh`."));
    }
    Ok(argv)
}

/// Where the command will be looked for: its path, or one in each directory of PATH.
pub fn programs(options: &CreateOptions, image: &ImageDefaults) -> Vec<String> {
    let Some(command) = command(options, image).ok().and_then(|argv| argv.into_iter().next()) else {
        return Vec::new();
    };
    let said =
        options.process.env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
    let of_image = image.env.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
    places(&command, "/", said.or(of_image).unwrap_or(DEFAULT_PATH))
}

/// Where execvp(3) looks for a command.
pub fn places(command: &str, cwd: &str, path: &str) -> Vec<String> {
    if command.contains('/') {
        return vec![std::path::Path::new(cwd).join(command).to_string_lossy().into_owned()];
    }
    path.split(':').map(|dir| format!("{dir}/{command}")).collect()
}

/// Image, then fixed values, then the user's; the last one wins.
fn environment(options: &CreateOptions, facts: &Facts<'_>) -> Vec<String> {
    let process = &options.process;
    let mut env: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| {
        env.retain(|(n, _)| n != name);
        env.push((name.to_owned(), value.to_owned()));
    };
    if !process.unset_env_all {
        set("PATH", DEFAULT_PATH);
        if process.tty {
            set("TERM", "xterm");
        }
        set("container", "podman"); // what toolbox, distrobox and systemd look for (features of podman's containers)
        if facts.systemd {
            set("container_uuid", &super::systemd::uuid(facts.id));
        }
        for (name, value) in &process.host_env {
            set(name, value);
        }
        for entry in &facts.image.env {
            // An image's entry without `=` is data that means nothing; it never copies the host's (CVE-2026-57231).
            if let Some((name, value)) = entry.split_once('=').filter(|(name, _)| !name.is_empty()) {
                set(name, value);
            }
        }
    }
    for name in &process.unset_env {
        env.retain(|(n, _)| n != name);
    }
    let image_libraries = env.iter().find(|(name, _)| name == LIBRARY_PATH).map(|(_, value)| value.clone());
    let mut set = |name: &str, value: &str| {
        env.retain(|(n, _)| n != name);
        env.push((name.to_owned(), value.to_owned()));
    };
    for (name, value) in &facts.gifts.env {
        match &image_libraries {
            // The device's libraries are found first, and the image's still.
            Some(images) if name == LIBRARY_PATH => set(name, &format!("{value}:{images}")),
            _ => set(name, value),
        }
    }
    for (name, value) in &process.env {
        set(name, value);
    }
    for (name, value) in [("HOSTNAME", facts.hostname), ("HOME", facts.user.home.as_str())] {
        if !env.iter().any(|(n, _)| n == name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// The `process` object.
pub fn process(options: &CreateOptions, facts: &Facts<'_>, capabilities: &Capabilities) -> Result<Value> {
    let asked = &options.process;
    let mut args = command(options, facts.image)?;
    if facts.init_path.is_some() {
        args.splice(0..0, [INIT_PATH.to_owned(), "init".to_owned(), "--".to_owned()]);
    }
    let cwd = asked.workdir.clone().or_else(|| facts.image.workdir.clone()).filter(|w| !w.is_empty());
    let cwd = cwd.or_else(|| asked.host_cwd.clone());
    let user = facts.user;
    let mut process = json!({
        "terminal": asked.tty,
        "user": {
            "uid": user.uid,
            "gid": user.gid,
            "umask": asked.umask.unwrap_or(0o022),
            "additionalGids": user.groups,
        },
        "args": args,
        "env": environment(options, facts),
        "cwd": cwd.unwrap_or_else(|| "/".to_owned()),
        "capabilities": {
            "bounding": capabilities.bounding,
            "effective": capabilities.effective,
            "permitted": capabilities.effective,
            "inheritable": capabilities.ambient,
            "ambient": capabilities.ambient,
        },
        "noNewPrivileges": options.security.no_new_privileges,
    });
    if !asked.rlimits.is_empty() {
        let rlimits =
            asked.rlimits.iter().map(|(name, soft, hard)| json!({"type": name, "soft": soft, "hard": hard}));
        process["rlimits"] = rlimits.collect();
    }
    if let Some(score) = asked.oom_score_adj {
        process["oomScoreAdj"] = json!(score);
    }
    Ok(process)
}

/// The bind mount of the `--init` program.
pub fn init_mount(path: &str) -> Value {
    json!({ "destination": INIT_PATH, "type": "bind", "source": path, "options": ["bind", "ro", "nosuid", "nodev"] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::options::SeccompOption;

    fn security(add: &[&str], drop: &[&str]) -> SecurityOptions {
        let own = |list: &[&str]| list.iter().map(|c| (*c).to_owned()).collect();
        SecurityOptions {
            privileged: false,
            cap_add: own(add),
            cap_drop: own(drop),
            no_new_privileges: false,
            seccomp: SeccompOption::Default,
            unmask: Vec::new(),
            mask: Vec::new(),
        }
    }

    #[test]
    fn capabilities_are_dropped_then_added() {
        let caps = Capabilities::decide(&security(&["CAP_NET_RAW"], &["ALL"]), 0).unwrap();
        assert_eq!(caps.bounding, ["CAP_NET_RAW"]);
        assert_eq!(caps.effective, caps.bounding);
        assert!(caps.ambient.is_empty(), "inheritable and ambient stay empty for root");
        let caps = Capabilities::decide(&security(&[], &["CAP_CHOWN"]), 0).unwrap();
        assert_eq!(caps.bounding.len(), DEFAULT_CAPABILITIES.len() - 1);
        assert!(Capabilities::decide(&security(&["CAP_FOO"], &[]), 0).is_err());
    }

    #[test]
    fn a_user_who_is_not_root_has_only_what_was_added_by_name() {
        let caps = Capabilities::decide(&security(&["CAP_NET_RAW"], &[]), 1000).unwrap();
        assert_eq!(caps.effective, ["CAP_NET_RAW"]);
        assert_eq!(caps.ambient, ["CAP_NET_RAW"]);
        assert!(caps.bounding.len() > 1);
        let caps = Capabilities::decide(&security(&["ALL"], &[]), 1000).unwrap();
        assert!(caps.effective.is_empty());
    }
}
