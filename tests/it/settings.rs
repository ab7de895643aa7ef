//! What a user sets once for all commands: where the store is, and how much its images may take.

use serde_json::json;

use crate::need;
use crate::support::registry::{Entry, Image, digest, tar_of};
use crate::support::{Output, World, wait_for};

/// Loads an image of one mebibyte, and names it.
fn load(w: &World, name: &str) -> Output {
    let layer = tar_of(&[Entry::file("data", name.repeat(1 << 20).as_bytes())]);
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]}});
    let file = w.dir.join("home/image.tar");
    std::fs::write(&file, Image::archive(&serde_json::to_vec(&config).unwrap(), &[&layer])).unwrap();
    let loaded = w.c("pull -q").arg(format!("docker-archive:{}", file.display())).run();
    assert_eq!(loaded.code, 0, "{loaded:?}");
    w.c("tag").args([loaded.stdout.trim(), name]).ok();
    loaded
}

fn images(w: &World) -> Vec<String> {
    let text = w.c("images --format {{.Repository}}").ok();
    let mut names: Vec<String> =
        text.lines().filter_map(|line| line.strip_prefix("localhost/")).map(str::to_owned).collect();
    names.retain(|name| name.len() == 1);
    names.sort();
    names
}

#[test]
fn images_that_nobody_uses_go_when_others_come() {
    need!("subid", "images");
    let w = World::new();
    w.c("config set storage.max_size 3500k").ok();
    for name in ["a", "b", "c"] {
        assert_eq!(load(&w, name).stderr, "");
    }
    // One is used by a container, the oldest was used last.
    w.c("create --name keeps c").ok();
    w.c("create --name was a").ok();
    w.c("rm was").ok();
    let loaded = load(&w, "d");
    assert!(
        loaded.stderr.contains("Warning: removed image localhost/b:latest, unused since 2"),
        "{loaded:?}"
    );
    assert_eq!(images(&w), ["a", "c", "d"]);
    load(&w, "e");
    assert_eq!(images(&w), ["c", "d", "e"]);
    // What is in use stays, and what was pulled is not thrown away again.
    w.c("create --name also d").ok();
    w.c("create --name too e").ok();
    let loaded = load(&w, "f");
    assert!(loaded.stderr.contains("more than storage.max_size, 3584000 bytes"), "{loaded:?}");
    assert_eq!(images(&w), ["c", "d", "e", "f"]);
    // What has no room for certain is not loaded.
    let debian = format!("oci:{}:latest", World::layout("debian"));
    let refused = w.c("pull -q").arg(&debian).run();
    refused.says(
        125,
        &[
            "no room for its layers within storage.max_size",
            "they need at least ",
            "3584000 bytes are allowed",
            "Hint: ",
            "coracle config set storage.max_size SIZE",
        ],
    );
    assert_eq!(images(&w), ["c", "d", "e", "f"]);
    // Nor what would have it only without containers' images: the rest goes in vain, and is said.
    let busybox = format!("oci:{}:latest", World::layout("busybox"));
    let refused = w.c("pull -q").arg(&busybox).run();
    refused.says(125, &["within storage.max_size", "images that containers use take 3145728", "Hint: "]);
    w.c("--storage-opt max_size=1g pull -q").arg(&busybox).ok();
    w.c("config unset storage.max_size").ok();
    load(&w, "g");
    assert_eq!(images(&w), ["c", "d", "e", "g"]);
    w.c("rm --all").ok();
    w.c("rmi --all --force").ok();
}

#[test]
fn the_store_is_where_it_was_set() {
    need!("subid", "images");
    let w = World::new();
    let root = |cmd: crate::support::Cmd| {
        cmd.args(["info", "--format", "{{.Store.GraphRoot}}"]).ok().trim().to_owned()
    };
    let (usual, other) = (w.dir.join("data/coracle"), w.dir.join("home/other"));
    assert_eq!(w.c("config get").ok(), "");
    assert_eq!(w.c("config get storage.root").run().exits(1).stdout, "");
    let set = w.c("config set storage.root other").cwd(&w.dir.join("home")).run().exits(0);
    assert_eq!(set.stderr, "");
    assert_eq!(w.c("config get storage.root").ok().trim(), other.to_str().unwrap());
    assert_eq!(w.c("config get").ok().trim(), format!("storage.root = {}", other.display()));
    assert_eq!(root(w.coracle()), other.to_str().unwrap());
    // Flags are above it, podman's file below.
    assert_eq!(root(w.c("--root").arg(&usual)), usual.to_str().unwrap());
    let conf = w.dir.join("config/containers/storage.conf");
    std::fs::create_dir_all(conf.parent().unwrap()).unwrap();
    std::fs::write(&conf, "[storage]\ngraphroot = \"/nowhere\"\n").unwrap();
    assert_eq!(root(w.coracle()), other.to_str().unwrap());
    std::fs::remove_file(&conf).unwrap();
    // A container there is found again, also by what runs in the background.
    w.c("pull -q").arg(format!("oci:{}:latest", World::layout("busybox"))).ok();
    let image = w.c("images -q").ok();
    w.c("run -d --rm --name c --network none").args([image.trim(), "sleep", "600"]).ok();
    assert_eq!(w.c("exec c echo in").ok(), "in\n");
    let set = w.c("config set storage.root").arg(&usual).run().exits(0);
    assert!(set.stderr.contains(&format!("what is in {} stays there", other.display())), "{set:?}");
    assert_eq!(w.c("ps -q").ok(), "");
    w.c("config set storage.root").arg(&other).ok();
    w.c("rm -f -t 0 c").ok();
    wait_for("its end", || w.c("ps -aq").ok().is_empty());
    w.c("rmi --all --force").ok();
    w.c("config unset storage.root").ok();
    assert_eq!(root(w.coracle()), usual.to_str().unwrap());
    w.c("unshare rm -rf").arg(&other).ok();
}

#[test]
fn settings_that_are_none_are_refused() {
    need!("userns");
    let w = World::new();
    for (line, words) in [
        (
            "config set storage.max_sise 1g",
            &["unknown key \"storage.max_sise\"", "Hint: The keys are storage.root and storage.max_size."],
        ),
        (
            "config set storage.max_size much",
            &[
                "invalid value \"much\" of storage.max_size: unknown suffix",
                "Hint: For example: `coracle config set storage.max_size 20g`.",
            ],
        ),
        ("config set storage.max_size 0", &["invalid value \"0\"", "no image has room in nothing"]),
        ("config get nothing", &["unknown key", "Hint: "]),
        ("config unset storage", &["unknown key", "Hint: "]),
        ("--storage-opt max_size=x images", &["--storage-opt max_size", "x"]),
    ] {
        w.c(line).run().says(125, words);
    }
    let file = w.dir.join("config/coracle/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for (text, why) in [
        ("[storage]\nrot = \"/x\"\n", "line 2: unknown field `rot`"),
        ("[storage]\nroot = 1\n", "line 2: "),
        ("[storage]\nroot = \"x\"\n", "storage.root = \"x\": no absolute path"),
        ("[storage\n", "line 1: "),
    ] {
        std::fs::write(&file, text).unwrap();
        for line in ["ps", "config get", "config set storage.max_size 1g"] {
            w.c(line).run().says(
                125,
                &[
                    "Error: cannot use ",
                    "/coracle/config.toml",
                    "Caused by: ",
                    why,
                    "Hint: Correct the file, or remove it.",
                ],
            );
        }
    }
    std::fs::remove_file(&file).unwrap();
}
