//! A bundle's config.json and an exec's process.json: reading them, and the questions we ask of them.
//!
//! The types are oci-spec's. Unknown fields are ignored, as the specification says; wrong types are refused with the
//! line and the field that serde names.

use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Process, Spec};
use rustix::fs::{Mode, OFlags};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest document that is read: the largest that engines write are some hundred KiB.
const MAX_DOCUMENT: u64 = 16 << 20;

/// The name of the configuration in a bundle.
pub const CONFIG: &str = "config.json";

/// Reads `bundle/config.json` (or `file`, when the caller names another) and checks its version.
pub fn load(bundle: &Path, file: Option<&Path>) -> Result<Spec> {
    let path = file.map_or_else(|| bundle.join(CONFIG), Path::to_path_buf);
    let spec: Spec = read(&path)?;
    if !spec.version().starts_with("1.") {
        return Err(Error::usage(format_args!("cannot use {}", path.display()))
            .cause(format_args!("ociVersion {:?} is not 1.x", spec.version())));
    }
    Ok(spec)
}

/// Reads the bare `process` object of an exec.
pub fn load_process(path: &Path) -> Result<Process> {
    read(path)
}

/// Reads any OCI document of JSON. A pipe is as good as a file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let cannot = || format!("cannot read {}", path.display());
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("open({path:?})"))
        .what(cannot)?;
    parse(File::from(fd)).map_err(|e| e.wrap(cannot()))
}

/// Reads a document from an open file.
pub fn parse<T: DeserializeOwned>(from: impl Read) -> Result<T> {
    let mut bytes = Vec::with_capacity(32 << 10);
    from.take(MAX_DOCUMENT).read_to_end(&mut bytes).call(|| "read()")?;
    serde_json::from_slice(&bytes).map_err(|e| Error::corrupt("it is not a valid OCI document").cause(e))
}

/// The namespaces that `spec` lists.
pub fn namespaces(spec: &Spec) -> &[LinuxNamespace] {
    spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default()
}

/// The namespace of this type, when the container does not share the caller's.
pub fn namespace(spec: &Spec, typ: LinuxNamespaceType) -> Option<&LinuxNamespace> {
    namespaces(spec).iter().find(|ns| ns.typ() == typ)
}

/// An annotation's value.
pub fn annotation<'a>(spec: &'a Spec, key: &str) -> Option<&'a str> {
    spec.annotations().as_ref().and_then(|all| all.get(key)).map(String::as_str)
}
