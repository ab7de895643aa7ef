//! Reading in the root file system of a running container.
//!
//! A FUSE server's files are shown only to processes of the user namespace that mounted them, the store's. So the question
//! is asked by a child of ours in there, which is gone with its answer. It joins the store's namespace, never the
//! container's own: there the payload could trace it.

use super::cp::{running_namespace, running_root};
use crate::error::{Error, Result};
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::sys::fork::{Side, fork};
use crate::sys::{self, CallContext};
use rustix::pipe::PipeFlags;
use rustix::process::WaitOptions;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

const FINE: u8 = 0;
const FAILED: u8 = 1;

/// What `ask` finds below the running container's root, which it gets as an `O_PATH` fd.
pub fn peek(dirs: &Dirs, c: &Container, ask: impl FnOnce(OwnedFd) -> Result<Value>) -> Result<Value> {
    let root = running_root(dirs, c)?.ok_or_else(|| Error::in_use("it is not running"))?;
    let Some(stores) = running_namespace(dirs, c)? else { return ask(root) };
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).call(|| "pipe2(O_CLOEXEC)")?;
    match fork()? {
        Side::Child => {
            let answer = sys::spawn::join_user_and_unshare_mounts(stores.as_fd())
                .map_err(Error::from)
                .and_then(|()| ask(root));
            let (mark, bytes) = match answer {
                Ok(value) => (FINE, value.to_string().into_bytes()),
                Err(e) => (FAILED, e.to_wire()),
            };
            let mut writer = File::from(writer);
            let _ = writer.write_all(&[mark]).and_then(|()| writer.write_all(&bytes));
            sys::process::exit_now(0);
        }
        Side::Parent(child) => {
            drop(writer);
            let mut answer = Vec::new();
            let read = File::from(reader).read_to_end(&mut answer).call(|| "read(pipe)");
            let _ = rustix::process::waitpid(Some(child), WaitOptions::empty());
            read?;
            match answer.split_first() {
                Some((&FINE, json)) => serde_json::from_slice(json)
                    .map_err(|e| Error::internal(format_args!("cannot read an answer: {e}"))),
                Some((_, error)) => Err(Error::from_wire(error)),
                None => Err(Error::internal("a child of ours ended without an answer")),
            }
        }
    }
}
