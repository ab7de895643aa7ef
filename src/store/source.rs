//! Images that come as files: `oci:DIR[:tag]`, `oci-archive:FILE[:tag]`, `docker-archive:FILE[:name]`.
//!
//! An archive is read once to learn where its members are; then members are read in place. A compressed archive, or a
//! pipe, is first put into an unnamed file of the store. Nothing of an archive is unpacked as files, and no name in it is
//! ever used as a path of the host.

use super::Store;
use super::archive::{self, Archive, Member, PositionedFile, clean};
use super::unpack::Expect;
use crate::error::{Context, Error, Result};
use crate::id::Sha256;
use crate::spec::image::{Descriptor, Document, MAX_CONFIG, MAX_MANIFEST, Manifest, Platform};
use crate::store::reference::Reference;
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use sha2::Digest;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Index within index.
const MAX_DEPTH: usize = 3;

/// An image found in files.
#[derive(Debug)]
pub struct LocalImage<'a> {
    files: &'a Files,
    /// Manifest bytes: as found, or made by us where the format has none.
    pub manifest: Vec<u8>,
    pub index: Option<Sha256>,
    pub config: Vec<u8>,
    pub names: Vec<Reference>,
    layers: Vec<LocalLayer>,
}

#[derive(Debug)]
struct LocalLayer {
    file: String,
    blob: Option<(Sha256, u64)>,
}

/// Where the files are.
#[derive(Debug)]
pub struct Files {
    kind: FilesKind,
    format: Format,
    /// What stands after the path.
    tag: Option<String>,
    /// The path's last part, for a name.
    base: String,
}

#[derive(Debug)]
enum FilesKind {
    Directory(OwnedFd),
    Archive(Archive),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Oci,
    Docker,
}

/// Opens a local source; `None` when `name` has none of the three prefixes.
pub fn open(store: &Store, name: &str) -> Result<Option<Files>> {
    let (format, directory, rest) = if let Some(rest) = name.strip_prefix("oci:") {
        (Format::Oci, true, rest)
    } else if let Some(rest) = name.strip_prefix("oci-archive:") {
        (Format::Oci, false, rest)
    } else if let Some(rest) = name.strip_prefix("docker-archive:") {
        (Format::Docker, false, rest)
    } else {
        return Ok(None);
    };
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) if !Path::new(rest).exists() => (path, Some(tag.to_owned())),
        _ => (rest, None),
    };
    let base = Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let what = || format!("cannot read the image {name}");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let kind = if directory {
        let fd = rustix::fs::open(path, flags | OFlags::DIRECTORY, Mode::empty())
            .call(|| format!("open({path:?}, O_DIRECTORY)"))
            .what(what)?;
        FilesKind::Directory(fd)
    } else {
        let fd =
            rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({path:?})")).what(what)?;
        FilesKind::Archive(archive::open(store, fd).what(what)?)
    };
    Ok(Some(Files { kind, format, tag, base }))
}

/// Opens an archive of either format, told by its members (`load`).
pub fn open_any(store: &Store, fd: OwnedFd, base: &str) -> Result<Files> {
    let archive = archive::open(store, fd).what(|| "cannot read the image archive")?;
    let format = if archive.members.contains_key("manifest.json") {
        Format::Docker
    } else if archive.members.contains_key("index.json") {
        Format::Oci
    } else {
        return Err(Error::corrupt("cannot read the image archive")
            .cause("it has neither manifest.json nor index.json")
            .hint("Give an archive made by `podman save` or `docker save`, in docker-archive or oci-archive format."));
    };
    Ok(Files { kind: FilesKind::Archive(archive), format, tag: None, base: base.to_owned() })
}

