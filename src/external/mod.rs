//! Every program that coracle starts and that is not the container. The only place with `std::process::Command`.
//!
//! A `Tool` says where a program is looked for, what breaks without it and which package has it. One file per program,
//! each with a pure `args` function (tested without the program) and a thin start. A tool's stderr becomes the cause of
//! the error. Fds are CLOEXEC everywhere in this crate, so a tool gets only what is passed by name.

pub mod credential_helper;
pub mod criu;
pub mod fuse_overlayfs;
pub mod mksquashfs;
pub mod runtime;
pub mod slirp4netns;
pub mod slurm;
pub mod squashfuse;

use crate::error::{Error, Kind, Result};
use crate::sys::spawn;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where distributions put programs; never the caller's PATH for programs that get privileges (R23).
const SYSTEM_DIRS: [&str; 6] =
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/libexec/podman", "/usr/lib/podman"];

/// A program that coracle starts.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// The file name.
    pub name: &'static str,
    /// What does not work without it, as a clause: `map more than one user id`.
    pub needed_to: &'static str,
    /// Package names: Debian/Ubuntu, Fedora/RHEL, SUSE.
    pub packages: [&'static str; 3],
    /// Look in PATH first (helpers without privileges), or in the system directories only.
    pub search_path: bool,
}

impl Tool {
    /// The absolute path, or an error with the package that has it.
    pub fn find(&self) -> Result<PathBuf> {
        self.locate().ok_or_else(|| {
            let [deb, rpm, suse] = self.packages;
            Error::host(format_args!("cannot {}", self.needed_to))
                .cause(format_args!("the program {} is not installed", self.name))
                .hint(format_args!(
                    "Install it as root: `apt install {deb}` (Debian, Ubuntu), `dnf install {rpm}` (Fedora, RHEL) or `zypper install {suse}` (SUSE)."
                ))
        })
    }

    /// The absolute path, when there is one.
    pub fn locate(&self) -> Option<PathBuf> {
        let path = crate::paths::search_path();
        let from_path = path.iter().filter(|_| self.search_path).map(PathBuf::as_path);
        from_path
            .filter(|dir| dir.is_absolute())
            .chain(SYSTEM_DIRS.iter().map(Path::new))
            .map(|dir| dir.join(self.name))
            .find(|file| is_executable(file))
    }

    /// Runs it to its end and returns its output; a failure carries its own words.
    pub fn run<I: IntoIterator<Item = OsString>>(&self, args: I) -> Result<Output> {
        let mut command = self.command()?;
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().map_err(|e| self.failed(&e.to_string()))?;
        if output.status.success() {
            return Ok(output);
        }
        Err(self.failed(&last_words(&output.stderr, &output.status.to_string())))
    }

    /// A command for it, to be given arguments and stdio. Without what the caller says to the loader, if it is the system's.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that starts programs")]
    pub fn command(&self) -> Result<Command> {
        let program = self.find()?;
        let mut command = Command::new(&program);
        if spawn::is_systems(program.as_os_str().as_bytes()) {
            for (name, _) in std::env::vars_os().filter(|(name, _)| spawn::is_loaders(name.as_bytes())) {
                command.env_remove(name);
            }
        }
        Ok(command)
    }

    /// The error of a run that failed with these words.
    pub fn failed(&self, words: &str) -> Error {
        Error::new(Kind::External, format_args!("cannot {}", self.needed_to))
            .cause(format_args!("{}: {words}", self.name))
    }
}

/// A command for a program by its path (the OCI runtime, coracle itself).
#[allow(clippy::disallowed_methods, reason = "this is the one place that starts programs")]
pub fn command_at(path: &Path) -> Command {
    Command::new(path)
}

/// The last three lines of what a tool said, else `otherwise`.
pub fn last_words(stderr: &[u8], otherwise: &str) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.get(lines.len().saturating_sub(3)..) {
        Some(last) if !last.is_empty() => last.join("; "),
        _ => otherwise.to_owned(),
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_names_its_package() {
        let tool = Tool {
            name: "coracle-no-such-tool",
            needed_to: "test",
            packages: ["a", "b", "c"],
            search_path: true,
        };
        let error = tool.find().unwrap_err();
        assert_eq!(error.what(), "cannot test");
        assert!(error.hints()[0].contains("apt install a"), "{error:?}");
    }

    #[test]
    fn the_last_words_of_a_tool_are_kept() {
        assert_eq!(last_words(b"a\n\nb\nc\nd\n", "x"), "b; c; d");
        assert_eq!(last_words(b"", "exit status: 1"), "exit status: 1");
    }
}
