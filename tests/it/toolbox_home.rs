//! `coracle toolbox create --home overlay`: the host's home, with a box's changes kept apart.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::need;
use crate::support::World;

/// A home with something in it, and a box `b` of it.
fn world(flags: &str) -> (World, PathBuf) {
    let w = World::with_busybox();
    let home = w.dir.join("home");
    std::fs::create_dir_all(home.join("project/old")).unwrap();
    for (path, text) in
        [("kept", "host\n"), ("gone", "host\n"), ("project/a", "host\n"), ("project/old/x", "host\n")]
    {
        std::fs::write(home.join(path), text).unwrap();
    }
    std::os::unix::fs::symlink("project", home.join("link")).unwrap();
    w.c(&format!("{flags} toolbox create -i bb --home overlay b")).ok();
    (w, home)
}

/// Changes of every kind; the host's files stay as they are.
fn change(w: &World, home: &std::path::Path) {
    let script = "set -e; cd; cat kept; echo box >kept; rm gone; mkdir -p new/deep; echo box >new/deep/f; chmod 750 new/deep/f
        echo box >project/b; rm -r project/old; mkdir project/old; echo box >project/old/y; ln -s kept soft; mkfifo pipe
        rm link; mkdir link; echo box >link/f; sudo sh -c 'echo root >by-root'; grep ^$(id -un): /etc/passwd | cut -d: -f6";
    let seen = w.c("toolbox run b sh -c").arg(script).run();
    assert_eq!((seen.code, seen.stdout), (0, format!("host\n{}\n", home.display())), "{}", seen.stderr);
    for (path, text) in
        [("kept", "host\n"), ("gone", "host\n"), ("project/old/x", "host\n"), ("link/a", "host\n")]
    {
        assert_eq!(std::fs::read_to_string(home.join(path)).unwrap(), text, "{path}");
    }
    assert!(!home.join("new").exists());
}

const CHANGES: &str = "A by-root\nD gone\nC kept\nC link\nA link/f\nA new\nA new/deep\nA new/deep/f\nA pipe\nA project/b\n\
                       D project/old/x\nA project/old/y\nA soft\n";

fn lists_and_commits(w: &World, home: &std::path::Path) {
    assert_eq!(w.c("toolbox home diff b").ok(), CHANGES);
    w.c("toolbox home commit b").run().says(
        125,
        &["Error: cannot commit the home of box b", "Caused by: it is running", "Hint: Stop it first"],
    );
    w.c("toolbox stop b").ok();
    w.c("toolbox home commit b no/such").run().says(125, &["Error: box b has not changed no/such", "Hint: "]);
    // Some of it: by a path from the home on, and by a whole one.
    let committed = w.c("toolbox home commit b new/deep").arg(home.join("gone")).ok();
    assert_eq!(committed, "D gone\nA new/deep\nA new/deep/f\n");
    assert!(!home.join("gone").exists() && home.join("kept").exists());
    let made = std::fs::metadata(home.join("new/deep/f")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&made) & 0o777, 0o750);
    let left = CHANGES.replace("D gone\n", "").replace("A new\nA new/deep\nA new/deep/f\n", "");
    assert_eq!(w.c("toolbox home diff b").ok(), left);
    // The box has still all of it, after another start.
    let all = "cd; cat kept new/deep/f link/f project/old/*; ls gone; readlink soft";
    assert_eq!(w.c("toolbox run b sh -c").arg(all).run().stdout, "box\nbox\nbox\nbox\nkept\n");
    w.c("toolbox stop b").ok();
    let rest = w.c("toolbox home commit b").run();
    assert_eq!((rest.code, rest.stdout), (0, left.replace("A pipe\n", "")), "{}", rest.stderr);
    assert!(rest.stderr.contains("Warning: pipe is no file, directory or link"), "{}", rest.stderr);
    assert_eq!(w.c("toolbox home diff b").ok(), "A pipe\n");
    for (path, text) in [
        ("kept", "box\n"),
        ("link/f", "box\n"),
        ("project/a", "host\n"),
        ("project/old/y", "box\n"),
        ("by-root", "root\n"),
    ] {
        let path = home.join(path);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{path:?}");
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&path).unwrap());
        assert_eq!(owner.to_string(), w.tool("id").arg("-u").ok().trim());
    }
    assert!(!home.join("project/old/x").exists() && home.join("link").symlink_metadata().unwrap().is_dir());
    assert!(!home.join("project/link").exists() && !home.join("project/f").exists());
    assert_eq!(std::fs::read_link(home.join("soft")).unwrap().to_str(), Some("kept"));
    assert_eq!(w.c("toolbox run b sh -c").arg(all).run().stdout, "box\nbox\nbox\nbox\nkept\n");
}

