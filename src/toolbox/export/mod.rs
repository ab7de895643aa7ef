//! Programs and applications of a box on the host: scripts in ~/.local/bin, entries in the desktop's menu.
//!
//! What is exported is only these files (`texts` says what is in them). Each carries its box's name, so that `check` finds
//! them without a list, and a file of the user's own is never written over.

mod texts;

use super::inside::PATH;
use crate::engine::{peek::peek, view::Found, view::View};
use crate::error::{Context, Error, Result};
use crate::ondisk::container::Container;
use crate::ondisk::{Durability, atomic};
use crate::paths::{self, Dirs};
use crate::sys::CallContext;
use crate::sys::fs::{Symlinks, open_below};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use serde_json::json;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use texts::Mark;

/// Where a box keeps its menu entries.
const APPLICATIONS: [&str; 2] = ["/usr/share/applications", "/usr/local/share/applications"];
/// An entry is a page of text.
const LONGEST_ENTRY: u64 = 256 << 10;
/// An icon that is no accident.
const LARGEST_ICON: u64 = 4 << 20;
/// The sizes of the theme that every desktop falls back to.
const SIZES: [&str; 9] =
    ["16x16", "22x22", "24x24", "32x32", "48x48", "64x64", "128x128", "256x256", "scalable"];

/// What the scripts call, and where they go.
#[derive(Debug)]
pub struct Host {
    coracle: String,
    flags: Vec<String>,
    /// ~/.local/bin
    pub programs: PathBuf,
    data: PathBuf,
}

impl Host {
    /// `flags`: what this command was given to find the box.
    pub fn here(flags: Vec<String>) -> Result<Self> {
        let (programs, data) = paths::user_places().ok_or_else(|| {
            Error::host("cannot export: you have no home").hint("Set HOME to a directory of yours.")
        })?;
        let own = std::fs::read_link("/proc/self/exe").call(|| "readlink(/proc/self/exe)")?;
        Ok(Self { coracle: own.to_string_lossy().into_owned(), flags, programs, data })
    }

    fn launcher(&self, of_box: &str) -> PathBuf {
        self.data.join("coracle-boxes").join(of_box)
    }

    fn entries(&self) -> PathBuf {
        self.data.join("applications")
    }

    fn write_script(&self, path: &Path, mark: &Mark) -> Result<()> {
        write_own(path, texts::script(mark, &self.coracle, &self.flags).as_bytes(), 0o755, |text| {
            texts::mark(text).is_some()
        })
    }
}

/// A program, by its path in the box or its name. Returns the script. The box runs.
pub fn program(dirs: &Dirs, c: &Container, host: &Host, wanted: &str) -> Result<PathBuf> {
    let candidates: Vec<String> = match wanted.starts_with('/') {
        true => vec![wanted.to_owned()],
        false => PATH.split(':').map(|dir| format!("{dir}/{wanted}")).collect(),
    };
    let found = peek(dirs, c, |root| {
        let view = View::of(root);
        // The path gets into the script.
        let is_file = |path: &&String| {
            !path.contains(char::is_control)
                && matches!(view.lookup(Path::new(path)), Some(Found::Other(FileType::RegularFile, _)))
        };
        Ok(json!(candidates.iter().find(is_file)))
    })?;
    let Some(path) = found.as_str() else {
        return Err(Error::not_found(format_args!("box {} has no program {wanted}", c.name)).hint(
            format_args!("Look for it with `coracle toolbox run {} sh -c 'command -v NAME'`.", c.name),
        ));
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let script = host.programs.join(name);
    let mark = Mark { of_box: c.name.to_string(), program: Some(path.to_owned()) };
    host.write_script(&script, &mark)?;
    Ok(script)
}

/// An application, by the name of its menu entry or the name that it shows. Returns the entry. The box runs.
pub fn application(dirs: &Dirs, c: &Container, host: &Host, wanted: &str) -> Result<PathBuf> {
    let all = peek(dirs, c, |root| Ok(json!(applications(root))))?;
    let all: Vec<(String, String)> = serde_json::from_value(all)
        .map_err(|e| Error::internal(format_args!("cannot read an answer: {e}")))?;
    let Some((path, text)) = all.iter().find(|(path, text)| is_called(path, text, wanted)) else {
        let names: Vec<&str> = all.iter().map(|(path, _)| stem(path)).collect();
        let error = Error::not_found(format_args!("box {} has no application {wanted}", c.name));
        return Err(match names.is_empty() {
            true => error.cause("it has no menu entry at all").hint("Export a program with --bin."),
            false => error
                .cause(format_args!("its menu entries are {}", names.join(", ")))
                .hint("Name one of them, or export a program with --bin."),
        });
    };
    let of_box = c.name.to_string();
    let launcher = host.launcher(&of_box);
    host.write_script(&launcher, &Mark { of_box: of_box.clone(), program: None })?;
    if let Some(icon) = texts::value(text, "Icon") {
        icons(dirs, c, host, icon)?;
    }
    let entry = host.entries().join(format!("{of_box}-{}.desktop", stem(path)));
    let Some(made) = texts::entry(text, &of_box, path, &launcher.to_string_lossy()) else {
        return Err(Error::corrupt(format_args!("cannot export {wanted} of box {of_box}"))
            .cause(format_args!(
                "what its menu entry {path} starts cannot be read: a quote or an escape has no end"
            ))
            .hint("Export the program itself with --bin."));
    };
    write_own(&entry, made.as_bytes(), 0o644, |text| texts::origin(text).is_some())?;
    Ok(entry)
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".desktop").unwrap_or(name)
}

