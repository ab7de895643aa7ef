//! An image of the store as one file: the merge of its layers as a squashfs, its config behind that (`ondisk::squash`).
//!
//! The layers are mounted as a container's would be, so nothing is unpacked. The same image gives the same bytes: all times
//! come from the image, and mksquashfs orders everything by name. Runs inside the store's user namespace.
//!
//! With one mapped id the owners are not on the files but in each layer's `owners`: mksquashfs is told them.

use super::view::View;
use crate::error::{Context, Error, Result};
use crate::external::mksquashfs;
use crate::ondisk;
use crate::ondisk::container::Driver;
use crate::ondisk::squash::{Trailer, encode_trailer};
use crate::paths::Dirs;
use crate::store::image::unknown_image;
use crate::store::owners::{ImageOwners, Said};
use crate::store::rootfs::Merge;
use crate::store::{Image, Store};
use crate::sys::CallContext;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Largest passwd or group file that goes into the trailer; users of a larger one go by number.
const MAX_FILE: u64 = 1 << 20;

/// Writes image `name` to the file `target`, replacing what was there in one step.
pub fn squash(dirs: &Dirs, name: &str, target: &Path, level: u8) -> Result<()> {
    let store = Store::open(dirs)?;
    let image = store.find_image(name)?.ok_or_else(|| unknown_image(name))?;
    // Nobody removes a layer while it is read.
    let from = store.of(&image)?;
    let _pins = from.pin_layers(&image.record.layers)?;
    let what = || format!("cannot write image {name} to {}", target.display());
    let partial = Partial::new(target).what(what)?;
    let driver = store.driver_for(&image).what(what)?;
    write(dirs, from, &image, driver, &partial.path, level).what(what)?;
    partial.publish(target).what(what)
}

fn write(dirs: &Dirs, from: &Store, image: &Image, driver: Driver, to: &Path, level: u8) -> Result<()> {
    let layers: Vec<String> = image.record.layers.iter().rev().map(ToString::to_string).collect();
    let time = image.record.created.parse::<jiff::Timestamp>().map_or(0, |time| time.as_second());
    let time = u32::try_from(time).unwrap_or(0);
    let merge = Merge::mount(dirs, from, &layers, driver, time.into())
        .what(|| "cannot put the image's layers together")?;
    let owners = ImageOwners::read(from, image.record.layers.iter().rev().cloned())?;
    let file = merge.scratch(dirs).join("owners");
    if !owners.is_empty() {
        // Beside the merge, and gone with it.
        File::create(&file)
            .and_then(|mut file| file.write_all(&pseudo_definitions(owners.all())))
            .call(|| format!("write({file:?})"))?;
    }
    mksquashfs::run(&mksquashfs::Options {
        source: merge.path(),
        target: to,
        level,
        time,
        owners: (!owners.is_empty()).then_some(&*file),
    })
    .map_err(|error| {
        let full = error.to_string().contains("No space left on device");
        if full { error.hint("Free some space there, or name a file on another disk.") } else { error }
    })?;
    drop(merge);
    let trailer = encode_trailer(&trailer(from, image, &layers)?)?;
    let mut file = File::options().append(true).open(to).call(|| format!("open({to:?})"))?;
    file.write_all(&trailer).call(|| format!("write({to:?})"))?;
    file.sync_all().call(|| format!("fsync({to:?})"))?;
    Ok(())
}

fn trailer(store: &Store, image: &Image, layers: &[String]) -> Result<Trailer> {
    let view = View::of_layers(&store.dirs.data, layers)?;
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

/// `PATH m MODE UID GID`, as mksquashfs reads it: a backslash before what would end the name.
fn pseudo_definitions<'a>(owners: impl Iterator<Item = (&'a [u8], Said)>) -> Vec<u8> {
    let mut text = Vec::new();
    for (path, Said { uid, gid, mode }) in owners.filter(|(path, _)| !matches!(*path, b"" | b".")) {
        for byte in path {
            if byte.is_ascii_whitespace() || matches!(byte, b'\\' | b'"') {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        text.extend(format!(" m {mode:o} {uid} {gid}\n").into_bytes());
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
        let owners = [
            (&b"a b"[..], Said { uid: 33, gid: 44, mode: 0o4755 }),
            (b"", Said { uid: 1, gid: 1, mode: 0o755 }),
        ];
        assert_eq!(pseudo_definitions(owners.into_iter()), b"a\\ b m 4755 33 44\n");
    }
}
