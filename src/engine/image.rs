//! Pulling and loading: joins the registry (or files) and the store. Runs inside the store's user namespace.
//!
//! A pull asks for the manifest, chooses the platform, reads the config, and then sees that every layer is there: up to
//! three at a time, each by the one process that has claimed it, downloaded and unpacked at once. Nothing is visible
//! before all is there: then the image's record is published, then its name.

use super::limit::{self, Say};
use super::options::PullPolicy;
use crate::error::{Context, Error, Kind, Result};
use crate::host;
use crate::id::Sha256;
use crate::ondisk::{self, image::ImageRecord};
use crate::paths::Dirs;
use crate::registry::{AuthOptions, Bars, BlobSink, Downloads, RegistriesConf, Session, Target, Whose};
use crate::spec::image::{ConfigDocument, Descriptor, Document, MAX_CONFIG, Manifest, Platform};
use crate::store::Store;
use crate::store::image::Came;
use crate::store::lock::Share;
use crate::store::partial::{PartialWriter, partial_name};
use crate::store::reference::Reference;
use crate::store::source::{self, LocalImage};
use crate::store::unpack::{Blob, Expect, Outcome, ensure_layers, unpack_layer};
use sha2::Digest;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// How to pull.
#[derive(Debug, Clone)]
pub struct PullOptions {
    pub policy: PullPolicy,
    /// `os/arch[/variant]`; none: this machine's.
    pub platform: Option<String>,
    pub auth: AuthOptions,
    /// No progress.
    pub quiet: bool,
    /// Tells the user what is removed for a pull.
    pub say: Say,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            policy: PullPolicy::Always,
            platform: None,
            auth: AuthOptions::default(),
            quiet: false,
            say: |_| {},
        }
    }
}

/// Index within index.
const MAX_DEPTH: usize = 3;

/// Pulls `name` (a registry's, or `oci:`, `oci-archive:`, `docker-archive:`); returns the image's id.
pub fn pull(dirs: &Dirs, name: &str, options: &PullOptions) -> Result<Sha256> {
    let store = Store::open(dirs)?;
    store.clean_staging()?;
    let platform = options.platform.as_deref().map_or_else(|| Ok(Platform::host()), Platform::parse)?;
    if let Some(files) = source::open(&store, name)? {
        super::site::check_pull(name)?;
        let images = files.images(&platform).what(|| format!("cannot read the image {name}"))?;
        let many = images.len();
        let image = images.into_iter().next().filter(|_| many == 1).ok_or_else(|| {
            Error::usage(format_args!("{name} holds {many} images"))
                .hint("Name one: add `:name:tag` after the path, or take all with `coracle load`.")
        })?;
        return install_local(&store, &image, options.quiet, options.say)
            .what(|| format!("cannot read the image {name}"));
    }
    let name = name.strip_prefix("docker://").unwrap_or(name);
    if let Some(image) = present(&store, name, options.policy)? {
        return Ok(image);
    }
    let reference = Reference::parse(name)?;
    let whose = if super::site::enforces_images()? { Whose::Administrators } else { Whose::Users };
    let conf = RegistriesConf::read(dirs, whose)?;
    super::site::check_tls(options.auth.tls_verify)?;
    // `newer` without a word from the registry is content with what is here, as podman is.
    let fallback = if options.policy == PullPolicy::Newer { store.find_image(name)? } else { None };
    let mut failed = Vec::new();
    for full in meanings(&reference, &conf)? {
        let allowed = super::site::check_pull(&full.to_string());
        match allowed.and_then(|()| pull_full(&store, &full, &conf, &platform, options)) {
            Ok(id) => return Ok(id),
            Err(e) => failed.push(e),
        }
    }
    fallback.map(|image| image.id).ok_or_else(|| one_of(failed, name))
}

