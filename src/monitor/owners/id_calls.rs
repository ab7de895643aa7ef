//! The calls that change or tell who a process is, by their numbers.

use super::calls::{AARCH64, ARM, I386, X86_64, id, low, plain};
use super::identity::Change;
use crate::sys::notif::Notification;

/// prctl's PR_SET_KEEPCAPS.
const KEEP: u32 = 8;

/// Which ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    User,
    Group,
}

/// `narrow`: ids of 16 bits in memory. `to`, `at`: addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdCall {
    Change {
        sort: Sort,
        change: Change,
    },
    SetGroups {
        count: usize,
        at: u64,
        narrow: bool,
    },
    /// The result is the answer itself.
    Tell {
        sort: Sort,
        effective: bool,
        narrow: bool,
    },
    TellThree {
        sort: Sort,
        to: [u64; 3],
        narrow: bool,
    },
    TellGroups {
        room: i32,
        to: u64,
        narrow: bool,
    },
    /// Whether privileges stay when the user changes.
    Keep(bool),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    One(Sort),
    Two(Sort),
    Three(Sort),
    SetGroups,
    Real(Sort),
    Effective(Sort),
    All(Sort),
    Groups,
    Prctl,
}

use Sort::{Group, User};

#[rustfmt::skip]
fn look_up(arch: u32, number: i32) -> Option<(Kind, bool)> {
    let wide = match (arch, number) {
        (X86_64, 102) | (AARCH64, 174) | (I386 | ARM, 199) => Some(Kind::Real(User)),
        (X86_64, 104) | (AARCH64, 176) | (I386 | ARM, 200) => Some(Kind::Real(Group)),
        (X86_64, 107) | (AARCH64, 175) | (I386 | ARM, 201) => Some(Kind::Effective(User)),
        (X86_64, 108) | (AARCH64, 177) | (I386 | ARM, 202) => Some(Kind::Effective(Group)),
        (X86_64, 118) | (AARCH64, 148) | (I386 | ARM, 209) => Some(Kind::All(User)),
        (X86_64, 120) | (AARCH64, 150) | (I386 | ARM, 211) => Some(Kind::All(Group)),
        (X86_64, 115) | (AARCH64, 158) | (I386 | ARM, 205) => Some(Kind::Groups),
        (X86_64, 105) | (AARCH64, 146) | (I386 | ARM, 213) => Some(Kind::One(User)),
        (X86_64, 106) | (AARCH64, 144) | (I386 | ARM, 214) => Some(Kind::One(Group)),
        (X86_64, 113) | (AARCH64, 145) | (I386 | ARM, 203) => Some(Kind::Two(User)),
        (X86_64, 114) | (AARCH64, 143) | (I386 | ARM, 204) => Some(Kind::Two(Group)),
        (X86_64, 117) | (AARCH64, 147) | (I386 | ARM, 208) => Some(Kind::Three(User)),
        (X86_64, 119) | (AARCH64, 149) | (I386 | ARM, 210) => Some(Kind::Three(Group)),
        (X86_64, 116) | (AARCH64, 159) | (I386 | ARM, 206) => Some(Kind::SetGroups),
        (X86_64, 157) | (AARCH64, 167) | (I386 | ARM, 172) => Some(Kind::Prctl),
        _ => None,
    };
    if let Some(kind) = wide {
        return Some((kind, false));
    }
    let (I386 | ARM) = arch else { return None };
    Some((match number {
        24 => Kind::Real(User),
        47 => Kind::Real(Group),
        49 => Kind::Effective(User),
        50 => Kind::Effective(Group),
        165 => Kind::All(User),
        171 => Kind::All(Group),
        80 => Kind::Groups,
        23 => Kind::One(User),
        46 => Kind::One(Group),
        70 => Kind::Two(User),
        71 => Kind::Two(Group),
        164 => Kind::Three(User),
        170 => Kind::Three(Group),
        81 => Kind::SetGroups,
        _ => return None,
    }, true))
}

pub(super) fn decode(call: &Notification) -> Option<IdCall> {
    let (number, args) = plain(call);
    let (kind, narrow) = look_up(call.arch, number)?;
    let [first, second, third, ..] = args;
    let ids = [first, second, third].map(|arg| id(arg, narrow));
    let [one, two, _] = ids;
    Some(match kind {
        Kind::One(sort) => IdCall::Change { sort, change: Change::One(one) },
        Kind::Two(sort) => IdCall::Change { sort, change: Change::Two([one, two]) },
        Kind::Three(sort) => IdCall::Change { sort, change: Change::Three(ids) },
        Kind::SetGroups => IdCall::SetGroups { count: low(first) as usize, at: second, narrow },
        Kind::Real(sort) => IdCall::Tell { sort, effective: false, narrow },
        Kind::Effective(sort) => IdCall::Tell { sort, effective: true, narrow },
        Kind::All(sort) => IdCall::TellThree { sort, to: [first, second, third], narrow },
        Kind::Groups => IdCall::TellGroups { room: low(first).cast_signed(), to: second, narrow },
        Kind::Prctl if low(first) == KEEP => IdCall::Keep(second != 0),
        Kind::Prctl => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_of_every_abi() {
        let none = u64::from(u32::MAX);
        let wanted = Some(IdCall::Change { sort: User, change: Change::Three([Some(5), None, Some(7)]) });
        let call = |arch, number, args| decode(&Notification { id: 1, pid: 1, number, arch, args });
        for (arch, number) in [(X86_64, 117), (X86_64, 0x4000_0075), (AARCH64, 147), (I386, 208), (ARM, 208)]
        {
            assert_eq!(call(arch, number, [5, none, 7, 0, 0, 0]), wanted, "{arch:x}");
        }
        assert_eq!(call(I386, 164, [5, 0xffff, 7, 0, 0, 0]), wanted);
        let told = |narrow| Some(IdCall::Tell { sort: Group, effective: true, narrow });
        assert_eq!((call(X86_64, 108, [0; 6]), call(ARM, 50, [0; 6])), (told(false), told(true)));
        // The 16-bit numbers mean other things elsewhere.
        assert_eq!(call(X86_64, 23, [0; 6]), None);
        assert_eq!(call(X86_64, 157, [8, 1, 0, 0, 0, 0]), Some(IdCall::Keep(true)));
        assert_eq!(call(X86_64, 157, [38, 1, 0, 0, 0, 0]), None);
    }
}
