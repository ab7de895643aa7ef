//! Site modules: what a program needs of this site (its MPI, its fabric, its file systems), in the files of podman-hpc.
//!
//! ```yaml
//! name: mpich
//! cli_arg: mpi                       # `--module mpi` is `--module mpich`
//! help: Enable the MPI of the host
//! env: ENABLE_MPICH                  # set to 1 in the container
//! conflicts: [openmpi]               # not together with these
//! additional_args:                   # flags of `coracle run`
//!   - -e SLURM_*
//!   - --ipc=host
//! copy:                              # file:file, or pattern*:directory; relative to this file's directory
//!   - mpich.conf:/etc/ld.so.conf.d/mpich.conf
//! bind:                              # the same, also directories and devices
//!   - /dev/cxi*:/dev/
//!   - $SCRATCH/lib:/opt/site/lib
//! ```
//!
//! `hidden` and `shared_run` are read, and mean nothing here: the ranks of a step share a container anyway. Any other key is an
//! error, when the module is asked for: a file that is misspelt must not do half of what it says.
//!
//! Pure but for `load`. A name that stands in several directories is the last one's: the user's own go before the site's.

use crate::error::{Error, Result};
use crate::paths::Dirs;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where the site's are.
const SITE: [&str; 2] = ["/etc/podman_hpc/modules.d", "/etc/coracle/modules.d"];

const KEYS: &str = "name, cli_arg, help, hidden, env, conflicts, shared_run, additional_args, copy, bind";

/// One module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    pub name: String,
    #[serde(default)]
    pub cli_arg: Option<String>,
    #[serde(default)]
    pub help: Option<String>,
    #[serde(default)]
    pub hidden: bool,
    #[serde(default)]
    pub env: Option<String>,
    #[serde(default)]
    pub conflicts: Option<Vec<String>>,
    #[serde(default)]
    pub shared_run: bool,
    #[serde(default)]
    pub additional_args: Option<Vec<String>>,
    #[serde(default)]
    pub copy: Option<Vec<String>>,
    #[serde(default)]
    pub bind: Option<Vec<String>>,
    /// Its file.
    #[serde(skip)]
    pub file: PathBuf,
}

/// The modules of this name or `cli_arg`, in the order that they were asked for, each once.
pub fn load(dirs: &Dirs, names: &[String]) -> Result<Vec<Module>> {
    let places: Vec<PathBuf> =
        SITE.iter().map(PathBuf::from).chain([dirs.config.join("coracle/modules.d")]).collect();
    let files = read_all(&places);
    let mut modules: Vec<Module> = Vec::new();
    for name in names {
        let module = find(&files, name, &places)?;
        if !modules.contains(&module) {
            modules.push(module);
        }
    }
    for module in &modules {
        let against = |other: &&Module| {
            module.conflicts.iter().flatten().any(|c| *c == other.name || Some(c) == other.cli_arg.as_ref())
        };
        if let Some(other) = modules.iter().find(against) {
            return Err(Error::usage(format_args!(
                "module {} cannot be used with {}",
                module.name, other.name
            ))
            .cause(format_args!("{} says that they conflict", module.file.display()))
            .hint("Choose one of them."));
        }
    }
    Ok(modules)
}

/// A file: its path, and its text as a document, or why it is none.
type File = (PathBuf, std::result::Result<Value, String>);

fn read_all(places: &[PathBuf]) -> Vec<File> {
    let mut files = Vec::new();
    for place in places {
        let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| is_yaml(path)).collect();
        paths.sort();
        for path in paths {
            let text = std::fs::read_to_string(&path).map_err(|e| e.to_string());
            let document = text.and_then(|text| {
                serde_saphyr::from_str::<Value>(&text).map_err(|e| e.to_string().replace('\n', " "))
            });
            files.push((path, document));
        }
    }
    files
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn find(files: &[File], name: &str, places: &[PathBuf]) -> Result<Module> {
    let key = |document: &Value, key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
    let is = |(path, document): &&File| match document {
        Ok(document) => ["name", "cli_arg"].iter().any(|k| key(document, k).as_deref() == Some(name)),
        // It may be the one.
        Err(_) => path.file_stem().is_some_and(|stem| stem == name),
    };
    let Some((path, document)) = files.iter().rev().find(is) else {
        let mut known: Vec<String> =
            files.iter().filter_map(|(_, document)| key(document.as_ref().ok()?, "name")).collect();
        known.sort();
        known.dedup();
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        let error = Error::not_found(format_args!("there is no module {name}"))
            .cause(format_args!("no file *.yaml in {} has that name", places.join(", ")));
        return Err(match known.is_empty() {
            true => error.hint("Ask the administrator for the site's modules, or leave out --module."),
            false => error.hint(format_args!("Take one that is there: {}.", known.join(", "))),
        });
    };
    let parsed = document.clone().and_then(|document| {
        serde_json::from_slice::<Module>(document.to_string().as_bytes()).map_err(|e| words(&e))
    });
    match parsed {
        Ok(module) => Ok(Module { file: path.clone(), ..module }),
        Err(why) => Err(Error::corrupt(format_args!("cannot use module {name}"))
            .cause(format_args!("{}: {why}", path.display()))
            .hint(format_args!("Correct the file, or leave out --module {name}. Known keys: {KEYS}."))),
    }
}

/// Without the line: it is not the file's.
fn words(e: &serde_json::Error) -> String {
    let text = e.to_string();
    text.split(" at line ")
        .next()
        .unwrap_or_default()
        .split(", expected one of")
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Vec<File> {
        let parse = |text: &str| serde_saphyr::from_str::<Value>(text).map_err(|e| e.to_string());
        texts.iter().map(|(path, text)| (PathBuf::from(path), parse(text))).collect()
    }

    #[test]
    fn a_module_is_found_by_both_names_and_the_last_one_counts() {
        let files = files(&[
            ("/a/mpich.yaml", "name: mpich\ncli_arg: mpi\nenv: A\nbind:\n"),
            ("/a/gpu.yaml", "name: gpu\nbnd: []\n"),
            ("/a/torn.yaml", "name: [\n"),
            ("/b/x.yaml", "name: mpich\ncli_arg: mpi\nenv: B\nadditional_args:\n  - -e SLURM_*\n"),
        ]);
        for name in ["mpi", "mpich"] {
            let module = find(&files, name, &[]).unwrap();
            assert_eq!((module.env.as_deref(), module.file.to_str()), (Some("B"), Some("/b/x.yaml")));
            assert_eq!(module.additional_args, Some(vec!["-e SLURM_*".to_owned()]));
        }
        for (name, word) in [("gpu", "bnd"), ("torn", "/a/torn.yaml"), ("nccl", "gpu, mpich")] {
            let error = find(&files, name, &[]).unwrap_err();
            let said = format!("{error:?}");
            assert!(said.contains(word), "{name}: {said}");
        }
    }
}
