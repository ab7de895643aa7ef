//! Failures of the child in words: here the plan is at hand, and allocation is no problem.
//!
//! The texts of a missing or forbidden command are those that engines look for (podman, Docker, Kubernetes).

use super::plan::process::ProcessPlan;
use super::plan::{HookPlan, Plan};
use super::step::{Fail, Step, ended_words};
use crate::error::{Error, Kind};
use crate::sys::ErrnoText;

/// What to do about attributes of a bind mount that are not ours to clear.
pub const LOCKED: &str = "In a user namespace a bind mount keeps ro, nosuid, nodev, noexec and the atime mode of its source's mount: leave their opposites out of its options.";

/// The error behind a failure of the container's first process.
pub fn of_init(fail: Fail, plan: &Plan) -> Error {
    let index = fail.index as usize;
    let object = match fail.step {
        Step::MountTarget
        | Step::MountSource
        | Step::MountOption
        | Step::MountAttach
        | Step::MountAttributes
        | Step::MountPropagation
        | Step::MountCopyUp
        | Step::MountLabel => plan.mounts.get(index).map(|mount| mount.shown.clone()),
        Step::Device => {
            plan.dev.as_ref().and_then(|dev| dev.nodes.get(index)).map(|node| node.target.shown.clone())
        }
        Step::DevLink => plan
            .dev
            .as_ref()
            .and_then(|dev| dev.links.get(index))
            .map(|l| l.name.to_string_lossy().into_owned()),
        Step::Sysctl => plan.sysctls.get(index).map(|sysctl| sysctl.key.clone()),
        Step::ReadonlyPath => plan.readonly.get(index).map(|target| target.shown.clone()),
        Step::MaskedPath => plan.masked.get(index).map(|target| target.shown.clone()),
        Step::RootSource | Step::RootAttach => Some(plan.rootfs.path.to_string_lossy().into_owned()),
        Step::Join => plan.namespaces.join.get(index).map(|join| join.path.display().to_string()),
        Step::CreateHook => hook(&plan.create_container_hooks, index),
        Step::StartHook => hook(&plan.start_container_hooks, index),
        _ => return of_process(fail, &plan.process),
    };
    plain(fail, object)
}

/// The error behind a failure of a process: of the first one, or of an exec.
pub fn of_process(fail: Fail, process: &ProcessPlan) -> Error {
    let errno = rustix::io::Errno::from_raw_os_error(fail.errno);
    let text = lower(fail.errno);
    match fail.step {
        Step::Lookup | Step::Exec => of_command(fail, &process.command),
        Step::Cwd if fail.index == 1 => {
            Error::new(Kind::CannotInvoke, format_args!("chdir to cwd ({:?})", process.cwd))
                .cause("the directory is outside of the container")
        }
        Step::Cwd => {
            let kind =
                if errno == rustix::io::Errno::ACCESS { Kind::CannotInvoke } else { Kind::CommandNotFound };
            Error::new(kind, format_args!("chdir to cwd ({:?}) set in config.json failed", process.cwd))
                .cause(text)
        }
        Step::Rlimit => {
            let limit = process.rlimits.get(fail.index as usize);
            plain(
                fail,
                limit
                    .map(|(resource, limit)| format!("{resource:?} {:?}:{:?}", limit.current, limit.maximum)),
            )
        }
        Step::Scheduler if fail.errno == libc::EPERM && process.in_cpuset => plain(fail, None).cause(
            "process scheduler can't be used together with AllowedCPUs: SCHED_DEADLINE wants all CPUs",
        ),
        Step::Groups => plain(fail, Some(format!("{:?}", process.groups))),
        Step::Gid => plain(fail, Some(process.gid.to_string())),
        Step::Uid => plain(fail, Some(process.uid.to_string())),
        Step::Label => {
            let label = if fail.index == 0 { &process.apparmor } else { &process.selinux };
            plain(fail, label.as_ref().map(|label| label.to_string_lossy().into_owned()))
        }
        _ => plain(fail, None),
    }
}

/// The error of a command that was not found or could not be executed.
pub fn of_command(fail: Fail, command: &str) -> Error {
    let exec = format!("exec: {command:?}");
    let found = |words: String| Error::new(Kind::CannotInvoke, exec.clone()).cause(words);
    match fail.errno {
        libc::ENOENT if fail.step == Step::Exec => {
            // The file was there a moment ago: what is missing is its interpreter.
            Error::new(Kind::CommandNotFound, format_args!("exec {command}: no such file or directory"))
                .cause("the interpreter in its first line, or the loader that it was linked for, is missing")
        }
        libc::ENOENT if command.contains('/') => Error::new(Kind::CommandNotFound, exec)
            .cause(format_args!("stat {command}"))
            .cause("no such file or directory"),
        libc::ENOENT => Error::new(Kind::CommandNotFound, exec)
            .cause("executable file not found in $PATH")
            .cause("no such file or directory"),
        libc::EISDIR => found("is a directory".to_owned()).cause("permission denied"),
        errno => found(lower(errno)),
    }
}

/// The error of a failure after `start`, when the plan is gone with the runtime that made it.
pub fn of_started(fail: Fail, command: &str) -> Error {
    match fail.step {
        Step::Exec => of_command(fail, command),
        _ => plain(fail, None),
    }
}

fn plain(fail: Fail, object: Option<String>) -> Error {
    let point = match fail.step {
        Step::CreateHook => Some("createContainer"),
        Step::StartHook => Some("startContainer"),
        _ => None,
    };
    if let Some(point) = point {
        let words = ended_words(fail.errno).unwrap_or_else(|| ErrnoText(fail.errno).to_string());
        return Error::new(Kind::External, format_args!("error running {point} hook #{}", fail.index))
            .cause(format_args!("error running hook {}", object.unwrap_or_default()))
            .cause(words);
    }
    let what = match object {
        Some(object) => format!("cannot {} {object}", fail.step.words()),
        None => format!("cannot {}", fail.step.words()),
    };
    let kind = match fail.errno {
        libc::EPERM | libc::EACCES | libc::EROFS => Kind::Denied,
        _ => Kind::Host,
    };
    let errno = ErrnoText(fail.errno);
    let error = match (fail.errno, fail.step.feature()) {
        // An old kernel, or a filter around us: which call it was is what whoever mends it needs.
        (libc::ENOSYS | libc::EPERM, Some(feature)) => {
            Error::new(kind, what).cause(format_args!("{feature}: {errno}"))
        }
        _ => Error::new(kind, what).cause(errno),
    };
    match (fail.step, fail.errno) {
        (Step::MountTarget, libc::ELOOP)
        | (Step::MaskedPath | Step::ReadonlyPath | Step::DevOpen, libc::ELOOP) => {
            Error::new(kind, error.what())
                .cause("it must be mounted on ordinary directory")
                .cause(ErrnoText(fail.errno))
                .hint("The root file system has a symlink where a directory belongs.")
        }
        (Step::MountAttributes, libc::EPERM) => error.hint(LOCKED),
        _ => error,
    }
}

fn hook(hooks: &[HookPlan], index: usize) -> Option<String> {
    hooks.get(index).map(|hook| hook.path.to_string_lossy().into_owned())
}

/// An errno as runc prints it.
fn lower(errno: i32) -> String {
    nix::errno::Errno::from_raw(errno).desc().to_lowercase()
}
