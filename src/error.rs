//! The one error of the crate: what the user asked for that failed, the deepest facts, and what to type next.
//!
//! Printed once, by `cli::ui`, as `Error:` / `Caused by:` / `Hint:`. Below `cli` errors are returned, never logged.
//! Code branches on `Kind`, never on text. A typed error of its own exists only where a caller matches on it
//! (`sys::Error` keeps the errno).
//!
//! How to write one:
//! - `what`: the user's action and object, lower case, no final period: `cannot start container web`.
//! - `cause`: the call with its arguments and errno, the tool's own words, or `file:line`.
//! - `hint`: a full sentence with the command or the edit that fixes it. No hint where we know no fix.

use std::fmt;

/// What sort of failure this is. Decides the exit code, and callers branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong.
    Usage,
    /// A named object does not exist.
    NotFound,
    /// A name, port or object is in use, or in a state that forbids the action.
    InUse,
    /// This machine lacks something: the hint says what to ask of its administrator.
    Host,
    /// The kernel or another owner said no.
    Denied,
    /// A registry or the way to it failed.
    Network,
    /// Bytes on disk or from a registry are not what they must be.
    Corrupt,
    /// A program that we start failed.
    External,
    /// The payload's command exists and cannot be executed (exit code 126).
    CannotInvoke,
    /// The payload's command does not exist (exit code 127).
    CommandNotFound,
    /// A fault of coracle itself.
    Internal,
}

/// The order is the wire format.
const KINDS: [Kind; 11] = [
    Kind::Usage,
    Kind::NotFound,
    Kind::InUse,
    Kind::Host,
    Kind::Denied,
    Kind::Network,
    Kind::Corrupt,
    Kind::External,
    Kind::CannotInvoke,
    Kind::CommandNotFound,
    Kind::Internal,
];

/// An error on its way to another process of the same build.
#[derive(serde::Serialize, serde::Deserialize)]
struct Wire {
    kind: u8,
    what: String,
    causes: Vec<String>,
    hints: Vec<String>,
    exit_code: u8,
    errno: Option<i32>,
}

/// What helps where the kernel says ENOSPC or EDQUOT of a file.
pub const DISK_FULL: &str = "The disk is full, or your quota is used up: free some space (`coracle system prune`, `coracle rmi`), \
    or choose another store with --root.";

/// Result of everything above `sys`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The crate's error; see the file header.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    what: String,
    causes: Vec<String>,
    hints: Vec<String>,
    exit_code: Option<u8>,
    errno: Option<i32>,
}