impl Files {
    /// The images in it: all of a docker-archive without a name, else one.
    pub fn images(&self, platform: &Platform) -> Result<Vec<LocalImage<'_>>> {
        match self.format {
            Format::Oci => Ok(vec![self.oci_image(platform)?]),
            Format::Docker => self.docker_images(),
        }
    }

    fn oci_image(&self, platform: &Platform) -> Result<LocalImage<'_>> {
        let bytes = self.read("index.json", MAX_MANIFEST)?;
        let Document::Index(entries) = Document::parse(&bytes)? else {
            return Err(Error::corrupt("index.json is no index"));
        };
        let ref_name = |d: &Descriptor| d.annotations.get("org.opencontainers.image.ref.name").cloned();
        let chosen: Vec<&Descriptor> = match &self.tag {
            Some(tag) => entries.iter().filter(|d| ref_name(d).as_ref() == Some(tag)).collect(),
            None => entries.iter().collect(),
        };
        let entry = match chosen.as_slice() {
            [one] => *one,
            [] => {
                let have: Vec<String> = entries.iter().filter_map(ref_name).collect();
                return Err(Error::not_found(format_args!(
                    "no image {} in it",
                    self.tag.as_deref().unwrap_or_default()
                ))
                .cause(format_args!(
                    "it has {}",
                    if have.is_empty() { "none".to_owned() } else { have.join(", ") }
                )));
            }
            several => platform.choose(&entries).filter(|_| self.tag.is_none()).ok_or_else(|| {
                let have: Vec<String> = several.iter().filter_map(|d| ref_name(d)).collect();
                Error::usage("it holds several images")
                    .cause(have.join(", "))
                    .hint("Name one: add `:tag` after the path.")
            })?,
        };
        let mut names = Vec::new();
        names.extend(ref_name(entry).and_then(|name| self.name_of(&name)));
        let mut index = None;
        let mut descriptor = entry.clone();
        for _ in 0..MAX_DEPTH {
            let bytes = self.blob(&descriptor, MAX_MANIFEST)?;
            match Document::parse(&bytes)? {
                Document::Manifest(manifest) => return self.oci_manifest(bytes, &manifest, index, names),
                Document::Index(list) => {
                    index.get_or_insert(descriptor.sha256()?);
                    descriptor =
                        platform.choose(&list).cloned().ok_or_else(|| no_platform(platform, &list))?;
                }
            }
        }
        Err(Error::corrupt("its indexes point to each other too deeply"))
    }

    fn oci_manifest(
        &self,
        bytes: Vec<u8>,
        manifest: &Manifest,
        index: Option<Sha256>,
        names: Vec<Reference>,
    ) -> Result<LocalImage<'_>> {
        let config = self.blob(&manifest.config, MAX_CONFIG)?;
        let layers = manifest.layers.iter().map(|layer| {
            let digest = layer.sha256()?;
            Ok(LocalLayer { file: format!("blobs/sha256/{digest}"), blob: Some((digest, layer.size)) })
        });
        Ok(LocalImage {
            files: self,
            manifest: bytes,
            index,
            config,
            names,
            layers: layers.collect::<Result<_>>()?,
        })
    }

    fn docker_images(&self) -> Result<Vec<LocalImage<'_>>> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Item {
            config: String,
            #[serde(default)]
            repo_tags: Option<Vec<String>>,
            #[serde(default)]
            layers: Option<Vec<String>>,
        }
        let items: Vec<Item> = serde_json::from_slice(&self.read("manifest.json", MAX_MANIFEST)?)
            .map_err(|e| Error::corrupt("its manifest.json is not usable").cause(e))?;
        let wanted = self.tag.as_ref().map(|tag| Reference::parse(tag)).transpose()?;
        let wanted = wanted.map(|name| name.in_domain("docker.io").or_latest());
        let mut images = Vec::new();
        for item in items {
            let tags = item.repo_tags.unwrap_or_default();
            let names: Vec<Reference> = tags
                .iter()
                .filter_map(|tag| Reference::parse(tag).ok())
                .map(|r| r.in_domain("docker.io").or_latest())
                .collect();
            if wanted.as_ref().is_some_and(|wanted| !names.contains(wanted)) {
                continue;
            }
            let config = self.read(&item.config, MAX_CONFIG)?;
            let layers: Vec<LocalLayer> = item
                .layers
                .unwrap_or_default()
                .into_iter()
                .map(|file| LocalLayer { file, blob: None })
                .collect();
            let manifest = made_manifest(&config, layers.len())?;
            images.push(LocalImage { files: self, manifest, index: None, config, names, layers });
        }
        if images.is_empty() {
            return Err(Error::not_found("no such image in it")
                .hint("Give one of the names of its manifest.json, or none."));
        }
        Ok(images)
    }

    /// A name from an OCI annotation: a full name, or the tag of a name made from the path.
    fn name_of(&self, ref_name: &str) -> Option<Reference> {
        let full =
            Reference::parse(ref_name).ok().filter(|r| r.domain.is_some() || ref_name.contains(['/', ':']));
        let base = self.base.trim_end_matches(".tar").to_ascii_lowercase();
        full.or_else(|| Reference::parse(&format!("localhost/{base}:{ref_name}")).ok())
            .map(|r| r.in_domain("docker.io").or_latest())
    }

    fn open_member(&self, name: &str) -> Result<std::io::Take<PositionedFile>> {
        match &self.kind {
            FilesKind::Directory(dir) => {
                let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let fd = crate::sys::resolve::openat2(dir, name, flags, Mode::empty(), resolve)
                    .call(|| format!("openat2({name:?})"))?;
                let size = u64::try_from(rustix::fs::fstat(&fd).call(|| "fstat()")?.st_size).unwrap_or(0);
                Ok(PositionedFile::new(fd, 0).take(size))
            }
            FilesKind::Archive(Archive { file, members }) => {
                let missing = || {
                    Error::corrupt("the image archive is not complete")
                        .cause(format_args!("it has no {name}"))
                };
                let key = clean(name.as_bytes()).ok_or_else(missing)?;
                let member = match members.get(&key) {
                    Some(Member::Link(target)) => members.get(target),
                    other => other,
                };
                let Some(Member::Data { offset, size }) = member else { return Err(missing()) };
                let fd = file.try_clone().call(|| "fcntl(F_DUPFD_CLOEXEC)")?;
                Ok(PositionedFile::new(fd, *offset).take(*size))
            }
        }
    }

    fn read(&self, name: &str, max: u64) -> Result<Vec<u8>> {
        let file = self.open_member(name)?;
        if file.limit() > max {
            return Err(Error::corrupt(format_args!("{name} is too large"))
                .cause(format_args!("{} bytes, at most {max}", file.limit())));
        }
        let mut bytes = Vec::new();
        file.take(max).read_to_end(&mut bytes).call(|| format!("read({name:?})"))?;
        Ok(bytes)
    }

    /// Reads a blob whole and checks it.
    fn blob(&self, descriptor: &Descriptor, max: u64) -> Result<Vec<u8>> {
        let digest = descriptor.sha256()?;
        let bytes = self.read(&format!("blobs/sha256/{digest}"), max)?;
        check_bytes(&bytes, &digest, Some(descriptor.size))?;
        Ok(bytes)
    }
}

