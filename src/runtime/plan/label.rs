//! `linux.mountLabel` → the SELinux context of the container's mounts, as runc gives it. Pure.
//!
//! New file systems that can be mounted with a context get it as an option, mqueue as an attribute of its root; proc, sysfs
//! and cgroup2 have the labels that the policy gives them, and a bind mount has those of its source.

use super::target::c_string;
use crate::error::{Error, Result};
use crate::spec::runtime as spec;
use oci_spec::runtime::Spec;
use std::ffi::CString;

/// The label, and the option that carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountLabel {
    pub option: CString,
    pub context: CString,
}

/// See mount(8): one of them may be chosen by the annotation.
const OPTIONS: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

/// What a file system's labels come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelled {
    ByOption,
    ByAttribute,
    ByPolicy,
}

/// Plans it. `selinux`: whether it is on; a label is refused where it would mean nothing.
pub fn plan(config: &Spec, selinux: bool) -> Result<Option<MountLabel>> {
    let option = spec::annotation(config, spec::ANNOTATION_CONTEXT).unwrap_or("context");
    if !OPTIONS.contains(&option) {
        return Err(Error::usage(format_args!(
            "invalid value {option:?} of the annotation {}",
            spec::ANNOTATION_CONTEXT
        ))
        .hint(format_args!("Use one of {}.", OPTIONS.join(", "))));
    }
    let label = config.linux().as_ref().and_then(|linux| linux.mount_label().as_deref());
    let Some(label) = label.filter(|label| !label.is_empty()) else { return Ok(None) };
    if !selinux {
        return Err(Error::usage(
            "selinux mount label is specified in config, but selinux is disabled or not supported",
        )
        .cause(format_args!("linux.mountLabel is {label:?}"))
        .hint("Leave it out of config.json on hosts without SELinux."));
    }
    Ok(Some(MountLabel { option: c_string(option)?, context: c_string(label)? }))
}

/// How a file system of this kind gets the label.
pub fn of_kind(kind: &str) -> Labelled {
    match kind {
        "proc" | "sysfs" | "cgroup" | "cgroup2" => Labelled::ByPolicy,
        "mqueue" => Labelled::ByAttribute,
        _ => Labelled::ByOption,
    }
}

impl MountLabel {
    /// Adds it to the options of a file system, unless they say something of the kind.
    pub fn add_to(&self, options: &mut Vec<(CString, Option<CString>)>) {
        let says = |key: &CString| OPTIONS.iter().any(|option| key.as_bytes() == option.as_bytes());
        if !options.iter().any(|(key, _)| says(key)) {
            options.push((self.option.clone(), Some(self.context.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_needs_selinux_and_a_known_option() {
        let label = "system_u:object_r:container_file_t:s0:c1,c2";
        let config = |annotation: &str| -> Spec {
            let linux = serde_json::json!({"mountLabel": label});
            let annotations = serde_json::json!({(spec::ANNOTATION_CONTEXT): annotation});
            let json = serde_json::json!({"ociVersion": "1.0.2", "linux": linux, "annotations": annotations});
            serde_json::from_value(json).unwrap()
        };
        let planned = plan(&config("rootcontext"), true).unwrap().unwrap();
        assert_eq!((planned.option.as_c_str(), planned.context.to_str().unwrap()), (c"rootcontext", label));
        assert!(plan(&config("context"), false).unwrap_err().to_string().contains("selinux mount label"));
        assert!(plan(&config("kontext"), true).unwrap_err().to_string().contains("invalid value"));
        let mut options = vec![(c"size".into(), Some(c"1m".into()))];
        planned.add_to(&mut options);
        planned.add_to(&mut options);
        assert_eq!(options.len(), 2, "once: {options:?}");
    }
}
