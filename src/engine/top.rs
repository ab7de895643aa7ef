//! The processes of a running container, read from /proc: no `ps` in the image is needed.
//!
//! They are the processes of init's pid namespace; with the host's pid namespace those of the container's cgroup, and
//! without a cgroup init and its descendants. Ids are shown as the container sees them.

use crate::error::{Error, Result};
use crate::ondisk::container::{Container, State, Status};
use crate::paths::Dirs;
use std::collections::BTreeMap;
use std::path::Path;

/// Clock ticks of /proc/PID/stat in a second: fixed by the kernel's interface to user space (USER_HZ).
const TICKS: f64 = 100.0;
const PAGE: u64 = 4096;

/// One column: podman's descriptor, its heading.
const COLUMNS: [(&str, &str); 28] = [
    ("user", "USER"),
    ("uid", "UID"),
    ("huser", "HUSER"),
    ("group", "GROUP"),
    ("gid", "GID"),
    ("hgroup", "HGROUP"),
    ("pid", "PID"),
    ("hpid", "HPID"),
    ("ppid", "PPID"),
    ("pgid", "PGID"),
    ("pcpu", "%CPU"),
    ("etime", "ELAPSED"),
    ("tty", "TTY"),
    ("time", "TIME"),
    ("args", "COMMAND"),
    ("comm", "COMMAND"),
    ("state", "STATE"),
    ("nice", "NI"),
    ("rss", "RSS"),
    ("vsz", "VSZ"),
    ("groups", "GROUPS"),
    ("hgroups", "HGROUPS"),
    ("capinh", "INHERITED CAPS"),
    ("capprm", "PERMITTED CAPS"),
    ("capeff", "EFFECTIVE CAPS"),
    ("capbnd", "BOUNDING CAPS"),
    ("seccomp", "SECCOMP"),
    ("label", "LABEL"),
];

const DEFAULT: [&str; 8] = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

/// A process as /proc has it.
#[derive(Debug, Clone, Default)]
struct Process {
    hpid: i32,
    hppid: i32,
    /// In the container's pid namespace.
    pid: i32,
    pgid: i32,
    uid: u32,
    gid: u32,
    state: char,
    tty: u64,
    ticks: u64,
    start: u64,
    nice: i64,
    vsz: u64,
    rss: u64,
    comm: String,
    args: String,
    groups: Vec<u32>,
    /// Inheritable, permitted, effective, bounding.
    caps: [u64; 4],
    seccomp: &'static str,
}

/// The table, headings first. Nothing of the image is executed (CVE-2022-1227).
pub fn top(dirs: &Dirs, c: &Container, descriptors: &[String]) -> Result<Vec<Vec<String>>> {
    let state = super::lookup::state(dirs, c)?;
    let init =
        state.pid.filter(|_| !matches!(state.status, Status::Created | Status::Exited)).ok_or_else(|| {
            Error::in_use(format_args!(
                "top can only be used on running containers: {} is not running",
                c.name
            ))
            .hint(format_args!("Start it with `coracle start {}`.", c.name))
        })?;
    let wanted = columns(descriptors)?;
    let processes = processes(init, &state);
    let names = Names::of(init);
    let uptime = uptime();
    let ours: BTreeMap<i32, i32> = processes.iter().map(|p| (p.hpid, p.pid)).collect();
    let mut rows = vec![wanted.iter().map(|(_, heading)| (*heading).to_owned()).collect()];
    for process in &processes {
        rows.push(wanted.iter().map(|(key, _)| cell(key, process, &names, &ours, uptime)).collect());
    }
    Ok(rows)
}

fn columns(descriptors: &[String]) -> Result<Vec<(&'static str, &'static str)>> {
    let words: Vec<&str> = match descriptors {
        [] => DEFAULT.to_vec(),
        // Several words may come in one argument, with commas or blanks.
        all => all.iter().flat_map(|w| w.split([',', ' '])).filter(|w| !w.is_empty()).collect(),
    };
    let find = |word: &str| COLUMNS.iter().find(|(key, _)| *key == word.trim_start_matches('%')).copied();
    let known = || COLUMNS.map(|(key, _)| key).join(", ");
    words
        .into_iter()
        .map(|word| {
            find(word).ok_or_else(|| {
                Error::usage(format_args!("unknown column {word:?}"))
                    .hint(format_args!("Columns are {}. For options of ps, run it in the container: `coracle exec CONTAINER ps aux`.", known()))
            })
        })
        .collect()
}

fn processes(init: i32, state: &State) -> Vec<Process> {
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = std::fs::read_link("/proc/self/ns/pid").ok();
    let theirs = namespace(init);
    let all = || -> Vec<i32> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
    };
    let pids: Vec<i32> = if theirs.is_some() && theirs != own {
        all().into_iter().filter(|pid| namespace(*pid) == theirs).collect()
    } else if let Some(cgroup) = &state.cgroup {
        let inside = |pid: &i32| {
            let path = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            path.lines().any(|l| {
                l.strip_prefix("0::").is_some_and(|p| {
                    p.trim_start_matches('/').starts_with(cgroup.trim_start_matches('/'))
                        && p.contains("/payload")
                })
            })
        };
        all().into_iter().filter(inside).collect()
    } else {
        descendants(init, &all())
    };
    let mut found: Vec<Process> = pids.into_iter().filter_map(|pid| read(pid, theirs != own)).collect();
    found.sort_by_key(|p| p.pid);
    found
}

