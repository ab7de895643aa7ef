//! Reading a container's log: all of it or its end, by time, and following it until the container has ended.
//!
//! Times are compared as text: the writer's are all UTC with nine digits. Following waits on inotify for the file and on
//! the monitor's socket for the end, so that it neither polls nor misses the last line.

use super::watch;
use crate::error::{Context, Error, Result};
use crate::monitor::ctr_log::{self, FILE, rotated};
use crate::ondisk::container::{Container, LogDriver};
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    pub since: Option<jiff::Timestamp>,
    pub until: Option<jiff::Timestamp>,
    /// Only so many lines from the end.
    pub tail: Option<usize>,
    /// Go on until the container has ended.
    pub follow: bool,
    /// Put each line's time before it.
    pub timestamps: bool,
}

/// Which output of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// Gives the log's lines to `sink`, piece by piece; a piece that ends a line ends with a newline.
pub fn read_log(
    dirs: &Dirs,
    container: &Container,
    options: &LogOptions,
    sink: &mut dyn FnMut(LogStream, &[u8]) -> Result<()>,
) -> Result<()> {
    if container.log.driver != LogDriver::K8sFile {
        return Err(Error::usage(format_args!("container {} has no log", container.name))
            .cause("it was created with a log driver that keeps nothing"));
    }
    let path = log_path(dirs, container);
    let mut reader = Reader { filter: Filter::new(options), sink, at_line_start: true };
    let (dir, name) = ctr_log::split(&path)?;
    // Before the first read: what is written after that wakes us.
    let mut follower = if options.follow { Some(Follower::new(dirs, container, &dir)?) } else { None };

    let mut file = open(&dir, &name)?;
    let skip = match options.tail {
        Some(tail) => reader.start_of_tail(&dir, &name, tail)?,
        None => Start::Older(0),
    };
    if let Start::Older(at) = skip
        && let Some(older) = open(&dir, &rotated(&name))?
    {
        reader.read_from(&mut BufReader::new(older), at)?;
    }
    let mut log = file.take().map(BufReader::new);
    if let Some(log) = &mut log {
        reader.read_from(log, if let Start::Current(at) = skip { at } else { 0 })?;
    }
    while let Some(following) = &mut follower {
        let ended = following.wait(dirs, container)?;
        if let Some(log) = &mut log {
            reader.read(log)?;
        }
        if let Some(new) = new_file(log.as_ref(), &dir, &name)? {
            let new = log.insert(BufReader::new(new));
            reader.read(new)?;
        }
        if ended || reader.filter.is_over() {
            follower = None;
        }
    }
    Ok(())
}

fn log_path(dirs: &Dirs, container: &Container) -> PathBuf {
    match &container.log.path {
        Some(path) => PathBuf::from(path),
        None => dirs.container(&container.id).join(FILE),
    }
}

fn open(dir: impl AsFd, name: &str) -> Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(File::from(fd))),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e).call(|| format!("openat({name:?})")).what(|| "cannot read the container's log"),
    }
}

/// The file that stands at the log's name now, if it is not the one that we read.
fn new_file(current: Option<&BufReader<File>>, dir: &OwnedFd, name: &str) -> Result<Option<File>> {
    let inode = |file: &File| rustix::fs::fstat(file).ok().map(|st| (st.st_dev, st.st_ino));
    let Some(file) = open(dir, name)? else { return Ok(None) };
    let same = current.is_some_and(|current| inode(current.get_ref()) == inode(&file));
    Ok((!same).then_some(file))
}

/// Where the wanted tail begins.
enum Start {
    Older(u64),
    Current(u64),
}

struct Filter {
    since: Option<String>,
    until: Option<String>,
    timestamps: bool,
    over: bool,
}

impl Filter {
    fn new(options: &LogOptions) -> Self {
        let text = |time: jiff::Timestamp| format!("{time:.9}");
        Self {
            since: options.since.map(text),
            until: options.until.map(text),
            timestamps: options.timestamps,
            over: false,
        }
    }

    fn wants(&mut self, time: &str) -> bool {
        self.over |= self.until.as_deref().is_some_and(|until| time > until);
        !self.over && self.since.as_deref().is_none_or(|since| time >= since)
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

struct Reader<'a> {
    filter: Filter,
    sink: &'a mut dyn FnMut(LogStream, &[u8]) -> Result<()>,
    at_line_start: bool,
}

impl Reader<'_> {
    fn read_from(&mut self, log: &mut BufReader<File>, at: u64) -> Result<()> {
        log.seek(SeekFrom::Start(at)).call(|| "lseek(log)")?;
        self.read(log)
    }

