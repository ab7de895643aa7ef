//! The OCI runtime as a program: `coracle-oci`, or another one with the same command line (`--runtime crun`).
//!
//! Its words come back through `--log` on a memfd (`/proc/self/fd/N` opens it in any runtime), so that they are never mixed
//! with the payload's stderr, which the runtime inherits to pass on. runc and containerd fixed the contract:
//! `--log-format json`, the last line of level `error` counts.

use crate::error::{Context, Error, Kind, Result};
use crate::sys::{self, CallContext, null};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, WaitOptions, WaitStatus};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where the runtime finds its log. Above the fds that a payload may get from its caller.
const LOG_FD: RawFd = 60;

/// Where the runtime finds the first of the fds that an operation passes.
pub const FIRST_FD: RawFd = 61;

/// Where it finds the container's runtime directory.
const RUN_FD: RawFd = FIRST_FD + 1;

/// How many fds of the caller's a payload may get: `LOG_FD` comes after them.
pub const MAX_PRESERVED: u32 = LOG_FD as u32 - 3;

/// Most of the log that is read.
const MAX_LOG: u64 = 64 << 10;

/// A runtime, ready to be started again and again.
#[derive(Debug)]
pub struct Runtime {
    /// Our own runtime by its open file: an update of coracle does not change it under a running container.
    program: CString,
    _file: OwnedFd,
    name: OsString,
    /// `--root`: its state, below the container's runtime directory.
    root: PathBuf,
    /// Whether it may use cgroups.
    cgroups: bool,
    /// Ours says nothing on stderr: that is the payload's, and we have the log.
    own: bool,
}

/// One run of it.
#[derive(Debug)]
pub struct Run {
    pub pid: Pid,
    log: OwnedFd,
}

