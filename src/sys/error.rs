//! A failed system call with its arguments, as the user will read it: `openat2([7], "etc/passwd"): ENOENT (No such file or directory)`.
//!
//! Errno comes from rustix, nix or std; `CallContext::call` adds the call. Code after clone returns the bare errno instead.

use std::fmt;

/// A system call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    call: String,
    errno: i32,
}

/// Result of a system call, with its arguments on failure.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `call` as the user will read it, with its arguments.
    pub fn new(call: impl fmt::Display, errno: i32) -> Self {
        Self { call: call.to_string(), errno }
    }

    /// Whether a file could not be made or written because there is no room for it (ENOSPC has other meanings elsewhere).
    pub fn is_full_disk(&self) -> bool {
        const CALLS: [&str; 11] = [
            "write",
            "pwrite",
            "copy",
            "open",
            "mkdir",
            "mknod",
            "rename",
            "symlink",
            "link",
            "fsync",
            "ftruncate",
        ];
        matches!(self.errno, libc::ENOSPC | libc::EDQUOT)
            && CALLS.iter().any(|call| self.call.starts_with(call))
    }

    /// The errno.
    pub fn raw_os_error(&self) -> i32 {
        self.errno
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, ErrnoText(self.errno))
    }
}

impl std::error::Error for Error {}

/// Prints an errno by name and text: `EPERM (Operation not permitted)`.
#[derive(Debug, Clone, Copy)]
pub struct ErrnoText(pub i32);

impl fmt::Display for ErrnoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = nix::errno::Errno::from_raw(self.0);
        if errno == nix::errno::Errno::UnknownErrno {
            return write!(f, "errno {}", self.0);
        }
        write!(f, "{errno:?} ({})", errno.desc())
    }
}

/// Names the call that failed: `rustix::fs::mkdirat(..).call(|| format!("mkdirat({path:?})"))?`.
pub trait CallContext<T> {
    /// The closure runs only on failure.
    fn call<S: fmt::Display>(self, call: impl FnOnce() -> S) -> Result<T>;
}

impl<T> CallContext<T> for rustix::io::Result<T> {
    fn call<S: fmt::Display>(self, call: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| Error::new(call(), e.raw_os_error()))
    }
}

impl<T> CallContext<T> for nix::Result<T> {
    fn call<S: fmt::Display>(self, call: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| Error::new(call(), e as i32))
    }
}

impl<T> CallContext<T> for std::io::Result<T> {
    fn call<S: fmt::Display>(self, call: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| match e.raw_os_error() {
            Some(errno) => Error::new(call(), errno),
            // std's own errors have no errno: their text joins the call, EIO stands for the number.
            None => Error::new(format!("{}: {e}", call()), libc::EIO),
        })
    }
}