fn descendants(init: i32, all: &[i32]) -> Vec<i32> {
    let parents: Vec<(i32, i32)> =
        all.iter().filter_map(|pid| Some((*pid, read(*pid, false)?.hppid))).collect();
    let mut found = vec![init];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, ppid)| *ppid == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

/// A process that ended meanwhile gives `None`.
fn read(hpid: i32, nested: bool) -> Option<Process> {
    let dir = format!("/proc/{hpid}");
    let stat = std::fs::read_to_string(format!("{dir}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("{dir}/status")).ok()?;
    let cmdline = std::fs::read(format!("{dir}/cmdline")).unwrap_or_default();
    parse(hpid, &stat, &status, &cmdline, nested)
}

fn parse(hpid: i32, stat: &str, status: &str, cmdline: &[u8], nested: bool) -> Option<Process> {
    // The name may hold blanks and brackets: fields are counted from its last bracket.
    let (head, rest) = stat.rsplit_once(')')?;
    let comm = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |n: usize| fields.get(n.checked_sub(3)?)?.parse::<i64>().ok();
    let positive = |n: usize| number(n).and_then(|v| u64::try_from(v).ok()).unwrap_or(0);
    let line = |key: &str| status.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
    let first_id = |key: &str| line(key)?.split_whitespace().next()?.parse::<u32>().ok();
    let last_pid = |key: &str| line(key)?.split_whitespace().last()?.parse::<i32>().ok();
    let words: Vec<String> =
        cmdline.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
    let args = words.join(" ").trim_end().to_owned();
    let caps = |key: &str| line(key).and_then(|l| u64::from_str_radix(l.trim(), 16).ok()).unwrap_or(0);
    let inner = |key: &str| if nested { last_pid(key) } else { None };
    Some(Process {
        hpid,
        hppid: i32::try_from(number(4)?).ok()?,
        pid: inner("NSpid").unwrap_or(hpid),
        pgid: inner("NSpgid").or_else(|| i32::try_from(number(5)?).ok()).unwrap_or(0),
        uid: first_id("Uid")?,
        gid: first_id("Gid")?,
        state: fields.first()?.chars().next()?,
        tty: positive(7),
        ticks: positive(14) + positive(15),
        start: positive(22),
        nice: number(19).unwrap_or(0),
        vsz: positive(23) / 1024,
        rss: positive(24) * PAGE / 1024,
        args: if args.is_empty() { format!("[{comm}]") } else { args },
        comm,
        groups: line("Groups")
            .into_iter()
            .flat_map(str::split_whitespace)
            .filter_map(|g| g.parse().ok())
            .collect(),
        caps: ["CapInh", "CapPrm", "CapEff", "CapBnd"].map(caps),
        seccomp: match line("Seccomp").map_or("", str::trim) {
            "1" => "strict",
            "2" => "filter",
            _ => "disabled",
        },
    })
}

fn cell(key: &str, p: &Process, names: &Names, ours: &BTreeMap<i32, i32>, uptime: f64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "ticks since boot, shown in seconds")]
    let (elapsed, cpu) = ((uptime - p.start as f64 / TICKS).max(0.0), p.ticks as f64 / TICKS);
    match key {
        "user" => names.user(p.uid),
        "uid" => names.inner(&names.uids, p.uid).to_string(),
        "huser" => p.uid.to_string(),
        "group" => names.group(p.gid),
        "gid" => names.inner(&names.gids, p.gid).to_string(),
        "hgroup" => p.gid.to_string(),
        "pid" => p.pid.to_string(),
        "hpid" => p.hpid.to_string(),
        "ppid" => ours.get(&p.hppid).copied().unwrap_or(0).to_string(),
        "pgid" => p.pgid.to_string(),
        "pcpu" => format!("{:.3}", if elapsed > 0.0 { cpu * 100.0 / elapsed } else { 0.0 }),
        "etime" => go_duration(elapsed),
        "tty" => match (p.tty >> 8 & 0xfff, (p.tty & 0xff) | (p.tty >> 12 & 0xfff00)) {
            (0, 0) => "?".to_owned(),
            (136..=143, minor) => format!("pts/{minor}"),
            (4, minor) => format!("tty{minor}"),
            _ => "?".to_owned(),
        },
        "time" => go_duration(cpu),
        "args" => p.args.clone(),
        "comm" => p.comm.clone(),
        "state" => p.state.to_string(),
        "nice" => p.nice.to_string(),
        "rss" => p.rss.to_string(),
        "vsz" => p.vsz.to_string(),
        "groups" => list(p.groups.iter().map(|gid| names.group(*gid))),
        "hgroups" => list(p.groups.iter().map(u32::to_string)),
        "capinh" => capabilities(p.caps[0]),
        "capprm" => capabilities(p.caps[1]),
        "capeff" => capabilities(p.caps[2]),
        "capbnd" => capabilities(p.caps[3]),
        "seccomp" => p.seccomp.to_owned(),
        "label" => label(p.hpid),
        _ => String::new(),
    }
}

