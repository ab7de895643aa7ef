//! The role `owners`: waits for calls and answers them. See `monitor::owners` for the whole.

use super::aside::{Answered, Aside};
use super::identity::Identities;
use super::known::Home;
use super::target::{How, Target, Trouble};
use super::{LISTENER_FD, RECORD_FD, UPPER_FD, calls, execs, id_calls, make_calls};
use crate::error::{Error, Result};
use crate::monitor::protocol::{self, event};
use crate::ondisk;
use crate::ondisk::container::Container;
use crate::ondisk::owners::Log;
use crate::store::owners::ImageOwners;
use crate::sys::notif::{self, Answer, Notification, Sizes};
use crate::sys::{self, CallContext, socket};
use crate::userns::SYNC_FD;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

/// The name of the role.
pub const ROLE: &str = "owners";

/// A runtime says with its listener what the container is: nobody reads it here.
const LONGEST_GREETING: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Server {
    pub(super) log: Log,
    sizes: Sizes,
    /// The container's upper directory, where it has one.
    pub(super) upper: Option<OwnedFd>,
    pub(super) home: Home,
    aside: Aside,
    /// What the image says of its files.
    pub(super) image: ImageOwners,
    pub(super) identities: Identities,
    /// Threads that keep their privileges when they change the user, and the program that they execute.
    pub(super) keepers: HashMap<u32, u64>,
}

/// `coracle --role owners DATA RUN ID`, with the socket that listeners come to, and the container's directory.
pub fn role_main(args: Vec<OsString>) -> ExitCode {
    if sys::fds::close_inherited(UPPER_FD + 1).is_err() {
        return ExitCode::FAILURE;
    }
    let [Some(sync), Some(listener), Some(dir)] =
        [SYNC_FD, LISTENER_FD, RECORD_FD].map(sys::spawn::inherited_fd)
    else {
        return ExitCode::FAILURE;
    };
    let upper = sys::spawn::inherited_fd(UPPER_FD);
    let _ = rustix::thread::set_name(c"coracle-owners");
    match Server::new(&args, dir, upper).and_then(|mut server| server.serve(&sync, &listener)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = protocol::send(sync.as_fd(), event::ERROR, &protocol::encode_error(&error));
            ExitCode::FAILURE
        }
    }
}

impl Server {
    fn new(args: &[OsString], dir: OwnedFd, upper: Option<OwnedFd>) -> Result<Self> {
        let (dirs, _) = crate::monitor::role::parse_args(args)?;
        let container: Container = ondisk::read(&dir, "container.json")?;
        let image = ImageOwners::of_container(&dirs, &container)?;
        let log = Log::open(dir)?;
        let sizes = Sizes::ask().call(|| "seccomp(SECCOMP_GET_NOTIF_SIZES)")?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::open("/proc", flags, Mode::empty()).call(|| "open(\"/proc\")")?;
        Ok(Self {
            log,
            sizes,
            aside: Aside::default(),
            upper,
            home: Home::new(proc),
            image,
            identities: Identities::default(),
            keepers: HashMap::new(),
        })
    }

    /// Until the monitor hangs up.
    fn serve(&mut self, sync: &OwnedFd, socket: &OwnedFd) -> Result<()> {
        let (mut listeners, mut runtimes): (Vec<OwnedFd>, Vec<OwnedFd>) = (Vec::new(), Vec::new());
        loop {
            let fds = [sync, socket].into_iter().chain(&listeners).chain(&runtimes).chain(self.aside.fds());
            let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            match rustix::event::poll(&mut fds, self.aside.patience()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e).call(|| "poll()").map_err(Error::from),
            }
            let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
            let [left, came, rest @ ..] = ready.as_slice() else { return Ok(()) };
            let (calls, rest) = rest.split_at(listeners.len());
            let (greetings, _) = rest.split_at(runtimes.len());
            for (listener, events) in listeners.iter().zip(calls) {
                if events.contains(PollFlags::IN) {
                    self.answer_one(listener.as_fd());
                }
            }
            // Nobody is left whom it could speak for.
            let mut calls = calls.iter();
            listeners.retain(|_| {
                calls.next().is_none_or(|e| e.contains(PollFlags::IN) || !e.intersects(PollFlags::HUP))
            });
            let mut greetings = greetings.iter();
            runtimes.retain(|runtime| {
                let waits = greetings.next().is_none_or(|events| events.is_empty());
                if !waits {
                    listeners.extend(listener_of(runtime));
                }
                waits
            });
            if self.aside.patience().is_some() {
                self.aside.found(&self.home.proc).into_iter().for_each(|found| self.answer_found(found));
            }
            if !came.is_empty() {
                runtimes.extend(socket::accept(socket.as_fd()));
            }
            if !left.is_empty() {
                self.log.sync();
                return Ok(());
            }
        }
    }

    fn answer_one(&mut self, listener: BorrowedFd<'_>) {
        // Killed meanwhile.
        let Ok(call) = notif::receive(listener, self.sizes) else { return };
        self.home.root.look_up(How::AtOnce);
        let mut answer = self.answer(listener, &call);
        if self.home.root.is_for_aside() {
            if self.aside.look_up(&self.home.proc, listener, call) {
                return;
            }
            self.home.root.look_up(How::Waits);
            answer = self.answer(listener, &call);
        }
        let _ = notif::answer(listener, self.sizes, call.id, answer);
    }

    fn answer_found(&mut self, found: Answered) {
        self.home.root.look_up(How::Found(Some(found.file)));
        let answer = self.answer(found.listener.as_fd(), &found.call);
        let _ = notif::answer(found.listener.as_fd(), self.sizes, found.call.id, answer);
    }

    /// Nothing has been done for a call that turns out to be for `aside`.
    fn answer(&mut self, listener: BorrowedFd<'_>, call: &Notification) -> Answer {
        if let Some(asked) = calls::decode(call) {
            self.answer_about_files(listener, call, asked)
        } else if let Some(asked) = id_calls::decode(call) {
            self.answer_about_ids(listener, call, asked)
        } else if let Some(asked) = make_calls::decode(call) {
            self.answer_about_new(listener, call, asked)
        } else if let Some(place) = execs::decode(call) {
            self.answer_about_program(listener, call, &place)
        } else {
            Answer::GoOn
        }
    }

    /// The caller, who waits.
    pub(super) fn target(
        &self,
        listener: BorrowedFd<'_>,
        call: &Notification,
    ) -> std::result::Result<Target, Trouble> {
        Target::of_caller(self.home.proc.as_fd(), listener, call)
    }
}

/// The answer to a call that changes something: where we cannot look, it seems to have worked.
pub(super) fn changed(done: std::result::Result<(), Trouble>) -> Answer {
    match done {
        Ok(()) | Err(Trouble::Blind) => Answer::Value(0),
        Err(Trouble::Told(errno)) => Answer::Error(errno),
    }
}

/// The listener that a runtime has sent.
fn listener_of(runtime: &OwnedFd) -> Vec<OwnedFd> {
    let (mut fds, mut words) = (Vec::new(), vec![0u8; LONGEST_GREETING]);
    let _ = socket::recv(runtime.as_fd(), &mut words, &mut fds, RecvFlags::DONTWAIT);
    fds.iter().for_each(|fd| notif::take_turns(fd.as_fd()));
    fds
}
