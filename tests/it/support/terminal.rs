//! A command on a pseudo terminal that is its controlling one, as in a terminal emulator.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, Termios, Winsize};

use super::cmd::{self, Cmd};
use super::world::PATIENCE;

#[derive(Debug)]
pub struct Terminal {
    child: Child,
    master: OwnedFd,
    /// Kept open, so that the terminal lives on after the command.
    slave: OwnedFd,
    before: Termios,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// 30 rows, 100 columns.
    pub fn start(cmd: Cmd) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
        resize(&master, 30, 100);
        let before = rustix::termios::tcgetattr(&slave).unwrap();
        let copy = || Stdio::from(slave.try_clone().unwrap());
        let mut command = cmd.in_session();
        let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        read_on(master.try_clone().unwrap(), Arc::clone(&shown));
        Self { child, master, slave, before, shown }
    }

    /// Everything that has been shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Types.
    pub fn keys(&self, keys: &str) {
        let mut file = std::fs::File::from(self.master.try_clone().unwrap());
        file.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until `text` is shown.
    #[track_caller]
    pub fn sees(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.shown().contains(text) {
            assert!(Instant::now() < until, "waited for {text:?}; shown: {:?}", self.shown());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.master, rows, columns);
    }

    /// Whether typed keys go through as they are.
    pub fn is_raw(&self) -> bool {
        let now = rustix::termios::tcgetattr(self.slave.as_fd()).unwrap();
        !now.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// The command's process (`timeout` is around it).
    pub fn pid(&self) -> u32 {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        children.split_whitespace().next().expect("a child").parse().unwrap()
    }

    /// Waits for the end. The terminal must be as it was.
    #[track_caller]
    pub fn wait(mut self) -> (i32, String) {
        let code = cmd::code(self.child.wait().unwrap());
        self.assert_restored();
        (code, self.shown())
    }

    #[track_caller]
    pub fn assert_restored(&self) {
        let now = rustix::termios::tcgetattr(self.slave.as_fd()).unwrap();
        let same = now.local_modes == self.before.local_modes
            && now.input_modes == self.before.input_modes
            && now.output_modes == self.before.output_modes;
        assert!(same, "the terminal was {:?} and is {now:?}", self.before);
    }
}

fn resize(master: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(master, size).unwrap();
}

fn read_on(master: OwnedFd, shown: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = rustix::io::read(&master, &mut bytes) {
            shown.lock().unwrap().extend_from_slice(bytes.get(..count).unwrap());
        }
    });
}
