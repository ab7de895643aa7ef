//! One line on failure, to stderr and to `--log`.
//!
//! podman parses the whole log file as one JSON object, containerd its last line: so exactly one line, with an RFC 3339 time.
//! A person at a terminal gets the causes and hints on lines of their own. With `--log-only` stderr gets nothing: coracle
//! reads the log, and would say the same twice where the payload has its caller's stderr.

use super::flags::Parsed;
use crate::error::{Error, Kind};
use crate::runtime::Stages;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsString;
use std::fmt::Arguments;
use std::io::{IsTerminal, Write};
use std::rc::Rc;

/// Where failures go.
#[derive(Debug, Clone, Default)]
pub struct Log {
    file: Option<OsString>,
    json: bool,
    only: bool,
    debug: bool,
}

impl Log {
    /// From `--log` and `--log-format`.
    pub fn from_flags(parsed: &Parsed) -> Self {
        let json = parsed.value("log-format").is_some_and(|format| format == "json");
        let file = parsed.value("log").filter(|file| !file.is_empty()).cloned();
        let debug = parsed.has("debug") || parsed.value("log-level").is_some_and(|level| level == "debug");
        Self { only: file.is_some() && parsed.has("log-only"), file, json, debug }
    }

    /// Says what failed; returns `code`.
    pub fn fail(&self, error: &Error, code: u8) -> u8 {
        let mut line = error.to_string().replace('\n', " ");
        if error.kind() != Kind::CommandNotFound {
            // podman and Docker take these words anywhere for a missing command (exit code 127).
            line = line.replace(" (No such file or directory)", "");
        }
        if !self.only {
            Self::explain(error, &line);
        }
        self.append("error", &line);
        code
    }

    fn explain(error: &Error, line: &str) {
        let mut stderr = std::io::stderr().lock();
        if stderr.is_terminal() {
            let _ = writeln!(stderr, "Error: {}", error.what());
            for cause in error.causes() {
                let _ = writeln!(stderr, "Caused by: {cause}");
            }
            for hint in error.hints() {
                let _ = writeln!(stderr, "Hint: {hint}");
            }
        } else {
            let _ = writeln!(stderr, "coracle-oci: {line}");
        }
    }

    /// Something that is no failure: to the log where there is one, else to stderr.
    pub fn say(&self, level: &str, line: &str) {
        if self.file.is_some() {
            self.append(level, line);
        } else {
            let _ = std::io::stderr().lock().write_all(self.format(level, line).as_bytes());
        }
    }

    /// For the stages of the command.
    pub fn stages(&self) -> Stages {
        if !self.debug {
            return Stages::default();
        }
        let log = self.clone();
        Stages(Some(Rc::new(move |words: Arguments<'_>| log.debug(words))))
    }

    /// What was asked of us, with `--debug`.
    pub fn debug(&self, words: Arguments<'_>) {
        if self.debug {
            self.say("debug", &words.to_string());
        }
    }

    fn append(&self, level: &str, line: &str) {
        let Some(file) = &self.file else { return };
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::APPEND | OFlags::SYNC | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::open(file, flags, Mode::from(0o644)) else { return };
        let _ = std::fs::File::from(fd).write_all(self.format(level, line).as_bytes());
    }

    fn format(&self, level: &str, line: &str) -> String {
        let time = format!("{:.0}", jiff::Timestamp::now());
        if self.json {
            format!("{}\n", serde_json::json!({ "level": level, "msg": line, "time": time }))
        } else {
            format!("time=\"{time}\" level={level} msg={line:?}\n")
        }
    }
}
