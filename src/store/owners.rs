//! Whose the files of an image are, where one id is mapped: what the `owners` files of its layers say together; and those of a
//! container, which has a record of its own above them (`ondisk::owners`).
//!
//! The topmost layer that has a path decides; a file of which it says nothing is root's, with the mode that it has. Layers
//! above the one that speaks are looked into only when somebody asks for the path.
//!
//! In a container, the file that is there now is taken for the image's, also when the container has changed it; its permissions,
//! only until then.
//!
//! An image in one file has the owners in its tables, and the kernel shows those who have no id here as nobody: only then, when
//! somebody asks for such a file, the tables are read (`squash::tables`). Permissions are the kernel's there.

use super::Store;
use super::squash::{SquashFile, Tables};
use super::unpack::reachable;
use crate::error::{Context, Result};
use crate::id::Sha256;
use crate::ondisk::container::{Container, Rootfs};
use crate::ondisk::owners::{Key, Owner, Owners};
use crate::paths::Dirs;
use crate::sys::fs::{Symlinks, open_below};
use crate::sys::{self, CallContext};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

/// Most bytes that are read of what one layer says.
const MAX_OWNERS: u64 = 256 << 20;

/// What the kernel shows for an id that has no number in a user namespace (/proc/sys/kernel/overflowuid).
pub const NO_ID: u32 = 65534;

/// What could not be set on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub uid: u32,
    pub gid: u32,
    /// With setuid, setgid and sticky.
    pub mode: u32,
}

/// By path, without a slash in front.
#[derive(Debug, Default)]
pub struct ImageOwners {
    /// The trees of the layers, top first.
    trees: Vec<OwnedFd>,
    /// And which layer says it.
    said: BTreeMap<Vec<u8>, (usize, Said)>,
    /// Of an image in one file.
    file: Option<InFile>,
}

/// What the tables of an image in one file say. The file is opened when they are first asked: a start asks a shared disk for
/// nothing more.
#[derive(Debug)]
struct InFile {
    path: String,
    stamp: String,
    tables: OnceCell<Option<Tables>>,
}

impl ImageOwners {
    /// `layers`: top first. What is missing says nothing.
    pub fn read(store: &Store, layers: impl Iterator<Item = Sha256>) -> Result<Self> {
        let mut owners = Self::default();
        for layer in layers {
            let Some(dir) = store.layer_dir(&layer)? else { continue };
            let number = owners.trees.len();
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if let Ok(file) = rustix::fs::openat(&dir, "owners", flags, Mode::empty()) {
                let mut text = Vec::new();
                File::from(file).take(MAX_OWNERS).read_to_end(&mut text).call(|| "read(owners)")?;
                for (path, said) in text.split(|byte| *byte == b'\n').filter_map(parse) {
                    owners.said.entry(path).or_insert((number, said));
                }
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            owners
                .trees
                .push(rustix::fs::openat(&dir, "diff", flags, Mode::empty()).call(|| "openat(diff)")?);
        }
        if owners.said.is_empty() {
            owners.trees.clear();
        }
        Ok(owners)
    }

    /// Of the image of a container.
    pub fn of_container(dirs: &Dirs, container: &Container) -> Result<Self> {
        let (layers, store) = match &container.rootfs {
            Rootfs::Layers { layers, store, .. } => (layers, store),
            Rootfs::Squash { file, stamp, .. } => return Ok(Self::of_file(file, stamp)),
            _ => return Ok(Self::default()),
        };
        Store::with_layers(dirs, store.as_deref())
            .and_then(|store| Self::read(&store, layers.iter().filter_map(|layer| Sha256::parse(layer).ok())))
            .what(|| "cannot read whose the image's files are")
    }

    /// Of the file that a container was made from. One that is not to be had any more says nothing.
    fn of_file(path: &str, stamp: &str) -> Self {
        let file = InFile { path: path.to_owned(), stamp: stamp.to_owned(), tables: OnceCell::new() };
        Self { file: Some(file), ..Self::default() }
    }

    /// Nothing is said of any file.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty() && self.file.as_ref().and_then(InFile::tables).is_none_or(Tables::is_roots_alone)
    }

    /// Whether it is worth looking for the path of such a file.
    pub fn may_know(&self, shown: &Shown) -> bool {
        !self.said.is_empty() || self.file.is_some() && shown.is_nobodys()
    }

    /// `shown`: what the kernel shows of the file.
    pub fn get(&self, path: &[u8], shown: &Shown) -> Option<Said> {
        if let Some(file) = &self.file {
            return if shown.is_nobodys() { file.get(path) } else { None };
        }
        let (layer, said) = self.said.get(path)?;
        self.is_topmost(path, *layer).then_some(*said)
    }

    pub fn all(&self) -> impl Iterator<Item = (&[u8], Said)> {
        let topmost = self.said.iter().filter(|(path, (layer, _))| self.is_topmost(path, *layer));
        topmost.map(|(path, (_, said))| (path.as_slice(), *said))
    }

    /// Whether no layer above that one has the path.
    fn is_topmost(&self, path: &[u8], layer: usize) -> bool {
        self.trees.iter().take(layer).all(|tree| !has(tree, path))
    }
}

impl InFile {
    fn tables(&self) -> Option<&Tables> {
        self.tables.get_or_init(|| self.open().ok()).as_ref()
    }

