//! `linux.sysctl` → files below /proc/sys. Only what belongs to a namespace of the container's own. Pure.

use super::namespaces::{NEWIPC, NEWNET, NEWUTS, Namespaces};
use super::target::c_string;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ffi::CString;

/// One setting.
#[derive(Debug)]
pub struct Sysctl {
    /// As the configuration has it.
    pub key: String,
    /// Relative to the proc file system: `sys/net/ipv4/ip_forward`.
    pub path: CString,
    pub value: CString,
}

const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Plans the settings, in the order of their keys.
pub fn plan(asked: Option<&HashMap<String, String>>, namespaces: &Namespaces) -> Result<Vec<Sysctl>> {
    let mut all: Vec<_> = asked.into_iter().flatten().collect();
    all.sort();
    all.into_iter().map(|(key, value)| one(key, value, namespaces)).collect()
}

fn one(key: &str, value: &str, namespaces: &Namespaces) -> Result<Sysctl> {
    // `net/ipv4/conf/eth0.1/x` and `net.ipv4.conf.eth0/1.x` are the two spellings of sysctl(8).
    let slashes = key.find(['.', '/']).is_some_and(|at| key.as_bytes().get(at) == Some(&b'/'));
    let path: String = if slashes {
        key.to_owned()
    } else {
        key.chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect()
    };
    let dotted = path.replace('/', ".");
    let needs = if dotted.starts_with("net.") {
        NEWNET
    } else if IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
        NEWIPC
    } else if dotted == "kernel.domainname" {
        NEWUTS
    } else if dotted == "kernel.hostname" {
        // Two fields for one thing: which of them is meant?
        return Err(Error::usage(format_args!(
            "sysctl {key:?} is not allowed as it conflicts with the OCI \"hostname\" field"
        )));
    } else {
        return Err(Error::usage(format_args!("sysctl {key:?} is not in a separate kernel namespace")));
    };
    if path.split('/').any(|part| part.is_empty() || part == "..") {
        return Err(Error::usage(format_args!("sysctl {key:?} is not a name")));
    }
    if !namespaces.has(needs) {
        return Err(Error::usage(format_args!("sysctl {key:?} is not allowed in the hosts namespace")));
    }
    Ok(Sysctl { key: key.to_owned(), path: c_string(&format!("sys/{path}"))?, value: c_string(value)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_namespaces_are_written() {
        let own = Namespaces { create: NEWNET, ..Namespaces::default() };
        let planned =
            |key: &str, ns: &Namespaces| plan(Some(&HashMap::from([(key.to_owned(), "1".to_owned())])), ns);
        let [one] = planned("net.ipv4.ip_forward", &own).unwrap().try_into().unwrap();
        assert_eq!(one.path.to_str().unwrap(), "sys/net/ipv4/ip_forward");
        assert!(planned("net.ipv4.ip_forward", &Namespaces::default()).is_err());
        for bad in ["kernel.core_pattern", "net/../kernel/core_pattern", "net..x", "vm.overcommit_memory"] {
            assert!(planned(bad, &own).is_err(), "{bad}");
        }
        let [vlan] = planned("net.ipv4.conf.eth0/1.forwarding", &own).unwrap().try_into().unwrap();
        assert_eq!(vlan.path.to_str().unwrap(), "sys/net/ipv4/conf/eth0.1/forwarding");
    }
}
