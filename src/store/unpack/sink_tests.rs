//! Tests of the sink, without privileges: owners go to a file, the tree is a directory of its own.
//!
//! Every hostile archive must leave what is beside the layer as it was; that is looked at after each.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A directory with a layer and, beside it, something that nobody may touch.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let mut random = [0u8; 6];
        crate::id::random_bytes(&mut random).unwrap();
        let base = PathBuf::from(format!("/tmp/coracle-sink-{name}-{}", crate::id::hex(&random)));
        std::fs::create_dir_all(base.join("layer")).unwrap();
        std::fs::create_dir_all(base.join("canary")).unwrap();
        publish(&base.join("canary"), "f", b"untouched");
        Self(base)
    }

    fn layer(&self) -> PathBuf {
        self.0.join("layer")
    }

    fn canary(&self) -> String {
        self.0.join("canary").to_string_lossy().into_owned()
    }

    fn unpack(&self, archive: &[u8]) -> Result<Report> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(self.layer(), flags, Mode::empty()).unwrap();
        let owners = std::fs::File::create(self.0.join("owners")).unwrap();
        let sink = Sink::new(root, Owners::Recorded(std::io::BufWriter::new(owners)), 1 << 20);
        sink.unpack(&mut TarReader::new(archive))
    }

    fn is_untouched(&self) -> bool {
        let names: Vec<_> =
            std::fs::read_dir(self.0.join("canary")).unwrap().map(|e| e.unwrap().file_name()).collect();
        let file = self.0.join("canary/f");
        let meta = file.metadata().unwrap();
        names == ["f"]
            && std::fs::read(&file).unwrap() == b"untouched"
            && meta.permissions().mode() & 0o7777 == 0o600
            && meta.nlink() == 1
            && self.0.join("canary").metadata().unwrap().permissions().mode() & 0o7777 == 0o755
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn publish(dir: &Path, name: &str, bytes: &[u8]) {
    let fd = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    crate::ondisk::atomic::publish_bytes(fd.as_fd(), name, bytes, crate::ondisk::Durability::Volatile)
        .unwrap();
    rustix::fs::chmod(dir, Mode::from(0o755)).unwrap();
}

/// One member: name, type, link target or data.
fn member(name: &str, typeflag: u8, text: &str) -> Vec<u8> {
    let data = if typeflag == b'0' { text.as_bytes() } else { b"" };
    let mut out = Vec::new();
    let mut add = |name: &str, typeflag: u8, link: &str, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        old.linkflag = [typeflag];
        header.set_size(data.len() as u64);
        header.set_mode(if typeflag == b'5' { 0o755 } else { 0o644 });
        header.set_uid(1000);
        header.set_gid(1000);
        header.set_mtime(1_000_000_000);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(512), 0);
    };
    if name.len() > 99 {
        add("././@LongLink", b'L', "", name.as_bytes());
    }
    let cut = |text: &str| text.get(..text.len().min(99)).unwrap_or_default().to_owned();
    add(&cut(name), typeflag, &if typeflag == b'0' { String::new() } else { cut(text) }, data);
    out
}

type Member<'a> = (&'a str, u8, &'a str);