impl Runtime {
    /// `wanted`: an absolute path; none: `coracle-oci` beside our own program.
    pub fn open(wanted: Option<&str>, root: PathBuf, cgroups: bool) -> Result<Self> {
        let path = match wanted {
            Some(path) => PathBuf::from(path),
            None => own_runtime()?,
        };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::empty())
            .call(|| format!("open({path:?})"))
            .what(|| "cannot find the OCI runtime")
            .hint(|| "Install coracle-oci beside coracle, or name another with --runtime.")?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
        // A script (`#!`) could not open itself by the number of a fd that is closed on exec.
        let program = if wanted.is_some() {
            path.into_os_string().into_vec()
        } else {
            format!("/proc/self/fd/{}", file.as_raw_fd()).into_bytes()
        };
        let program =
            CString::new(program).map_err(|_| Error::usage("the path of the runtime has a NUL byte"))?;
        Ok(Self { program, _file: file, name, root, cgroups, own: wanted.is_none() })
    }

    /// Starts it with these arguments, this stdio, `preserved` from 3 on (for the payload) and `fds` from `FIRST_FD` on.
    pub fn start(
        &self,
        args: &[OsString],
        stdio: [BorrowedFd<'_>; 3],
        preserved: &[OwnedFd],
        fds: &[BorrowedFd<'_>],
    ) -> Result<Run> {
        let log = rustix::fs::memfd_create("runtime-log", rustix::fs::MemfdFlags::CLOEXEC)
            .call(|| "memfd_create(\"runtime-log\")")?;
        let argv = std::iter::once(self.name.clone())
            .chain(global_args(&self.name.to_string_lossy(), &self.root, self.cgroups))
            .chain(self.own.then(|| OsString::from("--log-only")))
            .chain(args.iter().cloned())
            .map(|arg| {
                CString::new(arg.into_vec()).map_err(|_| Error::usage("an argument contains a NUL byte"))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut placed: Vec<(BorrowedFd<'_>, RawFd)> = stdio.into_iter().zip(0..).collect();
        placed.push((log.as_fd(), LOG_FD));
        placed.extend(preserved.iter().map(AsFd::as_fd).zip(3..LOG_FD));
        placed.extend(fds.iter().copied().zip(FIRST_FD..));
        let pid = sys::spawn::spawn(&self.program, &argv, &placed)
            .what(|| format!("cannot start the OCI runtime {}", self.name.to_string_lossy()))?;
        drop(placed);
        let pid = Pid::from_raw(pid).ok_or_else(|| Error::internal("posix_spawn gave pid 0"))?;
        Ok(Run { pid, log })
    }

    /// Runs it to its end, quietly.
    pub fn run(&self, args: &[OsString]) -> Result<()> {
        let null = null::open()?;
        let run = self.start(args, [null.as_fd(), null.as_fd(), null.as_fd()], &[], &[])?;
        match run.wait()? {
            0 => Ok(()),
            code => Err(run.failure(code, b"")),
        }
    }

    /// Where its records of container `id` are.
    pub fn state_dir(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }
}

impl Run {
    /// Waits for its end; its exit code.
    pub fn wait(&self) -> Result<i32> {
        loop {
            match rustix::process::waitpid(Some(self.pid), WaitOptions::empty()) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(Some((_, status))) => return Ok(exit_code(status)),
                Ok(None) => return Err(Error::internal("waitpid returned nothing")),
                Err(e) => return Err(e).call(|| "waitpid(runtime)").map_err(Error::from),
            }
        }
    }

    /// The error of a run that ended with `code`; `stderr` is used where the log says nothing.
    pub fn failure(&self, code: i32, stderr: &[u8]) -> Error {
        let words = self.log.try_clone().ok().and_then(|log| last_error(File::from(log)));
        let words = words
            .unwrap_or_else(|| super::last_words(stderr, &format!("the runtime ended with status {code}")));
        let error = Error::new(classify(&words), &words);
        // The runtime's log has no hints.
        if words.contains("is not delegated to") {
            return error.hint("See what is delegated, and how to get the rest, with `coracle doctor`; or leave the limit out.");
        }
        if words.contains(LIMIT_REACHED) {
            return error.hint(LIMIT_HINT);
        }
        error
    }
}

/// How coracle-oci says that no namespace can be made, and what mends it (`userns::limit_reached`).
pub const LIMIT_REACHED: &str =
    "the limit user.max_user_namespaces is reached, or 32 user namespaces are nested";
pub const LIMIT_HINT: &str = "Ask the administrator for `sysctl user.max_user_namespaces=15000`, or end containers that run: `coracle ps`.";

/// A process's exit code as a shell counts: 128 + signal.
pub fn exit_code(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(255)
}

/// Arguments before the verb. runc has no `--cgroup-manager`; it ignores a missing cgroup by itself when rootless.
pub fn global_args(name: &str, root: &Path, cgroups: bool) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--root".into(), root.into(), "--log-format".into(), "json".into()];
    args.extend(["--log".into(), format!("/proc/self/fd/{LOG_FD}").into()]);
    if name != "runc" {
        let manager = if cgroups { "cgroupfs" } else { "disabled" };
        args.extend(["--cgroup-manager".into(), manager.into()]);
    }
    args
}

/// The verb of ours that a rank becomes.
pub const RANK_VERB: &str = "rank";

/// A rank of a container, ready to be: its process document, and its lock on the container's life.
#[derive(Debug)]
pub struct Rank {
    program: CString,
    argv: Vec<CString>,
    _process: OwnedFd,
    _users: OwnedFd,
    run: OwnedFd,
}

impl Rank {
    /// `root`: where the runtime's state is; `preserved`: how many fds from 3 on the payload gets. Both fds go above those.
    /// With `parent`, the rank is killed when that process, ours, ends.
    pub fn new(
        root: &Path,
        id: &str,
        process: &[u8],
        users: &OwnedFd,
        preserved: u32,
        parent: Option<Pid>,
    ) -> Result<Self> {
        let memory = rustix::fs::memfd_create("process", rustix::fs::MemfdFlags::CLOEXEC)
            .call(|| "memfd_create(\"process\")")?;
        File::from(memory.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?)
            .write_all(process)
            .call(|| "write(process)")?;
        // The container's runtime directory, where its seccomp agent listens: the second fd, as of a runtime that the monitor starts.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let run = root.parent().unwrap_or(root);
        let run = rustix::fs::open(run, flags, Mode::empty()).call(|| format!("open({run:?})"))?;
        let run = inherited(&run, RUN_FD)?;
        let (process, users) = (inherited(&memory, above(preserved))?, inherited(users, above(preserved))?);
        let own = text(own_runtime()?.into_os_string().into_vec())?;
        let argv = [
            own.clone(),
            text(RANK_VERB.into())?,
            text(root.as_os_str().as_bytes().to_vec())?,
            text(id.into())?,
            text(process.as_raw_fd().to_string().into())?,
            text(preserved.to_string().into())?,
            text(parent.map_or(0, |pid| pid.as_raw_nonzero().get()).to_string().into())?,
        ];
        Ok(Self { program: own, argv: argv.into(), _process: process, _users: users, run })
    }

    /// Replaces this process by it. What comes back is the failure.
    pub fn become_it(self) -> Error {
        replace_us(&self.program, self.argv)
    }

    /// Starts it as a child with this stdio. Its pid.
    pub fn start(&self, stdio: [BorrowedFd<'_>; 3]) -> Result<Pid> {
        let placed: Vec<_> = stdio.into_iter().zip(0..).chain([(self.run.as_fd(), RUN_FD)]).collect();
        let pid = sys::spawn::spawn(&self.program, &self.argv, &placed)
            .what(|| "cannot start the OCI runtime")
            .hint(|| "Install coracle-oci beside coracle.")?;
        Pid::from_raw(pid).ok_or_else(|| Error::internal("posix_spawn gave pid 0"))
    }
}

/// The verb of ours that runs a container in the place of `coracle run`.
pub const ALONE_VERB: &str = "alone";

/// Replaces this process by our runtime, which runs the container `id` of this bundle in the foreground, and ends it when
/// `server` ends. It holds `users` as long as it lives, and gives `preserved` fds from 3 on to the payload. What comes back is
/// the failure.
pub fn become_alone(
    bundle: &Path,
    id: &str,
    preserved: u32,
    server: &OwnedFd,
    users: &OwnedFd,
) -> Result<Error> {
    let (server, users) = (inherited(server, above(preserved))?, inherited(users, above(preserved))?);
    let own = own_runtime()?.into_os_string().into_vec();
    let number = |number: RawFd| number.to_string().into_bytes();
    let preserved = number(preserved.try_into().unwrap_or(0));
    let bundle = bundle.as_os_str().as_bytes().to_vec();
    let [server, users] = [&server, &users].map(|fd| number(fd.as_raw_fd()));
    let words = [own.clone(), ALONE_VERB.into(), bundle, id.into(), preserved, server, users];
    let argv = words.map(text).into_iter().collect::<Result<_>>()?;
    Ok(replace_us(&text(own)?, argv))
}

/// From where on the payload gets no fd: it may have one far above the others (PMI_FD).
fn above(preserved: u32) -> RawFd {
    RawFd::try_from(preserved).unwrap_or(0).saturating_add(3).max(RUN_FD + 1)
}

/// A copy from `from` on that stays open when we are replaced.
fn inherited(fd: &OwnedFd, from: RawFd) -> Result<OwnedFd> {
    let fd = sys::fds::copy_above(fd, from)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty()).call(|| "fcntl(F_SETFD)")?;
    Ok(fd)
}

fn text(bytes: Vec<u8>) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::internal("a path has a NUL byte"))
}

