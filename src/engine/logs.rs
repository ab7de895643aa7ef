//! The logs of one or several containers, one after the other.

use crate::error::{Error, Result};
use crate::monitor::client;
use crate::ondisk::container::Container;
use crate::paths::Dirs;

pub use client::{LogOptions, LogStream};

/// What gets the pieces: the container's place in the list, the stream, the bytes.
pub type Sink<'a> = &'a mut dyn FnMut(usize, LogStream, &[u8]) -> Result<()>;

/// Reads the log of each container. Several cannot be followed at once: the first would hide the others.
pub fn read(dirs: &Dirs, containers: &[Container], options: &LogOptions, sink: Sink<'_>) -> Result<()> {
    if options.follow && containers.len() > 1 {
        return Err(Error::usage("following the logs of several containers is not supported yet")
            .hint("Follow one container with each command."));
    }
    for (at, c) in containers.iter().enumerate() {
        // A sink that wants whole lines gets them: pieces are joined up to their newline.
        let mut pending: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
        client::read_log(dirs, c, options, &mut |stream, piece| {
            let [stdout, stderr] = &mut pending;
            let buffer = if stream == LogStream::Stdout { stdout } else { stderr };
            buffer.extend_from_slice(piece);
            if !buffer.ends_with(b"\n") && !options.follow && buffer.len() < MAX_LINE {
                return Ok(());
            }
            let line = std::mem::take(buffer);
            sink(at, stream, &line)
        })?;
        for (stream, rest) in [LogStream::Stdout, LogStream::Stderr].into_iter().zip(pending) {
            if !rest.is_empty() {
                sink(at, stream, &rest)?;
            }
        }
    }
    Ok(())
}

/// A longer line is given in pieces.
const MAX_LINE: usize = 1 << 20;
