//! Images and their names: publishing, finding, naming, removing.

pub use super::collect::Removed;
use super::lock::Share;
use super::reference::Reference;
use super::{Store, list_records};
use crate::error::{Context, Error, Result};
use crate::id::Sha256;
use crate::ondisk::image::{ImageRecord, RefRecord};
use crate::ondisk::{self, Durability};
use crate::spec::image::{ConfigDocument, ImageConfig, MAX_CONFIG};
use crate::sys::CallContext;
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// An image of the store.
#[derive(Debug, Clone)]
pub struct Image {
    pub id: Sha256,
    /// Full names, sorted.
    pub names: Vec<String>,
    /// Digests that its names had where they came from: `docker.io/library/debian@sha256:…`.
    pub digests: Vec<String>,
    /// What its names were pulled from (`RefRecord::origin`).
    pub origins: Vec<String>,
    pub record: ImageRecord,
    pub config: ImageConfig,
    /// The rest of the config document.
    pub document: ConfigDocument,
    /// The store it is in, where that is not the user's own: such an image is only read.
    pub store: Option<PathBuf>,
}

/// Where a name comes from: the digest that it had there, and its full name there.
#[derive(Debug, Clone, Default)]
pub struct Came {
    pub digest: Option<Sha256>,
    pub origin: Option<String>,
}

impl Store {
    /// Stores a blob that was read whole: manifest or config. The caller has checked its digest.
    pub fn put_blob(&self, digest: &Sha256, bytes: &[u8]) -> Result<()> {
        let dir = self.dir("blobs/sha256")?;
        if rustix::fs::statat(&dir, digest.as_str(), rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Ok(());
        }
        ondisk::publish_bytes_for(self.readers(), dir.as_fd(), digest.as_str(), bytes, Durability::Durable)
            .what(|| format!("cannot store blob {digest}"))
    }

    /// Reads a stored blob and checks its digest.
    pub fn blob(&self, digest: &Sha256) -> Result<Vec<u8>> {
        use sha2::Digest;
        let what = || format!("cannot read blob {digest}");
        let dir = self.dir("blobs/sha256")?;
        // The store may be another user's, and this a fifo: then it is empty.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&dir, digest.as_str(), flags, Mode::empty())
            .call(|| format!("openat({digest})"))
            .what(what)?;
        let mut bytes = Vec::new();
        std::fs::File::from(fd).take(MAX_CONFIG).read_to_end(&mut bytes).call(|| "read()").what(what)?;
        let hash: [u8; 32] = sha2::Sha256::digest(&bytes).into();
        if Sha256::from_bytes(&hash) != *digest {
            return Err(Error::corrupt(format_args!("blob {digest} is damaged"))
                .hint("Pull the image again, or see `coracle system check --repair`."));
        }
        Ok(bytes)
    }

    /// Publishes an image and names for it. Its layers and blobs are there, and pinned.
    pub fn put_image(&self, record: &ImageRecord, names: &[Reference], came: &Came) -> Result<()> {
        let _lock = self.lock("images", Share::Exclusive)?;
        let dir = self.dir("images")?;
        let file = format!("{}.json", record.id);
        ondisk::publish_for(self.readers(), &dir, &file, record, Durability::Durable)?;
        for name in names {
            self.put_name(name, &record.id, came)?;
        }
        Ok(())
    }

    fn put_name(&self, name: &Reference, image: &Sha256, came: &Came) -> Result<()> {
        let record = RefRecord {
            version: ondisk::VERSION,
            name: name.to_string(),
            image: image.clone(),
            digest: came.digest.clone(),
            origin: came.origin.clone(),
        };
        ondisk::publish_for(
            self.readers(),
            self.dir("refs")?,
            &name.file_name(),
            &record,
            Durability::Durable,
        )
    }

    /// Says that an image of this store is being used.
    pub fn touch_image(&self, id: &Sha256) {
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        // A disk that cannot note it keeps the image no less.
        let _ = rustix::fs::utimensat(
            self.data(),
            format!("images/{id}.json"),
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        );
    }

