//! `coracle`: the command line. Everything is in the library; here only the hidden role processes part from it.
//!
//! `coracle --role NAME …` is one of our own processes (monitor, guard, a command inside the store's namespace…): it is
//! recognised before any command line is parsed.

use coracle::error::{Error, Result};
use coracle::{cli, engine, monitor, toolbox, userns};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--role") && args.len() >= 2 {
        let rest = args.split_off(2);
        return role(&args[1], rest);
    }
    if toolbox::host::client::is_offered() {
        // In a box: the host's coracle does it.
        let done = toolbox::host::client::coracle(&args, &mut |note| cli::ui::warn(note));
        return ExitCode::from(done.unwrap_or_else(|error| cli::fail(&error)));
    }
    ExitCode::from(cli::main(args))
}

fn role(name: &OsString, args: Vec<OsString>) -> ExitCode {
    match name.to_str() {
        Some("monitor") => monitor::role_main(args),
        Some(monitor::owners::ROLE) => monitor::owners::role_main(args),
        Some(toolbox::host::ROLE) => toolbox::host::server::role_main(args),
        Some("in-store") => in_store(userns::SYNC_FD, userns::enter_store, args),
        Some("in-store-of") => in_store(userns::USERNS_FD, userns::join_store, args),
        Some(name) => engine::role_main(name, args),
        None => ExitCode::from(125),
    }
}

/// A whole command, inside the store's user namespace, which `enter` reaches by the fd at `number`.
fn in_store(number: RawFd, enter: fn(BorrowedFd<'_>) -> Result<()>, args: Vec<OsString>) -> ExitCode {
    let entered = coracle::sys::spawn::inherited_fd(number)
        .ok_or_else(|| Error::internal("a role process without the fd of its namespace"))
        .and_then(|fd| enter(fd.as_fd()))
        .and_then(|()| Ok(coracle::sys::spawn::die_with_parent(libc::SIGKILL)?));
    match entered {
        Ok(()) => ExitCode::from(cli::main(args)),
        Err(e) => ExitCode::from(cli::fail(&e)),
    }
}