/// Loads every image of an archive (docker-archive or oci-archive, compressed or not, a pipe too).
pub fn load(
    dirs: &Dirs,
    archive: OwnedFd,
    base: &str,
    quiet: bool,
    say: Say,
) -> Result<Vec<(Sha256, Vec<String>)>> {
    let store = Store::open(dirs)?;
    store.clean_staging()?;
    let what = || format!("cannot load {base}");
    super::site::check_load(base)?;
    let files = source::open_any(&store, archive, base).what(what)?;
    let mut loaded = Vec::new();
    for image in files.images(&Platform::host()).what(what)? {
        let names = image.names.iter().map(ToString::to_string).collect();
        loaded.push((install_local(&store, &image, quiet, say).what(what)?, names));
    }
    Ok(loaded)
}

/// The image that makes a pull unnecessary.
fn present(store: &Store, name: &str, policy: PullPolicy) -> Result<Option<Sha256>> {
    let found = match policy {
        PullPolicy::Missing | PullPolicy::Never => store.find_image(name)?.map(|image| image.id),
        PullPolicy::Always | PullPolicy::Newer => None,
    };
    if found.is_none() && policy == PullPolicy::Never {
        return Err(crate::store::image::unknown_image(name));
    }
    Ok(found)
}

/// The full names that a name may mean, in the order to be tried.
fn meanings(reference: &Reference, conf: &RegistriesConf) -> Result<Vec<Reference>> {
    if reference.domain.is_some() {
        return Ok(vec![reference.in_domain("").or_latest()]);
    }
    let suffix = |full: Reference| Reference {
        tag: reference.tag.clone().or(full.tag.clone()),
        digest: reference.digest.clone(),
        ..full
    };
    conf.meanings(&reference.path)
        .iter()
        .map(|full| Ok(suffix(Reference::parse(full)?).in_domain("docker.io").or_latest()))
        .collect()
}

/// Another place with the tag and the digest of a name.
fn suffixed(name: &Reference, place: &str) -> String {
    let tag = name.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = name.digest.as_ref().map(|digest| format!("@{}", digest.prefixed())).unwrap_or_default();
    format!("{place}{tag}{digest}")
}

/// One error of several tries: the one that tells most.
fn one_of(mut failed: Vec<Error>, name: &str) -> Error {
    if failed.len() == 1 {
        return failed.remove(0);
    }
    let mut error = Error::not_found(format_args!("cannot pull {name}"));
    for one in &failed {
        error = error.cause(one);
    }
    error.hint("Give the full name with its registry, for example `docker.io/library/debian`.")
}

fn pull_full(
    store: &Store,
    full: &Reference,
    conf: &RegistriesConf,
    platform: &Platform,
    options: &PullOptions,
) -> Result<Sha256> {
    let target = Target {
        domain: full.domain.clone().unwrap_or_default(),
        path: full.path.clone(),
        tag: full.tag.clone(),
        digest: full.digest.clone(),
    };
    let (session, bytes, top) = Session::open(&store.dirs, &target, conf, &options.auth)?;
    let what = || format!("cannot pull {full}");
    if options.policy == PullPolicy::Newer
        && let Some(image) = store.find_image(&full.to_string())?
        && image.digests.iter().any(|digest| digest.ends_with(&top.prefixed()))
        && options.platform.is_none()
    {
        return Ok(image.id);
    }
    let (bytes, manifest, index) = choose(&session, bytes, &top, platform).what(what)?;
    let config = session.small_blob(&manifest.config, MAX_CONFIG).what(what)?;
    let document = ConfigDocument::parse(&config).what(what)?;
    let diff_ids = document.diff_ids(manifest.layers.len()).what(what)?;
    let sizes = diff_ids.iter().zip(&manifest.layers).filter(|(diff_id, layer)| {
        // Of one that is half here nobody knows what is still needed.
        layer.sha256().is_ok_and(|digest| !store.has_partial(&partial_name(&digest, diff_id)))
    });
    check_room(store, sizes.map(|(diff_id, layer)| (diff_id, layer.size)), options.say).what(what)?;
    let bars = Arc::new(Bars::new(options.quiet));
    let names: Vec<(String, u64)> =
        manifest.layers.iter().map(|l| (l.digest.trim_start_matches("sha256:").to_owned(), l.size)).collect();
    bars.begin(&names);
    let install =
        Install { store, config: &config, document: &document, manifest: &bytes, diff_ids: &diff_ids, index };
    let endpoint = session.endpoint.clone();
    let pulled = session.downloads(|downloads| {
        let make = |at: usize| {
            let (Some(layer), Some(diff_id)) = (manifest.layers.get(at), diff_ids.get(at)) else {
                return Err(Error::internal("no such layer"));
            };
            fetch_layer(store, downloads, layer, diff_id, (&bars, at))
        };
        let origin = if endpoint.moved { suffixed(full, &endpoint.place()) } else { full.to_string() };
        let came = Came { digest: Some(top.clone()), origin: Some(origin) };
        install.run(&make, &bars, std::slice::from_ref(full), came)
    });
    if pulled.as_ref().is_err_and(|e| e.kind() != Kind::Network) {
        // Nothing of this pull can be gone on with: the space goes back.
        let _ = store.collect();
    }
    let id = pulled.what(what)?;
    limit::after(store, &id, options.say).what(what)?;
    Ok(id)
}

