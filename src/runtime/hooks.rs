//! Hooks that the runtime itself runs: prestart, createRuntime, poststart, poststop. In its own namespaces, one after the
//! other, the state document on stdin, exactly the environment that the configuration gives, cwd `/`. What they write goes to
//! the files that crun's annotations name; else stdout to nowhere, and stderr into our words when a hook fails.

use super::args::Context;
use super::plan::target::c_string;
use super::spawn;
use super::state::{Status, hook_document};
use crate::error::{Context as _, Error, Kind, Result};
use crate::external::{command_at, last_words};
use crate::sys::{CallContext, pidfd};
use oci_spec::runtime::Hook;
use rustix::fs::{MemfdFlags, Mode, OFlags};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

/// What hooks are told.
#[derive(Debug, Clone, Copy)]
pub struct HookState<'a> {
    pub id: &'a str,
    pub status: Status,
    pub pid: i32,
    pub bundle: &'a Path,
    pub annotations: &'a HashMap<String, String>,
}

/// Runs the hooks of one point; the first that fails ends it.
pub fn run(point: &str, hooks: &[Hook], state: HookState<'_>) -> Result<()> {
    each(point, hooks, state, Err)
}

/// Runs them all: one that fails is a warning, and no reason to leave out those after it.
pub fn run_all(context: &Context, point: &str, hooks: &[Hook], state: HookState<'_>) {
    let warn = |e: Error| {
        context.warn(e.to_string());
        Ok(())
    };
    let _ = each(point, hooks, state, warn).or_else(warn);
}

fn each(
    point: &str,
    hooks: &[Hook],
    state: HookState<'_>,
    failed: impl Fn(Error) -> Result<()>,
) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let (head, tail) = hook_document(state.id, state.status, state.bundle, state.annotations);
    let document = [head, state.pid.to_string().into_bytes(), tail].concat();
    let output = output(state.annotations)?;
    for (index, hook) in hooks.iter().enumerate() {
        one(hook, &document, &output)
            .map_err(|words| {
                Error::new(Kind::External, format_args!("error running {point} hook #{index}"))
                    .cause(format_args!("{}: {words}", hook.path().display()))
            })
            .or_else(&failed)?;
    }
    Ok(())
}

/// Where the annotations `run.oci.hooks.stdout` and `.stderr` send what hooks write: to the end of these files.
pub fn output(annotations: &HashMap<String, String>) -> Result<[Option<OwnedFd>; 2]> {
    let open = |stream: &str| {
        let key = format!("run.oci.hooks.{stream}");
        let Some(path) = annotations.get(&key) else { return Ok(None) };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from(0o600)).call(|| format!("open({path:?})"));
        file.map(Some).what(|| format!("cannot open the file of the annotation {key}"))
    };
    Ok([open("stdout")?, open("stderr")?])
}

fn one(hook: &Hook, document: &[u8], output: &[Option<OwnedFd>; 2]) -> Result<(), String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let mut stdin = memory_file().map_err(|e| text(&e))?;
    stdin.write_all(document).and_then(|()| stdin.rewind()).map_err(|e| text(&e))?;
    let mut words = memory_file().map_err(|e| text(&e))?;
    let [stdout, stderr] = output;
    let copy = |file: &OwnedFd| file.try_clone().map(Stdio::from).map_err(|e| text(&e));
    let stdout = stdout.as_ref().map_or(Ok(Stdio::null()), copy)?;
    let stderr = match stderr {
        Some(file) => copy(file)?,
        None => Stdio::from(words.try_clone().map_err(|e| text(&e))?),
    };
    let mut command = command_at(hook.path());
    // args[0] is the name the program sees, as with execve.
    let args = hook.args().as_deref().unwrap_or_default();
    if let Some(name) = args.first() {
        command.arg0(name);
    }
    command.args(args.iter().skip(1)).env_clear();
    for var in hook.env().iter().flatten() {
        if let Some((name, value)) = var.split_once('=').filter(|(name, _)| !name.is_empty()) {
            command.env(name, value);
        }
        c_string(var).map_err(|e| text(&e))?;
    }
    command.current_dir("/").stdin(Stdio::from(stdin)).stdout(stdout).stderr(stderr);
    let mut child = command.spawn().map_err(|e| text(&e))?;
    if let Some(seconds) = hook.timeout().filter(|seconds| *seconds > 0) {
        let held = spawn::pidfd_of(child.id() as i32).map_err(|e| text(&e))?;
        let limit = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        if matches!(pidfd::wait(held.as_fd(), limit), Ok(false)) {
            pidfd::kill(held.as_fd());
            let _ = child.wait();
            return Err(format!("it did not end within {seconds} s"));
        }
    }
    let status = child.wait().map_err(|e| text(&e))?;
    if status.success() { Ok(()) } else { Err(failure(status, &mut words)) }
}

fn failure(status: ExitStatus, words: &mut File) -> String {
    let mut said = Vec::new();
    let _ = words.rewind();
    let _ = words.take(64 << 10).read_to_end(&mut said);
    let said = last_words(&said, "");
    if said.is_empty() { status.to_string() } else { format!("{status}: {said}") }
}

fn memory_file() -> Result<File> {
    Ok(File::from(rustix::fs::memfd_create(c"hook", MemfdFlags::CLOEXEC).call(|| "memfd_create()")?))
}