fn list(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(",")
}

/// `CHOWN,KILL`; all of them `full`, nothing `none`.
fn capabilities(set: u64) -> String {
    let has = |number: &usize| set >> number & 1 == 1;
    match (0..crate::caps::NAMES.len()).filter(has).count() {
        0 => "none".to_owned(),
        all if all == crate::caps::NAMES.len() => "full".to_owned(),
        _ => list(
            crate::caps::NAMES
                .iter()
                .enumerate()
                .filter(|(number, _)| has(number))
                .map(|(_, name)| name.trim_start_matches("CAP_").to_owned()),
        ),
    }
}

/// What the security module says of it: `unconfined`, a profile, a context; `?` without one.
fn label(hpid: i32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{hpid}/attr/current")).unwrap_or_default();
    let text = text.trim_end_matches(['\0', '\n']);
    if text.is_empty() { "?".to_owned() } else { text.to_owned() }
}

/// `1h2m3.5s`, as podman shows times.
fn go_duration(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and years at most")]
    let whole = seconds as u64;
    let fraction = seconds - seconds.floor();
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    #[allow(clippy::cast_precision_loss, reason = "below 60")]
    let text = format!("{:.2}", rest as f64 + fraction);
    let seconds = text.trim_end_matches('0').trim_end_matches('.');
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split_whitespace().next().and_then(|s| s.parse().ok()).unwrap_or(0.0)
}

/// Ids and names as the container has them.
#[derive(Debug, Default)]
struct Names {
    /// Inside, outside, count.
    uids: Vec<[u32; 3]>,
    gids: Vec<[u32; 3]>,
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Names {
    fn of(init: i32) -> Self {
        let map = |file: &str| {
            let text = std::fs::read_to_string(format!("/proc/{init}/{file}")).unwrap_or_default();
            text.lines().filter_map(id_range).collect()
        };
        let view = super::view::View::open([Path::new(&format!("/proc/{init}/root"))]).ok();
        let read = |file: &str| view.as_ref().map(|v| v.read(file, 1 << 20)).unwrap_or_default();
        Self {
            uids: map("uid_map"),
            gids: map("gid_map"),
            users: by_number(&read("/etc/passwd")),
            groups: by_number(&read("/etc/group")),
        }
    }

    fn inner(&self, map: &[[u32; 3]], id: u32) -> u32 {
        let inside = |[inside, outside, count]: &[u32; 3]| {
            let offset = id.checked_sub(*outside)?;
            (offset < *count).then(|| inside + offset)
        };
        map.iter().find_map(inside).unwrap_or(id)
    }

    fn user(&self, uid: u32) -> String {
        let id = self.inner(&self.uids, uid);
        self.users.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    fn group(&self, gid: u32) -> String {
        let id = self.inner(&self.gids, gid);
        self.groups.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}

fn id_range(line: &str) -> Option<[u32; 3]> {
    let mut numbers = line.split_whitespace().map(str::parse::<u32>);
    Some([numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?])
}

/// The first name of each number in passwd or group.
fn by_number(file: &[u8]) -> BTreeMap<u32, String> {
    let text = String::from_utf8_lossy(file);
    let mut names = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(id))) = (fields.next(), fields.nth(1).map(str::parse)) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "77 (a) b (c)) S 70 77 77 34816 77 0 0 0 0 0 150 50 0 0 20 5 1 0 1000 8192000 250 0";
        let status = "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\nNSpid:\t77\t3\nNSpgid:\t77\t3\n";
        let p = parse(77, stat, status, b"sh\0-c\0x y\0", true).unwrap();
        assert_eq!((p.comm.as_str(), p.hppid, p.pid, p.pgid), ("a) b (c)", 70, 3, 3));
        assert_eq!((p.ticks, p.start, p.nice, p.vsz, p.rss), (200, 1000, 5, 8000, 1000));
        assert_eq!((p.uid, p.gid, p.args.as_str()), (1000, 1001, "sh -c x y"));
        let names = Names { uids: vec![[0, 1000, 1]], users: by_number(b"root:x:0:0\n"), ..Names::default() };
        assert_eq!(cell("user", &p, &names, &BTreeMap::new(), 20.0), "root");
        assert_eq!(cell("tty", &p, &names, &BTreeMap::new(), 20.0), "pts/0");
        assert_eq!(cell("pcpu", &p, &names, &BTreeMap::new(), 20.0), "20.000");
        assert_eq!(cell("etime", &p, &names, &BTreeMap::new(), 3700.5 + 10.0), "1h1m40.5s");
    }

    #[test]
    fn columns_are_checked() {
        assert_eq!(columns(&["pid,args".into(), "user".into()]).unwrap().len(), 3);
        assert!(columns(&["-ef".into()]).unwrap_err().hints()[0].contains("coracle exec"));
    }
}
