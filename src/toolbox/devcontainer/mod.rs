//! `coracle toolbox up`: the box of a project, as its devcontainer.json describes it (containers.dev). What is to be made,
//! never making it.
//!
//! The file is JSON with comments and trailing commas. What it asks for is done or refused by name; keys of editors are
//! passed over, and one that nobody knows is a warning. Where a box is different by its nature, that is so: its user is the
//! caller (root, where the file says root), and its network is the host's, so that a port needs no forwarding.

pub mod commands;
mod flags;
mod keys;
pub mod metadata;
mod variables;

use super::live;
use crate::engine;
use crate::error::{Context, Error, Result};
use crate::ondisk::container::Container;
use crate::ondisk::toolbox::Dev;
use crate::paths::Dirs;
use crate::sys::CallContext;
use crate::sys::fs::{Symlinks, open_below};
use commands::{ATTACH, CREATION, Command, START};
use keys::{Keys, document, is_name, list, string, strings, variables_of, wrong};
use rustix::fs::{Mode, OFlags};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;
use variables::Scope;

/// In the project's directory, in this order.
const USUAL: [&str; 2] = [".devcontainer/devcontainer.json", ".devcontainer.json"];

/// For editors and services, or so in every box. A change of theirs does not change the box.
const PASSED_OVER: [&str; 18] = [
    "$schema",
    "capAdd",
    "customizations",
    "devPort",
    "extensions",
    "hostRequirements",
    "init",
    "name",
    "otherPortsAttributes",
    "overrideFeatureInstallOrder",
    "portsAttributes",
    "privileged",
    "secrets",
    "settings",
    "shutdownAction",
    "updateRemoteUserUID",
    "userEnvProbe",
    "waitFor",
];

/// Read at every `up`.
const READ_ANEW: [&str; 6] = ["appPort", "forwardPorts", "remoteEnv", "remoteUser", START, ATTACH];

/// Read when the box is made.
const MADE_OF: [&str; 13] = [
    "containerEnv",
    "containerUser",
    "features",
    "image",
    "initializeCommand",
    "mounts",
    "onCreateCommand",
    "overrideCommand",
    "postCreateCommand",
    "runArgs",
    "securityOpt",
    "updateContentCommand",
    "workspaceFolder",
];

/// What we do not do, and what to do instead.
const REFUSED: [(&str, &str); 4] = [
    ("build", IMAGE),
    ("dockerFile", IMAGE),
    (
        "dockerComposeFile",
        "Name one image with `image`, and start other services by themselves (`coracle run -d`).",
    ),
    ("features", "Name an image that has them, or install what they install with `onCreateCommand`."),
];

const IMAGE: &str = "Build the image elsewhere, fetch it with `coracle pull` or `coracle load`, and name it: `\"image\": \"NAME\"`.";

/// A project, and the file that describes its box; both absolute.
#[derive(Debug, Clone)]
pub struct Project {
    pub folder: String,
    pub file: String,
}

