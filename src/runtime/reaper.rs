//! `coracle-oci init -- CMD …`: the tiny pid 1 behind `--init`.
//!
//! Starts the command in its own process group, passes every signal on to it, reaps everything that is orphaned to pid 1,
//! and ends with the command's status once it has ended (128+n for a signal). Nothing else: it allocates before it starts.

use crate::sys;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

/// Runs the command to its end. Returns the exit status that pid 1 should have.
pub fn main(args: Vec<OsString>) -> u8 {
    let args = args.into_iter().skip_while(|arg| arg == "--");
    let argv: Vec<CString> = args.filter_map(|arg| CString::new(arg.into_vec()).ok()).collect();
    let Some(program) = argv.first() else { return 125 };
    // Before anything else: a signal that comes now waits until there is somebody to pass it on to.
    let Ok(signals) = sys::reap::Signals::block_all() else { return 125 };
    let child = match sys::reap::start(program, &argv, &signals) {
        Ok(pid) => pid,
        Err(e) if e.raw_os_error() == libc::ENOENT => return 127,
        Err(_) => return 126,
    };
    loop {
        let Ok(signal) = signals.wait() else { return 125 };
        if signal != libc::SIGCHLD {
            sys::reap::pass_on(child, signal);
            continue;
        }
        if let Some(status) = sys::reap::reap_all(child) {
            return status;
        }
    }
}
