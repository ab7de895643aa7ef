//! Images: where they come from, how they are listed and removed, and that their trees are right under every driver.

use crate::need;
use crate::support::World;

const DRIVERS: [&str; 3] = ["overlay", "fuse-overlayfs", "vfs"];

#[test]
fn list_tag_untag_and_remove() {
    need!("subid", "registry");
    let w = World::new();
    let reference = World::reference("busybox");
    w.c("pull -q").arg(&reference).ok();
    let list = w.c("images").ok();
    assert!(list.starts_with("REPOSITORY") && list.contains(&reference) && list.contains("latest"), "{list}");
    let id = w.c("images -q --no-trunc").ok();
    assert!(id.starts_with("sha256:"), "{id}");
    w.c("tag").arg(&reference).arg("mine:v1").ok();
    assert!(w.c("images").ok().contains("localhost/mine"));
    assert_eq!(w.c("images -q").ok().lines().count(), 1, "ids once, as podman");
    // Without names all of them would go, as with podman.
    w.c("untag").arg(&reference).arg("mine:v1").ok();
    assert!(!w.c("images").ok().contains("localhost/mine"));
    w.c("tag").arg(&reference).arg("mine:v2").ok();
    // One name goes, the image stays; with the last one it goes.
    let out = w.c("rmi").arg(&reference).ok();
    assert!(out.contains("Untagged: "), "{out}");
    assert_eq!(w.run("mine:v2 echo still").ok(), "still\n");
    let out = w.c("rmi mine:v2").ok();
    assert!(out.contains("Deleted: "), "{out}");
    assert_eq!(w.c("images -q").ok(), "");
    w.c("rmi mine:v2").run().says(1, &["Error: ", "mine:v2"]);
    w.c("rmi --ignore mine:v2").ok();
    // Nothing of it is left in the store.
    for dir in ["blobs/sha256", "layers/sha256", "images", "l"] {
        let left: Vec<_> =
            std::fs::read_dir(w.dir.join("data/coracle").join(dir)).into_iter().flatten().collect();
        assert!(left.is_empty(), "{dir}: {left:?}");
    }
}

#[test]
fn an_image_in_use_stays() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let reference = World::reference("busybox");
    w.c("create --name user bb true").ok();
    w.c("rmi").arg(&reference).ok();
    w.c("rmi bb").run().says(2, &["Error: ", "user", "Hint: "]);
    assert_eq!(w.c("images -q").ok().lines().count(), 1);
    w.c("rmi -f bb").ok();
    assert!(w.names().is_empty());
}

#[test]
fn inspect() {
    need!("subid", "registry");
    let w = World::new();
    w.pull("config", "cfg");
    let text = w.c("inspect cfg").ok();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let image = &all[0];
    assert_eq!(image["Config"]["Entrypoint"], serde_json::json!(["/bin/sh", "-c"]));
    assert_eq!(image["Config"]["User"], "1000:1000");
    assert_eq!(image["Labels"]["org.example.fixture"], "config");
    assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), 2);
    assert!(image["Digest"].as_str().unwrap().starts_with("sha256:"));
    for key in ["Id", "RepoTags", "RepoDigests", "Created", "Size", "Architecture", "Os"] {
        assert!(!image[key].is_null(), "no {key}: {image:#}");
    }
    assert_eq!(w.c("inspect --format {{.Config.StopSignal}} cfg").ok(), "SIGUSR1\n");
    // By digest and by id prefix.
    let digest = image["RepoDigests"][0].as_str().unwrap();
    assert_eq!(w.c("image inspect --format {{.Id}}").arg(digest).ok().trim(), image["Id"].as_str().unwrap());
    let id = image["Id"].as_str().unwrap();
    w.c("image exists").arg(&id[..12]).ok();
    w.c("image exists nope").run().exits(1);
    w.c("inspect nope").run().exits(125);
}