/// `org.gnome.gedit` is called that, `gedit`, and what it shows in the menu.
fn is_called(path: &str, text: &str, wanted: &str) -> bool {
    let wanted = wanted.strip_suffix(".desktop").unwrap_or(wanted);
    let stem = stem(path);
    let last = stem.rsplit('.').next().unwrap_or(stem);
    let shown = texts::value(text, "Name").unwrap_or("");
    [stem, last, shown].iter().any(|name| name.eq_ignore_ascii_case(wanted))
}

/// Path and text of the box's menu entries.
fn applications(root: OwnedFd) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for dir in APPLICATIONS {
        let Ok(c_dir) = CString::new(dir) else { continue };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let Ok(fd) = open_below(root.as_fd(), &c_dir, flags, Symlinks::InRoot) else { continue };
        let names = rustix::fs::Dir::read_from(&fd).into_iter().flatten().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        // The name gets into the host's entry.
        let is_entry = |name: &String| name.ends_with(".desktop") && !name.contains(char::is_control);
        paths.extend(names.filter(is_entry).map(|name| format!("{dir}/{name}")));
    }
    paths.sort();
    let view = View::of(root);
    let text = |path: &str| String::from_utf8_lossy(&view.read(path, LONGEST_ENTRY)).into_owned();
    paths.into_iter().map(|path| (text(&path), path)).map(|(text, path)| (path, text)).collect()
}

/// Copies the box's icons of this name where the host has none.
fn icons(dirs: &Dirs, c: &Container, host: &Host, icon: &str) -> Result<()> {
    if icon.contains('/') || icon.starts_with('.') {
        return Ok(());
    }
    let mut places: Vec<(String, PathBuf)> = Vec::new();
    for end in ["png", "svg"] {
        let themed = SIZES.iter().map(|size| format!("icons/hicolor/{size}/apps/{icon}.{end}"));
        places.extend(themed.map(|at| (format!("/usr/share/{at}"), host.data.join(at))));
        let plain = format!("{icon}.{end}");
        places.push((format!("/usr/share/pixmaps/{plain}"), host.data.join("icons").join(plain)));
    }
    let found = peek(dirs, c, |root| {
        let view = View::of(root);
        Ok(places.iter().map(|(from, _)| json!(view.read(from, LARGEST_ICON))).collect())
    })?;
    let found: Vec<Vec<u8>> = serde_json::from_value(found)
        .map_err(|e| Error::internal(format_args!("cannot read an answer: {e}")))?;
    for ((_, to), bytes) in places.iter().zip(&found) {
        if !bytes.is_empty() && std::fs::symlink_metadata(to).is_err() {
            write(to, bytes, 0o644)?;
        }
    }
    Ok(())
}

