//! `coracle cp`: between host and containers. Runs in the store's namespace, where the containers' files can be read.

use crate::cli::App;
use crate::engine;
use crate::engine::cp::{CopyOptions, Place, copy, running_namespace, running_root};
use crate::error::{Error, Result};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::sys::CallContext;
use crate::sys::spawn::inherited_fd;
use crate::userns;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

/// Copy files between the host and containers, running or not
///
/// One of the two is CONTAINER:PATH, or both. `-` is a tar stream on stdin or stdout. SOURCE/. means what is in a directory.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Keep owners
    #[arg(short, long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_parser = crate::cli::tree::go_bool)]
    pub archive: bool,
    /// Let a directory replace a file, and a file a directory
    #[arg(long)]
    pub overwrite: bool,
    /// Open root directories of running containers: ID=FD (from ourselves)
    #[arg(long, value_name = "ID=FD", hide = true)]
    pub root_fd: Vec<String>,
    /// What to copy
    #[arg(value_name = "[CONTAINER:]SOURCE")]
    pub source: String,
    /// Where to
    #[arg(value_name = "[CONTAINER:]TARGET")]
    pub target: String,
}

/// Where the root directory of the first running container is placed for the process in the store's namespace.
const FIRST_FD: RawFd = 10;

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let (from, to) = (place(&dirs, &args.source)?, place(&dirs, &args.target)?);
    if !matches!(from, Place::Container { .. }) && !matches!(to, Place::Container { .. }) {
        return Err(Error::usage("neither the source nor the target is in a container")
            .hint("Write CONTAINER:PATH for one of them, for example `coracle cp web:/etc/hosts .`."));
    }
    if !userns::inside_store() {
        let containers: Vec<&Container> = [&from, &to]
            .into_iter()
            .filter_map(|place| match place {
                Place::Container { container, .. } => Some(container.as_ref()),
                Place::Host(_) | Place::Stream => None,
            })
            .collect();
        return in_store(app, "cp", &containers);
    }
    let roots = take_roots(&args.root_fd)?;
    let (from, to) = (with_root(from, &roots)?, with_root(to, &roots)?);
    copy(&dirs, &from, &to, CopyOptions { archive: args.archive, overwrite: args.overwrite })?;
    Ok(0)
}

/// The same command (`word`) in the store's namespace, with the root directories that only we can open.
pub fn in_store(app: &App, word: &str, containers: &[&Container]) -> Result<u8> {
    let dirs = app.dirs()?;
    let mut command = app.command.clone();
    let mut roots: Vec<(String, OwnedFd)> = Vec::new();
    for container in containers {
        let id = container.id.as_str();
        if roots.iter().any(|(known, _)| known == id) {
            continue;
        }
        if let Some(root) = running_root(&dirs, container)? {
            roots.push((id.to_owned(), root));
        }
    }
    let numbered: Vec<(BorrowedFd<'_>, RawFd)> =
        roots.iter().map(|(_, fd)| fd.as_fd()).zip(FIRST_FD..).collect();
    for ((id, _), (_, number)) in roots.iter().zip(&numbered) {
        // Right after the command's own name, also behind `container`.
        let at = command.iter().position(|w| w == word).map_or(command.len(), |at| at + 1);
        command.insert(at, format!("--root-fd={id}={number}").into());
    }
    let mut join: Option<(&Container, OwnedFd)> = None;
    for container in containers {
        let Some(namespace) = running_namespace(&dirs, container)? else { continue };
        match &join {
            Some((other, _)) if other.id != container.id => return Err(two_namespaces(other, container)),
            _ => join = Some((container, namespace)),
        }
    }
    app.run_in_store(&command, &numbered, join.as_ref().map(|(_, namespace)| namespace.as_fd()))
}

fn two_namespaces(one: &Container, other: &Container) -> Error {
    Error::host(format_args!("cannot copy between {} and {} while both are running", one.name, other.name))
        .cause("each shows its files by fuse-overlayfs, to processes of its own user namespace only")
        .hint(format_args!(
            "Copy by a stream: `coracle cp {}:PATH - | coracle cp - {}:DIRECTORY`; or stop one of them.",
            one.name, other.name
        ))
}

/// Takes the open root directories of running containers from our parent: each once, whoever uses it.
pub fn take_roots(given: &[String]) -> Result<BTreeMap<String, OwnedFd>> {
    let lost = || Error::internal("a root directory was not passed on");
    let take = |text: &String| {
        let (id, number) = text.split_once('=')?;
        Some((id.to_owned(), inherited_fd(number.parse().ok()?)?))
    };
    given.iter().map(|text| take(text).ok_or_else(lost)).collect()
}

fn with_root(place: Place, roots: &BTreeMap<String, OwnedFd>) -> Result<Place> {
    let Place::Container { container, path, .. } = place else { return Ok(place) };
    let root = roots.get(container.id.as_str()).map(OwnedFd::try_clone).transpose();
    Ok(Place::Container { container, root: root.call(|| "fcntl(F_DUPFD_CLOEXEC)")?, path })
}

/// `-`, `container:path`, or a path of the host: those begin with `/` or `.`, or have no container in front.
fn place(dirs: &Dirs, text: &str) -> Result<Place> {
    if text == "-" {
        return Ok(Place::Stream);
    }
    if text.starts_with(['/', '.']) {
        return Ok(Place::Host(text.to_owned()));
    }
    match text.split_once(':') {
        Some((name, path)) if !name.contains('/') => {
            if path.is_empty() {
                return Err(Error::usage(format_args!("no path after {text:?}")));
            }
            let container = Box::new(engine::find(dirs, name)?);
            Ok(Place::Container { container, root: None, path: path.to_owned() })
        }
        _ => Ok(Place::Host(text.to_owned())),
    }
}