#[test]
fn other_sources() {
    need!("subid", "images", "skopeo");
    let w = World::new();
    let layout = World::layout("busybox");
    assert_eq!(w.run("").arg(format!("oci:{layout}")).args(["echo", "layout"]).ok(), "layout\n");
    for kind in ["oci-archive", "docker-archive"] {
        let file = w.dir.join("home").join(kind);
        let target = format!("{kind}:{}:made:v1", file.display());
        w.tool("skopeo")
            .args(["--insecure-policy", "copy", "-q"])
            .arg(format!("oci:{layout}:latest"))
            .arg(target)
            .ok();
        let source = format!("{kind}:{}", file.display());
        assert_eq!(w.run("").arg(&source).args(["echo", kind]).ok(), format!("{kind}\n"));
        w.c("pull -q").arg(&source).ok();
    }
    w.run("oci:/not/there true").run().says(125, &["Error: ", "/not/there"]);
    let broken = w.dir.join("home/broken");
    std::fs::write(&broken, "not a tar").unwrap();
    w.run("")
        .arg(format!("docker-archive:{}", broken.display()))
        .arg("true")
        .run()
        .says(125, &["Error: ", "broken"]);
}

#[test]
fn platforms_and_zstd() {
    need!("subid", "registry");
    let w = World::new();
    w.pull("multi", "multi");
    let own = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    assert_eq!(w.run("multi cat /platform").ok(), format!("{own}\n"));
    let other = if own == "amd64" { "arm64" } else { "amd64" };
    w.c("pull -q --platform").arg(format!("linux/{other}")).arg(World::reference("multi")).ok();
    w.c("pull --platform linux/s390x").arg(World::reference("multi")).run().says(125, &["Error: "]);
    // An archive whose entries lie below a symbolic link of its own is refused, and nothing of it stays.
    w.c("pull").arg(World::reference("symlinked-parent")).run().says(125, &["Error: ", "symlink"]);
    w.pull("zstd", "z");
    assert_eq!(w.run("z echo zstd").ok(), "zstd\n");
}

#[test]
fn pulls_at_once_share_layers() {
    need!("subid", "registry");
    let w = World::new();
    let names = ["busybox", "layers", "config", "busybox", "layers", "config"];
    let pulls: Vec<_> = names.iter().map(|name| w.c("pull -q").arg(World::reference(name)).spawn()).collect();
    for pull in pulls {
        pull.wait().ok();
    }
    for name in ["busybox", "layers", "config"] {
        w.run("").arg(World::reference(name)).args(["--", "true"]).run();
    }
    // All are made on busybox: its layer is there once.
    let layers = std::fs::read_dir(w.dir.join("data/coracle/layers/sha256")).unwrap().count();
    assert_eq!(layers, 1 + 3 + 1);
}

/// The tree of the image, as a container sees it, in the words of `expected`.
pub const LIST: &str = r#"
cd /
find fix | while IFS= read -r path; do
  kind=$(stat -c %F "$path")
  links=$(stat -c %h "$path") time=$(stat -c %Y "$path") mode=$(stat -c %a "$path") content=-
  case $kind in
    directory) kind=dir links=- time=- ;;
    regular*) kind=file content=$(sha256sum <"$path" | cut -d' ' -f1) ;;
    symbolic*) kind=symlink mode=- time=- content=$(readlink "$path") ;;
    fifo) ;;
  esac
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$path" "$kind" "$mode" "$(stat -c %u:%g "$path")" "$links" "$time" "$content"
done"#;

/// Compares what `LIST` has found in the image `layers`, by whatever means (`how`), with what the fixture's layers make.
/// `shown` is a line as those means show it.
pub fn check_tree(how: &str, list: &str, shown: impl Fn(&str) -> String) {
    let expected = std::fs::read_to_string(World::layout("layers") + "/expected").unwrap();
    // Where a layer does not name a directory of its own files, that directory gets mode 755, as with podman: a layer is
    // unpacked once for all images, and what lies below it differs from image to image.
    let expected = expected.replace("fix/opaque\tdir\t750", "fix/opaque\tdir\t755");
    let (mut seen, mut wanted): (Vec<&str>, Vec<String>) =
        (list.lines().collect(), expected.lines().map(shown).collect());
    seen.sort_unstable();
    wanted.sort_unstable();
    let odd: Vec<_> = seen.iter().filter(|line| !wanted.iter().any(|want| want == *line)).collect();
    let missing: Vec<_> = wanted.iter().filter(|line| !seen.contains(&line.as_str())).collect();
    assert!(odd.is_empty() && missing.is_empty(), "{how}: unexpected {odd:#?}, missing {missing:#?}");
}

