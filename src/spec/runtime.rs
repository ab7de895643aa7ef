//! A bundle's config.json and an exec's process.json: reading them, and the questions we ask of them.
//!
//! The types are oci-spec's. Unknown fields are ignored, as the specification says; wrong types are refused with the
//! line and the field that serde names.

use crate::caps;
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Process, Spec};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest document that is read: the largest that engines write are some hundred KiB.
const MAX_DOCUMENT: u64 = 16 << 20;

/// The name of the configuration in a bundle.
pub const CONFIG: &str = "config.json";

/// Reads `bundle/config.json` (or `file`, when the caller names another) and checks its version.
pub fn load(bundle: &Path, file: Option<&Path>) -> Result<Spec> {
    load_telling(bundle, file).map(|(spec, _)| spec)
}

/// The same, and the names of capabilities that are none and were left out: "values that cannot be mapped to a relevant
/// kernel interface must be logged as a warning" (config.md).
pub fn load_telling(bundle: &Path, file: Option<&Path>) -> Result<(Spec, Vec<String>)> {
    let path = file.map_or_else(|| bundle.join(CONFIG), Path::to_path_buf);
    let cannot = || format!("cannot use {}", path.display());
    let bytes = renamed(bytes_of(&path)?, "/process/scheduler/flags");
    let names: WithProcess = from_bytes(&bytes).what(cannot)?;
    let unknown = names.process.map_or_else(Vec::new, |process| process.unknown());
    let bytes = without(bytes, "/process/capabilities", &unknown);
    let spec: Spec = from_bytes(&bytes).what(cannot)?;
    if !spec.version().starts_with("1.") {
        return Err(Error::usage(cannot()).cause(format_args!("ociVersion {:?} is not 1.x", spec.version())));
    }
    Ok((spec, unknown))
}

/// Reads the bare `process` object of an exec, and says what `load_telling` says.
pub fn load_process(path: &Path) -> Result<(Process, Vec<String>)> {
    let bytes = renamed(bytes_of(path)?, "/scheduler/flags");
    let cannot = || format!("cannot use {}", path.display());
    let unknown = from_bytes::<Capabilities>(&bytes).what(cannot)?.unknown();
    let bytes = without(bytes, "/capabilities", &unknown);
    // Without a user it is root, as in the documents that engines leave it out of.
    let mut document: serde_json::Value = from_bytes(&bytes).what(cannot)?;
    let process = match document.as_object_mut().filter(|process| !process.contains_key("user")) {
        Some(process) => {
            process.insert("user".into(), serde_json::json!({ "uid": 0, "gid": 0 }));
            from_document(&document).map_err(|e| Error::usage(e).wrap(cannot()))?
        }
        None => from_bytes(&bytes).what(cannot)?,
    };
    Ok((process, unknown))
}

/// Flags of a scheduler whose names in the specification are not those that oci-spec reads.
const SCHEDULER_FLAGS: [(&str, &str); 2] = [
    ("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"),
    ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN"),
];

/// The document with oci-spec's names in the list at `flags`. Hardly any has one of these.
fn renamed(bytes: Vec<u8>, flags: &str) -> Vec<u8> {
    let has = |name: &str| bytes.windows(name.len()).any(|part| part == name.as_bytes());
    if !SCHEDULER_FLAGS.iter().any(|(name, _)| has(name)) {
        return bytes;
    }
    // What is wrong with it is for the real reader to say.
    let Ok(mut document) = serde_json::from_slice::<serde_json::Value>(&bytes) else { return bytes };
    let list = document.pointer_mut(flags).and_then(serde_json::Value::as_array_mut);
    for flag in list.into_iter().flatten() {
        if let Some((_, name)) = SCHEDULER_FLAGS.iter().find(|(name, _)| *flag == *name) {
            *flag = (*name).into();
        }
    }
    document.to_string().into_bytes()
}

/// Capability names as they stand in the document: oci-spec takes `chown` and `CAP_CAP_CHOWN` for CAP_CHOWN too, and a
/// name that only we understand is no name (R10).
#[derive(Deserialize)]
struct Capabilities {
    #[serde(default)]
    capabilities: Option<BTreeMap<String, Option<Vec<String>>>>,
}

#[derive(Deserialize)]
struct WithProcess {
    #[serde(default)]
    process: Option<Capabilities>,
}

