//! Other people's dev shells, unmodified, with coracle in the place of podman.

use crate::need;
use crate::support::{Cmd, Terminal, World};

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
fn toolbox_makes_enters_lists_and_removes_a_box() {
    need!("subid", "registry", "fuse-overlayfs", "systemd", "toolbox");
    let w = World::new();
    w.pull("devshell", "devshell");
    let path = as_podman(&w);
    let name = w.tool("id").arg("-un").ok().trim().to_owned();
    let entry = w.tool("getent").args(["passwd", &name]).ok();
    let home = entry.split(':').nth(5).unwrap().to_owned();
    // It asks the host's system bus which sockets there are; here the user's own bus answers.
    let bus = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap();
    let toolbox = |line: &str| -> Cmd {
        let cmd = w.tool("toolbox").args(line.split_whitespace()).cwd(home.as_ref());
        let cmd = cmd.env("DBUS_SYSTEM_BUS_ADDRESS", &bus);
        cmd.env("PATH", &path).env("USER", &name).env("SHELL", "/bin/bash").env("TERM", "xterm")
    };
    let made = toolbox("create -i localhost/devshell:latest tbx").ok();
    assert!(made.contains("Created container: tbx"), "{made}");
    let again = toolbox("create -i localhost/devshell:latest tbx").run().exits(1);
    assert!(again.stderr.contains("container tbx already exists"), "{again:#?}");
    // The first command starts it, and waits for what toolbox does inside.
    assert_eq!(toolbox("run -c tbx id -un").ok().trim(), name);
    assert_eq!(toolbox("run -c tbx pwd").ok().trim(), home);
    let seen = toolbox("run -c tbx sudo id -u").run();
    assert_eq!((seen.code, seen.stdout.as_str()), (0, "0\n"), "{seen:#?}");
    let kept = w.dir.join("run/kept");
    std::fs::write(&kept, "of the host\n").unwrap();
    assert_eq!(toolbox("run -c tbx cat").arg(&kept).ok(), "of the host\n");
    toolbox("run -c tbx sh -c").arg("exit 7").run().exits(7);
    toolbox("run -c tbx no-such-program").run().exits(127);
    // Where the box has not the caller's directory.
    let elsewhere = toolbox("run -c tbx pwd").cwd(&w.dir.join("home")).run();
    assert!(elsewhere.stdout.trim() == home && elsewhere.stderr.contains("instead"), "{elsewhere:#?}");
    let list = toolbox("list").ok();
    let line = list.lines().find(|line| line.contains(" tbx ")).unwrap_or("");
    assert!(line.contains("running") && line.contains("localhost/devshell:latest"), "{list}");
    assert!(list.contains("IMAGE NAME"), "{list}");
    let t = Terminal::start(toolbox("enter tbx"));
    t.keys("test -t 0 && test -t 1 && echo tty-$((40+2)); stty size; exit 3\n");
    t.sees("tty-42");
    t.sees("30 100");
    assert_eq!(t.wait().0, 3);
    w.c("stop --time 0 tbx").ok();
    assert_eq!(toolbox("run -c tbx echo again").ok(), "again\n");
    let refused = toolbox("rm tbx").run();
    assert!(refused.stderr.contains("container tbx is running"), "{refused:#?}");
    toolbox("rm --force tbx").ok();
    assert!(w.names().is_empty());
    toolbox("run -c tbx true").run().exits(1);
    toolbox("rmi --force localhost/devshell:latest").ok();
    assert!(!w.c("images").ok().contains("localhost/devshell"));
}

#[test]
fn the_version_that_they_choose_by() {
    need!("userns");
    let w = World::new();
    let path = as_podman(&w);
    let podman = |line: &str| w.tool("sh").args(["-c", line]).env("PATH", &path).ok();
    assert_eq!(podman("podman --version"), "podman version 5.4.2\n");
    assert_eq!(podman("podman version --format '{{.Client.Version}}'"), "5.4.2\n");
    let json: serde_json::Value = serde_json::from_str(&podman("podman version --format json")).unwrap();
    assert_eq!(json["Client"]["Version"], "5.4.2");
    assert!(json["Client"]["BuildOrigin"].as_str().unwrap().starts_with("coracle "), "{json}");
    // By its own name it says its own.
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(w.c("--version").ok(), format!("coracle version {own}\n"));
    assert_eq!(w.c("version --format {{.Client.Version}}").ok(), format!("{own}\n"));
}

#[test]
fn what_they_ask_of_podman() {
    need!("subid", "registry");
    let w = World::with_busybox();
    // After an update; what runs goes on.
    w.start("on", "bb sleep 1000");
    assert_eq!(w.c("system migrate").ok(), "");
    assert_eq!(w.status("on"), "running");
    w.c("system migrate --new-runtime crun")
        .run()
        .says(125, &["Error: flag --new-runtime is not supported yet", "Hint: ", "--runtime"]);
    w.c("system migrate now").run().says(125, &["Error: "]);
    // The caller's limits, and a devpts of its own over the host's /dev.
    let limit =
        "sh -c 'ulimit -n 333; exec \"$C\" run --rm --network none --ulimit host bb sh -c \"ulimit -n\"'";
    assert_eq!(w.sh(limit).ok(), "333\n");
    let pts = w.script(
        "-v /dev:/dev:rslave --mount type=devpts,destination=/dev/pts bb",
        "ls /dev/pts; test -c /dev/null",
    );
    assert_eq!(pts.ok(), "ptmx\n");
    // Without one of its own, a terminal of the host's.
    assert_eq!(w.script("-t -v /dev:/dev:rslave bb", "test -t 1 && echo tty").ok(), "tty\r\n");
    w.run("--ulimit host --ulimit nofile=10 bb true")
        .run()
        .says(125, &["Error: --ulimit host cannot be combined"]);
    w.run("--mount type=devpts,dst=/p,max=3 bb true").run().says(125, &["Error: ", "max", "not supported"]);
    w.run("--mount type=devpts,src=/dev/pts,dst=/p bb true")
        .run()
        .says(125, &["Error: ", "a devpts has no source"]);
}
