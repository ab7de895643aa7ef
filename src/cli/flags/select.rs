//! Which containers a command is about: names, `--all`, `--latest`, `--cidfile`, `--filter`.

use crate::cli::filter;
use crate::engine;
use crate::error::{Error, Result};
use crate::ondisk::container::{Container, State};
use crate::paths::Dirs;

/// `start`, `stop`, `restart`, `pause`, `unpause`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Select {
    /// Names or ids
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// All containers
    #[arg(short, long, conflicts_with_all = ["containers", "latest", "cidfile", "filter"])]
    pub all: bool,
    /// The container that was created last
    #[arg(short, long, conflicts_with_all = ["containers", "cidfile", "filter"])]
    pub latest: bool,
    /// Read the id from a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Vec<String>,
    /// Only containers that match, see ps
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
}

/// One container with the word it was asked for by.
pub type Chosen = (String, Result<Container>);

impl Select {
    /// The containers, each with the name to print; `wanted` chooses among all for `--all` and `--filter`.
    pub fn resolve(&self, dirs: &Dirs, wanted: impl Fn(&State) -> bool) -> Result<Vec<Chosen>> {
        let mut words = self.containers.clone();
        for file in &self.cidfile {
            let id = super::process::read_text(file, "--cidfile")?;
            words.push(id.trim().to_owned());
        }
        if self.all || !self.filter.is_empty() {
            if !words.is_empty() && self.filter.is_empty() {
                return Err(Error::usage("--all cannot be combined with names"));
            }
            let filters = filter::containers(&self.filter, dirs)?;
            let (all, damaged) = engine::list(dirs)?;
            let chosen = all
                .into_iter()
                .filter(|(c, s)| wanted(s) && engine::ps::matches(&filters, c, s))
                .filter(|(c, _)| {
                    words.is_empty()
                        || words.iter().any(|w| w == c.name.as_str() || c.id.as_str().starts_with(w.as_str()))
                })
                .map(|(c, _)| (c.id.as_str().to_owned(), Ok(c)));
            return Ok(chosen.chain(damaged.into_iter().map(|e| (String::new(), Err(e)))).collect());
        }
        if self.latest {
            return Ok(vec![latest(dirs).map(|c| (c.id.as_str().to_owned(), Ok(c)))?]);
        }
        if words.is_empty() {
            return Err(Error::usage("no container given")
                .hint("Name one or more containers, or use --all or --latest."));
        }
        Ok(words.into_iter().map(|word| (word.clone(), engine::find(dirs, &word))).collect())
    }
}

/// The container that was created last.
pub fn latest(dirs: &Dirs) -> Result<Container> {
    let (all, _) = engine::list(dirs)?;
    all.into_iter()
        .map(|(c, _)| c)
        .max_by(|a, b| a.created.cmp(&b.created))
        .ok_or_else(|| Error::not_found("there are no containers"))
}

/// One name, or `--latest`.
pub fn one(dirs: &Dirs, name: Option<&str>, use_latest: bool) -> Result<Container> {
    match (name, use_latest) {
        (Some(_), true) => Err(Error::usage("--latest cannot be combined with a name")),
        (Some(name), false) => engine::find(dirs, name),
        (None, true) => latest(dirs),
        (None, false) => Err(Error::usage("no container given").hint("Name a container, or use --latest.")),
    }
}

/// Acts on each, prints the word of each that went well, goes on after failures, and gives the last failure's code.
pub fn each(chosen: Vec<Chosen>, mut act: impl FnMut(Container) -> Result<()>) -> Result<u8> {
    let mut code = 0;
    for (word, container) in chosen {
        match container.and_then(&mut act) {
            Ok(()) => crate::cli::ui::line(&word)?,
            Err(e) => code = crate::cli::ui::error(&e),
        }
    }
    Ok(code)
}