    /// Reads to the end of the file. A line that is only half written is left for the next time.
    fn read(&mut self, log: &mut BufReader<File>) -> Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = log.read_until(b'\n', &mut line).call(|| "read(log)")?;
            if line.last() != Some(&b'\n') {
                log.seek_relative(-i64::try_from(read).unwrap_or(0)).call(|| "lseek(log)")?;
                return Ok(());
            }
            let Some(entry) = Entry::parse(&line) else { continue };
            if self.filter.wants(entry.time) {
                self.give(&entry)?;
            }
        }
    }

    fn give(&mut self, entry: &Entry<'_>) -> Result<()> {
        let mut text = Vec::with_capacity(entry.text.len() + 40);
        if self.filter.timestamps && self.at_line_start {
            text.extend_from_slice(entry.time.as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(entry.text);
        if entry.full {
            text.push(b'\n');
        }
        self.at_line_start = entry.full;
        (self.sink)(entry.stream, &text)
    }

    /// Finds the `tail`-th whole line from the end.
    fn start_of_tail(&mut self, dir: &OwnedFd, name: &str, tail: usize) -> Result<Start> {
        let mut starts = VecDeque::new();
        for (older, name) in [(true, rotated(name)), (false, name.to_owned())] {
            let Some(file) = open(dir, &name)? else { continue };
            let (mut file, mut at, mut line, mut begins) = (BufReader::new(file), 0, Vec::new(), true);
            loop {
                line.clear();
                let read = file.read_until(b'\n', &mut line).call(|| "read(log)")?;
                if read == 0 {
                    break;
                }
                if begins {
                    starts.push_back(if older { Start::Older(at) } else { Start::Current(at) });
                    // One more than wanted, in case that the last one is where the file ends.
                    if starts.len() > tail {
                        starts.pop_front();
                    }
                }
                begins = Entry::parse(&line).is_none_or(|entry| entry.full);
                at += read as u64;
            }
            if !older && tail == 0 {
                return Ok(Start::Current(at));
            }
        }
        Ok(starts.pop_front().unwrap_or(Start::Older(0)))
    }
}

struct Entry<'a> {
    time: &'a str,
    stream: LogStream,
    full: bool,
    text: &'a [u8],
}

impl<'a> Entry<'a> {
    /// `TIME stdout F text\n`; a line of another form is skipped.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.strip_suffix(b"\n").unwrap_or(line).splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(fields.next()?).ok()?;
        let stream = match fields.next()? {
            b"stdout" => LogStream::Stdout,
            b"stderr" => LogStream::Stderr,
            _ => return None,
        };
        let full = fields.next()? != b"P";
        Some(Self { time, stream, full, text: fields.next()? })
    }
}

/// Waits for news of the log.
struct Follower {
    changes: OwnedFd,
    /// A connection that says when the container has ended; none: it has.
    monitor: Option<OwnedFd>,
}

impl Follower {
    fn new(dirs: &Dirs, container: &Container, dir: &OwnedFd) -> Result<Self> {
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .call(|| "inotify_init1()")
            .hint(|| "Ask the administrator for `sysctl fs.inotify.max_user_instances=1024`.")?;
        let path = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string());
        inotify::add_watch(&changes, &path, WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO)
            .call(|| "inotify_add_watch(log)")?;
        Ok(Self { changes, monitor: watch(dirs, &container.id)? })
    }

    /// Returns when there may be more to read; true: the container has ended, what is there now is all.
    fn wait(&mut self, dirs: &Dirs, container: &Container) -> Result<bool> {
        let Some(monitor) = &self.monitor else { return Ok(true) };
        let mut fds = [PollFd::new(&self.changes, PollFlags::IN), PollFd::new(monitor, PollFlags::IN)];
        super::relay::poll(&mut fds)?;
        let [changed, ended] = fds.map(|fd| !fd.revents().is_empty());
        if changed {
            let mut events = [0u8; 4096];
            while rustix::io::read(&self.changes, &mut events).is_ok_and(|read| read > 0) {}
        }
        if ended {
            // Or only one run of it has, and it is started again.
            self.monitor = watch(dirs, &container.id)?;
        }
        Ok(self.monitor.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log_are_parsed_with_spaces_in_the_text() {
        let entry = Entry::parse(b"2026-01-02T03:04:05.000000006Z stderr P  a b \n").unwrap();
        assert_eq!((entry.stream, entry.full, entry.text), (LogStream::Stderr, false, &b" a b "[..]));
        assert!(Entry::parse(b"garbage\n").is_none());
        assert_eq!(Entry::parse(b"t stdout F \n").unwrap().text, b"");
    }
}
