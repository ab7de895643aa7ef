//! The package managers of distributions: which one a box has, and its commands to install and to upgrade. Pure but for the
//! look into the box.
//!
//! Commands run as the box's root, answer no question and change nothing that was not asked for.

use crate::engine::{peek::peek, view::View};
use crate::error::{Error, Result};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use serde_json::json;
use std::path::Path;

/// One of them. Commands are words; packages come after the last one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manager {
    pub name: &'static str,
    /// The first that is there says that the box has it.
    paths: &'static [&'static str],
    install: &'static [&'static [&'static str]],
    upgrade: &'static [&'static [&'static str]],
}

/// Without it a network that is gone is a warning, and nothing to upgrade.
const APT_UPDATE: &[&str] = &["apt-get", "-o", "APT::Update::Error-Mode=any", "update"];
const NO_QUESTIONS: &str = "DEBIAN_FRONTEND=noninteractive";

const MANAGERS: [Manager; 8] = [
    Manager {
        name: "apt-get",
        paths: &["/usr/bin/apt-get"],
        install: &[APT_UPDATE, &["env", NO_QUESTIONS, "apt-get", "-y", "install", "--"]],
        upgrade: &[APT_UPDATE, &["env", NO_QUESTIONS, "apt-get", "-y", "--with-new-pkgs", "upgrade"]],
    },
    Manager {
        name: "apk",
        paths: &["/sbin/apk", "/usr/sbin/apk", "/usr/bin/apk"],
        install: &[&["apk", "add", "--update-cache"]],
        upgrade: &[&["apk", "upgrade", "--update-cache"]],
    },
    Manager {
        name: "dnf",
        paths: &["/usr/bin/dnf", "/usr/bin/dnf5"],
        install: &[&["dnf", "-y", "install"]],
        upgrade: &[&["dnf", "-y", "upgrade"]],
    },
    Manager {
        name: "microdnf",
        paths: &["/usr/bin/microdnf"],
        install: &[&["microdnf", "-y", "install"]],
        upgrade: &[&["microdnf", "-y", "upgrade"]],
    },
    Manager {
        name: "yum",
        paths: &["/usr/bin/yum"],
        install: &[&["yum", "-y", "install"]],
        upgrade: &[&["yum", "-y", "update"]],
    },
    Manager {
        name: "pacman",
        paths: &["/usr/bin/pacman"],
        // Arch knows no state between two upgrades.
        install: &[&["pacman", "-Syu", "--noconfirm", "--needed"]],
        upgrade: &[&["pacman", "-Syu", "--noconfirm"]],
    },
    Manager {
        name: "zypper",
        paths: &["/usr/bin/zypper"],
        install: &[&["zypper", "--non-interactive", "install", "--auto-agree-with-licenses"]],
        upgrade: &[&["zypper", "--non-interactive", "update", "--auto-agree-with-licenses"]],
    },
    Manager {
        name: "xbps-install",
        paths: &["/usr/bin/xbps-install"],
        install: &[&["xbps-install", "-Suy", "xbps"], &["xbps-install", "-Sy"]],
        upgrade: &[&["xbps-install", "-Suy", "xbps"], &["xbps-install", "-Suy"]],
    },
];

impl Manager {
    /// The commands that install these packages.
    pub fn install(&self, packages: &[String]) -> Vec<Vec<String>> {
        let mut commands = words(self.install);
        if let Some(last) = commands.last_mut() {
            last.extend_from_slice(packages);
        }
        commands
    }

    /// The commands that bring everything that is installed up to date.
    pub fn upgrade(&self) -> Vec<Vec<String>> {
        words(self.upgrade)
    }
}

fn words(commands: &[&[&str]]) -> Vec<Vec<String>> {
    commands.iter().map(|command| command.iter().map(|word| (*word).to_owned()).collect()).collect()
}

/// The one that a running box has.
pub fn of_box(dirs: &Dirs, c: &Container) -> Result<Manager> {
    let at = peek(dirs, c, |root| {
        let view = View::of(root);
        let has = |manager: &Manager| manager.paths.iter().any(|path| view.lookup(Path::new(path)).is_some());
        Ok(json!(MANAGERS.iter().position(has)))
    })?;
    let found = at.as_u64().and_then(|at| MANAGERS.get(usize::try_from(at).ok()?));
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = MANAGERS.iter().map(|manager| manager.name).collect();
        Error::usage(format_args!("box {} has no package manager", c.name))
            .cause(format_args!("there is none of {} in its image, {}", names.join(", "), c.image))
            .hint("Make the box from an image of a distribution.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_stand_after_the_last_command() {
        let lines = |commands: Vec<Vec<String>>| commands.iter().map(|c| c.join(" ")).collect::<Vec<_>>();
        assert_eq!(
            lines(MANAGERS[0].install(&["git".to_owned(), "vim".to_owned()])),
            [
                "apt-get -o APT::Update::Error-Mode=any update",
                "env DEBIAN_FRONTEND=noninteractive apt-get -y install -- git vim"
            ]
        );
        assert_eq!(lines(MANAGERS[1].upgrade()), ["apk upgrade --update-cache"]);
    }
}
