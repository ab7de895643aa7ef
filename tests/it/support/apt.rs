//! A distribution of one's own: packages, a directory that apt takes for a repository, and images that know it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::World;
use super::registry::{Entry, digest, gzip, tar_of};

/// A repository in the home of the world's user, which boxes see below /run/host.
#[derive(Debug)]
pub struct Repository {
    dir: PathBuf,
    index: String,
}

impl Repository {
    pub fn new(w: &World, name: &str) -> Self {
        let dir = w.dir.join("home").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let repository = Self { dir, index: String::new() };
        std::fs::write(repository.dir.join("Packages"), "").unwrap();
        repository
    }

    /// Adds a package with a script of its name, and a script that runs when it has been installed.
    pub fn add(&mut self, name: &str, version: &str, depends: &str, installed: &str) {
        let depends = if depends.is_empty() { String::new() } else { format!("Depends: {depends}\n") };
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b>\n{depends}Description: x\n"
        );
        let postinst = format!("#!/bin/sh\nset -e\n{installed}\n");
        let inner = tar_of(&[
            Entry::file("./control", control.as_bytes()),
            Entry { mode: 0o755, ..Entry::file("./postinst", postinst.as_bytes()) },
        ]);
        let program = format!("#!/bin/sh\necho {name} {version}\n");
        let path = format!("./usr/bin/{name}");
        let data = tar_of(&[
            Entry::dir("./usr"),
            Entry::dir("./usr/bin"),
            Entry { mode: 0o755, ..Entry::file(&path, program.as_bytes()) },
        ]);
        let deb = ar(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", &gzip(&inner)),
            ("data.tar.gz", &gzip(&data)),
        ]);
        let file = format!("{name}_{version}_all.deb");
        std::fs::write(self.dir.join(&file), &deb).unwrap();
        let hash = digest(&deb);
        let hash = hash.trim_start_matches("sha256:");
        self.index += &format!("{control}Filename: ./{file}\nSize: {}\nSHA256: {hash}\n\n", deb.len());
        std::fs::write(self.dir.join("Packages"), &self.index).unwrap();
    }

    /// Loads the Debian fixture as `name`, with this repository alone.
    pub fn image(&self, w: &World, name: &str) {
        let sources = format!("deb [trusted=yes] file:/run/host{} ./\n", self.dir.display());
        let mark = format!("{name}\n");
        let files = [
            Entry::file("etc/apt/sources.list", sources.as_bytes()),
            Entry::file("etc/story", mark.as_bytes()),
        ];
        let dir = w.dir.join("home").join(format!("image-{name}"));
        derive(Path::new(&World::layout("debian")), &dir, &tar_of(&files), json!({}));
        let id = w.c("pull -q").arg(format!("oci:{}", dir.display())).ok();
        w.c("tag").arg(id.trim()).arg(name).ok();
    }
}

/// deb(5) is an ar(5) archive.
fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, data) in members {
        out.extend(
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 1, 0, 0, "100644", data.len()).bytes(),
        );
        out.extend_from_slice(data);
        if data.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

/// A layout of the image of another, with one more layer and these labels.
pub fn derive(from: &Path, to: &Path, layer: &[u8], labels: Value) {
    let blobs = to.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::copy(from.join("oci-layout"), to.join("oci-layout")).unwrap();
    let blob = |digest: &Value| from.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    let read = |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let write = |bytes: &[u8]| {
        let digest = digest(bytes);
        std::fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).unwrap();
        json!({"digest": digest, "size": bytes.len()})
    };
    let mut index = read(from.join("index.json"));
    let mut manifest = read(blob(&index["manifests"][0]["digest"]));
    let mut config = read(blob(&manifest["config"]["digest"]));
    for old in manifest["layers"].as_array().unwrap() {
        let old = blob(&old["digest"]);
        std::fs::copy(&old, blobs.join(old.file_name().unwrap())).unwrap();
    }
    config["config"]["Labels"] = labels;
    config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(json!(digest(layer)));
    let described = |target: &mut Value, blob: Value| {
        target["digest"] = blob["digest"].clone();
        target["size"] = blob["size"].clone();
    };
    let mut added = json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"});
    described(&mut added, write(&gzip(layer)));
    manifest["layers"].as_array_mut().unwrap().push(added);
    described(&mut manifest["config"], write(&serde_json::to_vec(&config).unwrap()));
    index["manifests"].as_array_mut().unwrap().truncate(1);
    described(&mut index["manifests"][0], write(&serde_json::to_vec(&manifest).unwrap()));
    std::fs::write(to.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
}
