//! Other people's dev shells, unmodified, with coracle in the place of podman.

use crate::need;
use crate::support::{Cmd, World};

/// A `podman` that is coracle, first in PATH.
fn as_podman(w: &World) -> String {
    let dir = w.dir.join("bin");
    std::fs::create_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink(
        crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle")),
        dir.join("podman"),
    )
    .unwrap();
    format!("{}:/usr/local/bin:/usr/bin:/bin", dir.display())
}

#[test]
fn distrobox_makes_enters_lists_and_removes_a_box() {
    need!("subid", "registry", "fuse-overlayfs", "distrobox");
    let w = World::new();
    w.pull("devshell", "devshell");
    let path = as_podman(&w);
    let home = w.dir.join("home");
    std::fs::create_dir_all(&home).unwrap();
    let name = w.tool("id").arg("-un").ok().trim().to_owned();
    let distrobox = |line: &str| -> Cmd {
        let cmd = w.tool("distrobox").args(line.split_whitespace()).cwd(&home);
        cmd.env("PATH", &path).env("USER", &name).env("SHELL", "/bin/bash").env("TERM", "dumb")
    };
    distrobox("create --yes --image localhost/devshell:latest --name dbx").ok();
    let list = distrobox("list --no-color").ok();
    assert!(list.contains("dbx") && list.contains("localhost/devshell"), "{list}");
    // The first enter starts it, and waits for what distrobox does inside.
    let seen = distrobox("enter --no-tty --name dbx -- id -un").run();
    assert_eq!((seen.code, seen.stdout.lines().last()), (0, Some(name.as_str())), "{seen:#?}");
    let seen = distrobox("enter --no-tty --name dbx -- sudo id -u").run();
    assert_eq!((seen.code, seen.stdout.as_str()), (0, "0\n"), "{seen:#?}");
    std::fs::write(home.join("kept"), "of the host\n").unwrap();
    assert_eq!(distrobox("enter --no-tty --name dbx -- cat kept").ok(), "of the host\n");
    distrobox("enter --no-tty --name dbx -- false").run().exits(1);
    distrobox("stop --yes dbx").ok();
    assert_eq!(w.status("dbx"), "exited");
    distrobox("rm --force dbx").ok();
    assert!(w.names().is_empty());
}

#[test]
fn what_they_ask_of_podman() {
    need!("subid", "registry");
    let w = World::with_busybox();
    // The caller's limits, and a devpts of its own over the host's /dev.
    let limit =
        "sh -c 'ulimit -n 333; exec \"$C\" run --rm --network none --ulimit host bb sh -c \"ulimit -n\"'";
    assert_eq!(w.sh(limit).ok(), "333\n");
    let pts = w.script(
        "-v /dev:/dev:rslave --mount type=devpts,destination=/dev/pts bb",
        "ls /dev/pts; test -c /dev/null",
    );
    assert_eq!(pts.ok(), "ptmx\n");
    w.run("--ulimit host --ulimit nofile=10 bb true")
        .run()
        .says(125, &["Error: --ulimit host cannot be combined"]);
    w.run("--mount type=devpts,dst=/p,max=3 bb true").run().says(125, &["Error: ", "max", "not supported"]);
    w.run("--mount type=devpts,src=/dev/pts,dst=/p bb true")
        .run()
        .says(125, &["Error: ", "a devpts has no source"]);
}