/// Writes a file of ours; `ours` tells it from one of the user's.
fn write_own(path: &Path, bytes: &[u8], mode: u32, ours: impl Fn(&str) -> bool) -> Result<()> {
    if std::fs::symlink_metadata(path).is_ok() && !std::fs::read_to_string(path).is_ok_and(|text| ours(&text))
    {
        return Err(Error::in_use(format_args!("cannot export to {}", path.display()))
            .cause("there is a file of that name, and it was not exported by coracle")
            .hint(format_args!("Move it away: `mv {0} {0}.old`.", path.display())));
    }
    write(path, bytes, mode)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let what = || format!("cannot write {}", path.display());
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(dir).call(|| format!("mkdir({dir:?})")).what(what)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, Mode::empty()).call(|| format!("open({dir:?})")).what(what)?;
    atomic::publish_bytes(fd.as_fd(), &name, bytes, Durability::Durable).what(what)?;
    rustix::fs::chmodat(&fd, &*name, Mode::from(mode), AtFlags::empty())
        .call(|| format!("chmod({path:?})"))
        .what(what)
}

/// A file that was exported, and what is wrong with it.
#[derive(Debug)]
pub struct Exported {
    pub path: PathBuf,
    pub of_box: String,
    /// Path of the program or the entry in the box; none for a box's launcher.
    pub target: Option<String>,
    pub trouble: Option<Trouble>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It can only be removed.
    NoBox,
    /// It can only be removed.
    NoTarget,
    /// coracle is elsewhere now: a script can be told.
    Moved(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoBox => f.write_str("its box is gone"),
            Self::NoTarget => f.write_str("its program is gone from the box"),
            Self::Moved(from) => write!(f, "coracle is no longer {from}"),
        }
    }
}

/// Everything that was exported and is there. Programs are looked for in boxes that run.
pub fn check(dirs: &Dirs, host: &Host) -> Result<Vec<Exported>> {
    let boxes = super::list(dirs)?.0;
    let launchers = host.launcher("");
    let mut all = Vec::new();
    for dir in [host.programs.clone(), launchers, host.entries()] {
        for path in files(&dir) {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let (of_box, target) = match (texts::mark(&text), texts::origin(&text)) {
                (Some(mark), _) => (mark.of_box, mark.program),
                (None, Some((of_box, app))) => (of_box, Some(app)),
                _ => continue,
            };
            let c = boxes.iter().map(|(c, _)| c).find(|c| c.name.as_str() == of_box);
            let moved = texts::coracle_of(&text).filter(|at| *at != host.coracle);
            let trouble = match (c, &target) {
                (None, _) => Some(Trouble::NoBox),
                (Some(c), Some(target)) if is_missing(dirs, c, target) => Some(Trouble::NoTarget),
                _ => moved.map(Trouble::Moved),
            };
            all.push(Exported { path, of_box, target, trouble });
        }
    }
    Ok(all)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.filter(|e| e.file_type().is_ok_and(|t| t.is_file())).map(|e| e.path()).collect();
    files.sort();
    files
}

/// Whether the box runs and has no such file.
fn is_missing(dirs: &Dirs, c: &Container, target: &str) -> bool {
    let there = peek(dirs, c, |root| Ok(json!(View::of(root).lookup(Path::new(target)).is_some())));
    there.is_ok_and(|there| there == false)
}

/// Repairs it, or removes it where only that is left. Returns what was done.
pub fn fix(host: &Host, exported: &Exported) -> Result<&'static str> {
    let path = &exported.path;
    match exported.trouble {
        None => Ok("ok"),
        Some(Trouble::Moved(_)) => {
            let text = std::fs::read_to_string(path).call(|| format!("read({path:?})"))?;
            write(path, texts::with_coracle(&text, &host.coracle).as_bytes(), 0o755).map(|()| "repaired")
        }
        Some(Trouble::NoBox | Trouble::NoTarget) => remove(path).map(|()| "removed"),
    }
}

/// Takes an exported file back.
pub fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path)
        .call(|| format!("unlink({path:?})"))
        .what(|| format!("cannot remove {}", path.display()))
}

/// Whether this file is what the word of an export means.
pub fn is_export_of(exported: &Exported, of_box: &str, wanted: &str, bin: bool) -> bool {
    let Some(target) = exported.target.as_deref().filter(|_| exported.of_box == of_box) else { return false };
    let entry = exported.path.extension().is_some_and(|end| end == "desktop");
    match bin {
        true => !entry && (target == wanted || target.rsplit('/').next() == Some(wanted)),
        false => {
            let text = std::fs::read_to_string(&exported.path).unwrap_or_default();
            let shown = texts::value(&text, "Name").unwrap_or("");
            let own = shown.strip_suffix(&format!(" ({of_box})")).unwrap_or(shown);
            entry && (is_called(target, "", wanted) || own.eq_ignore_ascii_case(wanted))
        }
    }
}