    fn open(&self) -> Result<Tables> {
        let image = SquashFile::open(&self.path)?;
        image.check_stamp(&self.stamp)?;
        Tables::open(&image)
    }

    fn get(&self, path: &[u8]) -> Option<Said> {
        let found = self.tables()?.find(path).ok().flatten()?;
        Some(Said { uid: found.uid, gid: found.gid, mode: found.mode })
    }
}

/// What the kernel shows of a file.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

impl Shown {
    /// It belongs to somebody who has no id here.
    fn is_nobodys(&self) -> bool {
        self.uid == NO_ID || self.gid == NO_ID
    }
}

/// What a file is, other than the kernel says it.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub owner: Owner,
    /// Permissions, where they are others too.
    pub mode: Option<u32>,
}

/// Who knows of a container's files: its own record, then its image.
#[derive(Debug)]
pub struct Sources<'a> {
    pub record: &'a Owners,
    pub image: &'a ImageOwners,
    /// What the container has changed of its image, where that is a directory of its own.
    pub upper: Option<&'a OwnedFd>,
}

impl Sources<'_> {
    /// `path`: where the file is in the image, if it can be one of the image's; asked only when that is what it depends on.
    pub fn of(
        &self,
        key: &Key,
        shown: &Shown,
        path: impl FnOnce() -> sys::Result<Option<Vec<u8>>>,
    ) -> sys::Result<Option<Known>> {
        if let Some(owner) = self.record.get(key) {
            return Ok(Some(Known { owner: *owner, mode: None }));
        }
        if !self.image.may_know(shown) {
            return Ok(None);
        }
        let Some(path) = path()? else { return Ok(None) };
        let untouched = |said| self.image.file.is_none() && is_untouched(said, &path, shown.mode, self.upper);
        Ok(self.image.get(&path, shown).map(|said| Known {
            owner: Owner { uid: said.uid, gid: said.gid, node: None },
            mode: untouched(said).then_some(said.mode),
        }))
    }
}

/// Whether the file of which the image says this is still the image's own. `upper`: what the container has changed; without it
/// the permissions tell, as long as they are what was made of the image's.
fn is_untouched(said: Said, path: &[u8], mode: u32, upper: Option<&OwnedFd>) -> bool {
    match upper {
        Some(upper) => !has(upper, path),
        None => mode & 0o7777 == reachable(said.mode, mode & libc::S_IFMT == libc::S_IFDIR),
    }
}

/// Whether there is something at a path, a mark of an overlay too.
pub fn has(tree: &OwnedFd, path: &[u8]) -> bool {
    let Ok(path) = CString::new(path) else { return false };
    let found = open_below(tree.as_fd(), &path, OFlags::PATH | OFlags::NOFOLLOW, Symlinks::Refused);
    !matches!(found, Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

/// `<uid> <gid> <mode> <path>`
fn parse(line: &[u8]) -> Option<(Vec<u8>, Said)> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let mut number = |base| u32::from_str_radix(std::str::from_utf8(fields.next()?).ok()?, base).ok();
    let said = Said { uid: number(10)?, gid: number(10)?, mode: number(8)? & 0o7777 };
    let (mut path, mut rest) = (Vec::new(), fields.next()?);
    while let Some((byte, after)) = rest.split_first() {
        (rest, _) = match (byte, after) {
            (b'%', [b'0', b'A', after @ ..]) => (after, path.push(b'\n')),
            (b'%', [b'2', b'5', after @ ..]) => (after, path.push(b'%')),
            _ => (after, path.push(*byte)),
        };
    }
    Some((path, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_path_of_any_bytes_and_the_topmost_layer_decides() {
        let said = |uid, gid, mode| Said { uid, gid, mode };
        assert_eq!(parse(b"0 42 640 etc/shadow"), Some((b"etc/shadow".to_vec(), said(0, 42, 0o640))));
        assert_eq!(
            parse(b"1 2 4755 a b%0Ac%25d%zz\xff"),
            Some((b"a b\nc%d%zz\xff".to_vec(), said(1, 2, 0o4755)))
        );
        assert_eq!(parse(b"1 2 755 "), Some((Vec::new(), said(1, 2, 0o755))));
        let here = OFlags::PATH | OFlags::DIRECTORY;
        let trees = ["/proc", "/proc/self"].map(|dir| rustix::fs::open(dir, here, Mode::empty()).unwrap());
        let line = |path: &[u8], layer| (path.to_vec(), (layer, said(1, 2, 0o644)));
        // `/proc` is the upper one: what it has too is no longer what `/proc/self` says.
        let said_of = [line(b"mounts", 1), line(b"maps", 1), line(b"uptime", 0)].into();
        let both = ImageOwners { trees: trees.into(), said: said_of, file: None };
        let shown = Shown { uid: 0, gid: 0, mode: 0o644 };
        let found =
            ["mounts", "maps", "uptime", "none"].map(|path| both.get(path.as_bytes(), &shown).is_some());
        assert_eq!((found, both.all().count()), ([false, true, true, false], 2));
        for broken in [&b""[..], b"1 2 755", b"x 2 755 a", b"1 2 9 a"] {
            assert_eq!(parse(broken), None);
        }
    }
}
