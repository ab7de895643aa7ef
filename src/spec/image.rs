//! The image documents (manifest, index, config) as data, with the questions that we ask of them.
//!
//! Own types, because oci-spec's config has no health check and refuses documents that registries really serve. The bytes
//! as they came stay in `blobs/`; these types are read from them and never written back. Everything in them is data of a
//! stranger: bounds are checked here, names and ids where they are used.

use crate::error::{Error, Result};
use crate::id::Sha256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Largest manifest or index, in bytes.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Largest config, in bytes.
pub const MAX_CONFIG: u64 = 8 << 20;
/// Most layers of an image.
pub const MAX_LAYERS: usize = 128;
/// Most entries of an index.
const MAX_INDEX: usize = 1000;

/// What an image says about the containers made from it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    #[serde(deserialize_with = "or_default")]
    pub env: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// `80/tcp`; in the document a map to empty objects.
    #[serde(deserialize_with = "keys")]
    pub exposed_ports: Vec<String>,
    #[serde(deserialize_with = "keys")]
    pub volumes: Vec<String>,
    pub stop_signal: Option<String>,
    pub healthcheck: Option<Healthcheck>,
    #[serde(deserialize_with = "or_default")]
    pub shell: Vec<String>,
}

/// A health check, as the Docker image format has it; times in nanoseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    #[serde(deserialize_with = "or_default")]
    pub test: Vec<String>,
    pub interval: i64,
    pub timeout: i64,
    pub start_period: i64,
    pub retries: i64,
}

/// The config document.
#[derive(Debug, Clone, Deserialize)]
pub struct ConfigDocument {
    #[serde(default, deserialize_with = "or_default")]
    pub created: String,
    #[serde(default, deserialize_with = "or_default")]
    pub author: String,
    #[serde(default, deserialize_with = "or_default")]
    pub architecture: String,
    #[serde(default, deserialize_with = "or_default")]
    pub variant: String,
    #[serde(default, deserialize_with = "or_default")]
    pub os: String,
    #[serde(default, deserialize_with = "or_default")]
    pub config: ImageConfig,
    pub rootfs: RootfsDocument,
    #[serde(default, deserialize_with = "or_default")]
    pub history: Vec<History>,
}

/// The layers of a config.
#[derive(Debug, Clone, Deserialize)]
pub struct RootfsDocument {
    pub diff_ids: Vec<String>,
}

/// One step of an image's making.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    pub created: Option<String>,
    pub created_by: Option<String>,
    pub comment: Option<String>,
    pub empty_layer: bool,
}

/// A blob, as a manifest names it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    #[serde(default)]
    pub platform: Option<Platform>,
    #[serde(default, deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// The digest, checked.
    pub fn sha256(&self) -> Result<Sha256> {
        Sha256::parse_prefixed(&self.digest).map_err(|e| e.with_kind(crate::error::Kind::Corrupt))
    }
}

/// What an image runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    pub architecture: String,
    pub os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A manifest or an index.
#[derive(Debug, Clone)]
pub enum Document {
    Manifest(Manifest),
    Index(Vec<Descriptor>),
}

/// Config and layers of one image.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub config: Descriptor,
    /// Bottom first.
    pub layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

impl Document {
    /// Parses a manifest or an index; a document that is both is refused (CVE-2021-41190).
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bad = |why: String| Error::corrupt("the image's manifest is not usable").cause(why);
        let raw: RawDocument = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        if raw.schema_version != 2 {
            return Err(bad(format!("schema version {}, only 2 is known", raw.schema_version)));
        }
        let media = raw.media_type.as_deref().unwrap_or_default();
        let index_media = media.contains("index") || media.contains("manifest.list");
        match (raw.config, raw.layers, raw.manifests) {
            (Some(config), Some(layers), None) if !index_media => {
                if layers.len() > MAX_LAYERS {
                    return Err(bad(format!("{} layers, at most {MAX_LAYERS} are allowed", layers.len())));
                }
                Ok(Self::Manifest(Manifest { config, layers }))
            }
            (None, None, Some(manifests)) if index_media || media.is_empty() => {
                if manifests.len() > MAX_INDEX {
                    return Err(bad(format!("{} entries, at most {MAX_INDEX} are allowed", manifests.len())));
                }
                Ok(Self::Index(manifests))
            }
            _ => Err(bad(format!(
                "it must be either a manifest or an index, and as its media type {media:?} says"
            ))),
        }
    }
}

impl ConfigDocument {
    /// Parses a config.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| Error::corrupt("the image's config is not usable").cause(e))
    }

    /// The layers' diff ids, checked, bottom first; they must be as many as the manifest's layers.
    pub fn diff_ids(&self, layers: usize) -> Result<Vec<Sha256>> {
        if self.rootfs.diff_ids.len() != layers || layers > MAX_LAYERS {
            return Err(Error::corrupt("the image's config is not usable").cause(format_args!(
                "it names {} layers, the manifest {layers} (at most {MAX_LAYERS})",
                self.rootfs.diff_ids.len()
            )));
        }
        self.rootfs
            .diff_ids
            .iter()
            .map(|id| Sha256::parse_prefixed(id).map_err(|e| e.with_kind(crate::error::Kind::Corrupt)))
            .collect()
    }
}