#[test]
fn the_hosts_home_below_and_changes_above() {
    need!("subid", "registry", "fuse-overlayfs");
    let (w, home) = world("");
    change(&w, &home);
    lists_and_commits(&w, &home);
}

#[test]
fn where_only_fuse_overlayfs_is() {
    need!("subid", "registry", "fuse-overlayfs");
    let (w, home) = world("--storage-driver fuse-overlayfs");
    change(&w, &home);
    assert!(w.c("toolbox run b cat /proc/mounts").ok().contains(&format!(" {} fuse", home.display())));
    lists_and_commits(&w, &home);
}

#[test]
fn changes_move_along_with_a_rebase() {
    need!("subid", "registry", "fuse-overlayfs");
    let (w, home) = world("");
    w.c("toolbox run b sh -c").arg("echo box >~/kept").ok();
    w.c("toolbox run b sudo sh -c")
        .arg("mkdir -p /lib/apk/db; printf 'P:x\\nV:1\\n' >/lib/apk/db/installed")
        .ok();
    w.tool("sh")
        .args(["-c", "exec \"$0\" toolbox rebase --without x b"])
        .arg(crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle")))
        .ok();
    assert_eq!(w.c("toolbox run b cat").arg(home.join("kept")).ok(), "box\n");
    w.c("toolbox rollback b").ok();
    assert_eq!(w.c("toolbox home diff b").ok(), "C kept\n");
    assert_eq!(std::fs::read_to_string(home.join("kept")).unwrap(), "host\n");
}

/// A box makes names that move a terminal, and files of a terabyte.
#[test]
fn names_move_no_terminal_and_holes_cost_nothing() {
    need!("subid", "registry", "fuse-overlayfs");
    let (w, home) = world("");
    let script = "cd; touch \"$(printf 'a\\033[2Jb')\"; echo x >\"project/$(printf 'c\\377')\"; dd if=/dev/zero of=big bs=1 count=1 seek=1099511627775";
    w.c("toolbox run b sh -c").arg(script).ok();
    let changes = "A a\\u{1b}[2Jb\nA big\nA project/c\u{fffd}\n";
    assert_eq!(w.c("toolbox home diff b").ok(), changes);
    w.c("toolbox stop b").ok();
    assert_eq!(w.c("toolbox home commit b").ok(), changes);
    let name = std::ffi::OsStr::from_bytes(b"project/c\xff");
    assert_eq!(std::fs::read_to_string(home.join(name)).unwrap(), "x\n");
    assert_eq!(w.c("toolbox home diff b").ok(), "");
    assert!(home.join("a\x1b[2Jb").exists());
    let big = std::fs::metadata(home.join("big")).unwrap();
    let disk = std::os::unix::fs::MetadataExt::blocks(&big) * 512;
    assert!(big.len() == 1 << 40 && disk < 1 << 20, "{} {disk}", big.len());
}

#[test]
fn boxes_without_such_a_home() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    w.c("toolbox create -i bb b").ok();
    for command in ["diff", "commit"] {
        w.c(&format!("toolbox home {command} b"))
            .run()
            .says(125, &["Error: box b has no changes of the host's home", "Caused by: ", "Hint: "]);
        w.c(&format!("toolbox home {command} nobody")).run().says(125, &["Error: no box \"nobody\""]);
    }
    w.c("toolbox create -i bb --isolate --home overlay c")
        .run()
        .says(125, &["Error: an isolated box cannot", "Hint: "]);
    w.c("--storage-driver vfs toolbox create -i bb --home overlay v").ok();
    w.c("toolbox run v true")
        .run()
        .says(125, &["Error: ", "cannot mount the changes of v", "Hint: ", "--home own"]);
}
