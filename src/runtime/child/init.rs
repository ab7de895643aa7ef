//! A container's first process, from the clone to execve: the steps, in order.

use super::door::Door;
use super::{
    Inherited, creds, die_with_runtime, exec, expect, give_up, hooks, let_go, namespaces, rootfs, tell,
};
use crate::runtime::handshake::Message;
use crate::runtime::plan::Plan;
use crate::runtime::plan::namespaces::{NEWNET, NEWUSER};
use crate::runtime::step::{Fail, OrFail, Step, fail};
use crate::sys;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::DumpableBehavior;

/// What the marker file holds from now on: `creating` is over, `created` begins.
pub const READY: &[u8] = b"R";

/// The signal that ends what waits for `start`.
const SIGTERM: i32 = rustix::process::Signal::TERM.as_raw();

/// How the child waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For `Go`: id maps or the cgroup are written, or network devices moved, after the clone.
    pub go: bool,
    /// The caller's own namespaces are joined by a stage already.
    pub joined: bool,
}

/// Never returns: execve, or a failure that is reported.
pub fn run(plan: &Plan, inherited: &Inherited<'_>, waits: Waits) -> ! {
    match apply(plan, inherited, waits) {
        Ok(never) => match never {},
        Err(failure) => give_up(inherited, failure),
    }
}

fn apply(plan: &Plan, inherited: &Inherited<'_>, waits: Waits) -> Result<std::convert::Infallible, Fail> {
    let pid = match waits.go {
        true => match expect(inherited.socket, |m| matches!(m, Message::Go(_)))? {
            Message::Go(pid) => pid,
            _ => 0,
        },
        false => 0,
    };
    namespaces::unshare_time(plan, inherited.files.proc)?;
    // Only now: while the maps are written, the files of /proc/PID must belong to the user who writes them. Nobody but
    // the runtime is in a new namespace until then.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).or_fail(Step::Dumpable, 0)?;
    // In a joined one, too: its root is not the root outside, and an id that has no name there may make no file.
    if plan.namespaces.has(NEWUSER) {
        // EINVAL: the map has no root (one id, kept as it is). All capabilities are ours all the same.
        // EPERM: a namespace was joined that we are in already, and not as root.
        let joined = !plan.namespaces.new_user();
        match sys::creds::set_gid(0) {
            Ok(()) | Err(Errno::INVAL) => {}
            Err(Errno::PERM) if joined => {}
            Err(e) => return Err(fail(Step::MapRoot, 1, e)),
        }
        match sys::creds::set_uid(0) {
            Ok(()) | Err(Errno::INVAL) => {}
            Err(Errno::PERM) if joined => {}
            Err(e) => return Err(fail(Step::MapRoot, 0, e)),
        }
    }
    // Fails only for a process group leader, which a new process is not.
    let _ = rustix::process::setsid();
    rustix::process::umask(Mode::empty());
    if let Some(name) = &plan.process.keyring {
        match sys::process::join_session_keyring(name) {
            // No keys in this kernel, or a seccomp filter around us that forbids them: then there is nothing to hide.
            Ok(()) | Err(Errno::NOSYS | Errno::PERM | Errno::DQUOT) => {}
            Err(e) => return Err(fail(Step::Keyring, 0, e)),
        }
    }
    if !waits.joined {
        namespaces::join(plan)?;
    }
    namespaces::unshare_cgroup(plan)?;
    if plan.namespaces.create & NEWNET != 0 {
        match sys::net::loopback_up() {
            // A kernel without IPv4.
            Ok(()) | Err(Errno::AFNOSUPPORT) => {}
            Err(e) => return Err(fail(Step::Loopback, 0, e)),
        }
    }
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.to_bytes()).or_fail(Step::Hostname, 0)?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.to_bytes()).or_fail(Step::Domainname, 0)?;
    }
    let attr = creds::open_attr(&plan.process, inherited.files.proc)?;
    rootfs::set_up(plan, inherited, pid)?;
    creds::label(&plan.process, attr.as_ref())?;
    let door = match inherited.files.door {
        Some(listener) => Some(Door::open(listener, inherited.files.proc)?),
        None => None,
    };
    let_go(inherited, door.as_ref())?;
    let early = exec::try_directory(&plan.process);
    creds::become_user(&plan.process, inherited)?;
    exec::change_directory(&plan.process, early)?;
    let command = exec::find(&plan.process)?;
    die_with_runtime(inherited)?;
    // What waits for `start` can be stopped, as with runc; execve takes the handler away. Where a filter around us forbids
    // it, there is SIGKILL.
    let _ = sys::process::end_by(SIGTERM);
    // Whoever hands the listener on is there until `Ready`, not any more after `start`.
    let asks = plan.process.filter.as_ref().is_some_and(|filter| filter.agent.is_some());
    if asks {
        exec::seal(&plan.process, inherited)?;
    }
    if let Some(marker) = inherited.files.marker {
        rustix::io::pwrite(marker, READY, 0).or_fail(Step::Start, 0)?;
    }
    tell(inherited.socket, Message::Ready)?;
    if expect(inherited.socket, |m| matches!(m, Message::Commit | Message::Start))? == Message::Commit {
        wait_for_start(inherited, door)?;
    }
    if !asks {
        exec::seal(&plan.process, inherited)?;
    }
    hooks::run(&plan.start_container_hooks, inherited, pid, None, Step::StartHook)?;
    Err(exec::execute(&plan.process, command))
}

/// From here on the runtime may be gone; the record knows us. The fifo is open for reading and writing, so there is no
/// end of file: one byte is the word.
fn wait_for_start(inherited: &Inherited<'_>, door: Option<Door<'_>>) -> Result<(), Fail> {
    let Some(fifo) = inherited.files.fifo else {
        return Err(fail(Step::Start, 0, Errno::BADF));
    };
    if let Some(door) = door {
        door.serve_until(fifo)?;
    }
    let mut byte = [0u8; 1];
    loop {
        match rustix::io::read(fifo, &mut byte) {
            Err(Errno::INTR) => {}
            Err(e) => return Err(fail(Step::Start, 0, e)),
            Ok(_) => return Ok(()),
        }
    }
}
