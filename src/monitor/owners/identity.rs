//! Users and groups that processes have taken on, by the kernel's rules, and the numbers that stand for them.
//!
//! A process is marked (`sys::mark`) with the number of its identity, so a child has it from its birth, whoever its parent
//! is by the time it first asks, and whatever it executes. What has no mark is root, as the container's first process is.

use crate::ondisk::owners::Owner;
use rustix::io::{Errno, Result};
use std::collections::HashMap;

/// Most identities of one container.
const MOST: usize = 1 << 16;
/// Most supplementary groups of all of them: this process is not in the container's limits.
const MOST_GROUPS: usize = 1 << 20;

/// What the number on a process begins with.
const MARK: u64 = 0x000c_0a7a_c1e0_0000;

/// Real, effective and saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Ids {
    pub real: u32,
    pub effective: u32,
    pub saved: u32,
}

/// What one of the calls asks for. None: stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// setuid(2), setgid(2).
    One(Option<u32>),
    /// setreuid(2), setregid(2).
    Two([Option<u32>; 2]),
    /// setresuid(2), setresgid(2).
    Three([Option<u32>; 3]),
}

impl Ids {
    pub(super) fn changed(self, change: Change, privileged: bool) -> Result<Self> {
        let Self { real, effective, saved } = self;
        let among = |ids: &[u32], id: Option<u32>| id.is_none_or(|id| ids.contains(&id));
        let (new, allowed) = match change {
            Change::One(id) => {
                let id = id.ok_or(Errno::INVAL)?;
                let all = Self { real: id, effective: id, saved: id };
                let one = Self { effective: id, ..self };
                (if privileged { all } else { one }, id == real || id == saved)
            }
            Change::Two([r, e]) => {
                let now = e.unwrap_or(effective);
                let saves = r.is_some() || e.is_some_and(|e| e != real);
                let saved_now = if saves { now } else { saved };
                let new = Self { real: r.unwrap_or(real), effective: now, saved: saved_now };
                (new, among(&[real, effective], r) && among(&[real, effective, saved], e))
            }
            Change::Three([r, e, s]) => {
                let (real_now, saved_now) = (r.unwrap_or(real), s.unwrap_or(saved));
                let new = Self { real: real_now, effective: e.unwrap_or(effective), saved: saved_now };
                (new, [r, e, s].iter().all(|id| among(&[real, effective, saved], *id)))
            }
        };
        // Each thread of a process asks for what the first has got for all.
        if privileged || allowed || new == self { Ok(new) } else { Err(Errno::PERM) }
    }
}

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Identity {
    pub user: Ids,
    pub group: Ids,
    /// Supplementary ones.
    pub groups: Vec<u32>,
}

impl Identity {
    pub(super) fn is_root(&self) -> bool {
        self.user.effective == 0
    }

    /// Whether it may give a file away, where it is not root: its own, to one of its groups. What is not written down may be
    /// its own: who made a file is not known.
    pub(super) fn may_give(&self, known: Option<&Owner>, uid: Option<u32>, gid: Option<u32>) -> bool {
        let me = self.user.effective;
        let member = |gid: u32| gid == self.group.effective || self.groups.contains(&gid);
        known.is_none_or(|owner| owner.uid == me)
            && uid.is_none_or(|uid| uid == me)
            && gid.is_none_or(|gid| member(gid) || known.is_some_and(|owner| owner.gid == gid))
    }
}

/// All that there were.
#[derive(Debug, Default)]
pub(super) struct Identities {
    known: Vec<Identity>,
    numbers: HashMap<Identity, u64>,
    groups: usize,
}

impl Identities {
    /// Nobody has ever been anybody else.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(super) fn get(&self, mark: u64) -> Option<&Identity> {
        self.known.get(usize::try_from(mark.checked_sub(MARK)?).ok()?)
    }

    /// The mark that stands for it. None: there are too many.
    pub(super) fn mark(&mut self, identity: &Identity) -> Option<u64> {
        if let Some(mark) = self.numbers.get(identity) {
            return Some(*mark);
        }
        let groups = self.groups + identity.groups.len();
        if self.known.len() >= MOST || groups > MOST_GROUPS {
            return None;
        }
        self.groups = groups;
        let mark = MARK + self.known.len() as u64;
        self.known.push(identity.clone());
        self.numbers.insert(identity.clone(), mark);
        Some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Ids = Ids { real: 0, effective: 0, saved: 0 };

    fn ids(real: u32, effective: u32, saved: u32) -> Ids {
        Ids { real, effective, saved }
    }

    #[test]
    fn the_rules_are_the_kernels() {
        let one = |from: Ids, id| from.changed(Change::One(Some(id)), from.effective == 0);
        assert_eq!(one(ROOT, 5), Ok(ids(5, 5, 5)));
        assert_eq!(one(ids(5, 5, 5), 0), Err(Errno::PERM));
        assert_eq!(one(ids(0, 5, 7), 7), Ok(ids(0, 7, 7)));
        assert_eq!(ROOT.changed(Change::One(None), true), Err(Errno::INVAL));
        let two = |from: Ids, r, e| from.changed(Change::Two([r, e]), from.effective == 0);
        assert_eq!(two(ROOT, None, Some(5)), Ok(ids(0, 5, 5)));
        assert_eq!(two(ids(0, 5, 5), None, Some(0)), Ok(ids(0, 0, 5)));
        assert_eq!(two(ids(0, 5, 5), Some(5), Some(0)), Ok(ids(5, 0, 0)));
        assert_eq!(two(ids(5, 6, 7), Some(7), None), Err(Errno::PERM));
        let three = |from: Ids, new| from.changed(Change::Three(new), from.effective == 0);
        assert_eq!(three(ROOT, [Some(5), Some(5), None]), Ok(ids(5, 5, 0)));
        assert_eq!(three(ids(5, 5, 0), [None, Some(0), None]), Ok(ids(5, 0, 0)));
        assert_eq!(three(ids(5, 5, 5), [Some(5), Some(5), Some(6)]), Err(Errno::PERM));
    }

    #[test]
    fn what_is_not_root_gives_only_its_own_away() {
        let me = Identity { user: ids(5, 5, 5), group: ids(6, 6, 6), groups: vec![7] };
        let mine = Owner { uid: 5, gid: 9, node: None };
        assert!(me.may_give(Some(&mine), Some(5), Some(7)) && me.may_give(Some(&mine), None, Some(9)));
        assert!(!me.may_give(Some(&mine), Some(0), None) && !me.may_give(Some(&mine), None, Some(8)));
        assert!(!me.may_give(Some(&Owner { uid: 1, ..mine }), None, Some(6)));
        assert!(me.may_give(None, Some(5), Some(6)) && !me.may_give(None, Some(1), None));
    }

    #[test]
    fn one_mark_for_each_identity_and_none_for_other_limits() {
        let mut all = Identities::default();
        let me = Identity { user: ids(5, 5, 5), ..Identity::default() };
        let mark = all.mark(&me).unwrap();
        assert_eq!((all.mark(&me), all.get(mark)), (Some(mark), Some(&me)));
        assert_eq!([0, 1024, mark + 1, u64::MAX].map(|limit| all.get(limit)), [None; 4]);
    }
}
