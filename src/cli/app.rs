//! What every command gets: global flags and the words it was called with.

use crate::cli::global::Globals;
use crate::cli::ui;
use crate::error::Result;
use crate::paths::{self, Dirs};
use crate::userns;
use std::ffi::OsString;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The invocation.
#[derive(Debug)]
pub struct App {
    pub globals: Globals,
    /// The whole command line, program first, for `inspect`.
    pub argv: Vec<String>,
    /// Subcommand and its arguments, to be run again inside the store's namespace.
    pub command: Vec<OsString>,
    /// Found at the first use: `version` and `completion` need none.
    pub dirs: OnceLock<Dirs>,
}

impl App {
    /// The user's directories; says once when the runtime directory is not the usual one.
    pub fn dirs(&self) -> Result<Dirs> {
        if let Some(dirs) = self.dirs.get() {
            return Ok(dirs.clone());
        }
        let dirs = Dirs::discover(self.globals.root.as_deref(), self.globals.runroot.as_deref())?;
        if let Some(note) = dirs.run_note.as_deref().filter(|_| !dirs.run.exists()) {
            ui::warn(note);
        }
        if paths::is_real_root() {
            userns::root::step_down(&dirs)?;
        }
        Ok(self.dirs.get_or_init(|| dirs).clone())
    }

    /// Runs this same command inside the store's user namespace and gives its exit code.
    pub fn in_store(&self) -> Result<u8> {
        self.run_in_store(&self.command, &[], None)
    }

    /// Runs another command inside the store's user namespace, with these fds at these numbers; with `join` in that one.
    pub fn run_in_store(
        &self,
        command: &[OsString],
        fds: &[(BorrowedFd<'_>, RawFd)],
        join: Option<BorrowedFd<'_>>,
    ) -> Result<u8> {
        let dirs = self.dirs()?;
        let mut args: Vec<OsString> =
            vec!["--root".into(), dirs.data.clone().into(), "--runroot".into(), dirs.run.clone().into()];
        args.extend(self.globals.to_args());
        args.extend_from_slice(command);
        ui::debug(|| format!("in the store's namespace: {args:?}"));
        userns::run_in_store_with(&dirs, &args, fds, join)
    }

    /// The caller's directory.
    pub fn cwd(&self) -> Result<PathBuf> {
        use crate::sys::CallContext;
        Ok(std::env::current_dir().call(|| "getcwd()")?)
    }
}
