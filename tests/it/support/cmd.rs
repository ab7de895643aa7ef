//! One run of a program: no inherited environment, a time limit, its output in files.
//!
//! Files, not pipes: a container that outlives the command that made it holds the ends of pipes, and whoever reads them
//! to the end waits for it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Any command still running then hangs.
const LIMIT: &str = "60";

#[derive(Debug)]
pub struct Cmd {
    command: Command,
    files: PathBuf,
    stdin: Option<Vec<u8>>,
}

/// What a command left.
#[derive(Debug)]
pub struct Output {
    /// 128 + n for a signal, 124 for a command that hung.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    shown: String,
}

impl Cmd {
    /// `prefix` (nsenter …) before the program; `files` is a path that no other command uses.
    pub(super) fn new(prefix: &[OsString], program: &Path, files: PathBuf) -> Self {
        let mut command = Command::new("timeout");
        command.args(["--foreground", "-k", "5", LIMIT]).args(prefix).arg(program);
        command.env_clear().current_dir("/");
        Self { command, files, stdin: None }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn cwd(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// As the leader of a session whose controlling terminal its stdin will be.
    pub(super) fn in_session(self) -> Command {
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(self.command.get_program()).args(self.command.get_args());
        command.env_clear().current_dir("/");
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Starts it and goes on.
    pub fn spawn(mut self) -> Running {
        let out = File::create(self.files.with_extension("out")).unwrap();
        let err = File::create(self.files.with_extension("err")).unwrap();
        let stdin: Stdio = match self.stdin.take() {
            None => Stdio::null(),
            Some(bytes) => {
                let file = self.files.with_extension("in");
                std::fs::write(&file, bytes).unwrap();
                Stdio::from(OwnedFd::from(File::open(file).unwrap()))
            }
        };
        let shown = format!("{:?}", self.command);
        let child = self.command.stdin(stdin).stdout(out).stderr(err).spawn().unwrap();
        Running { child, files: self.files, shown }
    }

    /// Waits for its end.
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Runs it; it must succeed. Returns its output.
    #[track_caller]
    pub fn ok(self) -> String {
        self.run().ok()
    }

    /// Runs it; it must fail by an error of its own, with words. Returns the words.
    #[track_caller]
    pub fn fails(self) -> String {
        self.run().fails()
    }
}

/// A command that has been started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    files: PathBuf,
    shown: String,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The program itself: `timeout` is around it. Known as soon as it is there: a start takes a few milliseconds.
    pub fn inner_pid(&self) -> u32 {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while std::time::Instant::now() < until {
            let children = std::fs::read_to_string(&path).unwrap_or_default();
            if let Some(pid) = children.split_whitespace().next() {
                return pid.parse().unwrap();
            }
            std::thread::yield_now();
        }
        panic!("no program has started: {path}");
    }

    /// What it has written so far: stdout, stderr.
    pub fn so_far(&self) -> (String, String) {
        Self::written(&self.files)
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn wait(mut self) -> Output {
        let code = code(self.child.wait().unwrap());
        Output { code, stdout: read(&self.files, "out"), stderr: read(&self.files, "err"), shown: self.shown }
    }

    /// What it, and a container that goes on after it, has written so far.
    pub fn written(files: &Path) -> (String, String) {
        (read(files, "out"), read(files, "err"))
    }
}

impl Output {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.stdout
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// coracle's own error: this exit code, and these words after `Error:`, `Caused by:` and `Hint:` in order.
    #[track_caller]
    pub fn says(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        let mut rest = self.stderr.as_str();
        for word in words {
            let Some(at) = rest.find(word) else { panic!("no {word:?} (in this order): {self:#?}") };
            rest = rest.get(at + word.len()..).unwrap();
        }
        self
    }

    /// Like `says`, for an error whose exit code is 125, 126 or 127.
    #[track_caller]
    pub fn fails_own(self, words: &[&str]) -> Self {
        assert!((125..=127).contains(&self.code), "{self:#?}");
        let code = self.code;
        self.says(code, words)
    }

    #[track_caller]
    pub fn fails(self) -> String {
        // 124 and 137: it hung. 101 and 134: it panicked. Other signals: it crashed.
        let own = (1..=123).contains(&self.code) || self.code == 255;
        assert!(own && self.code != 101, "an error was expected, and an end of its own: {self:#?}");
        assert!(!self.stderr.trim().is_empty(), "an error without words: {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self.stderr
    }
}

fn read(files: &Path, extension: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(files.with_extension(extension)).unwrap_or_default()).into_owned()
}

pub(super) fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
