//! Distributions of one's own whose package manager is dnf, zypper or pacman: packages, repositories that a server has, and
//! images that know them. The programs are the real ones, Debian's, in an image where nothing of Debian's own is to be seen.
//!
//! What rpm reads is built by rpmbuild and createrepo_c. pacman's packages and lists are written here: they are small tars.

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::World;
use super::apt::derive;
use super::registry::{Entry, gzip, tar_of};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Dnf,
    Zypper,
    Pacman,
}

/// Name, version, and the one package that it needs, or none. Each has a program of its name, which says both.
pub type Package<'a> = (&'a str, &'a str, &'a str);

#[derive(Debug)]
pub struct Distribution<'a> {
    w: &'a World,
    manager: Manager,
    /// What is served, in the home of the world's user.
    dir: PathBuf,
    url: String,
    /// When the next list is said to be made: pacman asks its server for what is newer than the list it has, to the second,
    /// and a story publishes twice in one.
    made: Cell<SystemTime>,
}

impl<'a> Distribution<'a> {
    /// The fixture is `managers`, the server a container of that name.
    pub fn new(w: &'a World, manager: Manager) -> Self {
        let dir = w.dir.join("home/repositories");
        std::fs::create_dir(&dir).unwrap();
        w.pull("managers", "managers");
        let volume = format!("{}:/srv", dir.display());
        let serve = "python3 -u -m http.server --bind 127.0.0.1 --directory /srv 0";
        w.c("run -d --name server --network host -v").arg(volume).arg("managers").args(serve.split(' ')).ok();
        w.wait_log("server", " port ");
        let said = w.logs("server");
        let port = said.split(" port ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let made = Cell::new(SystemTime::now());
        Self { w, manager, dir, url: format!("http://127.0.0.1:{port}"), made }
    }

    /// What a user types for these packages.
    pub fn install(&self, packages: &str) -> String {
        match self.manager {
            Manager::Dnf => format!("sudo dnf -y install {packages}"),
            Manager::Zypper => format!("sudo zypper -n install {packages}"),
            Manager::Pacman => format!("sudo pacman -Sy --noconfirm {packages}"),
        }
    }

    /// A repository has these packages, and no other.
    pub fn publish(&self, repository: &str, packages: &[Package<'_>]) {
        let dir = self.dir.join(repository);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        match self.manager {
            Manager::Dnf | Manager::Zypper => self.build(repository, packages),
            Manager::Pacman => {
                let made = self.made.get();
                self.made.set(made + Duration::from_secs(1));
                write(&dir, repository, packages, made);
            }
        }
    }

    fn build(&self, repository: &str, packages: &[Package<'_>]) {
        let mut script = "set -e; cd /root\n".to_owned();
        for (name, version, needs) in packages {
            let needs = if needs.is_empty() { String::new() } else { format!("Requires: {needs}\n") };
            let spec = format!(
                "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\nAutoReqProv: no\n{needs}\
                 %description\nx\n%install\nmkdir -p %{{buildroot}}/usr/bin\n\
                 printf '#!/bin/sh\\necho {name} {version}\\n' >%{{buildroot}}/usr/bin/{name}\n\
                 chmod 755 %{{buildroot}}/usr/bin/{name}\n%files\n/usr/bin/{name}\n"
            );
            let define = format!("--define '_topdir /root/b' --define '_rpmdir /srv/{repository}'");
            write!(
                script,
                "cat >{name}.spec <<'END'\n{spec}END\nrpmbuild --quiet {define} -bb {name}.spec\n"
            )
            .unwrap();
        }
        writeln!(script, "createrepo_c --quiet /srv/{repository}").unwrap();
        // What an image has that has the package `base`.
        writeln!(script, "rm -rf /srv/database; mkdir /srv/database").unwrap();
        writeln!(script, "rpm --dbpath /srv/database -i /srv/{repository}/noarch/base-*.rpm").unwrap();
        self.w.script(&format!("-v {}:/srv managers", self.dir.display()), &script).run().exits(0);
        std::fs::rename(
            self.dir.join("database/rpmdb.sqlite"),
            self.dir.join(format!("{repository}.sqlite")),
        )
        .unwrap();
    }

    /// An image with this repository alone, and of its packages with `base`, in this version.
    pub fn image(&self, name: &str, repository: &str, version: &str) {
        let mut files = vec![
            ("etc/story".to_owned(), format!("{name}\n").into_bytes()),
            ("usr/bin/base".to_owned(), format!("#!/bin/sh\necho base {version}\n").into_bytes()),
        ];
        files.extend(self.hidden().map(|path| (path, Vec::new())));
        files.extend(self.own(repository, version));
        let entry = |(path, data)| Entry { mode: 0o755, ..Entry::file(path, data) };
        let layer: Vec<Entry<'_>> =
            files.iter().map(|(path, data)| entry((path.as_str(), data.as_slice()))).collect();
        let dir = self.w.dir.join("home").join(format!("image-{name}"));
        derive(Path::new(&World::layout("managers")), &dir, &tar_of(&layer), json!({}));
        let id = self.w.c("pull -q").arg(format!("oci:{}", dir.display())).ok();
        self.w.c("tag").arg(id.trim()).arg(name).ok();
    }

    /// What the distribution has not.
    fn hidden(&self) -> impl Iterator<Item = String> {
        let (programs, lists): (&[&str], &[&str]) = match self.manager {
            Manager::Dnf => (&["zypper", "pacman"], &["pacman"]),
            Manager::Zypper => (&["dnf", "dnf-3", "pacman"], &["pacman"]),
            Manager::Pacman => (&["dnf", "dnf-3", "zypper", "rpm"], &["rpm"]),
        };
        let programs = ["apt-get", "dpkg"].iter().chain(programs).map(|name| format!("usr/bin/.wh.{name}"));
        programs.chain(["dpkg"].iter().chain(lists).map(|name| format!("var/lib/.wh.{name}")))
    }

    /// The configuration of its manager, and its list.
    fn own(&self, repository: &str, version: &str) -> Vec<(String, Vec<u8>)> {
        let url = format!("{}/{repository}", self.url);
        // Fedora's repositories have the last line, where dnf.conf says the contrary.
        let rpm = format!(
            "[{repository}]\nname=x\nbaseurl={url}\nenabled=1\nautorefresh=1\ngpgcheck=0\nskip_if_unavailable=False\n"
        );
        // As Arch has it, but for its own user of that purpose.
        let pacman = format!(
            "[options]\nHoldPkg = pacman glibc\nArchitecture = auto\nCheckSpace\nSigLevel = Never\nDownloadUser = nobody\n\
             [{repository}]\nServer = {url}\n"
        );
        let database = || std::fs::read(self.dir.join(format!("{repository}.sqlite"))).unwrap();
        let file = |path: &str, data: &str| (path.to_owned(), data.as_bytes().to_vec());
        let of_base = |name: &str| format!("var/lib/pacman/local/base-{version}-1/{name}");
        match self.manager {
            Manager::Dnf | Manager::Zypper => {
                let dnf = self.manager == Manager::Dnf;
                let config = if dnf { "etc/yum.repos.d/story.repo" } else { "etc/zypp/repos.d/story.repo" };
                vec![file(config, &rpm), ("var/lib/rpm/rpmdb.sqlite".to_owned(), database())]
            }
            Manager::Pacman => vec![
                file("etc/pacman.conf", &pacman),
                file("var/lib/pacman/local/ALPM_DB_VERSION", "9\n"),
                file(&of_base("desc"), &described(&("base", version, ""), "")),
                file(&of_base("files"), "%FILES%\nusr/\nusr/bin/\nusr/bin/base\n"),
            ],
        }
    }

    /// The server has it no more, or again.
    pub fn take_away(&self, repository: &str, away: bool) {
        let (here, gone) = (self.dir.join(repository), self.dir.join(format!("{repository}.away")));
        let (from, to) = if away { (here, gone) } else { (gone, here) };
        std::fs::rename(from, to).unwrap();
    }
}

/// pacman's repository: `NAME.db`, and the packages.
fn write(dir: &Path, repository: &str, packages: &[Package<'_>], made: SystemTime) {
    let mut lists = Vec::new();
    for package @ (name, version, needs) in packages {
        let needs = if needs.is_empty() { String::new() } else { format!("depend = {needs}\n") };
        let info =
            format!("pkgname = {name}\npkgver = {version}-1\npkgdesc = x\narch = any\nsize = 1\n{needs}");
        let program = format!("#!/bin/sh\necho {name} {version}\n");
        let path = format!("usr/bin/{name}");
        let file = format!("{name}-{version}-1-any.pkg.tar.gz");
        let data = gzip(&tar_of(&[
            Entry::file(".PKGINFO", info.as_bytes()),
            Entry::dir("usr"),
            Entry::dir("usr/bin"),
            Entry { mode: 0o755, ..Entry::file(&path, program.as_bytes()) },
        ]));
        std::fs::write(dir.join(&file), &data).unwrap();
        let more = format!("%FILENAME%\n{file}\n\n%CSIZE%\n{}\n\n", data.len());
        lists.push((format!("{name}-{version}-1"), described(package, &more)));
    }
    let entries: Vec<(String, String, &str)> =
        lists.iter().map(|(entry, desc)| (format!("{entry}/"), format!("{entry}/desc"), &**desc)).collect();
    let entries: Vec<Entry<'_>> = entries
        .iter()
        .flat_map(|(dir, path, desc)| [Entry::dir(dir), Entry::file(path, desc.as_bytes())])
        .collect();
    let mut list = File::create(dir.join(format!("{repository}.db"))).unwrap();
    list.write_all(&gzip(&tar_of(&entries))).unwrap();
    list.set_modified(made).unwrap();
}

/// What pacman's lists say of a package.
fn described((name, version, needs): &Package<'_>, more: &str) -> String {
    let needs = if needs.is_empty() { String::new() } else { format!("%DEPENDS%\n{needs}\n\n") };
    format!(
        "%NAME%\n{name}\n\n%VERSION%\n{version}-1\n\n%DESC%\nx\n\n%ARCH%\nany\n\n%ISIZE%\n1\n\n{needs}{more}"
    )
}
