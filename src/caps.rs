//! Capability sets as the kernel has them: one bit each.

use oci_spec::runtime::{Capability, LinuxCapabilities};
use std::collections::HashSet;

/// Names in the kernel's order: the position is the number (linux/capability.h).
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// All capabilities that this build knows.
pub const ALL: u64 = (1 << NAMES.len()) - 1;

/// The five sets of a process. The default has none at all: what a document leaves out is not granted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    pub bounding: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub permitted: u64,
    pub ambient: u64,
}

impl CapabilitySets {
    /// From a process document.
    pub fn from_oci(caps: Option<&LinuxCapabilities>) -> Self {
        let Some(caps) = caps else { return Self::default() };
        let inheritable = mask(caps.inheritable().as_ref());
        let permitted = mask(caps.permitted().as_ref());
        Self {
            bounding: mask(caps.bounding().as_ref()),
            effective: mask(caps.effective().as_ref()) & permitted,
            inheritable,
            permitted,
            // The kernel grants as ambient only what is permitted and inheritable; asking for more is EPERM.
            ambient: mask(caps.ambient().as_ref()) & inheritable & permitted,
        }
    }

    /// Names that a document wants as ambient and that cannot be.
    pub fn not_ambient(&self, caps: Option<&LinuxCapabilities>) -> Vec<&'static str> {
        names(mask(caps.and_then(|caps| caps.ambient().as_ref())) & !self.ambient)
    }

    /// Takes out what a process that holds `held` cannot have, and returns its names.
    pub fn limit_to(&mut self, held: u64) -> Vec<&'static str> {
        let refused = (self.permitted | self.inheritable) & !held;
        for set in [&mut self.effective, &mut self.permitted, &mut self.inheritable, &mut self.ambient] {
            *set &= held;
        }
        names(refused)
    }

    /// Adds a capability to all sets but the ambient one (`exec --cap`).
    pub fn add(&mut self, bit: u64) {
        self.bounding |= bit;
        self.effective |= bit;
        self.permitted |= bit;
    }
}

fn mask(set: Option<&HashSet<Capability>>) -> u64 {
    set.into_iter()
        .flatten()
        .map(|cap| bit_of(&format!("CAP_{cap}")).unwrap_or(0))
        .fold(0, |all, bit| all | bit)
}

fn names(set: u64) -> Vec<&'static str> {
    NAMES.iter().enumerate().filter(|(bit, _)| set & 1 << bit != 0).map(|(_, name)| *name).collect()
}

/// The bit of a capability by its full name.
pub fn bit_of(name: &str) -> Option<u64> {
    NAMES.iter().position(|known| *known == name).map(|number| 1 << number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_that_oci_spec_prints() {
        for name in NAMES {
            let cap: Capability = serde_json::from_value(serde_json::Value::from(name)).unwrap();
            assert_eq!(format!("CAP_{cap}"), name);
        }
        assert_eq!(bit_of("CAP_SYS_ADMIN"), Some(1 << 21));
        assert_eq!(bit_of("cap_chown"), None);
    }

    #[test]
    fn nothing_asked_is_nothing_granted() {
        assert_eq!(CapabilitySets::from_oci(None), CapabilitySets::default());
    }
}