/// This machine's, in Go's words, as image indexes and podman have it.
pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

impl Platform {
    /// Of this machine.
    pub fn host() -> Self {
        Self { architecture: host_architecture().to_owned(), os: "linux".to_owned(), variant: None }
    }

    /// Parses `[os/]arch[/variant]`.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, arch, variant) = match parts.as_slice() {
            [arch] => ("linux", *arch, None),
            [os, arch] => (*os, *arch, None),
            [os, arch, variant] => (*os, *arch, Some((*variant).to_owned())),
            _ => return Err(invalid_platform(text)),
        };
        if os.is_empty() || arch.is_empty() {
            return Err(invalid_platform(text));
        }
        let arch = match arch {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Ok(Self { architecture: arch.to_owned(), os: os.to_owned(), variant })
    }

    /// Whether an image with this config is for this platform. A config that does not say is for any.
    pub fn holds(&self, config: &ConfigDocument) -> bool {
        let same = |said: &str, wanted: &str| said.is_empty() || said == wanted;
        same(&config.os, &self.os)
            && same(&config.architecture, &self.architecture)
            && self.variant.as_ref().is_none_or(|wanted| same(&config.variant, wanted))
    }

    /// The entry of an index for this platform: same variant first, then any.
    pub fn choose<'a>(&self, manifests: &'a [Descriptor]) -> Option<&'a Descriptor> {
        let fits = |d: &&Descriptor| {
            d.platform.as_ref().is_some_and(|p| p.os == self.os && p.architecture == self.architecture)
        };
        let same_variant = |d: &&Descriptor| {
            self.variant.is_none() || d.platform.as_ref().is_some_and(|p| p.variant == self.variant)
        };
        manifests
            .iter()
            .filter(fits)
            .find(same_variant)
            .or_else(|| manifests.iter().filter(|_| self.variant.is_none()).find(fits))
            .or_else(|| match manifests {
                // An index of one without a platform: tools write that for single images.
                [only] if only.platform.is_none() => Some(only),
                _ => None,
            })
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |v| write!(f, "/{v}"))
    }
}

fn invalid_platform(text: &str) -> Error {
    Error::usage(format_args!("invalid platform {text:?}"))
        .hint("Give it as os/architecture, for example `linux/arm64`.")
}

/// Go writes absent lists and maps as null.
fn or_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The keys of a map whose values say nothing.
fn keys<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    let map = Option::<BTreeMap<String, serde::de::IgnoredAny>>::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_manifest_or_an_index_never_both() {
        let d = r#"{"mediaType":"x","digest":"sha256:00","size":1}"#;
        let manifest = format!(r#"{{"schemaVersion":2,"config":{d},"layers":[{d}]}}"#);
        assert!(
            matches!(Document::parse(manifest.as_bytes()), Ok(Document::Manifest(m)) if m.layers.len() == 1)
        );
        let both = format!(r#"{{"schemaVersion":2,"config":{d},"layers":[],"manifests":[{d}]}}"#);
        assert!(Document::parse(both.as_bytes()).is_err());
        let lie = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":{d},"layers":[]}}"#
        );
        assert!(Document::parse(lie.as_bytes()).is_err());
        let many = format!(r#"{{"schemaVersion":2,"config":{d},"layers":[{}]}}"#, vec![d; 129].join(","));
        assert!(Document::parse(many.as_bytes()).is_err());
        assert!(Document::parse(b"{}").is_err());
        assert!(Document::parse(&[b'['; 100_000]).is_err());
    }

    #[test]
    fn a_platform_is_chosen_by_variant_then_architecture() {
        let entry = |arch: &str, variant: Option<&str>| Descriptor {
            media_type: String::new(),
            digest: format!("{arch}{variant:?}"),
            size: 0,
            platform: Some(Platform {
                architecture: arch.into(),
                os: "linux".into(),
                variant: variant.map(Into::into),
            }),
            annotations: BTreeMap::new(),
        };
        let list = [entry("amd64", None), entry("arm", Some("v6")), entry("arm", Some("v7"))];
        let pick = |p: &str| Platform::parse(p).unwrap().choose(&list).map(|d| d.digest.clone());
        assert_eq!(pick("linux/arm/v7"), Some("armSome(\"v7\")".into()));
        assert_eq!(pick("arm"), Some("armSome(\"v6\")".into()));
        assert_eq!(pick("linux/x86_64"), Some("amd64None".into()));
        assert_eq!(pick("linux/arm/v8"), None);
        assert_eq!(pick("linux/riscv64"), None);
    }

    #[test]
    fn null_lists_of_go_are_empty() {
        let config = ConfigDocument::parse(
            br#"{"config":{"Env":null,"Cmd":["a"],"Labels":null,"Volumes":{"/b":{},"/a":{}},"User":null},"rootfs":{"type":"layers","diff_ids":[]}}"#,
        )
        .unwrap();
        assert_eq!(config.config.cmd, ["a"]);
        assert!(config.config.env.is_empty());
        assert_eq!(config.config.volumes, ["/a", "/b"]);
        assert!(config.diff_ids(1).is_err());
    }
}
