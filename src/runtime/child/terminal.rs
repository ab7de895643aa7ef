//! A terminal of the container's own: opened in its devpts, checked, sent to whoever asked for it.

use super::Inherited;
use super::paths::{Make, ensure};
use crate::runtime::plan::Plan;
use crate::runtime::plan::process::{ProcessPlan, Terminal};
use crate::runtime::plan::target::Target;
use crate::runtime::step::{Fail, OrFail, Step};
use crate::sys::fs::{Symlinks, open_below, path_below};
use crate::sys::tree::Tree;
use rustix::fs::OFlags;
use rustix::io::{Errno, Result};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, OutputModes, Winsize};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Opens the container's terminal, which also becomes `/dev/console`.
pub fn open(root: BorrowedFd<'_>, plan: &Plan, inherited: &Inherited<'_>) -> std::result::Result<(), Fail> {
    let size = plan.process.terminal.unwrap_or_default();
    open_in(root, &plan.process, size, inherited, plan.rootfs.console.as_ref())
}

/// Opens a terminal, puts it on fds 0, 1 and 2 as the controlling terminal, and sends the other side.
pub fn open_in(
    root: BorrowedFd<'_>,
    process: &ProcessPlan,
    size: Terminal,
    inherited: &Inherited<'_>,
    bind_on: Option<&Target>,
) -> std::result::Result<(), Fail> {
    let (ours, theirs) = pair(root, size).or_fail(Step::Terminal, 0)?;
    let (uid, gid) = (Some(rustix::fs::Uid::from_raw(process.uid)), None);
    match rustix::fs::fchown(&theirs, uid, gid) {
        Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
        Err(e) => Err(e).or_fail(Step::Terminal, 1)?,
    }
    if let Some(console) = bind_on {
        bind_console(root, console, &theirs).or_fail(Step::TerminalConsole, 0)?;
    }
    if let Some(socket) = inherited.files.console {
        send(socket, &ours).or_fail(Step::TerminalSend, 0)?;
    }
    drop(ours);
    rustix::process::ioctl_tiocsctty(&theirs).or_fail(Step::TerminalControl, 0)?;
    rustix::stdio::dup2_stdin(&theirs).or_fail(Step::TerminalControl, 1)?;
    rustix::stdio::dup2_stdout(&theirs).or_fail(Step::TerminalControl, 1)?;
    rustix::stdio::dup2_stderr(&theirs).or_fail(Step::TerminalControl, 1)
}

/// Both sides. The numbers are checked: a rootfs that swaps device nodes must not make us hand out something else.
fn pair(root: BorrowedFd<'_>, size: Terminal) -> Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let ours = match open_below(root, c"dev/pts/ptmx", flags, Symlinks::Refused) {
        // The host's /dev in the place of ours: its /dev/pts/ptmx is for nobody, its /dev/ptmx for all.
        Err(e @ (Errno::ACCESS | Errno::NOENT)) => {
            open_below(root, c"dev/ptmx", flags, Symlinks::Refused).map_err(|_| e)?
        }
        other => other?,
    };
    if rustix::fs::fstat(&ours)?.st_rdev != rustix::fs::makedev(5, 2) {
        return Err(Errno::NOTTY);
    }
    rustix::pty::unlockpt(&ours)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags)?;
    let number = rustix::fs::fstat(&theirs)?.st_rdev;
    // Unix98 slaves: linux/major.h, UNIX98_PTY_SLAVE_MAJOR and the seven after it.
    if !(136..144).contains(&rustix::fs::major(number)) {
        return Err(Errno::NOTTY);
    }
    if size.plain {
        let mut modes = rustix::termios::tcgetattr(&theirs)?;
        modes.output_modes.remove(OutputModes::ONLCR);
        rustix::termios::tcsetattr(&theirs, OptionalActions::Now, &modes)?;
    }
    if (size.rows, size.columns) != (0, 0) {
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&ours, size)?;
    }
    Ok((ours, theirs))
}

fn bind_console(root: BorrowedFd<'_>, console: &Target, terminal: &OwnedFd) -> Result<()> {
    let target = ensure(root, console, Make::File, Symlinks::Refused)?;
    let tree = Tree::copy_of(terminal, c"", false)?;
    tree.attach(target.as_fd(), || path_below(root, &console.path, Symlinks::Refused)).map(drop)
}

/// One fd, with a name as payload: receivers take an empty message for an end of file.
fn send(socket: BorrowedFd<'_>, terminal: &OwnedFd) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [terminal.as_fd()];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::NOBUFS);
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(b"/dev/ptmx")], &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}
