//! What every command gets: global flags and the words it was called with.

use crate::cli::global::Globals;
use crate::cli::ui;
use crate::engine;
use crate::error::{Error, Kind, Result};
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
    /// The user's directories; says once when one of them is not the usual one.
    pub fn dirs(&self) -> Result<Dirs> {
        if let Some(dirs) = self.dirs.get() {
            return Ok(dirs.clone());
        }
        let mut dirs = Dirs::discover(self.globals.root.as_deref(), self.globals.runroot.as_deref())?;
        if let Some(note) = dirs.run_note.as_deref().filter(|_| !dirs.run.exists()) {
            ui::warn(note);
        }
        let given = self.globals.storage_options()?;
        dirs.max_size = given.max_size;
        if self.globals.root.is_none()
            && let Some(note) = engine::place::settle(&mut dirs)?
        {
            ui::warn(note);
        }
        engine::place::add_stores(&mut dirs, given.stores);
        if paths::is_real_root() {
            userns::root::step_down(&dirs)?;
        }
        Ok(self.dirs.get_or_init(|| dirs).clone())
    }

    /// The same for commands that want nothing of the store, so that they work where it is out of sight.
    pub fn dirs_without_store(&self) -> Result<Dirs> {
        let out_of_sight = |error: &Error| error.kind() == Kind::Host && !paths::is_real_root();
        self.dirs().or_else(|error| if out_of_sight(&error) { self.bare_dirs() } else { Err(error) })
    }

    /// The same, whatever is wrong with the user's settings: to change them.
    pub fn bare_dirs(&self) -> Result<Dirs> {
        Dirs::discover(self.globals.root.as_deref(), self.globals.runroot.as_deref())
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
        let mut args = dirs.to_args();
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
