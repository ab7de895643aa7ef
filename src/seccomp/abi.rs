//! The ABIs of a filter: how the kernel names them, and which number a syscall has in each.

use oci_spec::runtime::Arch;

use super::table::SYSCALLS;

/// An ABI that a profile can list and that we have numbers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    X86_64 = 0,
    X86 = 1,
    X32 = 2,
    Aarch64 = 3,
    Arm = 4,
}

/// x32 shares x86_64's audit number; its syscalls have this bit.
pub const X32_BIT: u32 = 0x4000_0000;

/// ARM's private calls (`__ARM_NR_*`) lie far above its table.
pub const ARM_PRIVATE: u32 = 0x000f_0000;

const ARM_PRIVATE_CALLS: [(&str, u32); 6] =
    [("breakpoint", 1), ("cacheflush", 2), ("usr26", 3), ("usr32", 4), ("set_tls", 5), ("get_tls", 6)];

/// Calls that i386 can also reach through socketcall(2), by its first argument (linux/net.h).
const SOCKETCALLS: [(&str, u32); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// The same for ipc(2) (linux/ipc.h).
const IPC_CALLS: [(&str, u32); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// A call behind a multiplexer: `number(first argument & mask == value)`.
#[derive(Debug, Clone, Copy)]
pub struct Multiplexed {
    pub number: u32,
    pub value: u32,
    pub mask: u32,
}

impl Abi {
    /// Of this build; `None` where we have no table.
    pub fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::X86)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else if cfg!(target_arch = "arm") {
            Some(Self::Arm)
        } else {
            None
        }
    }

    /// `None`: an architecture whose calls no kernel that we run on ever delivers.
    pub fn from_oci(arch: Arch) -> Option<Self> {
        match arch {
            Arch::ScmpArchNative => Self::native(),
            Arch::ScmpArchX86_64 => Some(Self::X86_64),
            Arch::ScmpArchX86 => Some(Self::X86),
            Arch::ScmpArchX32 => Some(Self::X32),
            Arch::ScmpArchAarch64 => Some(Self::Aarch64),
            Arch::ScmpArchArm => Some(Self::Arm),
            _ => None,
        }
    }

    /// `AUDIT_ARCH_*`, as in `seccomp_data.arch`.
    pub fn audit_arch(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// What a condition looks at of an argument. x32's registers have 64 bits, but libseccomp compares 32 there.
    pub fn argument_bits(self) -> u64 {
        match self {
            Self::X86_64 | Self::Aarch64 => u64::MAX,
            Self::X86 | Self::X32 | Self::Arm => 0xffff_ffff,
        }
    }

    /// The syscall's number as the kernel shows it to a filter.
    pub fn number(self, name: &str) -> Option<u32> {
        if self == Self::Arm
            && let Some((_, n)) = ARM_PRIVATE_CALLS.iter().find(|(call, _)| *call == name)
        {
            return Some(ARM_PRIVATE + n);
        }
        let row = SYSCALLS.binary_search_by(|(row, _)| (*row).cmp(name)).ok()?;
        let number = u32::try_from(SYSCALLS.get(row)?.1.get(self as usize)?.to_owned()).ok()?;
        Some(if self == Self::X32 { number | X32_BIT } else { number })
    }

    /// The second way to the same call that i386 has.
    pub fn multiplexed(self, name: &str) -> Option<Multiplexed> {
        if self != Self::X86 {
            return None;
        }
        let find =
            |calls: &[(&str, u32)]| calls.iter().find(|(call, _)| *call == name).map(|(_, value)| *value);
        if let Some(value) = find(&SOCKETCALLS) {
            return Some(Multiplexed { number: self.number("socketcall")?, value, mask: u32::MAX });
        }
        // ipc(2) ignores the upper half of its first argument's low word: it is the version.
        Some(Multiplexed { number: self.number("ipc")?, value: find(&IPC_CALLS)?, mask: 0xffff })
    }
}