fn replace_us(program: &CString, argv: Vec<CString>) -> Error {
    let envp = std::env::vars_os().filter_map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        CString::new(name.into_vec()).ok()
    });
    let envp = sys::process::ExecStrings::new(envp.collect());
    let argv = sys::process::ExecStrings::new(argv);
    let errno = sys::process::execve(program, &argv, &envp);
    let failed: Result<()> = Err(errno)
        .call(|| format!("execve({program:?})"))
        .what(|| "cannot start the OCI runtime")
        .hint(|| "Install coracle-oci beside coracle.");
    failed.err().unwrap_or_else(|| Error::internal("execve returned"))
}

/// How a container comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Birth {
    /// `create`: leaves init waiting for `start`.
    Create,
    /// `run --detach`: both in one, and the runtime ends.
    Run,
}

/// `create`, or `run --detach`.
pub fn create_args(
    birth: Birth,
    id: &str,
    bundle: &Path,
    pid_file: &Path,
    console: Option<&str>,
    preserved: usize,
) -> Vec<OsString> {
    let verb: &[&str] = match birth {
        Birth::Create => &["create"],
        Birth::Run => &["run", "--detach"],
    };
    let mut args: Vec<OsString> = verb.iter().map(Into::into).collect();
    args.extend(["--bundle".into(), bundle.into()]);
    last_args(&mut args, id, pid_file, console, preserved);
    args
}

/// What `create` and `exec` have in common.
fn last_args(args: &mut Vec<OsString>, id: &str, pid_file: &Path, console: Option<&str>, preserved: usize) {
    args.extend(["--pid-file".into(), pid_file.into()]);
    if let Some(console) = console {
        args.extend(["--console-socket".into(), console.into()]);
    }
    if preserved > 0 {
        args.extend(["--preserve-fds".into(), preserved.to_string().into()]);
    }
    args.push(id.into());
}

