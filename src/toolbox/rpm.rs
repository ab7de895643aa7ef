//! Packages that only rpm can list: its database is a file of one of three formats, which depend on its version. And which of
//! them somebody has asked for, which only dnf knows, in a file whose form depends on its version too.
//!
//! The box's own rpm is asked, for what is there now and for what the image had. It gets the image's database as a copy in
//! memory, never the file itself, which the box could open for writing; and since rpm wants a directory, that is put into
//! one in the box's /tmp for as long as the question takes. Both answers come back in memory too.

use super::packages::Packages;
use super::{enter, identity};
use crate::engine::view::{self, View};
use crate::error::{Context, Error, Result};
use crate::monitor::client::{self, ExecRequest, Outcome};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{MemfdFlags, SeekFrom};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

/// Where it is, newest first.
pub const DIRECTORIES: [&str; 2] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];
/// SQLite, rpm's own, Berkeley's.
const FILES: [&str; 3] = ["rpmdb.sqlite", "Packages.db", "Packages"];

/// A line for each package.
const FORMAT: &str = "%{NAME}\\t%{ARCH}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n";

/// Its own database it may be unable to read as the user, since SQLite writes beside it. Fds: 3, what is there now; 4, what the image had; 5 and 6, its database and what was not yet written into it (SQLite).
const SCRIPT: &str = r#"sudo rpm -qa --qf "$0" >&3 || exit
test -n "$1" || exit 0
d=$(mktemp -d) || exit
cat <&5 >"$d/$1" && cat <&6 >"$d/$1-wal" && rpm --dbpath "$d" -qa --qf "$0" >&4
r=$?
rm -rf "$d"
exit $r"#;

/// The same line, of those that came for their own sake. Root's, since dnf writes where it reads; from what it has noted of
/// past installations, without a look at any repository. fd 3: the answer; 4: whether there was somebody to ask.
const ASKED: &str = r#"for dnf in dnf dnf5; do
  command -v $dnf >/dev/null || continue
  echo $dnf >&4
  exec sudo $dnf -q -C '--disablerepo=*' repoquery --userinstalled --qf "$0" >&3
done"#;
const FORMAT_OF_DNF: &str = "%{name}\t%{arch}\t%{evr}\n";

/// Of everything that a large distribution can install.
const LONGEST: u64 = 256 << 20;

/// What the image had, and what a running box has now.
pub fn lists(dirs: &Dirs, c: &Container) -> Result<(Packages, Packages)> {
    let what = || format!("cannot tell the packages of box {}", c.name);
    let image = view::of_image(dirs, c).what(what)?;
    let database = image.as_ref().and_then(database);
    let (name, bytes, log) = database.unwrap_or_default();
    let (now, before) = (memory(&[]).what(what)?, memory(&[]).what(what)?);
    let files = [
        same(&now).what(what)?,
        same(&before).what(what)?,
        memory(&bytes).what(what)?,
        memory(&log).what(what)?,
    ];
    match run(dirs, c, json!(["sh", "-c", SCRIPT, FORMAT, name]), files.map(OwnedFd::from).into())? {
        0 => Ok((parse(&text(before).what(what)?), parse(&text(now).what(what)?))),
        code => Err(Error::usage(what())
            .cause(format_args!("its rpm ended with exit code {code}; what it says is above"))
            .hint(format_args!("Ask it: `coracle toolbox run {} rpm -qa`.", c.name))),
    }
}

/// Those that somebody asked for in a running box, the image's too; `None`: it has no dnf to tell them.
pub fn asked(dirs: &Dirs, c: &Container) -> Result<Option<BTreeSet<String>>> {
    let what = || format!("cannot tell which packages of box {} were asked for", c.name);
    let (asked, who) = (memory(&[]).what(what)?, memory(&[]).what(what)?);
    let files = [same(&asked).what(what)?, same(&who).what(what)?];
    let words = json!(["sh", "-c", ASKED, FORMAT_OF_DNF]);
    let code = run(dirs, c, words, files.map(OwnedFd::from).into())?;
    let who = text(who).what(what)?;
    match (code, who.trim()) {
        (_, "") => Ok(None),
        (0, _) => Ok(Some(parse(&text(asked).what(what)?).into_keys().collect())),
        (code, dnf) => Err(Error::usage(what())
            .cause(format_args!("its {dnf} ended with exit code {code}; what it says is above"))
            .hint(format_args!(
                "Ask it: `coracle toolbox run {} sudo {dnf} repoquery --userinstalled`.",
                c.name
            ))),
    }
}