fn layers_under(driver: &str) {
    need!("subid", "registry", "images");
    if driver == "fuse-overlayfs" {
        need!("fuse", "fuse-overlayfs");
    } else if driver == "overlay" {
        need!("overlay");
    }
    let w = World::new();
    w.pull("layers", "layers");
    let flag = format!("--storage-driver={driver}");
    let list =
        w.coracle().arg(&flag).args(["run", "--rm", "--network", "none", "layers", "sh", "-c", LIST]).ok();
    check_tree(driver, &list, str::to_owned);
    // What is deleted and made anew in the container is so after a restart.
    w.coracle().arg(&flag).args(["create", "--network", "none", "--name", "c", "layers", "sh", "-c"])
        .arg("if test -e /second; then ls -A /fix/opaque /fix/merged; cat /fix/plain; else \
              rm -r /fix/merged; mkdir /fix/merged; rm /fix/plain /fix/opaque/last; echo new >/fix/plain; touch /second; fi").ok();
    assert_eq!(w.get("c", "/Driver"), driver);
    w.c("start -a c").ok();
    assert_eq!(w.c("start -a c").ok(), "/fix/merged:\n\n/fix/opaque:\nnew\n");
}

#[test]
fn layers_under_overlay() {
    layers_under(DRIVERS[0]);
}

#[test]
fn layers_under_fuse_overlayfs() {
    layers_under(DRIVERS[1]);
}

#[test]
fn layers_under_vfs() {
    layers_under(DRIVERS[2]);
}

#[test]
fn many_layers_under_every_driver() {
    need!("subid", "registry", "overlay", "fuse", "fuse-overlayfs");
    let w = World::new();
    w.pull("many-layers", "many");
    for driver in DRIVERS {
        let flag = format!("--storage-driver={driver}");
        let out = w
            .coracle()
            .arg(flag)
            .args(["run", "--rm", "--network", "none", "many", "sh", "-c", "cat /many/top; ls /many"])
            .ok();
        assert_eq!(out, "127\nlayer-127\ntop\n", "{driver}");
    }
}

#[test]
fn extended_attributes() {
    need!("subid", "registry", "overlay");
    let w = World::new();
    w.pull("layers", "layers");
    let file = w.sh("f=$(find $XDG_DATA_HOME/coracle/layers -path '*/fix/xattr'); getfattr --absolute-names -d $f; \
                     f=$(find $XDG_DATA_HOME/coracle/layers -path '*/fix/merged' | xargs getfattr --absolute-names -d -m -); echo \"$f\"").run();
    assert!(file.stdout.contains("user.fixture=\"value\""), "{file:?}");
    assert!(!file.stdout.contains("overlay.opaque"), "{file:?}");
}

#[test]
fn newer_pulls_what_has_another_digest() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let name = World::reference("busybox");
    let id = |name: &str| w.c("image inspect --format {{.Id}}").arg(name).ok();
    let before = id("bb");
    w.c("run --rm --network none --pull=newer").arg(&name).arg("true").ok();
    assert_eq!(id(&name), before);
    // The name has come to mean something else here: the registry's is another, and so newer.
    w.pull("layers", "layers");
    w.c("tag layers").arg(&name).ok();
    assert_ne!(id(&name), before);
    assert_eq!(w.c("pull -q --policy newer").arg(&name).ok(), before);
    assert_eq!(id(&name), before);
    // No answer: what is here will do. `always` wants one.
    w.c("tag bb 127.0.0.1:1/bb").ok();
    w.c("run --rm --network none --pull=newer 127.0.0.1:1/bb true").ok();
    w.c("run --rm --network none --pull=always 127.0.0.1:1/bb true").run().says(125, &["Error: cannot pull"]);
}

#[test]
fn credentials_are_where_the_variable_says() {
    need!("subid", "registry");
    let w = World::new();
    let file = w.dir.join("auth.json");
    let registry = World::reference("").trim_end_matches('/').to_owned();
    let c = |line: &str| w.c(line).env("REGISTRY_AUTH_FILE", &file).arg(&registry);
    c("login --username me --password secret").ok();
    assert!(std::fs::read_to_string(&file).unwrap().contains(&registry));
    assert_eq!(c("login --get-login").ok(), "me\n");
    w.c("login --get-login").arg(&registry).run().says(125, &["not logged into"]);
    assert_eq!(w.c("login --get-login --authfile").arg(&file).arg(&registry).ok(), "me\n");
    w.c("pull -q")
        .arg(World::reference("busybox"))
        .env("REGISTRY_AUTH_FILE", "/nonexistent")
        .run()
        .says(125, &["cannot read the authentication file /nonexistent"]);
    c("logout").ok();
    c("login --get-login").run().says(125, &["not logged into"]);
}