/// Follows indexes to the manifest of the platform; returns its bytes too, and the index's digest.
fn choose(
    session: &Session,
    bytes: Vec<u8>,
    top: &Sha256,
    platform: &Platform,
) -> Result<(Vec<u8>, Manifest, Option<Sha256>)> {
    let mut bytes = bytes;
    let mut index = None;
    for _ in 0..MAX_DEPTH {
        match Document::parse(&bytes)? {
            Document::Manifest(manifest) => return Ok((bytes, manifest, index)),
            Document::Index(list) => {
                let entry = platform.choose(&list).ok_or_else(|| source::no_platform(platform, &list))?;
                bytes = session.manifest_by_digest(entry)?;
                index.get_or_insert_with(|| top.clone());
            }
        }
    }
    Err(Error::corrupt("the image's indexes point to each other too deeply"))
}

/// Downloads and unpacks one layer, at once. Goes on with what a former try has left; if that was damaged, once anew.
fn fetch_layer(
    store: &Store,
    downloads: &Downloads,
    layer: &Descriptor,
    diff_id: &Sha256,
    progress: (&Arc<Bars>, usize),
) -> Result<()> {
    let digest = layer.sha256()?;
    let name = partial_name(&digest, diff_id);
    loop {
        let (writer, reader) = store.open_partial(&name)?;
        let resumed = writer.have() > 0;
        let cancel = reader.canceller();
        let sink = Download { writer, bars: Arc::clone(progress.0), index: progress.1 };
        downloads.start(&digest, layer.size, Box::new(sink));
        let blob = Blob {
            source: reader,
            expect: Expect { blob: Some((digest.clone(), layer.size)) },
            cancel: &|| cancel.cancel(),
        };
        let result = unpack_layer(store, diff_id, blob);
        match result {
            Ok(_) => return store.remove_partial(&name),
            // The line broke: what came is worth keeping.
            Err(e) if e.kind() == Kind::Network => return Err(e),
            Err(e) => {
                store.remove_partial(&name)?;
                if !(resumed && e.kind() == Kind::Corrupt) {
                    return Err(e);
                }
            }
        }
    }
}

/// Refuses, before anything is loaded, what has no room for certain: a layer is no smaller unpacked than packed.
fn check_room<'a>(store: &Store, layers: impl Iterator<Item = (&'a Sha256, u64)>, say: Say) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut needed = 0u64;
    for (diff_id, size) in layers {
        if seen.insert(diff_id) && store.layer_dir(diff_id)?.is_none() {
            needed = needed.saturating_add(size);
        }
    }
    if needed > 0 {
        limit::before(store, needed, say)?;
    }
    let place = store.dirs.data.display();
    match host::space(&store.dirs.data) {
        Some(space) if space.quota.is_some_and(|left| left < needed) => Err(Error::host("your quota has no room for its layers")
            .cause(format_args!("they need at least {needed} bytes, and your quota leaves {} bytes in {place}", space.free))
            .hint("Free some space (`coracle rmi`, `coracle system prune`), or keep images on another disk: `coracle config set storage.root DIR`.")),
        Some(space) if space.free < needed => Err(Error::host("there is no room for its layers")
            .cause(format_args!("they need at least {needed} bytes, and {} bytes are free in {place}", space.free))
            .hint("Free some space (`coracle rmi`, `coracle system prune`), or keep images on another disk: `coracle config set storage.root DIR`, or `coracle --root DIR`.")),
        _ => Ok(()),
    }
}

