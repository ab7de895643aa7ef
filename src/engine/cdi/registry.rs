//! The CDI specs of this machine: all files `*.json`, `*.yaml` and `*.yml` of the directories below, by device.
//!
//! A device that two directories know is the later one's; that two files of one directory know it is a conflict, an error
//! for who asks for that device. A file that cannot be read or understood counts only for who asks for a device that no
//! other file has: the error then names it.

use crate::config::containers::Engine;
use crate::error::{Error, Result};
use crate::paths::Dirs;
use crate::spec::cdi::{Device, Edits, QualifiedName, Spec};
use std::path::{Path, PathBuf};

/// Machine-wide, weakest first.
const SYSTEM: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// Larger ones are no specs.
const MAX_FILE: u64 = 4 << 20;

#[derive(Debug)]
pub struct Registry {
    /// Weakest first.
    places: Vec<PathBuf>,
    /// Index of the place, file, content.
    specs: Vec<(usize, PathBuf, Spec)>,
    /// What is wrong with a file.
    broken: Vec<String>,
}

impl Registry {
    /// Reads everything there is.
    pub fn load(dirs: &Dirs) -> Result<Self> {
        let mut registry = Self { places: places(dirs)?, specs: Vec::new(), broken: Vec::new() };
        for (index, place) in registry.places.clone().iter().enumerate() {
            for file in files(place) {
                match read(&file) {
                    Ok(spec) => registry.specs.push((index, file, spec)),
                    Err(e) => registry.broken.push(format!("{}: {e}", file.display())),
                }
            }
        }
        Ok(registry)
    }

    /// Whether a spec is of that kind.
    pub fn has(&self, kind: &str) -> bool {
        self.specs.iter().any(|(_, _, spec)| spec.kind == kind)
    }

    /// One more, stronger than all others.
    pub fn add(&mut self, file: PathBuf, spec: Spec) {
        self.specs.push((self.places.len(), file, spec));
    }

    /// Adds the device's edits, and those of its spec once.
    pub fn edits(&self, asked: &QualifiedName<'_>, edits: &mut Vec<Edits>) -> Result<()> {
        let shown = format!("{}={}", asked.kind, asked.name);
        let of_kind = || self.specs.iter().filter(|(_, _, spec)| spec.kind == asked.kind);
        let mut found: Option<(&usize, &PathBuf, &Device, &Spec)> = None;
        for (place, file, spec) in of_kind() {
            let Some(device) = spec.devices.iter().find(|device| device.name == asked.name) else { continue };
            if let Some((other, before, ..)) = found
                && other == place
            {
                return Err(Error::corrupt(format_args!("cannot give the device {shown}"))
                    .cause(format_args!("both {} and {} define it", before.display(), file.display()))
                    .hint("Remove one of the two files, or put yours into a directory of your own."));
            }
            found = Some((place, file, device, spec));
        }
        let Some((_, _, device, spec)) = found else { return Err(self.unknown(&shown, asked.kind)) };
        for part in [&spec.container_edits, &device.container_edits] {
            if !edits.contains(part) {
                edits.push(part.clone());
            }
        }
        Ok(())
    }

    fn unknown(&self, shown: &str, kind: &str) -> Error {
        let error = Error::not_found(format_args!("cannot give the device {shown}"));
        let names: Vec<&str> = self
            .specs
            .iter()
            .filter(|(_, _, spec)| spec.kind == kind)
            .flat_map(|(_, _, spec)| spec.devices.iter().map(|device| device.name.as_str()))
            .collect();
        let error = match names.first() {
            None => error.cause(format_args!("no CDI spec in {} is one of {kind}", self.places())),
            Some(_) => error.cause(format_args!("the CDI specs of {kind} know only {}", names.join(", "))),
        };
        let error = self.broken.iter().fold(error, |error, broken| error.cause(broken));
        match (names.first(), self.broken.is_empty()) {
            (Some(first), _) => error.hint(format_args!("Name one of those: `--device {kind}={first}`.")),
            (None, false) => error.hint("Mend or remove the files that cannot be used."),
            (None, true) => error.hint(
                "Have the device's vendor make a spec, for example `nvidia-ctk cdi generate --output FILE`, in one of these directories.",
            ),
        }
    }

    /// For messages.
    pub fn places(&self) -> String {
        self.places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// The machine's (or what containers.conf says instead), then the user's own: configuration, then runtime directory.
fn places(dirs: &Dirs) -> Result<Vec<PathBuf>> {
    let said = Engine::load(dirs)?.cdi_spec_dirs;
    let mut all = said.unwrap_or_else(|| SYSTEM.map(PathBuf::from).to_vec());
    if !crate::paths::is_real_root() {
        all.push(dirs.config.join("cdi"));
        all.extend(crate::paths::own_runtime_dir().map(|run| run.join("cdi")));
    }
    Ok(all)
}

fn files(place: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let is_spec = |path: &PathBuf| {
        path.extension()
            .and_then(|end| end.to_str())
            .is_some_and(|end| ["json", "yaml", "yml"].contains(&end))
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_spec).collect();
    files.sort();
    files
}

fn read(file: &Path) -> Result<Spec> {
    let size = file.metadata().map_or(0, |about| about.len());
    if size > MAX_FILE {
        return Err(Error::corrupt(format_args!("it has {size} bytes, at most {MAX_FILE} are read")));
    }
    let text = std::fs::read_to_string(file).map_err(|e| Error::corrupt(e.to_string()))?;
    Spec::parse(&text, file.extension().is_some_and(|end| end != "json"))
}
