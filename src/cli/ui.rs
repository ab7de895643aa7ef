//! The only printer: stdout is data, stderr is talk. Everything below returns values and errors.
//!
//! Errors and warnings read the same with and without a terminal; there is no colour, so a log holds what a person saw.
//! A reader that went away (`coracle ps | head -1`) ends the command quietly, as SIGPIPE would.

use crate::error::{Error, Result};
use crate::sys::CallContext;
use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU8, Ordering};

/// Exit code when the reader of stdout went away: 128 + SIGPIPE.
const READER_GONE: u8 = 141;

/// How much is said on stderr (`--log-level`); errors always are.
static LEVEL: AtomicU8 = AtomicU8::new(WARN);
const ERROR: u8 = 0;
const WARN: u8 = 1;
const INFO: u8 = 2;
const DEBUG: u8 = 3;

/// Sets the level by podman's names.
pub fn set_level(name: &str) -> Result<()> {
    let level = match name.to_ascii_lowercase().as_str() {
        "panic" | "fatal" | "error" => ERROR,
        "warn" | "warning" => WARN,
        "info" => INFO,
        "debug" | "trace" => DEBUG,
        _ => {
            return Err(Error::usage(format_args!(
                "invalid log level {name:?}: not one of debug, info, warn, error"
            )));
        }
    };
    LEVEL.store(level, Ordering::Relaxed);
    Ok(())
}

/// Writes `text` to stdout as it is.
pub fn out(text: &str) -> Result<()> {
    bytes(text.as_bytes())
}

/// Writes `text` and a newline to stdout.
pub fn line(text: impl Display) -> Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// The same of a text that a box or an image has made: what would move a terminal is written as `\u{1b}`.
pub fn foreign_line(text: impl Display) -> Result<()> {
    line(plain(&text.to_string(), &[]))
}

/// Writes `bytes` to stdout at once.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).call(|| "write(stdout)").map_err(Error::from)
}

/// Writes `bytes` to stderr at once (a container's stderr in `logs`).
pub fn err_bytes(bytes: &[u8]) -> Result<()> {
    std::io::stderr().lock().write_all(bytes).call(|| "write(stderr)").map_err(Error::from)
}

/// Something was skipped or is not as asked.
pub fn warn(text: impl Display) {
    if LEVEL.load(Ordering::Relaxed) >= WARN {
        talk(&format!("Warning: {text}\n"));
    }
}

/// What coracle does, with `--log-level debug`.
pub fn debug(text: impl FnOnce() -> String) {
    if LEVEL.load(Ordering::Relaxed) >= DEBUG {
        talk(&format!("Debug: {}\n", text()));
    }
}

/// A line for the person at the terminal (progress, a note).
pub fn note(text: impl Display) {
    talk(&format!("{text}\n"));
}

/// What helps where a process may open no more files.
const TOO_FEW_FILES: &str = "Too few files may be open here, see `ulimit -n`: allow more with `ulimit -n 1024`. Where the shell \
    refuses, the administrator can: nofile in /etc/security/limits.conf.";

/// Prints an error once and gives its exit code.
pub fn error(error: &Error) -> u8 {
    if error.is_already_said() {
        return error.exit_code();
    }
    if error.errno() == Some(libc::EPIPE) && error.what().starts_with("write(stdout)") {
        return READER_GONE;
    }
    talk(&render(error));
    error.exit_code()
}

/// Prints what went wrong beside what went well, and gives the last one's exit code, or 0.
pub fn errors(errors: &[Error]) -> u8 {
    errors.iter().fold(0, |_, e| error(e))
}

/// `Error:` / `Caused by:` / `Hint:`.
pub fn render(error: &Error) -> String {
    let mut text = format!("Error: {}\n", error.what());
    match error.causes() {
        [] => {}
        [cause] => drop(writeln!(text, "Caused by: {}", indent(cause))),
        causes => {
            text.push_str("Caused by:\n");
            for (number, cause) in causes.iter().enumerate() {
                let _ = writeln!(text, "  {}: {}", number + 1, indent(cause));
            }
        }
    }
    let of_root = crate::userns::root::hint_for(error);
    let of_files = (error.errno() == Some(libc::EMFILE) && error.hints().is_empty()).then_some(TOO_FEW_FILES);
    for hint in error.hints().iter().map(String::as_str).chain(of_root).chain(of_files) {
        let _ = writeln!(text, "Hint: {}", indent(hint));
    }
    if error.kind() == crate::error::Kind::Internal {
        text.push_str(
            "This is a fault of coracle itself. Please report it with the output of `coracle info`.\n",
        );
    }
    text
}

/// Asks a yes/no question on the terminal; anything but yes, or no terminal, is no.
pub fn confirm(question: &str) -> Result<bool> {
    talk(&format!("{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).call(|| "read(stdin)")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}

/// Asks for a line; a `secret` one is not shown while it is typed.
pub fn ask(question: &str, secret: bool) -> Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    talk(&format!("{question}: "));
    let stdin = std::io::stdin();
    let shown = if secret { tcgetattr(&stdin).ok() } else { None };
    if let Some(shown) = &shown {
        let mut hidden = shown.clone();
        hidden.local_modes -= LocalModes::ECHO;
        tcsetattr(&stdin, OptionalActions::Flush, &hidden).call(|| "tcsetattr(stdin)")?;
    }
    let mut answer = String::new();
    let read = stdin.read_line(&mut answer);
    if let Some(shown) = shown {
        let _ = tcsetattr(&stdin, OptionalActions::Flush, &shown);
        talk("\n");
    }
    read.call(|| "read(stdin)")?;
    Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
}

/// Whether stdin is a terminal.
pub fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Whether stdout is a terminal.
pub fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Control characters, which move a terminal, as `\u{1b}`, but for those that are `kept`: names and words of images, registries
/// and other people's stores are in what we say.
pub(super) fn plain<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let moves = |c: char| c.is_control() && !kept.contains(&c);
    if !text.contains(moves) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if moves(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// stderr that is closed or full must not change what a command does.
fn talk(text: &str) {
    let _ = std::io::stderr().lock().write_all(plain(text, &['\n', '\t']).as_bytes());
}

/// Later lines of a multi-line text stand below the first.
fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_stands_alone_and_several_are_numbered() {
        let one = Error::not_found("no such container web").cause("a").hint("Run `coracle ps -a`.");
        assert_eq!(render(&one), "Error: no such container web\nCaused by: a\nHint: Run `coracle ps -a`.\n");
        let two = Error::host("x").cause("a\nb").cause("c");
        assert_eq!(render(&two), "Error: x\nCaused by:\n  1: a\n  b\n  2: c\n");
    }

    #[test]
    fn a_fault_of_our_own_asks_for_a_report() {
        assert!(render(&Error::internal("x")).contains("Please report"));
    }
}