/// Joins the registry's sink and the store's file.
struct Download {
    writer: PartialWriter,
    bars: Arc<Bars>,
    index: usize,
}

impl BlobSink for Download {
    fn have(&self) -> u64 {
        self.writer.have()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write(bytes)?;
        self.bars.at(self.index, self.writer.have());
        Ok(())
    }

    fn cancelled(&self) -> bool {
        self.writer.cancelled()
    }

    fn finish(self: Box<Self>, result: Result<()>) {
        self.writer.finish(result);
    }
}

fn install_local(store: &Store, image: &LocalImage<'_>, quiet: bool, say: Say) -> Result<Sha256> {
    let document = ConfigDocument::parse(&image.config)?;
    let diff_ids = document.diff_ids(image.layer_count())?;
    check_room(store, diff_ids.iter().enumerate().map(|(at, id)| (id, image.layer_size(at))), say)?;
    let bars = Bars::new(quiet);
    let sizes: Vec<(String, u64)> =
        diff_ids.iter().enumerate().map(|(i, id)| (id.to_string(), image.layer_size(i))).collect();
    bars.begin(&sizes);
    let make = |at: usize| {
        let diff_id = diff_ids.get(at).ok_or_else(|| Error::internal("no such layer"))?;
        let (source, expect) = image.open_layer(at)?;
        unpack_layer(store, diff_id, Blob { source, expect, cancel: &|| {} }).map(drop)
    };
    let install = Install {
        store,
        config: &image.config,
        document: &document,
        manifest: &image.manifest,
        diff_ids: &diff_ids,
        index: image.index.clone(),
    };
    let installed = install.run(&make, &bars, &image.names, Came::default());
    match &installed {
        Ok(id) => limit::after(store, id, say)?,
        Err(_) => drop(store.collect()),
    }
    installed
}

/// What is known of an image before its layers are there.
struct Install<'a> {
    store: &'a Store,
    config: &'a [u8],
    document: &'a ConfigDocument,
    manifest: &'a [u8],
    diff_ids: &'a [Sha256],
    index: Option<Sha256>,
}

impl Install<'_> {
    /// Sees that all layers are there, then publishes the image and its names.
    fn run(
        &self,
        make: &(dyn Fn(usize) -> Result<()> + Sync),
        bars: &Bars,
        names: &[Reference],
        mut came: Came,
    ) -> Result<Sha256> {
        let done = |at: usize, outcome: Outcome| {
            bars.done(at, if outcome == Outcome::Existed { "already here" } else { "done" });
        };
        let _pins = ensure_layers(self.store, self.diff_ids, make, &done)?;
        let hash = |bytes: &[u8]| Sha256::from_bytes(&sha2::Sha256::digest(bytes).into());
        let (id, manifest) = (hash(self.config), hash(self.manifest));
        let mut size = 0;
        for diff_id in self.diff_ids {
            size += self.store.layer(diff_id)?.map_or(0, |layer| layer.size);
        }
        let record = ImageRecord {
            version: ondisk::VERSION,
            id: id.clone(),
            manifest: manifest.clone(),
            index: self.index.clone(),
            layers: self.diff_ids.to_vec(),
            size,
            created: self.document.created.clone(),
            architecture: self.document.architecture.clone(),
            os: self.document.os.clone(),
            stored: crate::store::now(),
        };
        // Blobs that no image names yet are not collected while this is held.
        let _blobs = self.store.lock("blobs", Share::Shared)?;
        self.store.put_blob(&id, self.config)?;
        self.store.put_blob(&manifest, self.manifest)?;
        came.digest.get_or_insert(manifest);
        self.store.put_image(&record, names, &came)?;
        Ok(id)
    }
}
