//! `coracle image …`: what has no top-level name, and an image as podman's `inspect` shows it.

pub mod exists;
pub mod inspect;
pub mod prune;
pub mod squash;

use crate::error::Result;
use crate::store::{Image, Store};
use serde_json::{Map, Value, json};

/// `inspect` of one image.
pub fn describe(store: &Store, image: &Image) -> Result<Value> {
    let store = store.of(image)?;
    let config = &image.config;
    let record = &image.record;
    let mut shown = Map::new();
    // podman leaves out what is empty.
    let keys = |names: &[String]| Value::Object(names.iter().map(|k| (k.clone(), json!({}))).collect());
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    for (key, value, empty) in [
        ("User", json!(text(&config.user)), text(&config.user).is_empty()),
        ("Env", json!(config.env), config.env.is_empty()),
        ("Entrypoint", json!(config.entrypoint), config.entrypoint.is_empty()),
        ("Cmd", json!(config.cmd), config.cmd.is_empty()),
        ("Volumes", keys(&config.volumes), config.volumes.is_empty()),
        ("ExposedPorts", keys(&config.exposed_ports), config.exposed_ports.is_empty()),
        ("WorkingDir", json!(text(&config.working_dir)), text(&config.working_dir).is_empty()),
        ("Labels", json!(config.labels), config.labels.is_empty()),
        ("StopSignal", json!(text(&config.stop_signal)), text(&config.stop_signal).is_empty()),
    ] {
        if !empty {
            shown.insert(key.into(), value);
        }
    }
    let manifest: Value =
        store.blob(&record.manifest).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
    let layers: Vec<String> = record.layers.iter().map(|l| l.prefixed()).collect();
    let mut paths: Vec<String> = record
        .layers
        .iter()
        .map(|l| crate::store::layer_diff_path(&store.dirs.data, l.as_str()).to_string_lossy().into_owned())
        .collect();
    let upper = paths.pop().unwrap_or_default();
    paths.reverse();
    let labels = if config.labels.is_empty() { Value::Null } else { json!(config.labels) };
    Ok(json!({
        "Id": image.id,
        "Digest": record.manifest.prefixed(),
        "RepoTags": image.names,
        "RepoDigests": image.digests,
        "Parent": "",
        "Comment": "",
        "Created": record.created,
        "Config": shown,
        "Version": "",
        "Author": image.document.author,
        "Architecture": record.architecture,
        "Os": record.os,
        "Size": record.size,
        "VirtualSize": record.size,
        "GraphDriver": {"Name": "overlay", "Data": {"LowerDir": paths.join(":"), "UpperDir": upper}},
        "RootFS": {"Type": "layers", "Layers": layers},
        "Labels": labels,
        "Annotations": manifest.get("annotations").cloned().unwrap_or_else(|| json!({})),
        "ManifestType": manifest.get("mediaType").cloned().unwrap_or_else(|| json!("application/vnd.oci.image.manifest.v1+json")),
        "User": text(&config.user),
        "History": history(image),
        "NamesHistory": image.names,
    }))
}

fn history(image: &Image) -> Value {
    serde_json::to_value(&image.document.history).unwrap_or_else(|_| json!([]))
}
