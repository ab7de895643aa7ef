//! What a test must not leave: processes (by the mark in their environment, or its directory in their command line),
//! mounts below its directory, cgroups with its tag in their name.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::env::MARK;

/// How long a killed process may take to go.
const GRACE: Duration = Duration::from_secs(3);

pub fn find(tag: &str, dir: &Path, store: Option<u32>) -> Vec<String> {
    let until = Instant::now() + GRACE;
    let mut left = processes(tag, store);
    while !left.is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
        left = processes(tag, store);
    }
    let mut all: Vec<String> = left.into_iter().map(|(pid, what)| format!("process {pid}: {what}")).collect();
    for pid in std::iter::once("self".to_owned()).chain(store.map(|pid| pid.to_string())) {
        let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let dir = dir.to_string_lossy();
        all.extend(mounts.lines().filter(|line| line.contains(&*dir)).map(|line| format!("mount: {line}")));
    }
    all.extend(cgroups(tag).into_iter().map(|path| format!("cgroup {}", path.display())));
    all
}

/// Holders of images' mounts that nobody uses wait a moment for the next user, unless they are told to end.
pub fn end_idle(tag: &str, store: Option<u32>) {
    for (pid, line) in processes(tag, store) {
        if line.contains(" hold-image ") {
            signal(pid, rustix::process::Signal::TERM);
        }
    }
}

/// SIGKILLs what `find` would list.
pub fn kill(tag: &str, store: Option<u32>) {
    for (pid, _) in processes(tag, store) {
        signal(pid, rustix::process::Signal::KILL);
    }
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn processes(tag: &str, store: Option<u32>) -> Vec<(u32, String)> {
    let mark = format!("{MARK}={tag}");
    let own = std::process::id();
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pids = pids.filter(|pid| *pid != own && Some(*pid) != store);
    pids.filter_map(|pid| {
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let environ = read("environ");
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let marked = environ.split(|byte| *byte == 0).any(|item| item == mark.as_bytes());
        // A whole path component: cit12-1 is not cit12-10.
        let named = line.split(['/', ' ']).any(|part| part == tag);
        let zombie =
            read("stat").rsplit(|byte| *byte == b')').next().is_some_and(|rest| rest.starts_with(b" Z"));
        ((marked || named) && !zombie).then_some((pid, line))
    })
    .collect()
}

fn cgroups(tag: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(dir) = pending.pop() {
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        for path in entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().contains(tag)) {
                found.push(path);
            } else {
                pending.push(path);
            }
        }
    }
    found
}
