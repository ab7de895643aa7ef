//! System calls by their numbers: what is asked, of which file, whatever the caller's ABI is.

use super::layout::Layout;
use crate::ondisk::owners::Node;
use crate::sys::notif::Notification;

pub(super) const X86_64: u32 = 0xc000_003e;
pub(super) const I386: u32 = 0x4000_0003;
pub(super) const AARCH64: u32 = 0xc000_00b7;
pub(super) const ARM: u32 = 0x4000_0028;
/// x32 has the numbers of x86_64, and this bit.
const X32: i32 = 0x4000_0000;

/// A file as a call names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// AT_FDCWD for none.
    pub dir: i32,
    /// The address of the path; none: the file is `dir` itself.
    pub path: Option<u64>,
    /// Whether a symlink at the end of the path is followed.
    pub follow: bool,
    /// Whether an empty path means `dir` itself.
    pub empty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// None: stays as it is.
    Chown { place: Place, uid: Option<u32>, gid: Option<u32> },
    /// A device of these permissions, before the umask.
    Make { place: Place, permissions: u32, node: Node },
    /// The result goes to the address `to`.
    Stat { place: Place, to: u64, layout: Layout, flags: i32, mask: u32 },
}

/// How the arguments of a call begin.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// path, …
    Path { follow: bool },
    /// fd, …
    Fd,
    /// dirfd, path, …, flags at this index.
    At { flags: usize },
    /// dirfd, path, …, and no flags.
    AtPlain,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// `narrow`: ids of 16 bits.
    Chown {
        narrow: bool,
    },
    Stat(Layout),
    /// dirfd, path, flags, mask, buffer.
    Statx,
    Make,
}

const FOLLOW: Shape = Shape::Path { follow: true };
const NO_FOLLOW: Shape = Shape::Path { follow: false };
const CHOWN: Kind = Kind::Chown { narrow: false };
const CHOWN16: Kind = Kind::Chown { narrow: true };

#[rustfmt::skip]
fn look_up(arch: u32, number: i32) -> Option<(Kind, Shape)> {
    Some(match (arch, number) {
        (X86_64, 4) => (Kind::Stat(Layout::X86_64), FOLLOW),
        (X86_64, 5) => (Kind::Stat(Layout::X86_64), Shape::Fd),
        (X86_64, 6) => (Kind::Stat(Layout::X86_64), NO_FOLLOW),
        (X86_64, 262) => (Kind::Stat(Layout::X86_64), Shape::At { flags: 3 }),
        (AARCH64, 80) => (Kind::Stat(Layout::Generic), Shape::Fd),
        (AARCH64, 79) => (Kind::Stat(Layout::Generic), Shape::At { flags: 3 }),
        (I386, 195) => (Kind::Stat(Layout::I386), FOLLOW),
        (I386, 196) => (Kind::Stat(Layout::I386), NO_FOLLOW),
        (I386, 197) => (Kind::Stat(Layout::I386), Shape::Fd),
        (I386, 300) => (Kind::Stat(Layout::I386), Shape::At { flags: 3 }),
        (ARM, 195) => (Kind::Stat(Layout::Arm), FOLLOW),
        (ARM, 196) => (Kind::Stat(Layout::Arm), NO_FOLLOW),
        (ARM, 197) => (Kind::Stat(Layout::Arm), Shape::Fd),
        (ARM, 327) => (Kind::Stat(Layout::Arm), Shape::At { flags: 3 }),
        (X86_64, 332) | (I386, 383) | (AARCH64, 291) | (ARM, 397) => (Kind::Statx, Shape::At { flags: 2 }),
        (X86_64, 92) | (I386 | ARM, 212) => (CHOWN, FOLLOW),
        (X86_64, 93) | (I386 | ARM, 207) | (AARCH64, 55) => (CHOWN, Shape::Fd),
        (X86_64, 94) | (I386 | ARM, 198) => (CHOWN, NO_FOLLOW),
        (X86_64, 260) | (I386, 298) | (AARCH64, 54) | (ARM, 325) => (CHOWN, Shape::At { flags: 4 }),
        (I386 | ARM, 182) => (CHOWN16, FOLLOW),
        (I386 | ARM, 95) => (CHOWN16, Shape::Fd),
        (I386 | ARM, 16) => (CHOWN16, NO_FOLLOW),
        (X86_64, 133) | (I386 | ARM, 14) => (Kind::Make, NO_FOLLOW),
        (X86_64, 259) | (I386, 297) | (AARCH64, 33) | (ARM, 324) => (Kind::Make, Shape::AtPlain),
        _ => return None,
    })
}

/// Number and arguments without what an ABI adds to them.
pub(super) fn plain(call: &Notification) -> (i32, [u64; 6]) {
    let number = if call.arch == X86_64 { call.number & !X32 } else { call.number };
    let wide = matches!(call.arch, X86_64 | AARCH64) && call.number == number;
    (number, call.args.map(|arg| if wide { arg } else { arg & 0xffff_ffff }))
}

/// An id as an argument. None: −1, which is none.
pub(super) fn id(arg: u64, narrow: bool) -> Option<u32> {
    match low(arg) {
        u32::MAX => None,
        id if narrow && id & 0xffff == 0xffff => None,
        id => Some(if narrow { id & 0xffff } else { id }),
    }
}

