//! The package managers of distributions: which one a box has, and its commands to install and to upgrade. Pure but for the
//! look into the box.
//!
//! Commands run as the box's root, answer no question and change nothing that was not asked for.

use crate::engine::{peek::peek, view::View};
use crate::error::{Error, Result};
use crate::host::Distribution;
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use serde_json::json;
use std::path::Path;

/// Of an os-release.
const LONGEST: u64 = 64 << 10;

/// One of them. Commands are words; packages come after the last one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manager {
    pub name: &'static str,
    /// One that is there says that the box has it.
    paths: &'static [&'static str],
    /// The only distributions that it is for, as os-release names them; none: all.
    only: &'static [&'static str],
    install: &'static [&'static [&'static str]],
    upgrade: &'static [&'static [&'static str]],
}

/// Without it a network that is gone is a warning, and nothing to upgrade.
const APT_UPDATE: &[&str] = &["apt-get", "-o", "APT::Update::Error-Mode=any", "update"];
/// Without it what it heard within the last ten minutes is new enough, and a repository that is away is passed over.
const ZYPPER_REFRESH: &[&str] = &["zypper", "--non-interactive", "refresh"];
const ZYPPER_INSTALL: &[&str] = &["zypper", "--non-interactive", "install", "--auto-agree-with-licenses"];
const NO_QUESTIONS: &str = "DEBIAN_FRONTEND=noninteractive";

const MANAGERS: [Manager; 10] = [
    Manager {
        name: "apt-get",
        paths: &["/usr/bin/apt-get"],
        only: &[],
        install: &[APT_UPDATE, &["env", NO_QUESTIONS, "apt-get", "-y", "install", "--"]],
        upgrade: &[APT_UPDATE, &["env", NO_QUESTIONS, "apt-get", "-y", "--with-new-pkgs", "upgrade"]],
    },
    Manager {
        name: "apk",
        paths: &["/sbin/apk", "/usr/sbin/apk", "/usr/bin/apk"],
        only: &[],
        install: &[&["apk", "add", "--update-cache"]],
        upgrade: &[&["apk", "upgrade", "--update-cache"]],
    },
    Manager {
        name: "dnf",
        paths: &["/usr/bin/dnf"],
        only: &[],
        // Without --refresh what it heard within the last two days is new enough for it.
        install: &[&["dnf", "-y", "--refresh", "install"]],
        upgrade: &[&["dnf", "-y", "--refresh", "upgrade"]],
    },
    Manager {
        name: "dnf5",
        paths: &["/usr/bin/dnf5"],
        only: &[],
        install: &[&["dnf5", "-y", "--refresh", "install"]],
        upgrade: &[&["dnf5", "-y", "--refresh", "upgrade"]],
    },
    Manager {
        name: "microdnf",
        paths: &["/usr/bin/microdnf"],
        only: &[],
        install: &[&["microdnf", "-y", "install"]],
        upgrade: &[&["microdnf", "-y", "upgrade"]],
    },
    Manager {
        name: "yum",
        paths: &["/usr/bin/yum"],
        only: &[],
        install: &[&["yum", "-y", "install"]],
        upgrade: &[&["yum", "-y", "update"]],
    },
    Manager {
        name: "pacman",
        paths: &["/usr/bin/pacman"],
        only: &[],
        // Arch knows no state between two upgrades.
        install: &[&["pacman", "-Syu", "--noconfirm", "--needed"]],
        upgrade: &[&["pacman", "-Syu", "--noconfirm"]],
    },
    // What has no releases is brought from one state to the next as a whole: older versions and other names count.
    Manager {
        name: "zypper",
        paths: &["/usr/bin/zypper"],
        only: &["opensuse-tumbleweed", "opensuse-slowroll", "opensuse-microos"],
        install: &[ZYPPER_REFRESH, ZYPPER_INSTALL],
        upgrade: &[
            ZYPPER_REFRESH,
            &["zypper", "--non-interactive", "dist-upgrade", "--auto-agree-with-licenses"],
        ],
    },
    Manager {
        name: "zypper",
        paths: &["/usr/bin/zypper"],
        only: &[],
        install: &[ZYPPER_REFRESH, ZYPPER_INSTALL],
        upgrade: &[ZYPPER_REFRESH, &["zypper", "--non-interactive", "update", "--auto-agree-with-licenses"]],
    },
    Manager {
        name: "xbps-install",
        paths: &["/usr/bin/xbps-install"],
        only: &[],
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
        let text = view.read("/etc/os-release", LONGEST);
        let id = Distribution::parse(&String::from_utf8_lossy(&text)).id;
        let has = |manager: &Manager| {
            (manager.only.is_empty() || manager.only.contains(&id.as_str()))
                && manager.paths.iter().any(|path| view.lookup(Path::new(path)).is_some())
        };
        Ok(json!(MANAGERS.iter().position(has)))
    })?;
    let found = at.as_u64().and_then(|at| MANAGERS.get(usize::try_from(at).ok()?));
    found.copied().ok_or_else(|| {
        let mut names: Vec<&str> = MANAGERS.iter().map(|manager| manager.name).collect();
        names.dedup();
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
