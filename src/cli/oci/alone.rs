//! `coracle-oci alone BUNDLE ID N SERVER`: what `coracle run` becomes where a container needs no monitor (`engine::alone`);
//! nobody else calls it.
//!
//! A `run` in the foreground whose state is in the bundle; but it talks and counts as `coracle` does, in whose place it is,
//! the payload is killed when it ends itself, and it ends the container when the process behind the pidfd SERVER ends. It
//! holds the shared lock on the image's mount without knowing of it: by an open file that it inherits and does not pass on.

use crate::error::{Error, Result};
use crate::external::runtime::{ALONE_VERB, classify};
use crate::id::RuntimeId;
use crate::runtime::{self, CreateArgs, RunArgs};
use std::ffi::OsString;
use std::path::Path;

pub(super) const VERB: &str = ALONE_VERB;

/// Returns the exit code.
pub(super) fn main(args: &[OsString]) -> u8 {
    super::as_coracle(run(args))
}

fn run(args: &[OsString]) -> Result<i32> {
    let [bundle, id, preserve_fds, server] = args else {
        return Err(Error::internal("the verb wants BUNDLE ID N SERVER"));
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
    let server = number(server).ok_or_else(no_number)?;
    let how = RunArgs { detach: false, keep: false, server: Some(server) };
    runtime::run::run(&context, &create, &how).map_err(|error| {
        let kind = classify(&error.to_string());
        error.with_kind(kind).wrap("cannot start the container")
    })
}