    /// When it was used last.
    pub fn last_use(&self, id: &Sha256) -> Result<SystemTime> {
        let path = format!("images/{id}.json");
        let st = rustix::fs::statat(self.data(), &path, AtFlags::SYMLINK_NOFOLLOW)
            .call(|| format!("fstatat({path:?})"))?;
        let seconds = u64::try_from(st.st_mtime).unwrap_or(0);
        Ok(SystemTime::UNIX_EPOCH + Duration::new(seconds, u32::try_from(st.st_mtime_nsec).unwrap_or(0)))
    }

    /// Every name; damaged records beside.
    pub(super) fn names(&self) -> Result<(Vec<RefRecord>, Vec<Error>)> {
        let Some(dir) = self.existing_dir("refs")? else { return Ok((Vec::new(), Vec::new())) };
        let (mut names, mut damaged) = (Vec::new(), Vec::new());
        for file in list_records(&dir)? {
            match ondisk::read_opt::<RefRecord>(&dir, &file) {
                Ok(record) => names.extend(record),
                Err(e) => damaged.push(e.wrap(format_args!("cannot use the image name {file}"))),
            }
        }
        Ok((names, damaged))
    }

    /// Every image, newest first; damaged ones beside, never in the way.
    pub fn images(&self) -> Result<(Vec<Image>, Vec<Error>)> {
        let (names, mut damaged) = self.names()?;
        let Some(dir) = self.existing_dir("images")? else { return Ok((Vec::new(), damaged)) };
        let mut images = Vec::new();
        for file in list_records(&dir)? {
            let Some(id) = file.strip_suffix(".json").and_then(|id| Sha256::parse(id).ok()) else { continue };
            match self.load(&id, &names) {
                Ok(image) => images.extend(image),
                Err(e) => damaged.push(e.wrap(format_args!("cannot use image {id}"))),
            }
        }
        images.sort_by(|a, b| b.record.created.cmp(&a.record.created).then_with(|| a.id.cmp(&b.id)));
        Ok((images, damaged))
    }

    fn load(&self, id: &Sha256, names: &[RefRecord]) -> Result<Option<Image>> {
        let Some(dir) = self.existing_dir("images")? else { return Ok(None) };
        let Some(record) = ondisk::read_opt::<ImageRecord>(&dir, &format!("{id}.json"))? else {
            return Ok(None);
        };
        let document = ConfigDocument::parse(&self.blob(id)?)?;
        let mine = || names.iter().filter(|name| name.image == *id);
        let digests: BTreeSet<String> = mine()
            .filter_map(|name| {
                let reference = Reference::parse(&name.name).ok()?;
                Some(format!("{}@{}", reference.repository(), name.digest.as_ref()?.prefixed()))
            })
            .collect();
        Ok(Some(Image {
            id: id.clone(),
            names: mine().filter(|name| !name.name.contains('@')).map(|name| name.name.clone()).collect(),
            digests: digests.into_iter().collect(),
            origins: mine().filter_map(|name| name.origin.clone()).collect(),
            record,
            config: document.config.clone(),
            document,
            store: self.is_read_only().then(|| self.dirs.data.clone()),
        }))
    }

    /// The images of this store and of the others; what is damaged beside.
    pub fn all_images(&self) -> Result<(Vec<Image>, Vec<Error>)> {
        let (mut images, mut damaged) = self.images()?;
        for other in &self.others().0 {
            let (more, bad) = other.images()?;
            images.extend(more);
            damaged.extend(bad);
        }
        Ok((images, damaged))
    }