/// What the file says.
#[derive(Debug)]
pub struct Declared {
    /// For a box that has no name yet.
    pub name: String,
    pub image: String,
    /// As `-v` takes them.
    pub volumes: Vec<String>,
    /// As `--device` and `--gpus` take them.
    pub devices: Vec<String>,
    pub gpus: Vec<String>,
    pub dev: Dev,
    pub creation: Vec<(&'static str, Command)>,
    pub start: Vec<Command>,
    pub attach: Vec<Command>,
    pub warnings: Vec<String>,
}

/// The project in this directory, with the file of the usual place, or of the only directory in `.devcontainer`, or `config`.
pub fn find(dir: &Path, config: Option<&Path>) -> Result<Project> {
    let what = || format!("cannot read the project {}", dir.display());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    drop(rustix::fs::open(dir, flags, Mode::empty()).call(|| format!("open({dir:?})")).what(what)?);
    let folder = dir.to_str().and_then(live::real).ok_or_else(|| {
        Error::usage(what()).cause("its path is not UTF-8").hint("Give the directory another name.")
    })?;
    if let Some(config) = config {
        let what = || format!("cannot read {}", config.display());
        drop(
            rustix::fs::open(config, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .call(|| format!("open({config:?})"))
                .what(what)?,
        );
        let file = config.to_str().and_then(live::real).ok_or_else(|| {
            Error::usage(what()).cause("its path is not UTF-8").hint("Give the file another name.")
        })?;
        return Ok(Project { folder, file });
    }
    let usual = USUAL.iter().map(|name| format!("{folder}/{name}")).find(|path| Path::new(path).exists());
    if let Some(file) = usual {
        return Ok(Project { folder, file });
    }
    let mut files = in_directories(&folder);
    match (files.pop(), files.pop()) {
        (Some(file), None) => Ok(Project { folder, file }),
        (Some(one), Some(other)) => Err(Error::usage(format_args!("more than one devcontainer.json in {folder}"))
            .cause(format_args!("there are {other} and {one}"))
            .hint(format_args!("Name one: `coracle toolbox up --config {other}`."))),
        (None, _) => Err(Error::not_found(format_args!("no devcontainer.json in {folder}"))
            .cause(format_args!("there is neither {} nor {}, nor one in a directory of .devcontainer", USUAL[0], USUAL[1]))
            .hint(format_args!(
                "Name the project's directory, or write one: `echo '{{\"image\": \"debian\"}}' >{folder}/{}`.",
                USUAL[1]
            ))),
    }
}

/// `.devcontainer/NAME/devcontainer.json`, sorted.
fn in_directories(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(format!("{folder}/.devcontainer")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let files = names.map(|name| format!("{folder}/.devcontainer/{name}/devcontainer.json"));
    let mut files: Vec<String> = files.filter(|path| Path::new(path).exists()).collect();
    files.sort();
    files
}

/// The box that was made for it.
pub fn box_of(dirs: &Dirs, project: &Project) -> Result<Option<(Container, Dev)>> {
    for c in super::current(dirs)? {
        if let Some(dev) = super::record(dirs, &c)?.and_then(|record| record.dev)
            && dev.file == project.file
        {
            return Ok(Some((c, dev)));
        }
    }
    Ok(None)
}

/// How other programs find a project's container.
pub fn labels(folder: &str, file: &str) -> BTreeMap<String, String> {
    [("devcontainer.local_folder", folder), ("devcontainer.config_file", file)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Reads the project's file. `host`: the caller's environment; `label`: what the image says (`metadata`).
pub fn read(project: &Project, host: &BTreeMap<String, String>, label: Option<&str>) -> Result<Declared> {
    let what = || format!("cannot make a box from {}", project.file);
    let text =
        std::fs::read_to_string(&project.file).call(|| format!("read({:?})", project.file)).what(what)?;
    parse(&text, project, host, label).what(what)
}

fn parse(
    text: &str,
    project: &Project,
    host: &BTreeMap<String, String>,
    label: Option<&str>,
) -> Result<Declared> {
    let mut keys = document(text)?;
    let mut warnings = check(&keys)?;
    let digest = digest(&keys);
    let mut image_says = label.map_or(Ok(Vec::new()), metadata::parse).unwrap_or_else(|warning| {
        warnings.push(warning);
        Vec::new()
    });
    metadata::merge(&image_says, &mut keys);
    let id = variables::id(&labels(&project.folder, &project.file));
    let usual = format!("/workspaces/{}", variables::last(&project.folder));
    let mut scope = Scope { folder: &project.folder, workspace: &usual, id: &id, host };
    let workspace =
        string(&keys, "workspaceFolder")?.map_or_else(|| usual.clone(), |text| scope.expand(text));
    scope.workspace = &workspace;
    image_says
        .iter_mut()
        .chain([&mut keys])
        .flat_map(Keys::values_mut)
        .for_each(|value| scope.expand_all(value));
    if !workspace.starts_with('/') {
        return Err(Error::usage(format_args!("workspaceFolder {workspace:?} is not an absolute path"))
            .hint("For example: `\"workspaceFolder\": \"/workspaces/project\"`."));
    }
    let image = string(&keys, "image")?
        .filter(|image| !image.is_empty())
        .ok_or_else(|| Error::usage("it names no image").hint("For example: `\"image\": \"debian\"`."))?;
    let asked = flags::parse(&strings(&keys, "runArgs")?)?;
    let mut mounts = asked.mounts;
    mounts.extend(workspace_mount(&keys, project, &usual)?);
    if let Some(all) = list(&keys, "mounts")? {
        mounts.extend(all.iter().map(flags::mount).collect::<Result<Vec<_>>>()?);
    }
    let env = container_env(&keys, &asked.env, host)?;
    let remote_env = variables_of(&keys, "remoteEnv")?;
    let early = mounts.iter().chain(&asked.volumes).chain(env.iter().map(|(_, value)| value));
    if let Some(bad) = early.chain([&workspace]).find(|text| variables::needs_container(text)) {
        return Err(Error::usage(format_args!(
            "{bad:?} needs the environment of a container that is not made yet"
        ))
        .hint("Use ${containerEnv:NAME} in `remoteEnv` and in commands."));
    }
    let user = string(&keys, "remoteUser")?.or(string(&keys, "containerUser")?);
    let commands = |key: &'static str| -> Result<Vec<Command>> {
        let sources = image_says.iter().chain([&keys]);
        let all = sources.map(|keys| commands::parse(key, keys.get(key))).collect::<Result<Vec<_>>>()?;
        Ok(all.into_iter().flatten().collect())
    };
    let mut creation = Vec::new();
    for key in CREATION {
        creation.extend(commands(key)?.into_iter().map(|command| (key, command)));
    }
    let name = asked.name.as_deref().or(string(&keys, "name")?);
    Ok(Declared {
        name: box_name(name, &project.folder),
        image: image.to_owned(),
        volumes: asked.volumes,
        devices: asked.devices,
        gpus: asked.gpus,
        creation,
        start: commands(START)?,
        attach: commands(ATTACH)?,
        warnings,
        dev: Dev {
            folder: project.folder.clone(),
            file: project.file.clone(),
            digest,
            root: user.is_some_and(|user| matches!(user.split(':').next(), Some("root" | "0"))),
            env,
            remote_env,
            mounts,
            completed: false,
            started: None,
            workspace,
        },
    })
}

/// Refuses what is not done. Returns what is to be said.
fn check(keys: &Keys) -> Result<Vec<String>> {
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Keys::is_empty);
    for (key, hint) in REFUSED {
        if keys.get(key).is_some_and(|value| !empty(value)) {
            return Err(Error::usage(format_args!("{key} is not supported")).hint(hint));
        }
    }
    if keys.get("overrideCommand") == Some(&Value::Bool(false)) {
        return Err(Error::usage(
            "overrideCommand is false, and a box does not run the command of its image",
        )
        .hint("Leave it out, and start what must run with `postStartCommand`."));
    }
    for text in strings(keys, "securityOpt")? {
        flags::security("securityOpt", &text)?;
    }
    ports(keys)?;
    let known = |key: &&String| {
        PASSED_OVER.iter().chain(&READ_ANEW).chain(&MADE_OF).any(|known| known == key)
            || *key == "workspaceMount"
            || REFUSED.iter().any(|(known, _)| known == key)
    };
    let unknown: Vec<&str> = keys.keys().filter(|key| !known(key)).map(String::as_str).collect();
    let mut warnings = Vec::new();
    if !unknown.is_empty() {
        warnings.push(format!("keys that coracle does not know are left out: {}", unknown.join(", ")));
    }
    if let Some(Value::String(line)) = keys.get("initializeCommand") {
        warnings.push(format!("initializeCommand is not run, for it is for the host: {line:?}"));
    } else if keys.get("initializeCommand").is_some_and(|value| !value.is_null()) {
        warnings.push("initializeCommand is not run, for it is for the host".to_owned());
    }
    Ok(warnings)
}

/// A port of the box is the host's: there is nothing to do, if it is to have the same number.
fn ports(keys: &Keys) -> Result<()> {
    let bad = |key: &str, value: &Value| {
        Err(Error::usage(format_args!("{key}: {value} is no port that a box could forward")).hint(
            "Give numbers: a box has the host's network, so that its ports are there under the same numbers.",
        ))
    };
    for key in ["forwardPorts", "appPort"] {
        let all = match keys.get(key) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(all)) => all.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        for value in all {
            let good = match value {
                Value::Number(number) => number.as_u64().is_some_and(|port| (1..=65535).contains(&port)),
                Value::String(text) => {
                    let (host, port) = text.rsplit_once(':').unwrap_or((text, text));
                    port.parse::<u16>().is_ok_and(|port| port > 0) && (host == port || host == "localhost")
                }
                _ => false,
            };
            if !good {
                return bad(key, value);
            }
        }
    }
    Ok(())
}

/// `-e` of `runArgs`, then `containerEnv`.
fn container_env(
    keys: &Keys,
    flags: &[String],
    host: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>> {
    let of_flag = |one: &String| match one.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => host.get(one).map(|value| (one.clone(), value.clone())),
    };
    let mut env: Vec<(String, String)> = flags.iter().filter_map(of_flag).collect();
    if env.iter().any(|(name, _)| !is_name(name)) {
        return Err(wrong("-e of runArgs", "the name of a variable"));
    }
    let more = variables_of(keys, "containerEnv")?.into_iter();
    env.extend(more.map(|(name, value)| (name, value.unwrap_or_default())));
    Ok(env)
}

/// The same as long as the same box is described.
fn digest(keys: &Keys) -> String {
    let of_box: BTreeMap<&String, &Value> = keys
        .iter()
        .filter(|(key, _)| !PASSED_OVER.iter().chain(&READ_ANEW).any(|other| other == key))
        .collect();
    let text = serde_json::to_vec(&of_box).unwrap_or_default();
    crate::id::Sha256::from_bytes(&Sha256::digest(text).into()).to_string()
}

/// `workspaceMount`, else the project's directory at its usual place. Empty: no mount.
fn workspace_mount(keys: &Keys, project: &Project, usual: &str) -> Result<Option<String>> {
    match string(keys, "workspaceMount")? {
        None => {
            let fields = [("type", "bind"), ("source", &project.folder), ("target", usual)];
            Ok(Some(fields.map(|(key, value)| flags::field(key, value)).join(",")))
        }
        Some(_) if keys.get("workspaceFolder").is_none() => Err(Error::usage(
            "there is a workspaceMount, and no workspaceFolder",
        )
        .hint("Add the directory in which commands are to run: `\"workspaceFolder\": \"/workspace\"`.")),
        Some("") => Ok(None),
        Some(text) => Ok(Some(text.to_owned())),
    }
}

/// The name of the file, or of the directory, as a name of a container.
fn box_name(name: Option<&str>, folder: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    let clean = |text: &str| {
        let name: String = text.chars().map(good).collect();
        let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
        Some(name).filter(|name| !name.is_empty())
    };
    name.and_then(clean).or_else(|| clean(variables::last(folder))).unwrap_or_else(|| "dev".to_owned())
}

/// What commands in the box have in their environment beside the caller's. `process`: of config.json.
pub(super) fn environment(dev: &Dev, process: &Value) -> Vec<(String, Option<String>)> {
    let known = of_process(process);
    let own = dev.env.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
    let remote = dev.remote_env.iter().map(|(name, value)| {
        (name.clone(), value.as_deref().map(|value| variables::of_container(value, &known)))
    });
    own.chain(remote).collect()
}

/// The same command as root, by the box's `sudo`, with these variables; none: a shell.
pub(super) fn as_root(env: &[(String, Option<String>)], command: &[String]) -> Vec<String> {
    let mut words = vec!["sudo".to_owned(), "-E".to_owned()];
    words.extend(env.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))));
    match command {
        [] => words.push("-s".to_owned()),
        command => {
            words.push("--".to_owned());
            words.extend_from_slice(command);
        }
    }
    words
}

/// Whether the workspace folder is in a box that runs.
pub fn has_workspace(dirs: &Dirs, c: &Container, dev: &Dev) -> Result<bool> {
    let path = CString::new(dev.workspace.as_str()).unwrap_or_default();
    let found = engine::peek::peek(dirs, c, |root| {
        let fd = open_below(root.as_fd(), &path, OFlags::PATH | OFlags::DIRECTORY, Symlinks::InRoot);
        Ok(Value::Bool(fd.is_ok()))
    })?;
    Ok(found == Value::Bool(true))
}

/// The words of a command, in the box that was made.
pub fn words(dirs: &Dirs, c: &Container, command: &Command) -> Vec<String> {
    let known = of_process(&engine::inspect::runtime_config(dirs, c)["process"]);
    command.words(&|text| variables::of_container(text, &known))
}

fn of_process(process: &Value) -> BTreeMap<String, String> {
    let all = process["env"].as_array().map_or(&[][..], Vec::as_slice);
    let pair = |entry: &Value| entry.as_str()?.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()));
    all.iter().filter_map(pair).collect()
}