impl Capabilities {
    /// Each name that is none, once.
    fn unknown(&self) -> Vec<String> {
        let names = self.capabilities.iter().flat_map(BTreeMap::values).flatten().flatten();
        let mut all: Vec<String> = names.filter(|name| caps::bit_of(name).is_none()).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The document without `names` in the sets at `sets`.
fn without(bytes: Vec<u8>, sets: &str, names: &[String]) -> Vec<u8> {
    if names.is_empty() {
        return bytes;
    }
    // What is wrong with it is for the real reader to say.
    let Ok(mut document) = serde_json::from_slice::<serde_json::Value>(&bytes) else { return bytes };
    let sets = document.pointer_mut(sets).and_then(serde_json::Value::as_object_mut);
    for set in sets.into_iter().flat_map(serde_json::Map::values_mut).filter_map(|set| set.as_array_mut()) {
        set.retain(|name| name.as_str().is_none_or(|name| !names.iter().any(|unknown| unknown == name)));
    }
    document.to_string().into_bytes()
}

/// Reads any OCI document of JSON. A pipe is as good as a file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    from_bytes(&bytes_of(path)?).what(|| format!("cannot use {}", path.display()))
}

/// Reads a document from an open file.
pub fn parse<T: DeserializeOwned>(from: impl Read) -> Result<T> {
    let mut bytes = Vec::with_capacity(4 << 10);
    from.take(MAX_DOCUMENT).read_to_end(&mut bytes).call(|| "read()")?;
    from_bytes(&bytes)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("open({path:?})"))
        .what(cannot)?;
    let mut bytes = Vec::with_capacity(32 << 10);
    File::from(fd)
        .take(MAX_DOCUMENT)
        .read_to_end(&mut bytes)
        .call(|| format!("read({path:?})"))
        .what(cannot)?;
    Ok(bytes)
}

/// A type out of a document that was put together here: by way of its text, because reading from values would be every
/// type's reader a second time, a tenth of the program.
pub fn from_document<T: DeserializeOwned>(document: &serde_json::Value) -> serde_json::Result<T> {
    serde_json::from_slice(document.to_string().as_bytes())
}

fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::corrupt("it is not a valid OCI document").cause(e))
}

/// The namespaces that `spec` lists.
pub fn namespaces(spec: &Spec) -> &[LinuxNamespace] {
    spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default()
}

/// The namespace of this type, when the container does not share the caller's.
pub fn namespace(spec: &Spec, typ: LinuxNamespaceType) -> Option<&LinuxNamespace> {
    namespaces(spec).iter().find(|ns| ns.typ() == typ)
}

/// Set to `inherit`: the container stays on the CPUs that its caller is bound to. A batch system binds a step's processes
/// (`srun --cpu-bind`), and coracle's containers are such; an engine's own binding means nothing for its containers.
pub const ANNOTATION_CPUS: &str = "io.coracle.cpu-affinity";

/// Set to `1`: the caller's supplementary groups stay as they are (crun's).
pub const ANNOTATION_GROUPS: &str = "run.oci.keep_original_groups";

/// Which option of mount(8) carries the mount label (crun's).
pub const ANNOTATION_CONTEXT: &str = "run.oci.mount_context_type";

/// Whether `ANNOTATION_CPUS` says so.
pub fn inherits_cpus(spec: &Spec) -> bool {
    annotation(spec, ANNOTATION_CPUS) == Some("inherit")
}

/// The CPUs that the container is limited to.
pub fn cpuset(spec: &Spec) -> Option<&str> {
    let cpu = spec.linux().as_ref()?.resources().as_ref()?.cpu().as_ref()?;
    cpu.cpus().as_deref().filter(|cpus| !cpus.is_empty())
}

/// An annotation's value.
pub fn annotation<'a>(spec: &'a Spec, key: &str) -> Option<&'a str> {
    spec.annotations().as_ref().and_then(|all| all.get(key)).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capability_names_are_the_kernels() {
        let unknown = |name: &str| {
            let json = serde_json::json!({"capabilities": {"bounding": ["CAP_KILL", name], "ambient": null}});
            let names = serde_json::from_value::<Capabilities>(json.clone()).unwrap().unknown();
            (names.clone(), without(json.to_string().into_bytes(), "/capabilities", &names))
        };
        assert_eq!(unknown("CAP_SYS_ADMIN").0, Vec::<String>::new());
        for bad in ["cap_chown", "CHOWN", "CAP_CAP_CHOWN", "CAP_chown"] {
            let (names, left) = unknown(bad);
            assert_eq!(names, [bad]);
            assert_eq!(left, br#"{"capabilities":{"ambient":null,"bounding":["CAP_KILL"]}}"#);
        }
    }
}
