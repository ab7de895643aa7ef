//! The container's log in k8s-file format (CRI): `TIME stdout|stderr F|P TEXT`.
//!
//! Every chunk that was read becomes whole lines at once: a chunk that ends inside a line ends with a partial line (`P`),
//! and the rest follows in the next one. So a reader sees output as soon as it exists, and joins `P` lines. The writer
//! never waits for a reader. When the file passes `max_size` it becomes `<name>.1` and a new one begins: two files at most.
//! A log that cannot be written (disk full) loses lines; it never stops the container.

use crate::error::{Context, Result};
use crate::ondisk::container::{Container, LogDriver};
use crate::sys::CallContext;
use rustix::fs::{CWD, Mode, OFlags};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The file of a container that names no other.
pub(super) const FILE: &str = "ctr.log";

/// Lines are collected up to this many bytes before they are written.
const FLUSH: usize = 64 << 10;

/// Which of the payload's outputs a chunk came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// The open log, or none (`--log-driver none`, `passthrough`).
#[derive(Debug)]
pub(super) struct Log {
    file: Option<Open>,
    lines: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    dir: OwnedFd,
    name: String,
    size: u64,
    max_size: Option<u64>,
}

impl Log {
    /// Opens the log for appending.
    pub(super) fn open(container: &Container, bundle: &OwnedFd) -> Result<Self> {
        if container.log.driver != LogDriver::K8sFile {
            return Ok(Self { file: None, lines: Vec::new() });
        }
        let (dir, name) = match &container.log.path {
            Some(path) => split(Path::new(path))?,
            None => (bundle.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?, FILE.to_owned()),
        };
        let file = open(&dir, &name)?;
        let size = rustix::fs::fstat(&file).map_or(0, |st| u64::try_from(st.st_size).unwrap_or(0));
        let file = Open { file, dir, name, size, max_size: container.log.max_size };
        Ok(Self { file: Some(file), lines: Vec::new() })
    }

    /// Writes one chunk of output.
    pub(super) fn write(&mut self, stream: Stream, mut chunk: &[u8]) {
        let Some(open) = &mut self.file else { return };
        let head = head(stream);
        // Not more at once than the file may have.
        let flush = open.max_size.map_or(FLUSH, |max| FLUSH.min(usize::try_from(max).unwrap_or(FLUSH)));
        while !chunk.is_empty() {
            let (line, rest, full) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let (line, rest) = chunk.split_at(end);
                    (line, rest.get(1..).unwrap_or_default(), true)
                }
                None => (chunk, &[][..], false),
            };
            self.lines.extend_from_slice(head.as_bytes());
            self.lines.extend_from_slice(if full { b"F " } else { b"P " });
            self.lines.extend_from_slice(line);
            self.lines.push(b'\n');
            chunk = rest;
            if self.lines.len() >= flush || chunk.is_empty() {
                open.append(&self.lines);
                self.lines.clear();
            }
        }
        // A burst of short lines must not stay as memory of a process that waits for weeks.
        self.lines.shrink_to(4096);
    }
}

impl Open {
    fn append(&mut self, lines: &[u8]) {
        if self.max_size.is_some_and(|max| self.size > 0 && self.size + lines.len() as u64 > max) {
            self.rotate();
        }
        if self.file.write_all(lines).is_ok() {
            self.size += lines.len() as u64;
        }
    }

    fn rotate(&mut self) {
        let old = rotated(&self.name);
        if rustix::fs::renameat(&self.dir, &self.name, &self.dir, &old).is_ok()
            && let Ok(file) = open(&self.dir, &self.name)
        {
            self.file = file;
            self.size = 0;
        }
    }
}

/// The name of the log's older half.
pub(super) fn rotated(name: &str) -> String {
    format!("{name}.1")
}

fn head(stream: Stream) -> String {
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    format!("{} {stream} ", now())
}

/// The time as records and logs have it: RFC 3339, UTC, nanoseconds.
pub(super) fn now() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

fn open(dir: impl AsFd, name: &str) -> Result<File> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, name, flags, Mode::from(0o600))
        .call(|| format!("openat({name:?}, O_APPEND)"));
    Ok(File::from(file.what(|| "cannot open the container's log")?))
}

/// The directory of a log that the user placed, opened, and its name there.
pub(super) fn split(path: &Path) -> Result<(OwnedFd, String)> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("/"));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(CWD, dir, flags, Mode::empty()).call(|| format!("open({dir:?})"));
    Ok((dir.what(|| "cannot open the container's log")?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(max_size: Option<u64>) -> (std::path::PathBuf, Log) {
        let dir = std::path::PathBuf::from(format!("/tmp/coracle-log-{}", crate::id::hex(&random())));
        std::fs::create_dir(&dir).unwrap();
        let (fd, name) = split(&dir.join(FILE)).unwrap();
        let file = open(&fd, &name).unwrap();
        (dir, Log { file: Some(Open { file, dir: fd, name, size: 0, max_size }), lines: Vec::new() })
    }

    fn random() -> [u8; 6] {
        let mut bytes = [0; 6];
        crate::id::random_bytes(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn chunks_become_full_and_partial_lines() {
        let (dir, mut log) = log(None);
        log.write(Stream::Stdout, b"a\nb");
        log.write(Stream::Stderr, b"e\n");
        log.write(Stream::Stdout, b"c\n");
        let text = std::fs::read_to_string(dir.join(FILE)).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(lines, ["stdout F a", "stdout P b", "stderr F e", "stdout F c"]);
        let time = text.split(' ').next().unwrap();
        assert!(time.len() == 30 && time.ends_with('Z'), "{time}");
    }

    #[test]
    fn a_full_log_becomes_the_older_half() {
        let (dir, mut log) = log(Some(100));
        for _ in 0..10 {
            log.write(Stream::Stdout, b"12345678901234567890\n");
        }
        let size = |name: &str| std::fs::metadata(dir.join(name)).unwrap().len();
        assert!(size(FILE) <= 100 && size("ctr.log.1") <= 100);
    }
}
