//! `coracle`: the command line. Everything is in the library; here only the hidden role processes part from it.
//!
//! `coracle --role NAME …` is one of our own processes (monitor, guard, a command inside the store's namespace…): it is
//! recognised before any command line is parsed.

use coracle::{cli, engine, error::Error, monitor, userns};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--role") && args.len() >= 2 {
        let rest = args.split_off(2);
        return role(&args[1], rest);
    }
    ExitCode::from(cli::main(args))
}

fn role(name: &OsString, args: Vec<OsString>) -> ExitCode {
    match name.to_str() {
        Some("monitor") => monitor::role_main(args),
        Some("in-store") => in_store(args),
        Some(name) => engine::role_main(name, args),
        None => ExitCode::from(125),
    }
}

/// A whole command, inside the store's user namespace.
fn in_store(args: Vec<OsString>) -> ExitCode {
    let entered = coracle::sys::spawn::inherited_fd(userns::SYNC_FD)
        .ok_or_else(|| Error::internal("a role process without its sync socket"))
        .and_then(|sync| userns::enter_store(std::os::fd::AsFd::as_fd(&sync)))
        .and_then(|()| Ok(coracle::sys::spawn::die_with_parent(libc::SIGKILL)?));
    match entered {
        Ok(()) => ExitCode::from(cli::main(args)),
        Err(e) => ExitCode::from(cli::fail(&e)),
    }
}
