//! `linux.netDevices` → the host's network devices that the container gets, and their names in it. Pure; they are moved by
//! `runtime::net_devices`, between the clone and `Go`.

use super::namespaces::{NEWNET, Namespaces};
use crate::error::{Error, Kind, Result};
use oci_spec::runtime::LinuxNetDevice;
use std::collections::{BTreeMap, HashMap};

/// A network device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetDevice {
    pub name: String,
    /// Its name in the container. `%d` in it stands for the first free number.
    pub inside: String,
}

/// The longest name: IFNAMSIZ with a NUL.
const LONGEST: usize = 15;

/// Plans the devices, in the order of their names. `uid` is the caller's.
pub fn plan(
    devices: Option<&HashMap<String, LinuxNetDevice>>,
    namespaces: &Namespaces,
    uid: u32,
) -> Result<Vec<NetDevice>> {
    let asked: BTreeMap<_, _> = devices.into_iter().flatten().collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    if uid != 0 {
        return Err(Error::new(Kind::Denied, "linux.netDevices is not supported for rootless containers")
            .cause(format_args!("the network devices of the host are root's, and the caller is user {uid}"))
            .hint("Run it as root, or leave linux.netDevices out of config.json."));
    }
    if !namespaces.has(NEWNET) {
        return Err(without_namespace("linux.namespaces has no entry of type network"));
    }
    let mut planned: Vec<NetDevice> = Vec::with_capacity(asked.len());
    for (name, device) in asked {
        let inside = device.name().as_deref().filter(|inside| !inside.is_empty()).unwrap_or(name);
        check(name, false)?;
        check(inside, true)?;
        if let Some(other) = planned.iter().find(|other| other.inside == inside && !is_template(inside)) {
            let both = format_args!("{} and {name}", other.name).to_string();
            return Err(Error::usage(format_args!(
                "two of linux.netDevices have the name {inside:?} in the container"
            ))
            .cause(both)
            .hint("Give each a name of its own, or one that ends in %d."));
        }
        planned.push(NetDevice { name: name.clone(), inside: inside.to_owned() });
    }
    Ok(planned)
}

/// The error of devices for a container that stays in the network namespace where they are.
pub fn without_namespace(cause: impl std::fmt::Display) -> Error {
    Error::usage("unable to move network devices without a NET namespace")
        .cause(cause)
        .hint("Give the container a network namespace other than the runtime's.")
}

/// Whether the kernel chooses the number in it.
fn is_template(name: &str) -> bool {
    name.contains('%')
}

/// As the kernel takes names: else it would fail half-way, with less to say.
fn check(name: &str, may_be_template: bool) -> Result<()> {
    let rule = if name.is_empty() || name.len() > LONGEST {
        "it must have 1 to 15 bytes"
    } else if name == "." || name == ".." || name.bytes().any(is_never) {
        "it may have no space, control character, / or :, and be neither . nor .."
    } else if is_template(name) && !(may_be_template && name.matches('%').count() == 1 && name.contains("%d"))
    {
        "a % stands before a d, once, in the name inside"
    } else {
        return Ok(());
    };
    Err(Error::usage(format_args!("invalid network device name {name:?} in linux.netDevices")).cause(rule))
}

/// 0xa0 is a space to the kernel.
fn is_never(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control() || matches!(byte, b'/' | b':' | 0xa0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(json: serde_json::Value) -> Result<Vec<NetDevice>> {
        let devices: HashMap<String, LinuxNetDevice> = serde_json::from_value(json).unwrap();
        plan(Some(&devices), &Namespaces { create: NEWNET, ..Namespaces::default() }, 0)
    }

    #[test]
    fn a_device_keeps_its_name_or_gets_another() {
        let json = serde_json::json!({"b0": {"name": "eth%d"}, "a0": {}, "c0": {"name": ""}, "d0": {"name": "eth%d"}});
        let names: Vec<_> = planned(json).unwrap().into_iter().map(|d| (d.name, d.inside)).collect();
        let expected = [("a0", "a0"), ("b0", "eth%d"), ("c0", "c0"), ("d0", "eth%d")];
        assert_eq!(names, expected.map(|(name, inside)| (name.to_owned(), inside.to_owned())));
    }

    #[test]
    fn names_that_the_kernel_refuses_are_refused_before() {
        for bad in ["sixteen-letters0", ".", "..", "a/b", "a:b", "a b", "a\u{a0}", "a\tb", "%", "%d%d", "%s"]
        {
            let error = planned(serde_json::json!({"eth0": {"name": bad}})).unwrap_err();
            assert!(error.to_string().contains("invalid network device name"), "{bad}: {error}");
        }
        assert!(planned(serde_json::json!({"": {}})).is_err());
        assert!(planned(serde_json::json!({"eth%d": {}})).is_err());
        assert!(planned(serde_json::json!({"a0": {"name": "x"}, "b0": {"name": "x"}})).is_err());
        assert!(planned(serde_json::json!({"fifteen-letters": {}})).is_ok());
    }
}