    /// The image of a name, a digest or an id prefix: this store's, else that of the first other one that has it.
    /// `Kind::InUse`… never: ambiguous names are `Kind::Usage`.
    pub fn find_image(&self, name: &str) -> Result<Option<Image>> {
        if let Some(image) = self.find_own_image(name)? {
            return Ok(Some(image));
        }
        for other in &self.others().0 {
            if let Some(image) = other.find_own_image(name)? {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }

    /// The same in this store alone.
    pub fn find_own_image(&self, name: &str) -> Result<Option<Image>> {
        let name = name.strip_prefix("docker://").unwrap_or(name);
        let (names, _) = self.names()?;
        let found = match Reference::parse(name) {
            Ok(reference) => find_by_name(&names, &reference, name)?,
            Err(_) => None,
        };
        let id = match found {
            Some(id) => Some(id),
            None => self.find_by_id(name.strip_prefix("sha256:").unwrap_or(name))?,
        };
        match id {
            Some(id) => self.load(&id, &names).what(|| format!("cannot use image {name}")),
            None => Ok(None),
        }
    }

    /// The full name in the store that a name stands for, of several of one image: `localhost/x:latest` for `x`.
    pub fn full_name(&self, name: &str) -> Result<Option<String>> {
        let Ok(reference) = Reference::parse(name.strip_prefix("docker://").unwrap_or(name)) else {
            return Ok(None);
        };
        let (names, _) = self.names()?;
        Ok(matches(&names, &reference)
            .into_iter()
            .map(|record| record.name.clone())
            .find(|n| !n.contains('@')))
    }

    fn find_by_id(&self, prefix: &str) -> Result<Option<Sha256>> {
        if prefix.is_empty()
            || prefix.len() > 64
            || !prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Ok(None);
        }
        let Some(dir) = self.existing_dir("images")? else { return Ok(None) };
        let ids = list_records(&dir)?;
        let mut matching =
            ids.iter().filter_map(|file| file.strip_suffix(".json")).filter(|id| id.starts_with(prefix));
        match (matching.next(), matching.next()) {
            (Some(one), None) => Sha256::parse(one).map(Some),
            (Some(one), Some(two)) => Err(ambiguous(prefix, &[one.to_owned(), two.to_owned()])),
            _ => Ok(None),
        }
    }

    /// Gives an image another name; a former image of that name keeps its id only.
    pub fn tag(&self, image: &Sha256, name: &str) -> Result<()> {
        let reference = Reference::parse(name)?;
        if reference.digest.is_some() {
            return Err(Error::usage(format_args!("cannot name an image {name}"))
                .cause("a new name cannot hold a digest"));
        }
        let _lock = self.lock("images", Share::Exclusive)?;
        let mut names = self.names()?.0;
        names.retain(|name| name.image == *image);
        names.sort_by_key(|name| name.origin.is_none());
        let came = names.into_iter().next().map(|n| Came { digest: n.digest, origin: n.origin });
        self.put_name(&reference.in_domain("localhost").or_latest(), image, &came.unwrap_or_default())
    }

    /// Takes a name away; the image stays. Whether there was such a name.
    pub fn untag(&self, name: &str) -> Result<bool> {
        let _lock = self.lock("images", Share::Exclusive)?;
        let (names, _) = self.names()?;
        match matches(&names, &Reference::parse(name)?).as_slice() {
            [] => Ok(false),
            [one] => self.untag_locked(&one.name),
            several => {
                let candidates: Vec<String> = several.iter().map(|record| record.name.clone()).collect();
                Err(ambiguous(name, &candidates))
            }
        }
    }

    pub(super) fn untag_locked(&self, name: &str) -> Result<bool> {
        let Some(dir) = self.existing_dir("refs")? else { return Ok(false) };
        let file = Reference::parse(name)?.file_name();
        match rustix::fs::unlinkat(&dir, &file, rustix::fs::AtFlags::empty()) {
            Ok(()) => {
                rustix::fs::fsync(&dir).call(|| "fsync(refs)")?;
                Ok(true)
            }
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(e) => Ok(Err(e).call(|| format!("unlinkat({file:?})"))?),
        }
    }
}

/// The error of a name that nothing has.
pub fn unknown_image(name: &str) -> Error {
    Error::not_found(format_args!("no image {name} in the store")).hint(format_args!(
        "Pull it with `coracle pull {name}`, or list what is there with `coracle images`."
    ))
}

fn ambiguous(name: &str, candidates: &[String]) -> Error {
    Error::usage(format_args!("the image name {name} is ambiguous"))
        .cause(format_args!("it can be {}", candidates.join(" or ")))
        .hint("Give more of it.")
}

fn find_by_name(names: &[RefRecord], reference: &Reference, text: &str) -> Result<Option<Sha256>> {
    let found = matches(names, reference);
    let images: BTreeMap<&Sha256, &str> =
        found.iter().map(|record| (&record.image, record.name.as_str())).collect();
    if images.len() > 1 {
        let candidates: Vec<String> = images.values().map(|name| (*name).to_owned()).collect();
        return Err(ambiguous(text, &candidates));
    }
    Ok(images.keys().next().map(|image| (*image).clone()))
}

/// The records of a name: the exact one; for short names localhost's, docker.io's, then any registry's.
pub(super) fn matches<'a>(names: &'a [RefRecord], reference: &Reference) -> Vec<&'a RefRecord> {
    let exact = |full: &Reference| -> Vec<&'a RefRecord> {
        names.iter().filter(|record| is_named(record, full)).collect()
    };
    if reference.domain.is_some() {
        return exact(&reference.in_domain("").or_latest());
    }
    for domain in ["localhost", "docker.io"] {
        let found = exact(&reference.in_domain(domain).or_latest());
        if !found.is_empty() {
            return found;
        }
    }
    let wanted = reference.clone().or_latest();
    let tail = format!("/{}", wanted.path);
    names
        .iter()
        .filter(|record| {
            Reference::parse(&record.name).is_ok_and(|full| {
                let whole = format!("/{}", full.path);
                let mut same = wanted.clone();
                same.domain.clone_from(&full.domain);
                same.path.clone_from(&full.path);
                whole.ends_with(&tail) && is_named(record, &same)
            })
        })
        .collect()
}