/// Runs a command as the user, with these as its fds from 3 on. Returns its exit code.
fn run(dirs: &Dirs, c: &Container, args: Value, preserved: Vec<OwnedFd>) -> Result<i32> {
    let who = identity::caller(dirs)?;
    let mut process = enter::process(dirs, c, &who, &BTreeMap::new(), &["sh".to_owned()])?.process;
    process["args"] = args;
    let request = ExecRequest {
        process,
        tty: false,
        interactive: false,
        detach: false,
        detach_keys: Vec::new(),
        preserved,
    };
    match client::exec(dirs, c, &request)? {
        Outcome::Exited(code) => Ok(code),
        Outcome::Started | Outcome::Detached => Err(Error::internal("a question to rpm without an answer")),
    }
}

/// Name, contents, and the write-ahead log beside it.
fn database(image: &View) -> Option<(&'static str, Vec<u8>, Vec<u8>)> {
    let paths = DIRECTORIES.iter().flat_map(|dir| FILES.iter().map(move |file| (dir, *file)));
    let mut found = paths.filter_map(|(dir, file)| {
        let bytes = image.read(&format!("{dir}/{file}"), LONGEST);
        let log = || image.read(&format!("{dir}/{file}-wal"), LONGEST);
        (!bytes.is_empty()).then(|| (file, bytes, log()))
    });
    found.next()
}

/// A file in memory, to be read from its beginning.
fn memory(bytes: &[u8]) -> Result<File> {
    let fd = rustix::fs::memfd_create("rpm", MemfdFlags::CLOEXEC).call(|| "memfd_create(\"rpm\")")?;
    rewound(File::from(fd), |file| Ok(file.write_all(bytes).call(|| "write(\"rpm\")")?))
}

fn rewound(mut file: File, act: impl FnOnce(&mut File) -> Result<()>) -> Result<File> {
    act(&mut file)?;
    rustix::fs::seek(&file, SeekFrom::Start(0)).call(|| "lseek(\"rpm\")")?;
    Ok(file)
}

fn same(file: &File) -> Result<File> {
    Ok(file.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?)
}

/// What has been written into it.
fn text(file: File) -> Result<String> {
    let mut bytes = Vec::new();
    rewound(file, |_| Ok(()))?.take(LONGEST).read_to_end(&mut bytes).call(|| "read(\"rpm\")")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Those of another architecture with it, as package managers want it. Keys of signers are no packages.
fn parse(text: &str) -> Packages {
    let one = |line: &str| {
        let mut fields = line.split('\t');
        let (name, arch, version) = (fields.next()?, fields.next()?, fields.next()?);
        let own = matches!(arch, "noarch" | "(none)") || arch == std::env::consts::ARCH;
        let name = if own { name.to_owned() } else { format!("{name}.{arch}") };
        (!name.starts_with("gpg-pubkey")).then(|| (name, version.to_owned()))
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_architectures_are_told_apart_and_keys_left_out() {
        let own = std::env::consts::ARCH;
        let text =
            format!("a\t{own}\t1-2\na\ts390x\t1-2\nb\tnoarch\t3:1-1\ngpg-pubkey\t(none)\t5-6\nno fields\n");
        let all: Vec<_> = parse(&text).into_iter().collect();
        let shown: Vec<String> = all.iter().map(|(name, version)| format!("{name} {version}")).collect();
        assert_eq!(shown, ["a 1-2", "a.s390x 1-2", "b 3:1-1"]);
    }
}
