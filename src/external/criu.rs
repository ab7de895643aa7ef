//! criu: dumps processes to files and restores them. `criu swrk` takes one request on a socket (images/rpc.proto) and asks
//! back while it works: that is how runc and crun use it, and how a terminal's other side comes back.
//!
//! Protobuf by hand: a request is a dozen fields of three kinds. Directories are named by numbers of *our* fds, which criu
//! opens by /proc; fds that the restored processes inherit are criu's own, placed by `start`.

use super::Tool;
use crate::error::{Context, Error, Kind, Result};
use crate::sys::{self, CallContext};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Pid, WaitOptions};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The program.
pub const CRIU: Tool = Tool {
    name: "criu",
    needed_to: "checkpoint and restore containers",
    packages: ["criu", "criu", "criu"],
    search_path: true,
};

/// Where criu finds its end of the socket, and from where on the fds that it passes to what it restores.
const SOCKET_FD: RawFd = 3;
pub const FIRST_FD: RawFd = 10;

/// criu_req_type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Dump = 1,
    Restore = 2,
    PreDump = 4,
}

const NOTIFY: u64 = 6;

/// Fields of criu_opts.
pub mod field {
    pub const IMAGES_DIR_FD: u64 = 1;
    pub const PID: u64 = 2;
    pub const LEAVE_RUNNING: u64 = 3;
    pub const EXT_UNIX_SK: u64 = 4;
    pub const TCP_ESTABLISHED: u64 = 5;
    pub const EVASIVE_DEVICES: u64 = 6;
    pub const SHELL_JOB: u64 = 7;
    pub const FILE_LOCKS: u64 = 8;
    pub const LOG_LEVEL: u64 = 9;
    pub const LOG_FILE: u64 = 10;
    /// criu_page_server_info: address 1, port 2.
    pub const PAGE_SERVER: u64 = 11;
    pub const NOTIFY_SCRIPTS: u64 = 12;
    pub const ROOT: u64 = 13;
    pub const PARENT_IMG: u64 = 14;
    pub const TRACK_MEM: u64 = 15;
    pub const AUTO_DEDUP: u64 = 16;
    pub const WORK_DIR_FD: u64 = 17;
    pub const LINK_REMAP: u64 = 18;
    /// ext_mount_map: key 1, val 2.
    pub const EXT_MNT: u64 = 23;
    pub const MANAGE_CGROUPS: u64 = 24;
    /// cgroup_root: ctrl 1, path 2.
    pub const CG_ROOT: u64 = 25;
    pub const RST_SIBLING: u64 = 26;
    /// inherit_fd: key 1, fd 2.
    pub const INHERIT_FD: u64 = 27;
    pub const EXT_MASTERS: u64 = 30;
    pub const MANAGE_CGROUPS_MODE: u64 = 34;
    pub const EXTERNAL: u64 = 37;
    pub const EMPTY_NS: u64 = 38;
    pub const FREEZE_CGROUP: u64 = 44;
    pub const TCP_SKIP_IN_FLIGHT: u64 = 46;
    pub const LAZY_PAGES: u64 = 48;
    pub const STATUS_FD: u64 = 49;
    pub const ORPHAN_PTS_MASTER: u64 = 50;
    pub const CONFIG_FILE: u64 = 51;
    pub const LSM_PROFILE: u64 = 53;
    pub const LSM_MOUNT_CONTEXT: u64 = 63;
}

/// A protobuf message that is being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// A number, as a varint.
    pub fn number(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    /// A bool; false is left out.
    pub fn flag(&mut self, field: u64, on: bool) -> &mut Self {
        if on { self.number(field, 1) } else { self }
    }

    /// A string.
    pub fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    /// A message in the message.
    pub fn message(&mut self, field: u64, fields: &Self) -> &mut Self {
        self.bytes(field, &fields.0)
    }

    /// Two strings, as fields 1 and 2 of a message.
    pub fn pair(&mut self, field: u64, first: &str, second: &str) -> &mut Self {
        let mut both = Self::default();
        both.text(1, first).text(2, second);
        self.message(field, &both)
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f | 0x80) as u8);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// What criu said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    kind: u64,
    success: bool,
    /// Of the restored process, in an answer or a notification.
    pub pid: i32,
    /// The name of a notification.
    pub script: String,
    errno: i64,
    words: String,
}

/// Goes through the fields of a message: number, varint, bytes (one of the two is empty). None for what is no message.
fn read(mut bytes: &[u8], take: &mut dyn FnMut(u64, u64, &[u8])) -> Option<()> {
    fn varint(bytes: &mut &[u8]) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => take(key >> 3, varint(&mut bytes)?, &[]),
            2 => {
                let len = usize::try_from(varint(&mut bytes)?).ok()?;
                let (inside, rest) = bytes.split_at_checked(len)?;
                bytes = rest;
                take(key >> 3, 0, inside);
            }
            1 => bytes = bytes.get(8..)?,
            5 => bytes = bytes.get(4..)?,
            _ => return None,
        }
    }
    Some(())
}

impl Said {
    fn from(bytes: &[u8]) -> Option<Self> {
        let mut said = Self::default();
        let mut inner = Some(());
        read(bytes, &mut |field, number, inside| match field {
            1 => said.kind = number,
            2 => said.success = number != 0,
            4 => {
                inner = inner.and(read(inside, &mut |field, number, _| {
                    if field == 1 {
                        said.pid = number as i32;
                    }
                }));
            }
            5 => {
                inner = inner.and(read(inside, &mut |field, number, text| match field {
                    1 => said.script = String::from_utf8_lossy(text).into_owned(),
                    2 => said.pid = number as i32,
                    _ => {}
                }));
            }
            7 => said.errno = number.cast_signed(),
            9 => said.words = String::from_utf8_lossy(inside).into_owned(),
            _ => {}
        })?;
        inner.map(|()| said)
    }
}

