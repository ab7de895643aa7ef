//! One line on failure, to stderr and to `--log`.
//!
//! podman parses the whole log file as one JSON object, containerd its last line: so exactly one line, with an RFC 3339 time.
//! A person at a terminal gets the causes and hints on lines of their own. With `--log-only` stderr gets nothing: coracle
//! reads the log, and would say the same twice where the payload has its caller's stderr.

use super::flags::Parsed;
use crate::error::{Error, Kind};
use rustix::fs::{Mode, OFlags};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};

/// Where failures go.
#[derive(Debug, Default)]
pub struct Log {
    file: Option<OsString>,
    json: bool,
    only: bool,
}

impl Log {
    /// From `--log` and `--log-format`.
    pub fn from_flags(parsed: &Parsed) -> Self {
        let json = parsed.value("log-format").is_some_and(|format| format == "json");
        let file = parsed.value("log").filter(|file| !file.is_empty()).cloned();
        Self { only: file.is_some() && parsed.has("log-only"), file, json }
    }

    /// Says what failed; returns `code`.
    pub fn fail(&self, error: &Error, code: u8) -> u8 {
        let mut line = error.to_string().replace('\n', " ");
        if error.kind() != Kind::CommandNotFound {
            // podman and Docker take these words anywhere for a missing command (exit code 127).
            line = line.replace(" (No such file or directory)", "");
        }
        if !self.only {
            Self::say(error, &line);
        }
        self.append(&line);
        code
    }

    fn say(error: &Error, line: &str) {
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

    fn append(&self, line: &str) {
        let Some(file) = &self.file else { return };
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::APPEND | OFlags::SYNC | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::open(file, flags, Mode::from(0o644)) else { return };
        let time = format!("{:.0}", jiff::Timestamp::now());
        let text = if self.json {
            format!("{}\n", serde_json::json!({ "level": "error", "msg": line, "time": time }))
        } else {
            format!("time=\"{time}\" level=error msg={line:?}\n")
        };
        let _ = std::fs::File::from(fd).write_all(text.as_bytes());
    }
}
