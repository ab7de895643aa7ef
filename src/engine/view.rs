//! Reading a file of a root file system that is not mounted: layers seen as one tree, from the host's side.
//!
//! Used before the start, for passwd, group and the working directory. Paths are walked component by component over all
//! layers, each by fd with O_NOFOLLOW; symlinks are resolved inside the view, never by the host (R1). Whiteouts are
//! honoured in both forms that layers have: character device 0:0 and `.wh.NAME`; opaque directories by xattr and by
//! `.wh..wh..opq`.

use crate::error::Result;
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Symlinks followed before a lookup gives up, as the kernel does.
const MAX_SYMLINKS: u32 = 40;

/// The image's files of a container, as they were before its first start. `None`: it is not made of layers.
pub fn of_image(dirs: &Dirs, c: &Container) -> Result<Option<View>> {
    let Some((layers, data)) = crate::store::layers_of(dirs, &c.rootfs) else { return Ok(None) };
    View::of_layers(data, layers).map(Some)
}

/// Directories stacked as in overlay, top first; or a few files that are known of a tree that cannot be looked at.
#[derive(Debug)]
pub struct View {
    roots: Vec<OwnedFd>,
    known: Option<BTreeMap<String, String>>,
}

/// What stands at the end of a path.
#[derive(Debug)]
pub enum Found {
    /// The directory, in all layers that have a part of it.
    Directory,
    /// Anything else, with the type and an O_PATH fd of the topmost one.
    Other(FileType, OwnedFd),
}

enum Step {
    Missing,
    Directory(Vec<OwnedFd>),
    Symlink(PathBuf),
    Other(FileType, OwnedFd),
}

impl View {
    /// Opens the directories, top first. One that is missing is an error.
    pub fn open<P: AsRef<Path>>(top_first: impl IntoIterator<Item = P>) -> Result<Self> {
        let open = |dir: P| {
            let dir = dir.as_ref();
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok(rustix::fs::open(dir, flags, Mode::empty()).call(|| format!("open({dir:?}, O_PATH)"))?)
        };
        Ok(Self { roots: top_first.into_iter().map(open).collect::<Result<_>>()?, known: None })
    }

    /// Layers of the store `data`, top first.
    pub fn of_layers(data: &Path, layers: &[String]) -> Result<Self> {
        let roots = layers.iter().map(|diff_id| crate::store::layer_tree(data, diff_id));
        Ok(Self { roots: roots.collect::<crate::sys::Result<_>>()?, known: None })
    }

    /// Of a tree that is not mounted, these files, by absolute path. Whatever else is asked for is taken to be there.
    pub fn of_files(known: BTreeMap<String, String>) -> Self {
        Self { roots: Vec::new(), known: Some(known) }
    }

    /// One directory, by its `O_PATH` fd.
    pub fn of(root: OwnedFd) -> Self {
        Self { roots: vec![root], known: None }
    }

    /// What stands at the absolute `path`; `None` when nothing does, or when a symlink loops.
    pub fn lookup(&self, path: &Path) -> Option<Found> {
        match self.resolve(path)? {
            Step::Directory(_) => Some(Found::Directory),
            Step::Other(kind, fd) => Some(Found::Other(kind, fd)),
            Step::Missing | Step::Symlink(_) => None,
        }
    }

    /// The names of the directories in the directory at `path`, sorted.
    pub fn directories(&self, path: &str) -> Vec<String> {
        let Some(Step::Directory(parts)) = self.resolve(Path::new(path)) else { return Vec::new() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut names = std::collections::BTreeSet::new();
        for part in &parts {
            let Ok(dir) = rustix::fs::openat(part, ".", flags, Mode::empty()) else { continue };
            let entries = rustix::fs::Dir::read_from(&dir).into_iter().flatten().flatten();
            names.extend(entries.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned)));
        }
        names.retain(|name| {
            name != "." && name != ".." && matches!(step(&parts, OsStr::new(name)), Step::Directory(_))
        });
        names.into_iter().collect()
    }

    /// What stands at the end of the path, never a symlink.
    fn resolve(&self, path: &Path) -> Option<Step> {
        let mut todo = components(path);
        let mut stack: Vec<Vec<OwnedFd>> = vec![self.clone_roots()?];
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                if stack.len() > 1 {
                    stack.pop();
                }
                continue;
            }
            match step(stack.last()?, &name) {
                Step::Missing => return None,
                Step::Directory(dirs) => stack.push(dirs),
                Step::Other(kind, fd) => return todo.is_empty().then_some(Step::Other(kind, fd)),
                Step::Symlink(target) => {
                    links += 1;
                    if links > MAX_SYMLINKS {
                        return None;
                    }
                    if target.is_absolute() {
                        stack.truncate(1);
                    }
                    for component in components(&target).into_iter().rev() {
                        todo.push_front(component);
                    }
                }
            }
        }
        stack.pop().map(Step::Directory)
    }

    /// The first `limit` bytes of the regular file at `path`; empty when there is none. Never blocks on a fifo or a device.
    pub fn read(&self, path: &str, limit: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 << 10);
        if let Some(known) = &self.known {
            let text = known.get(path).map(String::as_bytes).unwrap_or_default();
            bytes.extend(text.iter().take(usize::try_from(limit).unwrap_or(usize::MAX)));
            return bytes;
        }
        if let Some(file) = self.open_file(path) {
            let _ = file.take(limit).read_to_end(&mut bytes);
        }
        bytes
    }

    /// The regular file at `path`, to be read.
    pub fn open_file(&self, path: &str) -> Option<File> {
        let Some(Found::Other(FileType::RegularFile, fd)) = self.lookup(Path::new(path)) else { return None };
        // An O_PATH fd cannot be read; it is opened again by number, which cannot meet another file.
        let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::open(again, flags, Mode::empty()).ok().map(File::from)
    }

    /// Whether `path` leads to a directory.
    pub fn is_directory(&self, path: &str) -> bool {
        self.known.is_some() || matches!(self.lookup(Path::new(path)), Some(Found::Directory))
    }

    /// The same, with no where that cannot be known.
    pub fn has_directory(&self, path: &str) -> bool {
        self.known.is_none() && self.is_directory(path)
    }

    fn clone_roots(&self) -> Option<Vec<OwnedFd>> {
        self.roots.iter().map(|fd| fd.try_clone().ok()).collect()
    }
}

fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

/// Looks `name` up in the parts of one directory, top first.
fn step(parts: &[OwnedFd], name: &OsStr) -> Step {
    let mut directories = Vec::new();
    for part in parts {
        if whited_out(part, name) {
            break;
        }
        let Ok(st) = rustix::fs::statat(part, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let kind = FileType::from_raw_mode(st.st_mode);
        if kind == FileType::CharacterDevice && st.st_rdev == 0 {
            break;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::openat(part, name, flags, Mode::empty()) else { break };
        match kind {
            FileType::Directory => {
                let opaque = is_opaque(&fd);
                directories.push(fd);
                if opaque {
                    break;
                }
            }
            _ if !directories.is_empty() => break,
            FileType::Symlink => {
                return match rustix::fs::readlinkat(&fd, "", Vec::new()) {
                    Ok(target) => Step::Symlink(PathBuf::from(OsStr::from_bytes(target.as_bytes()))),
                    Err(_) => Step::Missing,
                };
            }
            _ => return Step::Other(kind, fd),
        }
    }
    if directories.is_empty() { Step::Missing } else { Step::Directory(directories) }
}

fn whited_out(part: &OwnedFd, name: &OsStr) -> bool {
    let mut whiteout = OsString::from(".wh.");
    whiteout.push(name);
    rustix::fs::statat(part, &whiteout, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

fn is_opaque(dir: &OwnedFd) -> bool {
    if rustix::fs::statat(dir, ".wh..wh..opq", AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return true;
    }
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(dir));
    ["user.overlay.opaque", "user.fuseoverlayfs.opaque"].iter().any(|name| {
        let mut value = [0u8; 4];
        matches!(rustix::fs::getxattr(&path, *name, &mut value), Ok(1)) && value[0] == b'y'
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (PathBuf, View) {
        let mut random = [0u8; 8];
        crate::id::random_bytes(&mut random).unwrap();
        let base = PathBuf::from("/tmp").join(format!("coracle-view-{}", crate::id::hex(&random)));
        let dir = |p: &str| std::fs::create_dir_all(base.join(p)).unwrap();
        let file = |p: &str, text: &str| {
            use std::io::Write;
            File::create(base.join(p)).unwrap().write_all(text.as_bytes()).unwrap();
        };
        dir("low/etc");
        dir("low/gone");
        dir("top/etc");
        file("low/etc/passwd", "low");
        file("low/etc/group", "group");
        file("low/gone/x", "x");
        file("top/.wh.gone", "");
        file("top/etc/.wh.group", "");
        symlink("/etc/passwd", base.join("top/link")).unwrap();
        symlink("../../../../etc/passwd", base.join("top/etc/up")).unwrap();
        symlink("loop", base.join("top/loop")).unwrap();
        let view = View::open([base.join("top"), base.join("low")]).unwrap();
        (base, view)
    }

    #[test]
    fn layers_are_one_tree_and_symlinks_stay_inside() {
        let (base, view) = tree();
        assert_eq!(view.read("/etc/passwd", 100), b"low");
        assert_eq!(view.read("/link", 2), b"lo");
        assert_eq!(view.read("/etc/up", 100), b"low");
        assert_eq!(view.read("/etc/group", 100), b"", "whited out");
        assert!(view.lookup(Path::new("/gone/x")).is_none(), "its directory is whited out");
        assert!(view.lookup(Path::new("/loop")).is_none());
        assert!(view.is_directory("/etc"));
        assert!(!view.is_directory("/etc/passwd"));
        assert_eq!(view.directories("/"), ["etc"], "what is whited out is not listed");
        assert!(view.directories("/etc").is_empty() && view.directories("/link").is_empty());
        std::fs::remove_dir_all(base).unwrap();
    }
}
