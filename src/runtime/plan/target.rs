//! A path of the container as the child needs it: relative to the rootfs, normal, split, all C strings made before clone.

use crate::error::{Error, Result};
use std::ffi::CString;
use std::path::Path;

/// A path below the rootfs.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// As the configuration has it, for messages.
    pub shown: String,
    /// Relative to the rootfs; empty for the rootfs itself.
    pub path: CString,
    /// Each ancestor and the path itself, shallow first: what must be made when it is missing.
    pub steps: Vec<TargetStep>,
}

/// One component of a target.
#[derive(Debug, PartialEq, Eq)]
pub struct TargetStep {
    /// The path up to and with this component.
    pub path: CString,
    /// The component alone.
    pub name: CString,
}

impl Target {
    /// Normalises lexically as the kernel does in a root: `..` at the top stays there.
    pub fn new(path: &Path) -> Result<Self> {
        let shown = path.to_string_lossy().into_owned();
        let mut names: Vec<&str> = Vec::new();
        let text = path.to_str().ok_or_else(|| Error::usage(format_args!("path {shown:?} is not UTF-8")))?;
        for name in text.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                name => names.push(name),
            }
        }
        let mut steps = Vec::with_capacity(names.len());
        let mut sofar = String::new();
        for name in names {
            if !sofar.is_empty() {
                sofar.push('/');
            }
            sofar.push_str(name);
            steps.push(TargetStep { path: c_string(&sofar)?, name: c_string(name)? });
        }
        Ok(Self { shown, path: c_string(&sofar)?, steps })
    }

    /// Whether it is the rootfs itself.
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }
}

/// A C string, or an error that shows the text with its NUL.
pub fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::usage(format_args!("{text:?} contains a NUL byte")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_never_leave_the_rootfs() {
        for (given, want) in [("/a/../../b//c/.", "b/c"), ("x", "x"), ("/..", ""), ("/", "")] {
            assert_eq!(Target::new(Path::new(given)).unwrap().path.to_str().unwrap(), want, "{given}");
        }
        let target = Target::new(Path::new("/dev/pts")).unwrap();
        let paths: Vec<_> = target.steps.iter().map(|step| step.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["dev", "dev/pts"]);
    }
}
