//! CDI specs (Container Device Interface, 0.3 to 1.x): what a container needs of the host to use a device, as the
//! device's vendor has written it down. JSON or YAML.
//!
//! Unknown fields are ignored, as the specification says; what we know and cannot do (`netDevices`, `intelRdt`) is kept, so
//! that who asks for such a device can be told.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A spec.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    pub cdi_version: String,
    /// `vendor/class` of all its devices.
    pub kind: String,
    pub devices: Vec<Device>,
    /// For whichever of its devices is given.
    pub container_edits: Edits,
}

/// One device.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct Device {
    pub name: String,
    pub container_edits: Edits,
}

/// What is put into a container's configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct Edits {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_nodes: Vec<DeviceNode>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub net_devices: Vec<serde_json::Value>,
}

/// A device node. Owner, mode and numbers are the node's own: it is bound, never made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct DeviceNode {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct Mount {
    pub host_path: String,
    pub container_path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct Hook {
    pub hook_name: String,
    pub path: String,
    pub args: Vec<String>,
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}

/// The points at which a hook may run.
pub const HOOKS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

impl Spec {
    /// Reads one; by way of JSON where it is YAML.
    pub fn parse(text: &str, yaml: bool) -> Result<Self> {
        let invalid = |e: &dyn std::fmt::Display| Error::corrupt("it is not a valid CDI spec").cause(e);
        let spec: Self = if yaml {
            let document: serde_json::Value = serde_saphyr::from_str(text).map_err(|e| invalid(&e))?;
            super::runtime::from_document(&document).map_err(|e| invalid(&e))?
        } else {
            serde_json::from_str(text).map_err(|e| invalid(&e))?
        };
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<()> {
        let bad = |why: String| Err(Error::corrupt("it is not a valid CDI spec").cause(why));
        let mut numbers = self.cdi_version.split('.').map(str::parse::<u32>);
        let known = match (numbers.next(), numbers.next()) {
            (Some(Ok(0)), Some(Ok(minor))) => minor >= 3,
            (Some(Ok(major)), Some(Ok(_))) => major == 1,
            _ => false,
        };
        if !known {
            return bad(format!("cdiVersion {:?} is none of 0.3 to 1.x", self.cdi_version));
        }
        if !self.kind.split_once('/').is_some_and(|(vendor, class)| is_vendor(vendor) && is_class(class)) {
            return bad(format!("kind {:?} is not VENDOR/CLASS", self.kind));
        }
        if let Some(device) = self.devices.iter().find(|device| !is_name(&device.name)) {
            return bad(format!("{:?} is no name of a device", device.name));
        }
        let all = self.devices.iter().map(|device| &device.container_edits).chain([&self.container_edits]);
        all.map(Edits::wrong).find_map(|wrong| wrong).map_or(Ok(()), bad)
    }
}

impl Edits {
    fn wrong(&self) -> Option<String> {
        let relative = |path: &str| !path.starts_with('/');
        if let Some(entry) = self.env.iter().find(|entry| entry.find('=').is_none_or(|at| at == 0)) {
            return Some(format!("env {entry:?} is not NAME=VALUE"));
        }
        if let Some(node) = self.device_nodes.iter().find(|node| relative(&node.path)) {
            return Some(format!("the path {:?} of a device node is not absolute", node.path));
        }
        let mount = self.mounts.iter().find(|m| relative(&m.container_path) || m.host_path.is_empty());
        if let Some(mount) = mount {
            return Some(format!("the mount of {:?} at {:?} is none", mount.host_path, mount.container_path));
        }
        let hook = self.hooks.iter().find(|h| !HOOKS.contains(&h.hook_name.as_str()) || relative(&h.path))?;
        Some(format!("the hook {:?} at {:?} is none", hook.path, hook.hook_name))
    }
}

/// `vendor/class=name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualifiedName<'a> {
    /// `vendor/class`.
    pub kind: &'a str,
    pub name: &'a str,
}

/// The name of a device, where `text` is one.
pub fn qualified(text: &str) -> Option<QualifiedName<'_>> {
    let (kind, name) = text.split_once('=')?;
    let (vendor, class) = kind.split_once('/')?;
    (is_vendor(vendor) && is_class(class) && is_name(name)).then_some(QualifiedName { kind, name })
}

fn is_vendor(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && is_made_of(text, b"_-.")
}

fn is_class(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && is_made_of(text, b"_-")
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && is_made_of(text, b"_-.:")
}

/// Letters, digits and these; the last is no mark.
fn is_made_of(text: &str, marks: &[u8]) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = qualified("nvidia.com/gpu=GPU-1:0").unwrap();
        assert_eq!((name.kind, name.name), ("nvidia.com/gpu", "GPU-1:0"));
        for bad in ["gpu=all", "a/b", "a/b=", "/b=c", "1a/b=c", "a/b.c=d", "a/b=-c", "a/b=c d", "a/../b=c"] {
            assert!(qualified(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn json_and_yaml_are_one() {
        let json = r#"{"cdiVersion":"0.6.0","kind":"v.com/c","devices":[{"name":"0","containerEdits":
            {"deviceNodes":[{"path":"/dev/x","major":1}],"unknown":1}}],"containerEdits":{"env":["A=1"]}}"#;
        let yaml = "cdiVersion: 0.6.0\nkind: v.com/c\ncontainerEdits:\n  env:\n  - A=1\ndevices:\n- name: \"0\"\n  \
                    containerEdits:\n    deviceNodes:\n    - path: /dev/x\n      major: 1\n";
        let spec = Spec::parse(json, false).unwrap();
        assert_eq!(spec, Spec::parse(yaml, true).unwrap());
        assert_eq!(spec.devices[0].container_edits.device_nodes[0].path, "/dev/x");
    }

    #[test]
    fn what_is_no_spec_is_refused_with_the_reason() {
        let with = |version: &str, kind: &str, rest: &str| {
            let text = format!(r#"{{"cdiVersion":"{version}","kind":"{kind}"{rest}}}"#);
            Spec::parse(&text, false).unwrap_err().to_string()
        };
        assert!(with("0.2.0", "v.com/c", "").contains("0.3 to 1.x"));
        assert!(with("2.0.0", "v.com/c", "").contains("0.3 to 1.x"));
        assert!(with("1.0.0", "v.com", "").contains("VENDOR/CLASS"));
        assert!(with("1.0.0", "v.com/c", r#","devices":[{"name":"a b"}]"#).contains("a b"));
        assert!(with("1.0.0", "v.com/c", r#","containerEdits":{"env":["A"]}"#).contains("NAME=VALUE"));
        assert!(Spec::parse("a: [", true).unwrap_err().to_string().contains("line"));
    }
}
