//! What runs inside a box, in `coracle-oci`: its process 1, and `sudo`.
//!
//! `sudo` is setuid root *of the box*: whoever is in a box may be its root, without a password, as with the distributions'
//! own sudo and a NOPASSWD line. It takes sudo's usual flags and refuses the others. The environment is made anew as sudo
//! does it, so that a root shell does not write the user's files by HOME.
//!
//! Where only the user's own id is mapped there is no root to become. There `sudo` makes a user namespace in which the user
//! is root, and the box's seccomp profile lets changes of owner and user seem to succeed: packages install.

use crate::error::{Context, Error, Kind, Result};
use crate::external;
use crate::sys::{self, CallContext, reap};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that go through without `-E`.
const KEPT: [&str; 12] = [
    "COLORTERM",
    "DISPLAY",
    "LANG",
    "LANGUAGE",
    "TERM",
    "TZ",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "container",
];

/// Waits for the end, and reaps what is left to it.
pub fn pause() -> u8 {
    let Ok(signals) = reap::Signals::block_all() else { return 125 };
    sys::fork::forget_code();
    loop {
        match signals.wait() {
            Ok(libc::SIGCHLD) => drop(reap::reap_all(0)),
            Ok(libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | libc::SIGHUP) => return 0,
            Ok(_) => {}
            Err(_) => return 125,
        }
    }
}

/// What `sudo` was told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    user: Option<String>,
    group: Option<String>,
    /// `-i`
    login: bool,
    /// `-s`
    shell: bool,
    /// `-E`
    keep_env: bool,
    /// `-k`, `-K`, `-v`, `-l`: nothing to do, for there is no password.
    nothing: bool,
    set: Vec<(String, String)>,
    command: Vec<String>,
}

/// Becomes the command. Returns only when that failed.
pub fn sudo(args: Vec<OsString>) -> Result<u8> {
    let words: Vec<String> = args.into_iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let asked = parse(&words)?;
    if asked.nothing && asked.command.is_empty() {
        return Ok(0);
    }
    let caller = rustix::process::getuid().as_raw();
    let what = || "sudo: cannot become another user";
    let alone = !has_root();
    let target = target(&asked)?;
    if alone {
        root_alone(target.uid).what(what).hint(
            || "A box of a user without subordinate ids has one root and no other users; an isolated one has no root.",
        )?;
    } else {
        sys::creds::set_uid(0)
            .call(|| "setresuid(0)")
            .what(what)
            .hint(|| "The box's files must not be on a file system mounted with nosuid.")?;
    }
    let command = command(&asked, &target)?;
    let groups: Vec<rustix::process::Gid> =
        target.groups.iter().map(|g| rustix::process::Gid::from_raw(*g)).collect();
    if !alone {
        rustix::thread::set_thread_groups(&groups).call(|| "setgroups()").what(what)?;
    }
    sys::creds::set_gid(target.gid).call(|| format!("setresgid({})", target.gid)).what(what)?;
    sys::creds::set_uid(target.uid).call(|| format!("setresuid({})", target.uid)).what(what)?;
    let (program, rest) = command.split_first().ok_or_else(|| Error::usage("sudo: no command"))?;
    let mut child = external::command_at(&find(program)?);
    child.args(rest).env_clear().envs(environment(&asked, &target, caller));
    if asked.login {
        child.current_dir(if Path::new(&target.home).is_dir() { &target.home } else { "/" });
    }
    let failed = child.exec();
    Err(Error::new(Kind::CannotInvoke, format_args!("sudo: cannot run {program}")).cause(failed))
}

/// Whether the box maps a root. Not where only the user's own id is mapped.
fn has_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().any(|line| line.split_whitespace().next() == Some("0"))
}

/// Root of a user namespace of its own, in which the box's files, all of them the user's, are root's.
fn root_alone(wanted: u32) -> Result<()> {
    if wanted != 0 {
        return Err(Error::usage(format_args!("user id {wanted} is not mapped")));
    }
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    sys::ns::unshare(rustix::thread::UnshareFlags::NEWUSER).call(|| "unshare(CLONE_NEWUSER)")?;
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {uid} 1\n")),
        ("gid_map", format!("0 {gid} 1\n")),
    ] {
        let path = format!("/proc/self/{file}");
        let opened = std::fs::File::options().write(true).open(&path);
        opened.and_then(|mut f| f.write_all(text.as_bytes())).call(|| format!("write({path:?})"))?;
    }
    Ok(())
}