fn archive(members: &[Member<'_>]) -> Vec<u8> {
    members.iter().flat_map(|(name, typeflag, text)| member(name, *typeflag, text)).collect()
}

#[test]
fn a_tree_is_written_as_the_archive_says() {
    let place = Place::new("tree");
    let report = place
        .unpack(&archive(&[
            ("./", b'5', ""),
            ("./a/b/f", b'0', "hello"),
            ("a/hard", b'1', "./a/b/f"),
            ("/abs", b'0', "inside"),
            ("s", b'2', "../../outside"),
            ("fifo", b'6', ""),
            ("null", b'3', ""),
            ("blk", b'4', ""),
            ("a/b/f2", b'0', "old"),
            ("a/b/f2", b'0', "newer"),
            ("was-dir/x", b'0', "x"),
            ("was-dir", b'0', "now a file"),
            ("was-link", b'2', "a"),
            ("was-link/", b'5', ""),
            ("was-link/in", b'0', "in"),
        ]))
        .unwrap();
    let layer = place.layer();
    let text = |name: &str| std::fs::read_to_string(layer.join(name)).unwrap();
    assert_eq!(
        (text("a/b/f"), text("abs"), text("a/b/f2"), text("was-dir")),
        ("hello".into(), "inside".into(), "newer".into(), "now a file".into())
    );
    assert_eq!(layer.join("a/hard").metadata().unwrap().ino(), layer.join("a/b/f").metadata().unwrap().ino());
    assert_eq!(layer.join("s").read_link().unwrap(), Path::new("../../outside"));
    assert!(layer.join("was-link").symlink_metadata().unwrap().is_dir() && !layer.join("a/in").exists());
    assert_eq!(layer.join("a/b/f").metadata().unwrap().mtime(), 1_000_000_000);
    assert_eq!(report.skipped_devices, 2);
    assert!(std::fs::read_to_string(place.0.join("owners")).unwrap().contains("1000 1000 644 a/b/f\n"));
}

#[test]
fn whiteouts_are_devices_and_opaque_directories_have_the_attribute() {
    let place = Place::new("whiteout");
    let report = place
        .unpack(&archive(&[
            (".wh.gone", b'0', ""),
            ("d/.wh..wh..opq", b'0', ""),
            (".wh.back", b'0', ""),
            ("back/f", b'0', "f"),
            ("kept/f", b'0', "f"),
            (".wh.kept", b'0', ""),
            ("file", b'0', "f"),
            (".wh.file", b'0', ""),
            (".wh..wh.plnk", b'0', ""),
        ]))
        .unwrap();
    let layer = place.layer();
    let gone = layer.join("gone").symlink_metadata().unwrap();
    assert_eq!((gone.mode() & 0o170_000, gone.rdev()), (0o020_000, 0));
    let opaque = |name: &str| {
        let mut value = [0u8; 2];
        rustix::fs::getxattr(layer.join(name), "user.overlay.opaque", &mut value[..]).is_ok()
    };
    assert!(opaque("d") && opaque("back") && opaque("kept"));
    assert!(layer.join("back/f").exists() && layer.join("kept/f").exists() && layer.join("file").is_file());
    assert!(!report.opaque_root);
    assert_eq!(std::fs::read_dir(&layer).unwrap().count(), 5);
}

#[test]
fn an_opaque_root_is_reported() {
    let place = Place::new("opaque-root");
    assert!(place.unpack(&archive(&[(".wh..wh..opq", b'0', "")])).unwrap().opaque_root);
}

#[test]
fn hostile_archives_are_refused_and_touch_nothing_outside() {
    let place = Place::new("hostile");
    let canary = place.canary();
    let canary_file = format!("{canary}/f");
    let long = "a/".repeat(2100) + "f";
    let component = "a".repeat(300);
    let cases: Vec<(&str, Vec<Member<'_>>)> = vec![
        ("dotdot", vec![("../canary/x", b'0', "x")]),
        ("dotdot in the middle", vec![("a/../../canary/x", b'0', "x")]),
        ("dotdot alone", vec![("..", b'5', "")]),
        ("dotdot after the root", vec![("/../canary/x", b'0', "x")]),
        ("dotdot directory", vec![("../canary", b'5', "")]),
        ("symlink parent, absolute", vec![("l", b'2', &canary), ("l/x", b'0', "x")]),
        ("symlink parent, relative", vec![("l", b'2', "../canary"), ("l/x", b'0', "x")]),
        ("symlink parent, chained", vec![("m", b'2', "l"), ("l", b'2', "../canary"), ("m/x", b'0', "x")]),
        ("symlink parent, looped", vec![("m", b'2', "l"), ("l", b'2', "m"), ("m/x", b'0', "x")]),
        ("symlink parent, missing", vec![("l", b'2', "../canary/new"), ("l/x/y", b'0', "x")]),
        ("symlink parent in the middle", vec![("a/l", b'2', "../../canary"), ("a/l/b/x", b'0', "x")]),
        ("directory through a symlink", vec![("l", b'2', "../canary"), ("l/d/", b'5', "")]),
        ("hard link through a symlink", vec![("l", b'2', "../canary"), ("h", b'1', "l/f")]),
        ("hard link outside", vec![("h", b'1', "../canary/f")]),
        ("hard link to an absolute path", vec![("h", b'1', &canary_file)]),
        ("hard link to the root", vec![("h", b'1', "/")]),
        ("hard link to a directory", vec![("d/", b'5', ""), ("h", b'1', "d")]),
        ("hard link to nothing", vec![("h", b'1', "nosuch")]),
        ("hard link to proc", vec![("p", b'2', "/proc/self"), ("h", b'1', "p/exe")]),
        ("whiteout through a symlink", vec![("l", b'2', "../canary"), ("l/.wh.f", b'0', "")]),
        ("opaque through a symlink", vec![("l", b'2', "../canary"), ("l/.wh..wh..opq", b'0', "")]),
        ("whiteout of dotdot", vec![(".wh...", b'0', "")]),
        ("whiteout of dot", vec![(".wh..", b'0', "")]),
        ("whiteout of nothing", vec![(".wh.", b'0', "")]),
        ("root as a symlink", vec![(".", b'2', "/")]),
        ("root as a symlink, slash", vec![("/", b'2', &canary)]),
        ("root as a file", vec![("./", b'0', "x")]),
        ("empty name", vec![("", b'0', "x")]),
        ("symlink without a target", vec![("l", b'2', "")]),
        ("path too long", vec![(&long, b'0', "x")]),
        ("component too long", vec![(&component, b'0', "x")]),
    ];
    for (why, members) in &cases {
        let _ = std::fs::remove_dir_all(place.layer());
        std::fs::create_dir(place.layer()).unwrap();
        let result = place.unpack(&archive(members));
        assert!(result.is_err(), "{why}: {result:?}");
        assert!(place.is_untouched(), "{why}");
    }
}

#[test]
fn a_symlink_that_is_replaced_is_not_followed() {
    let place = Place::new("replaced");
    let canary = place.canary();
    let file = format!("{canary}/f");
    let archive = archive(&[
        ("d", b'2', &canary),
        ("d/", b'5', ""),
        ("d/x", b'0', "inside"),
        ("f", b'2', &file),
        ("f", b'0', "inside"),
        ("h", b'2', &file),
        ("hh", b'1', "h"),
        ("w", b'2', &canary),
        (".wh.w", b'0', ""),
    ]);
    place.unpack(&archive).unwrap();
    assert!(place.is_untouched());
    assert!(place.layer().join("d").symlink_metadata().unwrap().is_dir());
    assert_eq!(std::fs::read(place.layer().join("f")).unwrap(), b"inside");
    assert!(place.layer().join("hh").symlink_metadata().unwrap().file_type().is_symlink());
}

#[test]
fn more_data_than_there_is_room_for_is_refused() {
    let place = Place::new("room");
    let text = "x".repeat(600 << 10);
    let error = place.unpack(&archive(&[("a", b'0', &text), ("b", b'0', &text)])).unwrap_err();
    assert!(error.causes().iter().any(|c| c.contains("free space")), "{error:?}");
}

#[test]
fn deep_trees_are_written_and_removed() {
    let place = Place::new("deep");
    let deep = "d/".repeat(1500) + "f";
    place.unpack(&archive(&[(&deep, b'0', "deep")])).unwrap();
    let parent = rustix::fs::open(&place.0, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    crate::store::remove_tree(parent.as_fd(), "layer").unwrap();
    assert!(!place.layer().exists());
}
