//! System calls: window size and raw mode of a terminal.

use super::{CallContext, Result};
use rustix::termios::{OptionalActions, Termios, Winsize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A terminal in raw mode; dropping it puts the old mode back.
#[derive(Debug)]
pub struct RawMode {
    terminal: OwnedFd,
    saved: Termios,
}

impl RawMode {
    /// Puts `terminal` into raw mode. Keys arrive one by one and unchanged; output is not translated.
    pub fn enter(terminal: BorrowedFd<'_>) -> Result<Self> {
        let saved = rustix::termios::tcgetattr(terminal).call(|| "tcgetattr()")?;
        let mut raw = saved.clone();
        raw.make_raw();
        let terminal = rustix::io::fcntl_dupfd_cloexec(terminal, 3).call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
        rustix::termios::tcsetattr(&terminal, OptionalActions::Drain, &raw).call(|| "tcsetattr(raw)")?;
        Ok(Self { terminal, saved })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Now, not Drain: a stopped terminal must not keep us from giving the mode back.
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.saved);
    }
}

/// Rows and columns of a terminal, when it is one and knows them.
pub fn size(terminal: impl AsFd) -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Rows and columns of the terminal that the caller sits at: its stdout, else its stdin.
pub fn own_size() -> Option<(u16, u16)> {
    size(rustix::stdio::stdout()).or_else(|| size(rustix::stdio::stdin()))
}

/// Sets rows and columns; the kernel sends SIGWINCH to the foreground process group.
pub fn set_size(terminal: impl AsFd, (rows, columns): (u16, u16)) -> Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).call(|| format!("ioctl(TIOCSWINSZ, {rows}x{columns})"))
}
