//! The calls that make files which every user may make, by their numbers; devices are in `calls`.

use super::calls::{AARCH64, ARM, I386, Place, X86_64, low, plain};
use crate::sys::notif::Notification;
use rustix::fs::OFlags;

/// What is to be made. `mode`: permissions, before the umask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum New {
    /// Made when it is missing, and opened.
    File {
        flags: OFlags,
        mode: u32,
    },
    Directory {
        mode: u32,
    },
    /// What it says is at this address.
    Symlink {
        says: u64,
    },
    /// A pipe, a socket or a plain file; `mode` has its kind.
    Node {
        mode: u32,
    },
}

/// Where and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MakeCall {
    pub place: Place,
    pub new: New,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// path, flags, mode.
    Open,
    /// path, mode.
    Create,
    Directory,
    /// What it says, and then the path.
    Symlink,
    Node,
}

/// And whether the path is below a directory that is named before it.
#[rustfmt::skip]
fn look_up(arch: u32, number: i32) -> Option<(Kind, bool)> {
    Some(match (arch, number) {
        (X86_64, 2) | (I386 | ARM, 5) => (Kind::Open, false),
        (X86_64, 257) | (AARCH64, 56) | (I386, 295) | (ARM, 322) => (Kind::Open, true),
        (X86_64, 85) | (I386 | ARM, 8) => (Kind::Create, false),
        (X86_64, 83) | (I386 | ARM, 39) => (Kind::Directory, false),
        (X86_64, 258) | (AARCH64, 34) | (I386, 296) | (ARM, 323) => (Kind::Directory, true),
        (X86_64, 88) | (I386 | ARM, 83) => (Kind::Symlink, false),
        (X86_64, 266) | (AARCH64, 36) | (I386, 304) | (ARM, 331) => (Kind::Symlink, true),
        (X86_64, 133) | (I386 | ARM, 14) => (Kind::Node, false),
        (X86_64, 259) | (AARCH64, 33) | (I386, 297) | (ARM, 324) => (Kind::Node, true),
        _ => return None,
    })
}

pub(super) fn decode(call: &Notification) -> Option<MakeCall> {
    let (number, args) = plain(call);
    let (kind, below) = look_up(call.arch, number)?;
    let [first, second, third, fourth, ..] = args;
    let (dir, path, rest) = match (kind, below) {
        (Kind::Symlink, false) => (libc::AT_FDCWD, second, [0, 0]),
        (Kind::Symlink, true) => (low(second).cast_signed(), third, [0, 0]),
        (_, false) => (libc::AT_FDCWD, first, [second, third]),
        (_, true) => (low(first).cast_signed(), second, [third, fourth]),
    };
    let [one, two] = rest.map(low);
    let new = match kind {
        Kind::Open => New::File { flags: OFlags::from_bits_retain(one), mode: two & 0o7777 },
        Kind::Create => {
            New::File { flags: OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC, mode: one & 0o7777 }
        }
        Kind::Directory => New::Directory { mode: one & 0o7777 },
        Kind::Symlink => New::Symlink { says: first },
        Kind::Node => New::Node { mode: one },
    };
    Some(MakeCall { place: Place { dir, path: Some(path), follow: false, empty: false }, new })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_of_every_abi() {
        let cwd = libc::AT_FDCWD;
        let place = Place { dir: cwd, path: Some(0x1000), follow: false, empty: false };
        let call = |arch, number, args| decode(&Notification { id: 1, pid: 1, number, arch, args });
        let below = u64::from(cwd.cast_unsigned());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let bits = u64::from(flags.bits());
        let file = Some(MakeCall { place, new: New::File { flags, mode: 0o640 } });
        for (arch, number) in [(X86_64, 257), (AARCH64, 56), (I386, 295), (ARM, 322)] {
            assert_eq!(call(arch, number, [below, 0x1000, bits, 0o640, 0, 0]), file, "{arch:x}");
        }
        assert_eq!(call(I386, 5, [0x1000, bits, 0o640, 0, 0, 0]), file);
        let link = Some(MakeCall { place, new: New::Symlink { says: 0x2000 } });
        assert_eq!(call(X86_64, 88, [0x2000, 0x1000, 0, 0, 0, 0]), link);
        assert_eq!(call(ARM, 331, [0x2000, below, 0x1000, 0, 0, 0]), link);
        let node = Some(MakeCall { place, new: New::Node { mode: libc::S_IFIFO | 0o600 } });
        assert_eq!(call(AARCH64, 33, [below, 0x1000, u64::from(libc::S_IFIFO | 0o600), 0, 0, 0]), node);
        assert_eq!(call(X86_64, 437, [below, 0x1000, 0, 24, 0, 0]), None);
    }
}
