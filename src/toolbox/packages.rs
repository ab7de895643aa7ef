//! `coracle toolbox diff`: which packages a box has that its image has not, from the lists that package managers keep.
//!
//! The lists are files: nothing of the box runs for this. Known are dpkg's, apk's and pacman's. Only rpm is asked itself, and dnf
//! for what somebody has asked it for.

use super::rpm;
use crate::engine::{peek::peek, view, view::View};
use crate::error::{Error, Result};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Name to version.
pub(super) type Packages = BTreeMap<String, String>;

/// A list: where it is, and how it is read.
struct List {
    path: &'static str,
    read: fn(&str) -> Packages,
}

const LISTS: [List; 3] = [
    List { path: "/var/lib/dpkg/status", read: dpkg },
    List { path: "/lib/apk/db/installed", read: apk },
    List { path: "/usr/lib/apk/db/installed", read: apk },
];

/// A list that only its own program can read, and we do not ask it.
const XBPS: (&str, &str) = ("/var/db/xbps", "xbps-query -l");

/// pacman's list: a directory for each package, called NAME-VERSION-RELEASE.
const PACMAN: &str = "/var/lib/pacman/local";

/// Of everything that a large distribution can install.
const LONGEST: u64 = 64 << 20;

/// One package that is not as in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Added(String, String),
    Removed(String, String),
    /// Name, version in the image, version now.
    Changed(String, String, String),
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Added(name, version) => write!(f, "added {name} {version}"),
            Self::Removed(name, version) => write!(f, "removed {name} {version}"),
            Self::Changed(name, old, new) => write!(f, "changed {name} {old} -> {new}"),
        }
    }
}

/// Where a running box has its list.
enum Kept {
    Here(Packages),
    WithRpm,
    /// By this command.
    Elsewhere(String),
    Nowhere,
}

/// What is other than in the image, by name. The box runs.
pub fn diff(dirs: &Dirs, c: &Container) -> Result<Vec<Change>> {
    changes(dirs, c, kept(dirs, c)?)
}

fn changes(dirs: &Dirs, c: &Container, kept: Kept) -> Result<Vec<Change>> {
    let error = || Error::usage(format_args!("cannot tell the packages of box {}", c.name));
    match kept {
        Kept::Here(now) => Ok(compare(&of_image(dirs, c)?, &now)),
        Kept::WithRpm => rpm::lists(dirs, c).map(|(image, now)| compare(&image, &now)),
        Kept::Elsewhere(command) => Err(error()
            .cause("their list can be read only by its own package manager")
            .hint(format_args!("Ask it: `coracle toolbox run {} {command}`.", c.name))),
        Kept::Nowhere => Err(error()
            .cause("there is no list of dpkg's, apk's, pacman's or rpm's in it")
            .hint("Boxes of Debian, Ubuntu, Alpine, Arch, Fedora and SUSE have one.")),
    }
}

fn kept(dirs: &Dirs, c: &Container) -> Result<Kept> {
    let found = peek(dirs, c, |root| {
        let view = View::of(root);
        let with_rpm = rpm::DIRECTORIES.iter().any(|path| view.is_directory(path));
        let other = view.is_directory(XBPS.0).then_some(XBPS.1);
        Ok(json!([packages(&view), with_rpm, other]))
    })?;
    let found: (Option<Packages>, bool, Option<String>) = serde_json::from_value(found)
        .map_err(|e| Error::internal(format_args!("cannot read an answer: {e}")))?;
    Ok(match found {
        (Some(now), _, _) => Kept::Here(now),
        (None, true, _) => Kept::WithRpm,
        (None, false, Some(command)) => Kept::Elsewhere(command),
        (None, false, None) => Kept::Nowhere,
    })
}

/// Those that somebody has asked for in a running box: what is other than in the image, without what came along only
/// because another package needs it. Package managers write down which those are, and dnf is asked for them; where none
/// has, as with microdnf alone, it is all.
pub fn chosen(dirs: &Dirs, c: &Container) -> Result<Vec<String>> {
    let notes = peek(dirs, c, |root| {
        let view = View::of(root);
        let read = |path: &str| String::from_utf8_lossy(&view.read(path, LONGEST)).into_owned();
        let along = |entry: &String| is_dependency(&read(&format!("{PACMAN}/{entry}/desc")));
        let along: Vec<String> = view.directories(PACMAN).into_iter().filter(along).collect();
        let zypper = read("/var/lib/zypp/AutoInstalled");
        Ok(json!([read("/var/lib/apt/extended_states"), read("/etc/apk/world"), zypper, along]))
    })?;
    let (states, world, zypper, along): (String, String, String, Vec<String>) = serde_json::from_value(notes)
        .map_err(|e| Error::internal(format_args!("cannot read an answer: {e}")))?;
    let (mut automatic, world) = (apt_automatic(&states), apk_world(&world));
    // A name in each line, below a comment.
    automatic.extend(zypper.lines().filter(|line| !line.starts_with('#')).map(str::to_owned));
    automatic.extend(along.iter().filter_map(|entry| pacman(entry)).map(|(name, _)| name));
    let kept = kept(dirs, c)?;
    let by_dnf = if matches!(kept, Kept::WithRpm) { rpm::asked(dirs, c)? } else { None };
    let added = changes(dirs, c, kept)?.into_iter().filter_map(|change| match change {
        Change::Added(name, _) => Some(name),
        _ => None,
    });
    let wanted = |name: &String| {
        !automatic.contains(name)
            && (world.is_empty() || world.contains(name))
            && by_dnf.as_ref().is_none_or(|asked| asked.contains(name))
    };
    Ok(added.filter(wanted).collect())
}

