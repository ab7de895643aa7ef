//! `coracle toolbox assemble`: boxes that a file declares. Pure: what is to be made, never making it.
//!
//! Two kinds of files say the same: distrobox's manifests (`ini`), and our own in TOML (`document`). A key that asks for
//! something we do not do is refused by its name and line; none is ignored. A whole file is read before the first box is made.

mod document;
mod ini;

use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use std::path::{Path, PathBuf};

/// Looked for in the current directory, in this order.
const USUAL: [&str; 2] = ["toolbox.toml", "distrobox.ini"];

/// One box. Words are as the flags of `create` take them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    pub name: String,
    pub image: Option<String>,
    pub distro: Option<String>,
    pub release: Option<String>,
    pub home: Option<String>,
    pub isolate: bool,
    pub read_only_host: bool,
    pub init: bool,
    pub devices: Vec<String>,
    pub gpus: Vec<String>,
    pub host_exec: bool,
    pub volumes: Vec<String>,
    /// The image is asked for at its registry, also where it is here.
    pub pull: bool,
    /// A box of this name makes room.
    pub replace: bool,
    pub start: bool,
    pub packages: Vec<String>,
    /// Scripts for the box's root: before the packages, and after them.
    pub before: String,
    pub after: String,
    pub applications: Vec<String>,
    pub programs: Vec<String>,
}

impl Declared {
    /// Whether it must run to become what it is to be.
    pub fn must_run(&self) -> bool {
        let words = [&self.packages, &self.applications, &self.programs];
        let scripts = [&self.before, &self.after];
        self.start || words.iter().any(|w| !w.is_empty()) || scripts.iter().any(|s| !s.is_empty())
    }
}

/// The file that is meant, where none is named.
pub fn usual_file(dir: &Path) -> Result<PathBuf> {
    USUAL.iter().map(|name| dir.join(name)).find(|path| path.exists()).ok_or_else(|| {
        Error::not_found("no file with boxes given")
            .cause(format_args!("there is neither {} nor {} in {}", USUAL[0], USUAL[1], dir.display()))
            .hint("Name one: `coracle toolbox assemble create FILE`.")
    })
}

/// The boxes of a file, in its order. `home` stands for $HOME in it.
pub fn read(path: &Path, home: &str) -> Result<Vec<Declared>> {
    let what = || format!("cannot read boxes from {}", path.display());
    let text = std::fs::read_to_string(path).call(|| format!("read({path:?})")).what(what)?;
    let toml = path.extension().is_some_and(|end| end == "toml");
    let boxes = if toml { document::parse(&text) } else { ini::parse(&text, home) }.what(what)?;
    for one in &boxes {
        if let Some(bad) = one.packages.iter().find(|package| package.starts_with('-')) {
            return Err(Error::usage(what())
                .cause(format_args!("{bad:?} of box {} is not the name of a package", one.name))
                .hint("Leave it out; scripts of the setup may call the package manager as they like."));
        }
    }
    if boxes.is_empty() {
        return Err(Error::usage(what())
            .cause("no box is declared in it")
            .hint("Begin one with its name in brackets: `[dev]`, then `image=debian`."));
    }
    Ok(boxes)
}