/// Whether a record is of this name: with a digest, any record of the repository that had that digest.
fn is_named(record: &RefRecord, full: &Reference) -> bool {
    if record.name == full.to_string() {
        return true;
    }
    let Some(digest) = &full.digest else { return false };
    let same_repository = Reference::parse(&record.name).is_ok_and(|r| r.repository() == full.repository());
    same_repository && record.digest.as_ref() == Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, image: char) -> RefRecord {
        let id = |c: char| Sha256::parse(&c.to_string().repeat(64)).unwrap();
        RefRecord { version: 1, name: name.into(), image: id(image), digest: Some(id('d')), origin: None }
    }

    fn find(names: &[RefRecord], name: &str) -> Result<Option<String>> {
        let found = find_by_name(names, &Reference::parse(name)?, name)?;
        Ok(found.map(|id| id.as_str()[..1].to_owned()))
    }

    #[test]
    fn short_names_mean_localhost_then_docker_then_any_registry() {
        let names = [
            record("docker.io/library/debian:latest", 'a'),
            record("127.0.0.1:5000/team/app:1", 'b'),
            record("q.io/team/app:2", 'c'),
        ];
        assert_eq!(find(&names, "debian").unwrap().as_deref(), Some("a"));
        assert_eq!(find(&names, "debian:12").unwrap(), None);
        assert_eq!(find(&names, "docker.io/debian").unwrap().as_deref(), Some("a"));
        assert_eq!(find(&names, "app:1").unwrap().as_deref(), Some("b"));
        assert_eq!(find(&names, "team/app:2").unwrap().as_deref(), Some("c"));
        assert_eq!(find(&names, "eam/app:2").unwrap(), None);
        let with_local = [record("docker.io/library/x:latest", 'a'), record("localhost/x:latest", 'b')];
        assert_eq!(find(&with_local, "x").unwrap().as_deref(), Some("b"));
    }

    #[test]
    fn two_images_of_one_short_name_are_ambiguous() {
        let names = [record("a.io/app:1", 'a'), record("b.io/app:1", 'b')];
        assert!(find(&names, "app:1").unwrap_err().what().contains("ambiguous"));
        let same = [record("a.io/app:1", 'a'), record("b.io/app:1", 'a')];
        assert_eq!(find(&same, "app:1").unwrap().as_deref(), Some("a"));
    }

    #[test]
    fn a_digest_names_what_its_repository_had() {
        let names = [record("a.io/app:1", 'a')];
        assert_eq!(
            find(&names, &format!("a.io/app@sha256:{}", "d".repeat(64))).unwrap().as_deref(),
            Some("a")
        );
        assert_eq!(find(&names, &format!("a.io/other@sha256:{}", "d".repeat(64))).unwrap(), None);
    }
}
