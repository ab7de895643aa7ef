//! Whether the image's C library is new enough for the host's libraries.
//!
//! A driver's library that needs a newer glibc than the image has does not load, and where it is found before one of the
//! image's, programs that worked no longer do. It is left out, together with what needs it. An image whose C library cannot
//! be looked at (one of musl, an image in one file) is not judged.

use super::elf;
use crate::engine::view::View;
use crate::spec::cdi::Mount;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

/// Where distributions have it.
const PLACES: [&str; 6] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/libc.so.6",
];

/// Largest libc that is looked at.
const MAX_LIBC: u64 = 32 << 20;

/// The mounts that can be used, and what is to be said about the others.
pub fn split<'a>(mounts: Vec<&'a Mount>, view: &View) -> (Vec<&'a Mount>, Option<String>) {
    let Some(image) = of_image(view) else { return (mounts, None) };
    let libraries: Vec<Option<Library>> = mounts.iter().map(|mount| library(mount)).collect();
    let mut out: BTreeSet<usize> = BTreeSet::new();
    let mut needed = image;
    for (at, library) in libraries.iter().enumerate() {
        if let Some(version) = library.as_ref().and_then(|l| l.about.glibc).filter(|v| *v > image) {
            needed = needed.max(version);
            out.insert(at);
        }
    }
    let first = out.iter().next().copied();
    // What needs a library that is left out would not load either.
    loop {
        let gone: BTreeSet<&str> =
            out.iter().filter_map(|at| libraries.get(*at)?.as_ref()).map(|l| l.name.as_str()).collect();
        let more = libraries.iter().enumerate().filter(|(at, library)| {
            !out.contains(at)
                && library.as_ref().is_some_and(|l| l.about.needs.iter().any(|n| gone.contains(n.as_str())))
        });
        let more: Vec<usize> = more.map(|(at, _)| at).collect();
        if more.is_empty() {
            break;
        }
        out.extend(more);
    }
    let mut names: Vec<&str> =
        out.iter().filter_map(|at| libraries.get(*at)?.as_ref()).map(|l| l.name.as_str()).collect();
    names.sort_unstable();
    let note = first.and_then(|at| libraries.get(at)?.as_ref()).map(|library| {
        format!(
            "the host's {} needs GLIBC_{}.{}, and the image has {}.{}: left out {}",
            library.name,
            needed.0,
            needed.1,
            image.0,
            image.1,
            names.join(" ")
        )
    });
    let usable = mounts.into_iter().enumerate().filter(|(at, _)| !out.contains(at)).map(|(_, m)| m);
    (usable.collect(), note)
}

struct Library {
    name: String,
    about: elf::Library,
}

fn library(mount: &Mount) -> Option<Library> {
    let name = Path::new(&mount.container_path).file_name()?.to_str()?;
    if !name.contains(".so") {
        return None;
    }
    let file = File::open(&mount.host_path).ok().filter(|f| f.metadata().is_ok_and(|m| m.is_file()))?;
    Some(Library { name: name.to_owned(), about: elf::read(&file)? })
}

/// The newest version that the image's libc offers.
fn of_image(view: &View) -> Option<(u32, u32)> {
    let bytes = PLACES.iter().map(|place| view.read(place, MAX_LIBC)).find(|bytes| !bytes.is_empty())?;
    elf::newest_glibc(&bytes)
}