impl LocalImage<'_> {
    /// How many layers it has.
    pub fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// Size of a layer as it is stored in the files.
    pub fn layer_size(&self, index: usize) -> u64 {
        self.layers.get(index).and_then(|layer| layer.blob.as_ref()).map_or(0, |(_, size)| *size)
    }

    /// A layer's bytes.
    pub fn open_layer(&self, index: usize) -> Result<(impl Read + Send + 'static, Expect)> {
        let layer = self.layers.get(index).ok_or_else(|| Error::internal("no such layer"))?;
        Ok((self.files.open_member(&layer.file)?, Expect { blob: layer.blob.clone() }))
    }
}

/// Size and digest of a document.
pub fn check_bytes(bytes: &[u8], digest: &Sha256, size: Option<u64>) -> Result<()> {
    let hash: [u8; 32] = sha2::Sha256::digest(bytes).into();
    let actual = Sha256::from_bytes(&hash);
    if actual != *digest || size.is_some_and(|size| size != bytes.len() as u64) {
        return Err(Error::corrupt("a document of the image is not what its digest says").cause(
            format_args!(
                "{} bytes with digest {} instead of {}",
                bytes.len(),
                actual.prefixed(),
                digest.prefixed()
            ),
        ));
    }
    Ok(())
}

/// The error of an index that has nothing for a platform.
pub fn no_platform(platform: &Platform, list: &[Descriptor]) -> Error {
    let mut have: Vec<String> =
        list.iter().filter_map(|d| d.platform.as_ref()).map(ToString::to_string).collect();
    have.retain(|p| !p.contains("unknown"));
    have.dedup();
    Error::not_found(format_args!("the image has nothing for {platform}"))
        .cause(format_args!(
            "it has {}",
            if have.is_empty() { "no platforms".to_owned() } else { have.join(", ") }
        ))
        .hint("Choose one of them with --platform.")
}

/// A manifest for an image that came without one: layers by their diff ids.
fn made_manifest(config: &[u8], layers: usize) -> Result<Vec<u8>> {
    let document = crate::spec::image::ConfigDocument::parse(config)?;
    let hash: [u8; 32] = sha2::Sha256::digest(config).into();
    let layers: Vec<serde_json::Value> = document
        .diff_ids(layers)?
        .iter()
        .map(|id| serde_json::json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": id.prefixed(), "size": 0}))
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Sha256::from_bytes(&hash).prefixed(),
            "size": config.len(),
        },
        "layers": layers,
    });
    serde_json::to_vec(&manifest).map_err(|e| Error::internal(format_args!("cannot encode a manifest: {e}")))
}
