//! The last steps: the working directory, the command, execve.

use super::{Inherited, creds};
use crate::runtime::plan::process::ProcessPlan;
use crate::runtime::step::{Fail, OrFail, Step, fail};
use crate::sys::fs::may;
use crate::sys::process::{cwd_is_below_root, execve, reset_signals};
use rustix::fs::FileType;
use rustix::io::{Errno, Result};

/// Goes to the working directory with the rights that we have before we become the user: root may enter what its
/// capabilities, which are about to go, let it enter. Where that led out of the root we do not stay.
pub fn try_directory(process: &ProcessPlan) -> bool {
    if rustix::process::chdir(process.cwd.as_c_str()).is_err() {
        return false;
    }
    let inside = cwd_is_below_root().unwrap_or(false);
    if !inside {
        let _ = rustix::process::chdir(c"/");
    }
    inside
}

/// Goes to the working directory as the user, if nobody went there before: a directory that the user may not enter is
/// an error now, not later. Afterwards the kernel must be able to say where we are: a directory outside of the root
/// (through a leaked fd, CVE-2024-21626) has no such path. Who is there was asked before: a filter that is in place by
/// now need not allow getcwd.
pub fn change_directory(process: &ProcessPlan, there: bool) -> std::result::Result<(), Fail> {
    if there {
        return Ok(());
    }
    rustix::process::chdir(process.cwd.as_c_str()).or_fail(Step::Cwd, 0)?;
    if cwd_is_below_root().or_fail(Step::Cwd, 1)? { Ok(()) } else { Err(fail(Step::Cwd, 1, Errno::NOENT)) }
}

/// Which candidate will be executed, as the user that will execute it. The errno of the failure is the most telling
/// one: a file that is there and may not be executed says more than one that is not there.
pub fn find(process: &ProcessPlan) -> std::result::Result<usize, Fail> {
    let mut worst = Errno::NOENT;
    for (index, file) in process.candidates.iter().enumerate() {
        match executable(file) {
            Ok(()) => return Ok(index),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => worst = e,
        }
    }
    Err(fail(Step::Lookup, 0, worst))
}

fn executable(file: &std::ffi::CStr) -> Result<()> {
    let stat = rustix::fs::stat(file)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    may(file, rustix::fs::Access::EXEC_OK)
}

/// The signals as a program expects them, then the filter of a process with no_new_privs: the last thing before hooks and
/// execve, which run under it. A filter need not allow more than those need.
pub fn seal(process: &ProcessPlan, inherited: &Inherited<'_>) -> std::result::Result<(), Fail> {
    reset_signals().or_fail(Step::Exec, 0)?;
    creds::install_last(process, inherited)
}

/// Replaces this process by the command; what comes back is the failure.
pub fn execute(process: &ProcessPlan, candidate: usize) -> Fail {
    match process.candidates.get(candidate) {
        Some(file) => fail(Step::Exec, 0, execve(file, &process.argv, &process.env)),
        None => fail(Step::Exec, 0, Errno::NOENT),
    }
}
