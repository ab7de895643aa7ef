//! When a container fails because its files do: the program that serves them has ended, or the image file is damaged.
//!
//! squashfuse ends by an assertion when the tables of a file contradict each other, at whatever moment it gets there. What
//! the user sees of it must be more than an exit code: every attached client is told, and a start that failed says so.

use super::events::{Monitor, timespec};
use super::protocol;
use crate::error::{Error, Kind};
use crate::ondisk::container::{Driver, Rootfs};
use rustix::event::{PollFd, PollFlags};
use std::time::Duration;

/// In the container's record.
pub(super) const SERVER_DIED: &str = "rootfs server died";

/// Between the end of a server's files and its own.
const SERVERS_END: Duration = Duration::from_millis(200);

impl Monitor {
    /// A payload whose files are gone dies of a page that cannot be read, perhaps before its server's end is to be seen: a
    /// process lets go of its files first. Returns the container's exit code: one that has made the best of it, and says that
    /// all is well, was not well.
    pub(super) fn blame_server(&mut self, code: i32) -> i32 {
        let fault = [libc::SIGBUS, libc::SIGSEGV].iter().any(|signal| code == 128 + signal);
        let patience = if fault { SERVERS_END } else { Duration::ZERO };
        if self.server_has_ended(patience) && !self.state.stop_requested {
            self.rootfs.server = None;
            self.state.error = Some(SERVER_DIED.to_owned());
        }
        let lost = self.state.error.as_deref() == Some(SERVER_DIED);
        if lost && code == 0 { i32::from(self.lost_files().exit_code()) } else { code }
    }

    fn server_has_ended(&self, patience: Duration) -> bool {
        self.rootfs.server.as_ref().is_some_and(|server| {
            let mut fds = [PollFd::new(server, PollFlags::IN)];
            matches!(rustix::event::poll(&mut fds, Some(&timespec(patience))), Ok(1))
        })
    }

    /// What an attached client is told at the end: the exit code, and an error where the payload is not to blame for it.
    pub(super) fn last_word(&self, code: i32) -> Vec<u8> {
        let mut word = code.to_le_bytes().to_vec();
        if self.state.error.as_deref() == Some(SERVER_DIED) {
            word.extend(protocol::encode_error(&self.lost_files()));
        }
        word
    }

    fn lost_files(&self) -> Error {
        let error =
            Error::new(Kind::External, format_args!("container {} has lost its files", self.container.name));
        match &self.container.rootfs {
            Rootfs::Squash { file, driver, .. } if *driver != Driver::FuseOverlayfs => error
                .cause(format_args!(
                    "squashfuse, which served the image file {file}, has ended: it crashed or was killed"
                ))
                .hint(may_be_damaged(file)),
            _ => error.cause("fuse-overlayfs, which served them, has ended: it crashed or was killed"),
        }
    }

    /// A command that is not found, or cannot be read, in an image file whose tables are damaged.
    pub(super) fn explain_start(&self, error: Error) -> Error {
        let Rootfs::Squash { file, .. } = &self.container.rootfs else { return error };
        if self.server_has_ended(SERVERS_END) {
            let lost = self.lost_files();
            let error = Error::new(Kind::External, error.what()).cause(lost.what());
            let error = lost.causes().iter().fold(error, |error, cause| error.cause(cause));
            return lost.hints().iter().fold(error, |error, hint| error.hint(hint));
        }
        let unreadable =
            error.causes().iter().any(|cause| cause.ends_with("i/o error") || cause.contains("EIO"))
                || error.what().ends_with("i/o error");
        if unreadable { error.hint(may_be_damaged(file)) } else { error }
    }
}

fn may_be_damaged(file: &str) -> String {
    format!(
        "The file may be damaged: compare its checksum with the original's, `sha256sum {file}`, or make it again."
    )
}