/// A criu at work.
#[derive(Debug)]
pub struct Criu {
    socket: OwnedFd,
    pid: Pid,
}

impl Criu {
    /// Starts it with our stdio and `inherited` from `FIRST_FD` on.
    pub fn start(inherited: &[BorrowedFd<'_>]) -> Result<Self> {
        let program = CString::new(CRIU.find()?.into_os_string().into_vec())
            .map_err(|_| Error::internal("a NUL byte in a path"))?;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .call(|| "socketpair(SOCK_SEQPACKET)")?;
        let argv = [c"criu", c"swrk", c"3"].map(CString::from);
        let stdio = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let placed: Vec<(BorrowedFd<'_>, RawFd)> = stdio
            .into_iter()
            .zip(0..)
            .chain([(theirs.as_fd(), SOCKET_FD)])
            .chain(inherited.iter().copied().zip(FIRST_FD..))
            .collect();
        let pid = sys::spawn::spawn(&program, &argv, &placed).what(|| "cannot start criu")?;
        let pid = Pid::from_raw(pid).ok_or_else(|| Error::internal("posix_spawn gave pid 0"))?;
        Ok(Self { socket: ours, pid })
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Does `task`. Each notification goes to `hear`, with the fd that may come with it. Returns the answer; `log` is
    /// where criu writes down why it failed.
    pub fn run(
        self,
        task: Task,
        options: &Fields,
        log: &Path,
        hear: &mut dyn FnMut(&Said, Option<OwnedFd>) -> Result<()>,
    ) -> Result<Said> {
        let mut request = Fields::default();
        request.number(1, task as u64).message(2, options);
        let done = self.send(&request).and_then(|()| self.answer(task, hear));
        // On our own failure it sees the end of the socket, and takes back what it did.
        drop(self.socket);
        while matches!(
            rustix::process::waitpid(Some(self.pid), WaitOptions::empty()),
            Err(rustix::io::Errno::INTR)
        ) {}
        let said = done?;
        if said.success {
            return Ok(said);
        }
        let mut error =
            Error::new(Kind::External, format_args!("criu failed: type {task:?} errno {}", said.errno));
        if !said.words.is_empty() {
            error = error.cause(&said.words);
        }
        Err(error.cause(last_error(log)).cause(format_args!("log file: {}", log.display())))
    }

    fn send(&self, fields: &Fields) -> Result<()> {
        rustix::net::send(&self.socket, &fields.0, SendFlags::NOSIGNAL)
            .call(|| "send(criu)")
            .what(|| "cannot talk to criu")?;
        Ok(())
    }

    fn answer(&self, task: Task, hear: &mut dyn FnMut(&Said, Option<OwnedFd>) -> Result<()>) -> Result<Said> {
        loop {
            let mut buffer = vec![0u8; 64 << 10];
            let mut fds = Vec::new();
            let len = sys::socket::recv(self.socket.as_fd(), &mut buffer, &mut fds, RecvFlags::empty())
                .call(|| "recv(criu)")?;
            let ended = || Error::new(Kind::External, "criu ended without an answer");
            let said = buffer.get(..len).filter(|bytes| !bytes.is_empty()).ok_or_else(ended)?;
            let said = Said::from(said).ok_or_else(|| Error::internal("criu's answer is no message"))?;
            if said.kind != NOTIFY {
                let expected = said.kind == task as u64 || !said.success;
                return if expected { Ok(said) } else { Err(Error::internal("criu answers something else")) };
            }
            hear(&said, fds.pop())?;
            let mut taken = Fields::default();
            taken.number(1, NOTIFY).flag(3, true);
            self.send(&taken)?;
        }
    }
}

/// The last error in criu's log that is not only the echo of one before.
fn last_error(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut errors = text.lines().filter_map(|line| line.split_once(" Error ")).map(|(_, words)| words);
    let echo = |words: &str| words.ends_with(" FAILED.") || words.contains(" failed with -");
    errors.rfind(|words| !echo(words)).unwrap_or("it does not say why").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_protobuf() {
        let mut inner = Fields::default();
        inner
            .number(field::PID, 300)
            .flag(field::LEAVE_RUNNING, true)
            .flag(field::SHELL_JOB, false)
            .text(field::ROOT, "/r");
        assert_eq!(inner.0, [0x10, 0xac, 0x02, 0x18, 1, 0x6a, 2, b'/', b'r']);
        let mut whole = Fields::default();
        whole.message(2, &inner).pair(field::EXT_MNT, "a", "b");
        assert_eq!(whole.0[..2], [0x12, 9]);
        assert_eq!(whole.0[11..], [0xba, 1, 6, 0x0a, 1, b'a', 0x12, 1, b'b']);
    }

    #[test]
    fn answers_are_read_and_nonsense_is_none() {
        let mut inner = Fields::default();
        inner.text(1, "post-restore").number(2, 77);
        let mut said = Fields::default();
        said.number(1, NOTIFY).number(2, 1).message(5, &inner).text(9, "why");
        let read = Said::from(&said.0).unwrap();
        assert_eq!(
            (read.script.as_str(), read.pid, read.words.as_str(), read.success),
            ("post-restore", 77, "why", true)
        );
        for bad in [&[0xff][..], &[0x12, 200, 1], &[0x0b], &[0x80; 11]] {
            assert_eq!(Said::from(bad), None, "{bad:?}");
        }
    }
}
