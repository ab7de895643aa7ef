//! What a caller asks of the runtime, typed: the seam between its command line (`cli::oci`) and the operations.

use crate::id::RuntimeId;
use std::cell::RefCell;
use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

/// The global flags.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where the state of containers is.
    pub root: PathBuf,
    /// `--root` was given.
    pub root_given: bool,
    /// cgroupsPath is `slice:prefix:name`, made by systemd.
    pub systemd_cgroup: bool,
    /// `--cgroup-manager disabled`.
    pub cgroups_disabled: bool,
    /// `--rootless`; none = found out.
    pub rootless: Option<bool>,
    /// What the caller should know although nothing failed; the command line says it.
    pub warnings: RefCell<Vec<String>>,
    pub stages: Stages,
}

/// Who hears of each stage of a command, with `--debug`. The words contain those of runc's own messages for the same stage.
#[derive(Clone, Default)]
pub struct Stages(pub Option<Rc<Hearer>>);

type Hearer = dyn Fn(fmt::Arguments<'_>);

impl fmt::Debug for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stages").field(&self.0.is_some()).finish()
    }
}

impl Context {
    /// Says that a stage is reached.
    pub fn stage(&self, words: fmt::Arguments<'_>) {
        if let Some(hear) = &self.stages.0 {
            hear(words);
        }
    }

    /// Adds a warning.
    pub fn warn(&self, text: String) {
        self.warnings.borrow_mut().push(text);
    }

    /// Says which capabilities were asked for and are none: they were not granted.
    pub fn warn_of_capabilities(&self, unknown: &[String]) {
        if !unknown.is_empty() {
            self.warn(format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" ")));
        }
    }
}

/// `create` and `run`.
#[derive(Debug, Clone)]
pub struct CreateArgs {
    pub id: RuntimeId,
    pub bundle: PathBuf,
    /// Another file than the bundle's config.json (crun's --config).
    pub config: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
    pub console_socket: Option<PathBuf>,
    /// Gets a pidfd of the first process.
    pub pidfd_socket: Option<PathBuf>,
    /// Number of fds from 3 on that the payload gets: those of a socket activation, then the caller's.
    pub preserve_fds: u32,
    /// Added to the payload's environment: what it should know of a socket activation.
    pub env: Vec<String>,
    /// The socket of a service manager that waits for the payload's READY.
    pub notify_socket: Option<OsString>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// The payload is killed when we end.
    pub dies_with_us: bool,
}

/// What only `run` has.
#[derive(Debug)]
pub struct RunArgs {
    pub detach: bool,
    /// Leave the state of the ended container.
    pub keep: bool,
    /// A pidfd of the process that serves the root file system. Its end is the container's.
    pub server: Option<OwnedFd>,
}

/// `exec`.
#[derive(Debug, Clone)]
pub struct ExecArgs {
    pub id: RuntimeId,
    pub what: ExecWhat,
    pub detach: bool,
    pub pid_file: Option<PathBuf>,
    pub console_socket: Option<PathBuf>,
    /// Who gets a pidfd of the process.
    pub pidfd_socket: Option<PathBuf>,
    pub preserve_fds: u32,
    pub ignore_paused: bool,
    /// It is killed when we end.
    pub dies_with_us: bool,
    /// `--cgroup`: paths below the container's cgroup, of v1 with the controllers in front.
    pub cgroup: Vec<String>,
}

/// What `exec` runs: a process document, or the container's own process with changes.
#[derive(Debug, Clone)]
pub enum ExecWhat {
    Process(PathBuf),
    Command(ExecCommand),
}

/// `exec ID CMD…` with its flags.
#[derive(Debug, Clone, Default)]
pub struct ExecCommand {
    pub args: Vec<String>,
    pub tty: bool,
    pub cwd: Option<String>,
    pub env: Vec<String>,
    /// uid and gid.
    pub user: Option<(u32, Option<u32>)>,
    pub additional_gids: Vec<u32>,
    pub caps: Vec<String>,
    pub no_new_privs: bool,
    pub process_label: Option<String>,
    pub apparmor: Option<String>,
}