/// `exec`, detached: the process becomes the child of the nearest subreaper, and the runtime ends.
pub fn exec_args(
    id: &str,
    process: &str,
    pid_file: &Path,
    console: Option<&str>,
    preserved: usize,
) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["exec".into(), "--detach".into(), "--process".into(), process.into()];
    last_args(&mut args, id, pid_file, console, preserved);
    args
}

/// `start`, `pause` and others that take only the id.
pub fn plain_args(verb: &str, id: &str) -> Vec<OsString> {
    vec![verb.into(), id.into()]
}

/// `delete --force`: also of a container that is half made.
pub fn delete_args(id: &str) -> Vec<OsString> {
    vec!["delete".into(), "--force".into(), id.into()]
}

/// What a runtime's message means for the exit code, by the words that podman looks for, in its order. Unlike podman we
/// ask first whether it is about the payload's command at all: a missing mount source is not a missing command.
pub fn classify(words: &str) -> Kind {
    let words = words.to_ascii_lowercase();
    let has = |part: &str| words.contains(part);
    if !["exec", "chdir", "cwd"].into_iter().any(has) {
        return Kind::External;
    }
    if has("permission denied") || has("operation not permitted") {
        return Kind::CannotInvoke;
    }
    if has("executable file not found") || has("no such file or directory") || has("open executable") {
        return Kind::CommandNotFound;
    }
    Kind::External
}

/// The message of the last line of level `error`.
fn last_error(mut log: File) -> Option<String> {
    let mut text = String::new();
    log.seek(SeekFrom::Start(0)).ok()?;
    log.take(MAX_LOG).read_to_string(&mut text).ok()?;
    let entry = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok();
    let is_error = |entry: &serde_json::Value| entry.get("level").and_then(|l| l.as_str()) == Some("error");
    let entries = text.lines().rev().filter_map(entry);
    entries.filter(is_error).find_map(|entry| Some(entry.get("msg")?.as_str()?.trim().to_owned()))
}

fn own_runtime() -> Result<PathBuf> {
    let own = rustix::fs::readlink("/proc/self/exe", Vec::new()).call(|| "readlink(\"/proc/self/exe\")")?;
    let own = PathBuf::from(std::ffi::OsStr::from_bytes(own.as_bytes()));
    Ok(own.with_file_name("coracle-oci"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn runc_gets_no_cgroup_manager() {
        let runc = global_args("runc", Path::new("/r"), true);
        assert_eq!(runc, ["--root", "/r", "--log-format", "json", "--log", "/proc/self/fd/60"]);
        assert!(
            global_args("crun", Path::new("/r"), false)
                .ends_with(&["--cgroup-manager".into(), "disabled".into()])
        );
    }

    #[test]
    fn the_id_comes_last() {
        let args = create_args(Birth::Create, "c1", Path::new("/b"), Path::new("/p"), Some("/s"), 0);
        assert_eq!(args, ["create", "--bundle", "/b", "--pid-file", "/p", "--console-socket", "/s", "c1"]);
        let args = exec_args("c1", "/f", Path::new("/p"), None, 2);
        let wanted = ["exec", "--detach", "--process", "/f", "--pid-file", "/p", "--preserve-fds", "2", "c1"];
        assert_eq!(args, wanted);
    }

    #[test]
    fn messages_get_podmans_exit_codes() {
        for (words, code) in [
            ("exec: \"nope\": executable file not found in $PATH: No such file or directory", 127),
            ("open executable: Permission denied", 126),
            ("exec: \"/bin\": is a directory: permission denied", 126),
            ("setrlimit: invalid argument", 125),
            ("write(\"payload/memory.max\"): ENOENT (No such file or directory)", 125),
        ] {
            assert_eq!(Error::new(classify(words), words).exit_code(), code, "{words}");
        }
    }

    #[test]
    fn the_last_error_of_the_log_counts() {
        let fd = rustix::fs::memfd_create("t", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = File::from(fd);
        writeln!(file, r#"{{"level":"error","msg":"first","time":"t"}}"#).unwrap();
        writeln!(file, r#"{{"level":"error","msg":"second","time":"t"}}"#).unwrap();
        writeln!(file, r#"{{"level":"warning","msg":"w","time":"t"}}"#).unwrap();
        assert_eq!(last_error(file).unwrap(), "second");
    }
}