impl Error {
    /// An error of `kind` that says `what` failed.
    pub fn new(kind: Kind, what: impl fmt::Display) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.to_string(),
            causes: Vec::new(),
            hints: Vec::new(),
            exit_code: None,
            errno: None,
        }))
    }

    /// `Kind::Usage`: the command line or a document that the user wrote is wrong.
    pub fn usage(what: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// `Kind::NotFound`.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Kind::NotFound, what)
    }

    /// `Kind::InUse`.
    pub fn in_use(what: impl fmt::Display) -> Self {
        Self::new(Kind::InUse, what)
    }

    /// `Kind::Host`: this machine lacks something.
    pub fn host(what: impl fmt::Display) -> Self {
        Self::new(Kind::Host, what)
    }

    /// `Kind::Corrupt`.
    pub fn corrupt(what: impl fmt::Display) -> Self {
        Self::new(Kind::Corrupt, what)
    }

    /// `Kind::Internal`.
    pub fn internal(what: impl fmt::Display) -> Self {
        Self::new(Kind::Internal, what)
    }

    /// A process of ours has already said what failed; only its exit code is left to return.
    pub fn already_said(exit_code: u8) -> Self {
        Self::new(Kind::External, "").with_exit_code(exit_code)
    }

    /// Whether there is nothing left to print.
    pub fn is_already_said(&self) -> bool {
        self.0.what.is_empty()
    }

    /// Adds a deeper fact. Order: shallow first, deepest last.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.0.causes.push(cause.to_string());
        self
    }

    /// Adds a command or an edit that fixes it: a sentence with a period, real values filled in.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.0.hints.push(hint.to_string());
        self
    }

    /// Puts the user's action above what is there: the old `what` becomes the first cause. What has been said stays said.
    #[must_use]
    pub fn wrap(mut self, what: impl fmt::Display) -> Self {
        if self.is_already_said() {
            return self;
        }
        let below = std::mem::replace(&mut self.0.what, what.to_string());
        self.0.causes.insert(0, below);
        self
    }

    /// Sets another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Sets an exit code where podman's differs from the kind's (`rm nosuch` is 1, not 125).
    #[must_use]
    pub fn with_exit_code(mut self, code: u8) -> Self {
        self.0.exit_code = Some(code);
        self
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The user's action that failed.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Deeper facts, deepest last.
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// What to type or edit next.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// The errno of the failed call at the bottom, where there was one.
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// For another process of ours.
    pub fn to_wire(&self) -> Vec<u8> {
        let wire = Wire {
            kind: KINDS
                .iter()
                .position(|kind| *kind == self.kind())
                .and_then(|at| u8::try_from(at).ok())
                .unwrap_or(0),
            what: self.what().to_owned(),
            causes: self.causes().to_vec(),
            hints: self.hints().to_vec(),
            exit_code: self.exit_code(),
            errno: self.errno(),
        };
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// From another process of ours.
    pub fn from_wire(bytes: &[u8]) -> Self {
        let Ok(wire) = serde_json::from_slice::<Wire>(bytes) else {
            return Self::internal("another process sent an error that cannot be read");
        };
        let kind = KINDS.get(usize::from(wire.kind)).copied().unwrap_or(Kind::Internal);
        let mut error = Self::new(kind, wire.what).with_exit_code(wire.exit_code);
        error.0.errno = wire.errno;
        let error = wire.causes.into_iter().fold(error, |error, cause| error.cause(cause));
        wire.hints.into_iter().fold(error, |error, hint| error.hint(hint))
    }

    /// podman's exit codes: 126 and 127 for the payload's command, else 125.
    pub fn exit_code(&self) -> u8 {
        self.0.exit_code.unwrap_or(match self.0.kind {
            Kind::CannotInvoke => 126,
            Kind::CommandNotFound => 127,
            _ => 125,
        })
    }
}

impl fmt::Display for Error {
    /// One line: `what: cause: cause` (for logs and the runtime's single-line messages).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        for cause in &self.0.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {}

impl From<crate::sys::Error> for Error {
    fn from(e: crate::sys::Error) -> Self {
        let kind = match e.raw_os_error() {
            libc::EACCES | libc::EPERM | libc::EROFS => Kind::Denied,
            libc::ENOENT => Kind::NotFound,
            libc::EBUSY | libc::EEXIST | libc::ENOTEMPTY => Kind::InUse,
            _ => Kind::Host,
        };
        let mut error = Self::new(kind, &e);
        if e.is_full_disk() {
            error = error.hint(DISK_FULL);
        }
        error.0.errno = Some(e.raw_os_error());
        error
    }
}

/// Puts the user's action above a failure: `.what(|| format!("cannot start container {name}"))?`.
pub trait Context<T> {
    /// The closure runs only on failure.
    fn what<S: fmt::Display>(self, what: impl FnOnce() -> S) -> Result<T>;
    /// Adds a hint on failure.
    fn hint<S: fmt::Display>(self, hint: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn what<S: fmt::Display>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| e.into().wrap(what()))
    }

    fn hint<S: fmt::Display>(self, hint: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| e.into().hint(hint()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::CallContext;

    #[test]
    fn the_users_action_stands_above_the_failed_call() {
        let failed: std::io::Result<()> = Err(std::io::Error::from_raw_os_error(libc::ENOENT));
        let error = failed.call(|| "openat(\"/data\")").what(|| "cannot mount /data").unwrap_err();
        assert_eq!(error.what(), "cannot mount /data");
        assert_eq!(error.causes(), ["openat(\"/data\"): ENOENT (No such file or directory)"]);
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(error.exit_code(), 125);
    }

    #[test]
    fn no_space_is_a_full_disk_only_where_a_file_is_written() {
        let of = |call: &str| Error::from(crate::sys::Error::new(call, libc::ENOSPC)).hints().to_vec();
        assert_eq!(of("write(\"config.json\")"), [DISK_FULL]);
        assert!(of("unshare(CLONE_NEWUSER)").is_empty() && of("inotify_add_watch(3)").is_empty());
    }
}