fn parse(words: &[String]) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut at = words.iter().map(String::as_str);
    let refused = |word: &str| {
        Error::usage(format_args!("sudo: {word} is not known to the sudo of coracle's boxes"))
            .hint("It knows -u -g -i -s -E -H -n -S -k -K -v and -l; install the package sudo for the rest.")
    };
    while let Some(word) = at.next() {
        let mut value = |inline: Option<&str>| match inline {
            Some(value) => Ok(value.to_owned()),
            None => at
                .next()
                .map(str::to_owned)
                .ok_or_else(|| Error::usage(format_args!("sudo: {word} wants a value"))),
        };
        match word {
            "--" => break,
            "-i" | "--login" => asked.login = true,
            "-s" | "--shell" => asked.shell = true,
            "-E" | "--preserve-env" => asked.keep_env = true,
            "-H" | "--set-home" | "-n" | "--non-interactive" | "-S" | "--stdin" => {}
            "-k" | "--reset-timestamp" | "-K" | "--remove-timestamp" | "-v" | "--validate" | "-l"
            | "--list" => asked.nothing = true,
            "-u" | "--user" => asked.user = Some(value(None)?),
            "-g" | "--group" => asked.group = Some(value(None)?),
            _ if word.starts_with("--user=") => asked.user = word.strip_prefix("--user=").map(str::to_owned),
            _ if word.starts_with("--group=") => {
                asked.group = word.strip_prefix("--group=").map(str::to_owned);
            }
            _ if word.starts_with("-u") => asked.user = word.strip_prefix("-u").map(str::to_owned),
            _ if word.starts_with("-g") => asked.group = word.strip_prefix("-g").map(str::to_owned),
            _ if word.starts_with('-') => return Err(refused(word)),
            _ => match word.split_once('=') {
                Some((name, value)) if !name.is_empty() && !name.contains('/') => {
                    asked.set.push((name.to_owned(), value.to_owned()));
                }
                _ => {
                    asked.command.push(word.to_owned());
                    break;
                }
            },
        }
    }
    asked.command.extend(at.map(str::to_owned));
    if asked.command.is_empty() && !asked.login && !asked.shell && !asked.nothing {
        return Err(Error::usage("sudo: no command").hint("For example: `sudo apt update`, `sudo -i`."));
    }
    Ok(asked)
}

/// Whom the command runs as.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    name: String,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: String,
    shell: String,
}

fn target(asked: &Asked) -> Result<Target> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let group = std::fs::read_to_string("/etc/group").unwrap_or_default();
    target_in(&passwd, &group, asked)
}

