//! `coracle top`: the processes of a container, as its own pids and users see them.
//!
//! The kernel's /proc is read from outside; nothing of the image is executed (CVE-2022-1227). podman's descriptors are the
//! column names: `user,pid,ppid,pcpu,etime,tty,time,args` by default.

use crate::error::{Error, Result};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use std::collections::BTreeMap;

/// One process as /proc shows it.
struct Process {
    /// /proc/PID/status, by key.
    status: BTreeMap<String, String>,
    args: Vec<String>,
    /// Fields of /proc/PID/stat after the command.
    stat: Vec<String>,
}

/// A column: what it is called on the command line, its title, and its text.
type Column = (&'static str, &'static str, fn(&Process, f64) -> String);

const COLUMNS: [Column; 16] = [
    ("user", "USER", |p, _| p.uid_text()),
    ("uid", "UID", |p, _| p.uid_text()),
    ("group", "GROUP", |p, _| p.field("Gid")),
    ("pid", "PID", |p, _| p.last("NSpid")),
    ("hpid", "HPID", |p, _| p.field("Pid")),
    ("ppid", "PPID", |p, _| p.field("PPid")),
    ("pcpu", "%CPU", |p, up| p.cpu_percent(up)),
    ("etime", "ELAPSED", |p, up| p.elapsed(up)),
    ("tty", "TTY", |p, _| p.tty()),
    ("time", "TIME", |p, _| duration(p.cpu_seconds())),
    ("args", "COMMAND", |p, _| p.command()),
    ("comm", "COMMAND", |p, _| p.field("Name")),
    ("state", "STATE", |p, _| p.field("State")),
    ("rss", "RSS", |p, _| p.field("VmRSS")),
    ("vsz", "VSZ", |p, _| p.field("VmSize")),
    ("nice", "NI", |p, _| p.stat.get(16).cloned().unwrap_or_default()),
];

const DEFAULT: [&str; 8] = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

/// Ticks a second in /proc (USER_HZ is 100 on every architecture that we build for).
const TICKS: f64 = 100.0;

/// The table, with a header.
pub fn top(dirs: &Dirs, container: &Container, descriptors: &[String]) -> Result<String> {
    let state = super::lookup::state(dirs, container)?;
    let init = state.pid.ok_or_else(|| {
        Error::in_use(format_args!(
            "top can only be used on running containers: {} is not running",
            container.name
        ))
        .hint(format_args!("Start it with `coracle start {}`.", container.name))
    })?;
    let columns = columns(descriptors)?;
    let uptime = uptime();
    let mut rows = vec![columns.iter().map(|(_, title, _)| (*title).to_owned()).collect::<Vec<_>>()];
    for pid in processes(init) {
        if let Some(process) = Process::read(pid) {
            rows.push(columns.iter().map(|(_, _, text)| text(&process, uptime)).collect());
        }
    }
    Ok(render(&rows))
}

fn columns(descriptors: &[String]) -> Result<Vec<Column>> {
    let words: Vec<&str> =
        descriptors.iter().flat_map(|d| d.split(',')).filter(|d| !d.is_empty() && *d != "-eo").collect();
    let words = if words.is_empty() { DEFAULT.to_vec() } else { words };
    let find = |word: &&str| {
        COLUMNS.iter().find(|(name, _, _)| name == word).copied().ok_or_else(|| {
            let known: Vec<&str> = COLUMNS.iter().map(|(name, _, _)| *name).collect();
            Error::usage(format_args!("unknown descriptor {word:?}"))
                .hint(format_args!("Known are {}.", known.join(", ")))
        })
    };
    words.iter().map(find).collect()
}

/// Every process in the pid namespace of `init`, in order of pid.
fn processes(init: i32) -> Vec<i32> {
    let namespace = |pid: i32| rustix::fs::stat(format!("/proc/{pid}/ns/pid")).ok().map(|st| st.st_ino);
    let Some(own) = namespace(init) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let mut pids: Vec<i32> = pids.filter(|pid| namespace(*pid) == Some(own)).collect();
    pids.sort_unstable();
    pids
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let args = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let words = args
            .split(|b| *b == 0)
            .filter(|w| !w.is_empty())
            .map(|w| String::from_utf8_lossy(w).into_owned());
        Some(Self {
            status: status
                .lines()
                .filter_map(|line| {
                    line.split_once(':').map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
                })
                .collect(),
            args: words.collect(),
            // The command may hold spaces and parentheses: fields are counted after its last one.
            stat: stat.rsplit_once(')')?.1.split_ascii_whitespace().map(str::to_owned).collect(),
        })
    }

    fn field(&self, key: &str) -> String {
        self.status.get(key).and_then(|v| v.split_ascii_whitespace().next()).unwrap_or_default().to_owned()
    }

    /// The last number: the one in the innermost namespace.
    fn last(&self, key: &str) -> String {
        self.status.get(key).and_then(|v| v.split_ascii_whitespace().last()).unwrap_or_default().to_owned()
    }

    fn uid_text(&self) -> String {
        let uid = self.field("Uid");
        let own = rustix::process::getuid().as_raw().to_string();
        if uid == own { "root".to_owned() } else { uid }
    }

    fn number(&self, index: usize) -> f64 {
        self.stat.get(index).and_then(|t| t.parse().ok()).unwrap_or(0.0)
    }

    fn cpu_seconds(&self) -> f64 {
        (self.number(11) + self.number(12)) / TICKS
    }

    fn age(&self, uptime: f64) -> f64 {
        (uptime - self.number(19) / TICKS).max(0.0)
    }

    fn cpu_percent(&self, uptime: f64) -> String {
        format!("{:.3}", 100.0 * self.cpu_seconds() / self.age(uptime).max(0.001))
    }

    fn elapsed(&self, uptime: f64) -> String {
        duration(self.age(uptime))
    }

    fn tty(&self) -> String {
        match self.number(4) {
            0.0 => "?".to_owned(),
            number => format!("pts/{}", (number as u32) & 0xff),
        }
    }

    fn command(&self) -> String {
        if self.args.is_empty() { format!("[{}]", self.field("Name")) } else { self.args.join(" ") }
    }
}

fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split_ascii_whitespace().next().and_then(|t| t.parse().ok()).unwrap_or(0.0)
}

/// As Go prints a duration of whole seconds: `1h2m3s`.
fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match (whole / 3600, whole % 3600 / 60, whole % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

fn render(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().filter_map(|row| row.get(c)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: String =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        format!("{}\n", cells.trim_end())
    };
    rows.iter().map(line).collect()
}
