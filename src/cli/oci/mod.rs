//! The command line of `coracle-oci`: runc's verbs and flags, one line on failure, nothing on success.
//!
//! Its callers are programs (conmon, containerd's shim, buildah, Slurm), so the grammar is theirs: flags before or after the
//! id, `--x=y`, Go's single-dash long flags. Exit code 1 for our own errors, 255 for those of `exec`, else the payload's.
//! stderr is silent on success: several callers merge it into stdout.

mod alone;
mod criu;
mod events;
mod features;
mod flags;
mod help;
mod log;
mod ps;
mod rank;
mod template;
mod update;
mod verbs;

use crate::error::{Error, Result};
use crate::runtime::{Context, Stages};
use std::cell::RefCell;
use std::ffi::OsString;
use std::path::PathBuf;

/// Runs one command line (without the program's name). Returns the exit code.
pub fn main(args: Vec<OsString>) -> u8 {
    if args.first().is_some_and(|verb| verb == "init") {
        return crate::runtime::reaper::main(args.into_iter().skip(1).collect());
    }
    if args.first().is_some_and(|verb| verb == "hold") {
        return crate::runtime::holder::main(args.get(1..).unwrap_or_default());
    }
    if args.first().is_some_and(|verb| verb == alone::VERB) {
        return alone::main(args.get(1..).unwrap_or_default());
    }
    if args.first().is_some_and(|verb| verb == rank::VERB) {
        return rank::main(args.get(1..).unwrap_or_default());
    }
    if args.first().is_some_and(|verb| verb == "pause") && args.len() == 1 {
        return crate::toolbox::inside::pause();
    }
    let parsed = match flags::parse(args) {
        Ok(parsed) => parsed,
        Err(e) => return log::Log::default().fail(&e, 1),
    };
    let log = log::Log::from_flags(&parsed);
    log.debug(format_args!("{} {:?}", parsed.verb, parsed.operands));
    match verbs::run(&parsed, &log) {
        Ok(code) => code,
        Err(e) => log.fail(&e, if parsed.verb == "exec" { 255 } else { 1 }),
    }
}

/// What a verb in the place of a `coracle` ends with: it talks and counts as that one does.
fn as_coracle(ended: Result<i32>) -> u8 {
    match ended {
        Ok(code) => u8::try_from(code).unwrap_or(255),
        Err(error) => super::fail(&error),
    }
}

/// The context of such a verb.
fn context_at(root: PathBuf) -> Context {
    Context {
        root,
        root_given: true,
        systemd_cgroup: false,
        cgroups_disabled: true,
        rootless: None,
        warnings: RefCell::default(),
        stages: Stages::default(),
    }
}

/// Writes data to stdout. A reader that went away is not our error.
fn say(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::internal(format_args!("cannot write to stdout: {e}")))
        }
        _ => Ok(()),
    }
}
