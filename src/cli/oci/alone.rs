//! `coracle-oci alone BUNDLE ID N SERVER USERS`: what `coracle run` becomes where a container needs no monitor (`engine::alone`);
//! nobody else calls it.
//!
//! A `run` in the foreground whose state is in the bundle; but it talks and counts as `coracle` does, in whose place it is,
//! the payload is killed when it ends itself, and it ends the container when the process behind the pidfd SERVER ends. The
//! open file USERS has the shared lock on the image's mount, which is given back at the end.

use crate::error::{Error, Result};
use crate::external::runtime::{ALONE_VERB, classify};
use crate::id::RuntimeId;
use crate::runtime::{self, CreateArgs, RunArgs};
use crate::store::squash;
use crate::sys::spawn::inherited_fd;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;

pub(super) const VERB: &str = ALONE_VERB;

/// Returns the exit code.
pub(super) fn main(args: &[OsString]) -> u8 {
    super::as_coracle(run(args))
}

fn run(args: &[OsString]) -> Result<i32> {
    let [bundle, id, preserve_fds, server, users] = args else {
        return Err(Error::internal("the verb wants BUNDLE ID N SERVER USERS"));
    };
    let number = |text: &OsString| text.to_str().and_then(|text| text.parse().ok());
    let no_number = || Error::internal("no number");
    let context = super::context_at(Path::new(bundle).join("oci"));
    let create = CreateArgs {
        id: RuntimeId::parse(&id.to_string_lossy())?,
        bundle: bundle.into(),
        config: None,
        pid_file: None,
        console_socket: None,
        pidfd_socket: None,
        preserve_fds: number(preserve_fds).and_then(|n| u32::try_from(n).ok()).ok_or_else(no_number)?,
        env: Vec::new(),
        notify_socket: None,
        no_pivot: false,
        no_new_keyring: false,
        dies_with_us: true,
    };
    let [server, users] = [server, users].map(|fd| number(fd).and_then(inherited_fd).ok_or_else(no_number));
    let (how, users) = (RunArgs { detach: false, keep: false, server: Some(server?) }, users?);
    let ended = runtime::run::run(&context, &create, &how).map_err(|error| {
        let kind = classify(&error.to_string());
        error.with_kind(kind).wrap("cannot start the container")
    });
    // All of it is in one place, the image's mount too.
    how.server.inspect(|server| squash::let_go(users, server.as_fd(), Path::new(bundle)));
    ended
}
