//! Boxes after a loss of power: records that are whole, and what is done about one that is not.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::need;
use crate::support::World;

/// A box `b` that was started once, and the directory of its records.
fn with_box() -> (World, PathBuf) {
    let w = World::with_busybox();
    w.c("toolbox create -i bb b").ok();
    w.c("toolbox run b true").ok();
    w.c("toolbox stop b").ok();
    let id = w.get("b", "/Id").as_str().unwrap().to_owned();
    let dir = w.dir.join("data/coracle/containers").join(id);
    (w, dir)
}

/// What a start has nothing to say about is not written again: a loss of power then finds nothing half-written.
#[test]
fn a_start_writes_only_what_has_changed() {
    need!("subid", "registry", "fuse-overlayfs");
    let (w, dir) = with_box();
    let inodes =
        || ["config.json", "toolbox.json"].map(|name| std::fs::metadata(dir.join(name)).unwrap().ino());
    let before = inodes();
    w.c("toolbox run b true").ok();
    assert_eq!(inodes(), before);
    w.c("toolbox stop b").ok();
    // Another place to show.
    let run = w.dir.join("other");
    std::fs::create_dir(&run).unwrap();
    w.c("toolbox run b true").env("HOME", &run).ok();
    assert_ne!(inodes(), before);
}

#[test]
fn a_home_that_has_moved() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let (old, new) = (w.dir.join("home/a"), w.dir.join("home/b"));
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("f"), "of the host\n").unwrap();
    for kind in ["host", "own", "overlay"] {
        w.c(&format!("toolbox create -i bb --home {kind} {kind}")).env("HOME", &old).ok();
        w.c(&format!("toolbox run {kind} sh -c")).arg(format!("cd; echo {kind} >g")).env("HOME", &old).ok();
        w.c(&format!("toolbox stop {kind}")).ok();
    }
    std::fs::rename(&old, &new).unwrap();
    for (kind, files) in [("host", "f g"), ("own", "g"), ("overlay", "f g")] {
        let script = "cd; pwd; echo *; cat g; grep ^$(id -un): /etc/passwd | cut -d: -f6";
        let seen = w.c(&format!("toolbox run {kind} sh -c")).arg(script).cwd(&new).env("HOME", &new).run();
        assert_eq!(
            seen.stdout,
            format!("{0}\n{files}\n{kind}\n{0}\n", new.display()),
            "{kind}: {}",
            seen.stderr
        );
        assert!(!seen.stderr.contains("is gone"), "{kind}: {}", seen.stderr);
    }
    assert_eq!(std::fs::read_to_string(new.join("g")).unwrap(), "host\n");
}

#[test]
fn a_damaged_record_is_said_and_the_box_can_be_removed() {
    need!("subid", "registry", "fuse-overlayfs");
    for record in ["toolbox.json", "config.json"] {
        let (w, dir) = with_box();
        std::fs::write(dir.join(record), "").unwrap();
        w.c("toolbox enter b -- true").run().says(125, &["Error: ", "box b", record, "is damaged", "Hint: "]);
        if record == "toolbox.json" {
            w.c("toolbox list")
                .run()
                .says(125, &["Error: cannot use box b", "is damaged", "Hint: ", "coracle export b"]);
        }
        w.c("system check")
            .run()
            .says(1, &["container b cannot be started", record, "is damaged", "coracle export b"]);
        w.c("toolbox rm b").ok();
        assert!(w.names().is_empty());
        assert_eq!(w.c("system check").run().code, 0);
    }
}