/// The names of all packages that a running box has.
pub fn names(dirs: &Dirs, c: &Container) -> Result<BTreeSet<String>> {
    let now = match kept(dirs, c)? {
        Kept::Here(now) => now,
        Kept::WithRpm => rpm::lists(dirs, c)?.1,
        Kept::Elsewhere(_) | Kept::Nowhere => Packages::new(),
    };
    Ok(now.into_keys().collect())
}

fn of_image(dirs: &Dirs, c: &Container) -> Result<Packages> {
    Ok(view::of_image(dirs, c)?.and_then(|view| packages(&view)).unwrap_or_default())
}

fn packages(view: &View) -> Option<Packages> {
    let mut lists = LISTS.iter().map(|list| (list, view.read(list.path, LONGEST)));
    if let Some((list, bytes)) = lists.find(|(_, bytes)| !bytes.is_empty()) {
        return Some((list.read)(&String::from_utf8_lossy(&bytes)));
    }
    let entries = view.has_directory(PACMAN).then(|| view.directories(PACMAN))?;
    Some(entries.iter().filter_map(|entry| pacman(entry)).collect())
}

fn compare(before: &Packages, now: &Packages) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, new) in now {
        match before.get(name) {
            None => changes.push(Change::Added(name.clone(), new.clone())),
            Some(old) if old != new => {
                changes.push(Change::Changed(name.clone(), old.clone(), new.clone()));
            }
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|(name, _)| !now.contains_key(*name));
    changes.extend(gone.map(|(name, old)| Change::Removed(name.clone(), old.clone())));
    changes
}

/// Paragraphs of fields; a package that was removed may keep its paragraph.
fn dpkg(text: &str) -> Packages {
    let mut all = Packages::new();
    for paragraph in text.split("\n\n") {
        let get = |key: &str| {
            paragraph.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
        };
        if let (Some(name), Some(version), Some(status)) = (get("Package"), get("Version"), get("Status"))
            && status.ends_with(" installed")
        {
            // The same package of two architectures.
            let name = match all.contains_key(name) {
                true => format!("{name}:{}", get("Architecture").unwrap_or("")),
                false => name.to_owned(),
            };
            all.insert(name, version.to_owned());
        }
    }
    all
}

/// Paragraphs of lines with a letter: P is the name, V the version.
fn apk(text: &str) -> Packages {
    let one = |paragraph: &str| {
        let get = |key: &str| paragraph.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
        Some((get("P:")?, get("V:")?))
    };
    text.split("\n\n").filter_map(one).collect()
}

/// `htop-3.3.0-1`: names have hyphens, too, versions and releases have none (PKGBUILD(5)).
fn pacman(entry: &str) -> Option<(String, String)> {
    let (rest, release) = entry.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name.to_owned(), format!("{version}-{release}")))
}

/// Whether pacman's description of a package says that it came along.
fn is_dependency(desc: &str) -> bool {
    desc.lines().skip_while(|line| *line != "%REASON%").nth(1) == Some("1")
}

/// apt's list of what came along.
fn apt_automatic(text: &str) -> BTreeSet<String> {
    let one = |paragraph: &str| {
        let get = |key: &str| paragraph.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        (get("Auto-Installed:") == Some("1")).then(|| get("Package:").map(str::to_owned))?
    };
    text.split("\n\n").filter_map(one).collect()
}

/// apk's list of what was asked for, without versions, repositories, conflicts and packages that were made up.
fn apk_world(text: &str) -> BTreeSet<String> {
    let name = |word: &str| word.split(['<', '>', '=', '~', '@']).next().unwrap_or(word).to_owned();
    text.split_whitespace().filter(|word| !word.starts_with(['!', '.'])).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_compared() {
        let image = dpkg(
            "Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: install ok installed\nVersion: 2\n",
        );
        let now = dpkg(
            "Package: a\nStatus: install ok installed\nVersion: 1.1\nConffiles:\n /etc/a 00\n\n\
             Package: b\nStatus: deinstall ok config-files\nVersion: 2\n\n\
             Package: c\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3\n\n\
             Package: c\nStatus: install ok installed\nArchitecture: i386\nVersion: 3\n",
        );
        let shown: Vec<String> = compare(&image, &now).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["changed a 1 -> 1.1", "added c 3", "added c:i386 3", "removed b 2"]);
        let apk = apk("C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\n\nP:htop\nV:3-r1\n");
        assert_eq!(apk.get("musl").map(String::as_str), Some("1.2.5-r0"));
        assert_eq!(apk.len(), 2);
        assert!(compare(&apk, &apk).is_empty());
        let automatic = apt_automatic(
            "Package: a\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: b\nArchitecture: amd64\nAuto-Installed: 0\n",
        );
        assert_eq!(automatic.into_iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!(pacman("gtk-doc-1:1.34-2"), Some(("gtk-doc".to_owned(), "1:1.34-2".to_owned())));
        assert_eq!(pacman("ALPM_DB_VERSION"), None);
        assert!(is_dependency("%NAME%\nx\n\n%REASON%\n1\n\n%SIZE%\n0\n") && !is_dependency("%NAME%\n1\n"));
        let world = apk_world("htop\ngit>2@edge\n!vim .build-deps\n");
        assert_eq!(world.into_iter().collect::<Vec<_>>(), ["git", "htop"]);
    }
}