fn target_in(passwd: &str, group: &str, asked: &Asked) -> Result<Target> {
    let wanted = asked.user.as_deref().unwrap_or("root");
    let rows = |text: &str| {
        text.lines().map(|l| l.split(':').map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let field = |row: &[String], at: usize| row.get(at).cloned().unwrap_or_default();
    let find = |rows: &[Vec<String>], wanted: &str| {
        let number = wanted.strip_prefix('#');
        rows.iter().find(|row| number.map_or(field(row, 0) == wanted, |n| field(row, 2) == n)).cloned()
    };
    let unknown = |kind: &str, name: &str| Error::usage(format_args!("sudo: unknown {kind} {name}"));
    let (users, groups) = (rows(passwd), rows(group));
    let user = find(&users, wanted).or_else(|| {
        (wanted == "root")
            .then(|| ["root", "x", "0", "0", "", "/root", "/bin/sh"].map(str::to_owned).to_vec())
    });
    let user = user.ok_or_else(|| unknown("user", wanted))?;
    let id = |row: &[String], at: usize| field(row, at).parse::<u32>().map_err(|_| unknown("user", wanted));
    let name = field(&user, 0);
    let mut gid = id(&user, 3)?;
    let member = |row: &&Vec<String>| field(row, 3).split(',').any(|m| m == name);
    let mut all: Vec<u32> =
        groups.iter().filter(member).filter_map(|row| field(row, 2).parse().ok()).collect();
    if let Some(wanted) = &asked.group {
        let row = find(&groups, wanted).ok_or_else(|| unknown("group", wanted))?;
        gid = field(&row, 2).parse().map_err(|_| unknown("group", wanted))?;
    }
    all.push(gid);
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    Ok(Target {
        uid: id(&user, 2)?,
        gid,
        groups: all,
        home: or(field(&user, 5), "/"),
        shell: or(field(&user, 6), "/bin/sh"),
        name,
    })
}

/// A shell where one was asked for; it runs the command by `-c`.
fn command(asked: &Asked, target: &Target) -> Result<Vec<String>> {
    let shell = match (asked.login, asked.shell) {
        (true, _) => target.shell.clone(),
        (false, true) => {
            let own = crate::paths::env("SHELL").and_then(|s| s.into_string().ok());
            own.filter(|s| s.starts_with('/')).unwrap_or_else(|| target.shell.clone())
        }
        (false, false) => return Ok(asked.command.clone()),
    };
    let mut all = vec![shell];
    all.extend(asked.login.then(|| "-l".to_owned()));
    if !asked.command.is_empty() {
        all.extend(["-c".to_owned(), asked.command.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ")]);
    }
    Ok(all)
}

fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn find(program: &str) -> Result<PathBuf> {
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let is_program =
        |path: &PathBuf| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file();
    PATH.split(':').map(|dir| Path::new(dir).join(program)).find(is_program).ok_or_else(|| {
        Error::new(Kind::CommandNotFound, format_args!("sudo: {program}: command not found"))
            .cause(format_args!("it is not in {PATH}"))
    })
}

fn environment(asked: &Asked, target: &Target, caller: u32) -> Vec<(OsString, OsString)> {
    let passes = |name: &OsString| {
        let text = name.to_string_lossy();
        asked.keep_env && !text.starts_with("LD_") || KEPT.contains(&text.as_ref()) || text.starts_with("LC_")
    };
    let mut env: Vec<(OsString, OsString)> = std::env::vars_os().filter(|(name, _)| passes(name)).collect();
    let gid = rustix::process::getgid().as_raw().to_string();
    let who = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let uid = caller.to_string();
    let name = who.lines().find(|l| l.split(':').nth(2) == Some(&uid)).and_then(|l| l.split(':').next());
    let (command, name) = (asked.command.join(" "), name.unwrap_or(&uid).to_owned());
    let fixed = [
        ("HOME", target.home.as_str()),
        ("USER", &target.name),
        ("LOGNAME", &target.name),
        ("SHELL", &target.shell),
        ("PATH", PATH),
        ("SUDO_USER", &name),
        ("SUDO_UID", &uid),
        ("SUDO_GID", &gid),
        ("SUDO_COMMAND", &command),
    ];
    let asked = asked.set.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    for (name, value) in fixed.into_iter().chain(asked) {
        env.retain(|(n, _)| n != name);
        env.push((name.into(), value.into()));
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Asked> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_end_at_the_command() {
        let a = asked("-E -u ada --group=wheel A=b apt -y install").unwrap();
        assert_eq!((a.user.as_deref(), a.group.as_deref(), a.keep_env), (Some("ada"), Some("wheel"), true));
        assert_eq!(a.set, [("A".to_owned(), "b".to_owned())]);
        assert_eq!(a.command, ["apt", "-y", "install"]);
        assert!(asked("-v").unwrap().nothing);
        for bad in ["", "-u", "-e file", "--chroot=/x ls"] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_target_is_looked_up_in_the_boxs_files() {
        let (passwd, group) =
            ("root:x:0:0::/root:/bin/ash\nada:x:5:6::/home/ada:\n", "g:x:7:ada,bob\nwheel:x:10:\n");
        let ada = target_in(passwd, group, &asked("-u #5 -g wheel id").unwrap()).unwrap();
        assert_eq!((ada.name.as_str(), ada.uid, ada.gid, ada.groups), ("ada", 5, 10, vec![7, 10]));
        let root = target_in("", "", &asked("id").unwrap()).unwrap();
        assert_eq!((root.uid, root.home.as_str(), root.shell.as_str()), (0, "/root", "/bin/sh"));
        assert!(target_in(passwd, group, &asked("-u eve id").unwrap()).is_err());
        let words = command(&asked("-i echo a'b").unwrap(), &root).unwrap();
        assert_eq!(words, ["/bin/sh", "-l", "-c", r"echo 'a'\''b'"]);
    }
}