/// What is asked. None: something that the kernel answers as well.
pub(super) fn decode(call: &Notification) -> Option<Call> {
    let (number, args) = plain(call);
    let (kind, shape) = look_up(call.arch, number)?;
    let [first, second, ..] = args;
    let int = |arg: u64| low(arg).cast_signed();
    let flags = |at: usize| args.get(at).map_or(0, |arg| int(*arg));
    let (place, rest) = match shape {
        Shape::Path { follow } => (Place { dir: libc::AT_FDCWD, path: Some(first), follow, empty: false }, 1),
        Shape::Fd => (Place { dir: int(first), path: None, follow: false, empty: true }, 1),
        Shape::At { flags: at } => {
            let empty = flags(at) & libc::AT_EMPTY_PATH != 0;
            let path = (second != 0 || !empty).then_some(second);
            let follow = flags(at) & libc::AT_SYMLINK_NOFOLLOW == 0;
            (Place { dir: int(first), path, follow, empty }, 2)
        }
        Shape::AtPlain => (Place { dir: int(first), path: Some(second), follow: false, empty: false }, 2),
    };
    let argument = |at: usize| args.get(rest + at).copied().unwrap_or(0);
    Some(match kind {
        Kind::Chown { narrow } => {
            Call::Chown { place, uid: id(argument(0), narrow), gid: id(argument(1), narrow) }
        }
        Kind::Make => {
            let (mode, device) = (low(argument(0)), low(argument(1)));
            let block = match mode & libc::S_IFMT {
                libc::S_IFBLK => true,
                libc::S_IFCHR => false,
                _ => return None,
            };
            // As the kernel packs it for system calls, whatever a libc has.
            let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xf_ff00);
            Call::Make { place, permissions: mode & 0o7777, node: Node { block, major, minor } }
        }
        Kind::Stat(layout) => Call::Stat { place, to: argument(0), layout, flags: 0, mask: 0 },
        Kind::Statx => {
            let flags = flags(2) & libc::AT_STATX_SYNC_TYPE;
            Call::Stat { place, to: argument(2), layout: Layout::Statx, flags, mask: low(argument(1)) }
        }
    })
}

pub(super) fn low(arg: u64) -> u32 {
    let [a, b, c, d, ..] = arg.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arch: u32, number: i32, args: [u64; 6]) -> Option<Call> {
        decode(&Notification { id: 1, pid: 1, number, arch, args })
    }

    #[test]
    fn the_same_call_of_every_abi() {
        let cwd = libc::AT_FDCWD;
        let place = Place { dir: cwd, path: Some(0x1000), follow: false, empty: false };
        let wanted = Some(Call::Chown { place, uid: Some(100), gid: None });
        let wide = [0x1000, 100, u64::from(u32::MAX), 0, 0, 0];
        assert_eq!(call(X86_64, 94, wide), wanted);
        assert_eq!(call(X86_64, X32 | 94, wide), wanted);
        assert_eq!(call(I386, 198, wide), wanted);
        assert_eq!(call(I386, 16, [0x1000, 100, 0xffff, 0, 0, 0]), wanted);
        let at = [u64::from(cwd.cast_unsigned()), 0x1000, 100, u64::from(u32::MAX), 0x100, 0];
        assert_eq!(call(X86_64, 260, at), wanted);
        assert_eq!(call(AARCH64, 54, at), wanted);
        // What is above a 32-bit program's registers is nobody's.
        assert_eq!(call(X86_64, X32 | 94, [0x7_0000_1000, 100, u64::from(u32::MAX), 0, 0, 0]), wanted);
        assert_eq!(call(X86_64, 0, wide), None);
    }

    #[test]
    fn a_device_is_unpacked_as_the_kernel_packs_it() {
        let (mode, device) = (u64::from(libc::S_IFBLK | 0o640), 0x1234_5678);
        let place = Place { dir: libc::AT_FDCWD, path: Some(0x1000), follow: false, empty: false };
        let node = Node { block: true, major: 0x456, minor: 0x1_2378 };
        let wanted = Some(Call::Make { place, permissions: 0o640, node });
        assert_eq!(call(X86_64, 133, [0x1000, mode, device, 0, 0, 0]), wanted);
        let cwd = u64::from(libc::AT_FDCWD.cast_unsigned());
        for (arch, number) in [(X86_64, 259), (AARCH64, 33), (I386, 297), (ARM, 324)] {
            assert_eq!(call(arch, number, [cwd, 0x1000, mode, device, 0, 0]), wanted, "{arch:x}");
        }
    }

    #[test]
    fn an_empty_path_is_the_directory_itself_only_when_that_is_said() {
        let place = |args| match call(X86_64, 262, args) {
            Some(Call::Stat { place, .. }) => place,
            other => panic!("{other:?}"),
        };
        let null = place([5, 0, 0x2000, 0x1000, 0, 0]);
        assert_eq!((null.dir, null.path, null.empty), (5, None, true));
        let plain = place([5, 0, 0x2000, 0, 0, 0]);
        assert_eq!((plain.path, plain.empty, plain.follow), (Some(0), false, true));
    }
}
