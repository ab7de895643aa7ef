//! The answers about who a process is. See `monitor::owners` for the whole.

use super::id_calls::{IdCall, Sort};
use super::identity::{Change, Identity, Ids};
use super::serve::{Server, changed};
use super::target::Trouble;
use crate::sys::mark;
use crate::sys::notif::{Answer, Notification, is_waiting};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// Most groups of a process: the kernel's NGROUPS_MAX.
const MOST_GROUPS: usize = 65536;
/// Most threads of which is remembered that they keep their privileges.
const MOST_KEEPERS: usize = 4096;
/// What 16 bits say of an id that has more.
const OVERFLOW: u16 = 65534;

impl Server {
    pub(super) fn answer_about_ids(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        asked: IdCall,
    ) -> Answer {
        match asked {
            IdCall::Change { sort, change } => changed(self.change_ids(listener, call, sort, change)),
            IdCall::SetGroups { count, at, narrow } => {
                changed(self.set_groups(listener, call, (count, at), narrow))
            }
            IdCall::Keep(keep) => {
                self.remember_keeper(listener, call, keep);
                Answer::GoOn
            }
            IdCall::Tell { .. } | IdCall::TellThree { .. } | IdCall::TellGroups { .. } => {
                match self.tell(listener, call, asked) {
                    Ok(answer) => answer,
                    Err(Trouble::Told(errno)) => Answer::Error(errno),
                    Err(Trouble::Blind) => Answer::GoOn,
                }
            }
        }
    }

    fn change_ids(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        sort: Sort,
        change: Change,
    ) -> std::result::Result<(), Trouble> {
        let mut identity = self.who(call.pid);
        let privileged = self.is_privileged(listener, call, &identity);
        let ids = match sort {
            Sort::User => &mut identity.user,
            Sort::Group => &mut identity.group,
        };
        *ids = ids.changed(change, privileged).map_err(Trouble::Told)?;
        self.take_on(listener, call, &identity)
    }

    fn set_groups(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        (count, at): (usize, u64),
        narrow: bool,
    ) -> std::result::Result<(), Trouble> {
        if count > MOST_GROUPS {
            return Err(Trouble::Told(Errno::INVAL));
        }
        let width = if narrow { 2 } else { 4 };
        let bytes = match count {
            0 => Vec::new(),
            count => self.target(listener, call)?.read(at, count * width)?,
        };
        let groups: Vec<u32> = bytes.chunks_exact(width).map(number).collect();
        let mut identity = self.who(call.pid);
        if identity.groups != groups && !self.is_privileged(listener, call, &identity) {
            return Err(Trouble::Told(Errno::PERM));
        }
        identity.groups = groups;
        self.take_on(listener, call, &identity)
    }

    fn tell(
        &self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        asked: IdCall,
    ) -> std::result::Result<Answer, Trouble> {
        // As most: nobody has a mark, or this one has none.
        let Some(identity) = self.marked(call.pid) else { return Ok(Answer::GoOn) };
        let of = |sort| match sort {
            Sort::User => identity.user,
            Sort::Group => identity.group,
        };
        let write =
            |to: u64, bytes: &[u8]| self.target(listener, call)?.write(to, bytes).map_err(Trouble::Told);
        match asked {
            IdCall::Tell { sort, effective, narrow } => {
                let Ids { real, effective: other, .. } = of(sort);
                let id = if effective { other } else { real };
                let id = if narrow { u32::from(short(id)) } else { id };
                Ok(Answer::Value(id.into()))
            }
            IdCall::TellThree { sort, to, narrow } => {
                let Ids { real, effective, saved } = of(sort);
                for (to, id) in to.into_iter().zip([real, effective, saved]) {
                    write(to, &in_memory(&[id], narrow))?;
                }
                Ok(Answer::Value(0))
            }
            IdCall::TellGroups { room, to, narrow } => {
                let count = identity.groups.len();
                let room = usize::try_from(room).map_err(|_| Trouble::Told(Errno::INVAL))?;
                if room != 0 && room < count {
                    return Err(Trouble::Told(Errno::INVAL));
                }
                if room != 0 && count != 0 {
                    write(to, &in_memory(&identity.groups, narrow))?;
                }
                Ok(Answer::Value(i64::try_from(count).unwrap_or(0)))
            }
            IdCall::Change { .. } | IdCall::SetGroups { .. } | IdCall::Keep(_) => Ok(Answer::GoOn),
        }
    }

    /// The identity that a process is marked with.
    pub(super) fn marked(&self, thread: u32) -> Option<&Identity> {
        if self.identities.is_empty() {
            return None;
        }
        self.identities.get(mark::read(thread).ok()?)
    }

    /// Who a process is, by one of its threads.
    pub(super) fn who(&self, thread: u32) -> Identity {
        self.marked(thread).cloned().unwrap_or_default()
    }

    /// Whether it may do what root may: also who has asked to keep that, until it executes another program.
    pub(super) fn is_privileged(
        &self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        identity: &Identity,
    ) -> bool {
        identity.is_root()
            || self.keepers.get(&call.pid).is_some_and(|program| {
                self.target(listener, call).is_ok_and(|target| target.program() == Some(*program))
            })
    }

    fn remember_keeper(&mut self, listener: BorrowedFd<'_>, call: &Notification, keep: bool) {
        self.keepers.remove(&call.pid);
        if !keep {
            return;
        }
        // Most that ask for it are done with it soon: the runtime, setpriv.
        if self.keepers.len() >= MOST_KEEPERS {
            self.keepers.clear();
        }
        if let Some(program) = self.target(listener, call).ok().and_then(|target| target.program()) {
            self.keepers.insert(call.pid, program);
        }
    }

    pub(super) fn take_on(
        &mut self,
        listener: BorrowedFd<'_>,
        call: &Notification,
        identity: &Identity,
    ) -> std::result::Result<(), Trouble> {
        if self.who(call.pid) == *identity {
            return Ok(());
        }
        let mark = self.identities.mark(identity).ok_or(Trouble::Blind)?;
        // The number of a thread that is gone may be another's by now, who would only seem to be somebody else.
        if !is_waiting(listener, call.id) {
            return Err(Trouble::Blind);
        }
        mark::write(call.pid, mark).map_err(|_| Trouble::Blind)
    }
}

fn number(bytes: &[u8]) -> u32 {
    match *bytes {
        [a, b] => u16::from_ne_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]),
        _ => 0,
    }
}

fn short(id: u32) -> u16 {
    u16::try_from(id).unwrap_or(OVERFLOW)
}

fn in_memory(ids: &[u32], narrow: bool) -> Vec<u8> {
    match narrow {
        true => ids.iter().flat_map(|id| short(*id).to_ne_bytes()).collect(),
        false => ids.iter().flat_map(|id| id.to_ne_bytes()).collect(),
    }
}
