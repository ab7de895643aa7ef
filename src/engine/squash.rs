//! An image of the store as one file: the merge of its layers as a squashfs, its config behind that (`ondisk::squash`).
//!
//! The layers are mounted as a container's would be, so nothing is unpacked. The same image gives the same bytes: all times
//! come from the image, and mksquashfs orders everything by name. Runs inside the store's user namespace.
//!
//! With one mapped id the owners are not on the files but in each layer's `owners`: mksquashfs is told them.

use super::view::View;
use crate::error::{Context, Error, Result};
use crate::external::mksquashfs;
use crate::ondisk::squash::{Trailer, encode_trailer};
use crate::ondisk::{self, layer::Ownership};
use crate::paths::Dirs;
use crate::store::image::unknown_image;
use crate::store::rootfs::Merge;
use crate::store::{Image, Store};
use crate::sys::CallContext;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Largest passwd or group file that goes into the trailer; users of a larger one go by number.
const MAX_FILE: u64 = 1 << 20;

/// Writes image `name` to the file `target`, replacing what was there in one step.
pub fn squash(dirs: &Dirs, name: &str, target: &Path, level: u8) -> Result<()> {
    let store = Store::open(dirs)?;
    let image = store.find_image(name)?.ok_or_else(|| unknown_image(name))?;
    // Nobody removes a layer while it is read.
    let _pins = image.record.layers.iter().map(|id| store.pin_layer(id)).collect::<Result<Vec<_>>>()?;
    let what = || format!("cannot write image {name} to {}", target.display());
    let partial = Partial::new(target).what(what)?;
    write(dirs, &store, &image, &partial.path, level).what(what)?;
    partial.publish(target).what(what)
}

fn write(dirs: &Dirs, store: &Store, image: &Image, to: &Path, level: u8) -> Result<()> {
    let layers: Vec<String> = image.record.layers.iter().rev().map(ToString::to_string).collect();
    let time = image.record.created.parse::<jiff::Timestamp>().map_or(0, |time| time.as_second());
    let time = u32::try_from(time).unwrap_or(0);
    let driver = store.driver()?.0;
    let merge =
        Merge::mount(dirs, &layers, driver, time.into()).what(|| "cannot put the image's layers together")?;
    let owners = recorded_owners(store, image)?;
    let file = merge.scratch(dirs).join("owners");
    if !owners.is_empty() {
        // Beside the merge, and gone with it.
        File::create(&file)
            .and_then(|mut file| file.write_all(pseudo_definitions(&owners).as_bytes()))
            .call(|| format!("write({file:?})"))?;
    }
    mksquashfs::run(&mksquashfs::Options {
        source: merge.path(),
        target: to,
        level,
        time,
        owners: (!owners.is_empty()).then_some(&*file),
    })?;
    drop(merge);
    let trailer = encode_trailer(&trailer(dirs, store, image, &layers)?)?;
    let mut file = File::options().append(true).open(to).call(|| format!("open({to:?})"))?;
    file.write_all(&trailer).call(|| format!("write({to:?})"))?;
    file.sync_all().call(|| format!("fsync({to:?})"))?;
    Ok(())
}

fn trailer(dirs: &Dirs, store: &Store, image: &Image, layers: &[String]) -> Result<Trailer> {
    let view = View::open(layers.iter().map(|layer| crate::store::layer_diff_path(dirs, layer)))?;
    let mut files = BTreeMap::new();
    for path in ["/etc/passwd", "/etc/group"] {
        let bytes = view.read(path, MAX_FILE);
        if !bytes.is_empty() {
            files.insert(path.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    let config = String::from_utf8(store.blob(&image.id)?)
        .map_err(|_| Error::corrupt("the image's config is no text"))?;
    Ok(Trailer { version: ondisk::VERSION, id: image.id.to_string(), config, files })
}

/// What could not be set on the files, by path: owner, group, mode. The topmost layer that has a path decides.
fn recorded_owners(store: &Store, image: &Image) -> Result<BTreeMap<String, String>> {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for id in &image.record.layers {
        let recorded = store.layer(id)?.is_some_and(|layer| layer.ownership == Ownership::Recorded);
        let Some(dir) = store.layer_dir(id)?.filter(|_| recorded) else { continue };
        let diff = crate::store::open_dir(&dir, "diff")?;
        // What this layer has and does not speak of is root's.
        owners.retain(|path, _| {
            let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::statat(diff.as_fd(), path.as_str(), flags).is_err()
        });
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(&dir, "owners", flags, rustix::fs::Mode::empty()) else { continue };
        let text = std::io::read_to_string(File::from(file)).call(|| "read(owners)")?;
        for line in text.lines() {
            let mut fields = line.splitn(4, ' ');
            let (Some(uid), Some(gid), Some(mode), Some(path)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            owners.insert(path.to_owned(), format!("{mode} {uid} {gid}"));
        }
    }
    Ok(owners)
}

/// `PATH m MODE UID GID`, as mksquashfs reads it: a backslash before what would end the name.
fn pseudo_definitions(owners: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (path, what) in owners.iter().filter(|(path, _)| *path != ".") {
        for c in path.chars() {
            if c.is_whitespace() || matches!(c, '\\' | '"') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str(&format!(" m {what}\n"));
    }
    text
}

/// The file while it is written: beside its place, removed unless it is published.
struct Partial {
    path: PathBuf,
    done: bool,
}

impl Partial {
    fn new(target: &Path) -> Result<Self> {
        let name = target.file_name().ok_or_else(|| Error::usage("the target is no file name"))?;
        if target.is_dir() {
            return Err(Error::usage("the target is a directory")
                .hint(format_args!("Name a file in it: `{}`.", target.join("app.sqsh").display())));
        }
        let mut random = [0u8; 8];
        crate::id::random_bytes(&mut random)?;
        let name = format!(".{}.{}", name.to_string_lossy(), crate::id::hex(&random));
        let path = target.with_file_name(name);
        // Made here, for the words of the kernel when it cannot be.
        File::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .call(|| format!("open({path:?}, O_CREAT)"))?;
        Ok(Self { path, done: false })
    }

    fn publish(mut self, target: &Path) -> Result<()> {
        std::fs::rename(&self.path, target).call(|| format!("rename({:?}, {target:?})", self.path))?;
        self.done = true;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        File::open(parent)
            .and_then(|dir| dir.sync_all())
            .call(|| format!("fsync({parent:?})"))
            .map_err(Error::from)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.done {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_stay_one_word() {
        let owners = [("a b".to_owned(), "755 33 33".to_owned()), (".".to_owned(), "755 1 1".to_owned())];
        assert_eq!(pseudo_definitions(&owners.into()), "a\\ b m 755 33 33\n");
    }
}
