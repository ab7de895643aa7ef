//! Where the store is: at home, or where it can work; and whether there is room.

use crate::need;
use crate::support::{Cmd, World, user};

/// A program in a namespace of mounts, with SCRIPT run before it as its root: `$W` is the world's directory, and `$LOCAL` the
/// place on this machine, which the story has for itself.
fn with_mounts(w: &World, script: &str) -> Cmd {
    let local = local(w);
    // What is mounted on; one for all stories, and it stays.
    let _ = std::fs::create_dir(&local);
    std::fs::create_dir_all(w.dir.join("local")).unwrap();
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let script = format!(
        "set -e; mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid; mount --bind $W/local $LOCAL; {script}; \
         exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all \"$@\""
    );
    w.tool("unshare")
        .env("W", &w.dir)
        .env("LOCAL", &local)
        .args(["--user", "--map-current-user", "--keep-caps", "--mount", "--propagation", "private"])
        .args(["sh", "-c", &script, "sh"])
        .arg(program)
}

fn local(_: &World) -> String {
    format!("/var/tmp/coracle-{}", user::ids().0)
}

fn graph_root(cmd: Cmd) -> String {
    cmd.args(["info", "--format", "{{.Store.GraphRoot}}"]).ok().trim().to_owned()
}

#[test]
fn a_home_that_cannot_hold_layers_keeps_none() {
    need!("subid", "images", "setpriv");
    let busybox = format!("oci:{}:latest", World::layout("busybox"));
    for (mount, why) in [
        // As NFS and many others: no extended attributes.
        ("mount -t ramfs home $W/data; chmod 700 $W/data", "(ramfs)"),
        ("mount --bind $W/data $W/data; mount -o remount,bind,ro $W/data", "read-only"),
    ] {
        let w = World::new();
        let home = || with_mounts(&w, mount);
        let pulled = home().args(["pull", "-q", &busybox]).run().exits(0);
        for word in ["Warning: ", w.dir.join("data/coracle").to_str().unwrap(), why, &local(&w)] {
            assert!(pulled.stderr.contains(word), "no {word:?}: {pulled:?}");
        }
        assert!(w.dir.join("local/layers").exists() && !w.dir.join("data/coracle").exists());
        // Said once, and everything finds it again.
        let image = home().args(["images", "-q"]).run().exits(0);
        assert_eq!(image.stderr, "");
        let run = home().args(["run", "--rm", "--network", "none", image.stdout.trim(), "echo", "ran"]).run();
        assert!(run.code == 0 && run.stdout == "ran\n" && !run.stderr.contains("are kept in"), "{run:?}");
        assert_eq!(graph_root(home()), local(&w));
        // In memory it would be no better.
        let nowhere = format!("{mount}; mount -t tmpfs t $LOCAL; mount -t tmpfs t /tmp");
        assert_eq!(graph_root(with_mounts(&w, &nowhere)), w.dir.join("data/coracle").to_str().unwrap());
        home().args(["rmi", "--all", "--force"]).ok();
    }
}

#[test]
fn a_home_that_cannot_be_looked_at_leaves_the_store_on_this_machine() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let busybox = format!("oci:{}:latest", World::layout("busybox"));
    with_mounts(&w, "mount -t ramfs home $W/data; chmod 700 $W/data").args(["pull", "-q", &busybox]).ok();
    // As with a stale file handle, or a ticket that has run out: it is there, and says nothing.
    let closed = || with_mounts(&w, "mount -t ramfs home $W/data; chmod 0 $W/data");
    assert_eq!(graph_root(closed()), local(&w));
    let image = closed().args(["images", "-q"]).run().exits(0);
    assert!(!image.stdout.is_empty() && image.stderr.is_empty(), "{image:?}");
    closed().args(["rmi", "--all", "--force"]).ok();
    // Where there is none, none is begun: the one at home may only be out of sight.
    let nothing = || with_mounts(&w, "mount -t tmpfs t $LOCAL; mount -t ramfs home $W/data; chmod 0 $W/data");
    nothing().arg("ps").run().says(
        125,
        &["Error: cannot tell where the store is", "Caused by:", "EACCES", "Hint: ", "--root DIR"],
    );
}

#[test]
fn a_home_that_is_gone_takes_only_what_is_in_it() {
    need!("subid", "images", "setpriv", "fuse");
    let w = World::new();
    let busybox = format!("oci:{}:latest", World::layout("busybox"));
    let home = |script: &str| {
        let cmd = with_mounts(&w, script).env("HOME", w.dir.join("home"));
        cmd.env("XDG_CONFIG_HOME", "").env("XDG_DATA_HOME", "").env("XDG_CACHE_HOME", "")
    };
    // One that nobody has made, or that is not mounted: what would be in it is on this machine's disk.
    let missing = || home("true").env("HOME", "/nonexistent/ada");
    let pulled = missing().args(["pull", "-q", &busybox]).run().exits(0);
    let why = "/nonexistent/ada/.local/share/coracle cannot be made in / (EACCES";
    assert!(pulled.stderr.contains(why) && pulled.stderr.contains(&local(&w)), "{pulled:?}");
    let image = missing().args(["images", "-q"]).run().exits(0);
    assert_eq!(image.stderr, "");
    // One whose server has gone: every call fails, and nobody knows what is set there.
    let dead = "exec 9<>/dev/fuse; mount -i -t fuse -o fd=9,rootmode=40000,user_id=$(id -u),group_id=$(id -g) home $W/home; exec 9>&-";
    let gone = || home(dead);
    let out_of_sight = "home/.config cannot be looked at (ENOTCONN";
    let said = gone().args(["run", "--rm", "--network", "none", image.stdout.trim(), "echo", "ran"]).run();
    assert!(said.code == 0 && said.stdout == "ran\n" && said.stderr.contains(out_of_sight), "{said:?}");
    assert_eq!(graph_root(gone()), local(&w));
    for (args, what) in [
        (&["config", "get"][..], "Error: cannot use "),
        (
            &[
                "run",
                "--rm",
                "--network",
                "none",
                "-v",
                &format!("{}:/h", w.dir.join("home").display()),
                image.stdout.trim(),
                "true",
            ],
            "Error: ",
        ),
    ] {
        gone().args(args).run().says(125, &[what, "Caused by:", "ENOTCONN", "Hint: "]);
    }
    // What can do without says so.
    let hpc = gone().args(["run", "--rm", "--hpc", image.stdout.trim(), "echo", "ran"]).run().exits(0);
    let why = format!("Warning: your home {} cannot be looked at (ENOTCONN", w.dir.join("home").display());
    assert!(hpc.stderr.contains(&why), "{hpc:?}");
    gone().args(["toolbox", "create", "--image", image.stdout.trim(), "box"]).ok();
    let entered = gone().args(["toolbox", "run", "box", "echo", "ran"]).run().exits(0);
    assert!(entered.stdout == "ran\n" && entered.stderr.contains(&why), "{entered:?}");
    gone().args(["toolbox", "create", "--image", image.stdout.trim(), "--home", "overlay", "above"]).ok();
    let overlay =
        ["Error: cannot start container above", "ENOTCONN", "Hint: Have its file system mounted again"];
    gone().args(["toolbox", "run", "above", "true"]).run().says(125, &overlay);
    gone().args(["rm", "--all", "--force", "--time", "0"]).ok();
    missing().args(["rmi", "--all", "--force"]).ok();
    // Where no store is there, only what wants one fails.
    let nothing = || home(&format!("mount -t tmpfs t $LOCAL; {dead}"));
    let words = ["Error: cannot tell where the store is", out_of_sight, "Hint: ", "--root DIR"];
    nothing().arg("ps").run().says(125, &words);
    nothing()
        .args(["login", "--get-login", "localhost:1"])
        .run()
        .says(125, &["Error: not logged into localhost:1"]);
    let doctor = nothing().arg("doctor").run().exits(1);
    assert!(doctor.stdout.contains("FAIL  storage: ") && doctor.stdout.contains("ENOTCONN"), "{doctor:?}");
    let named = nothing().arg("--root").arg(w.dir.join("data/named")).arg("ps").run().exits(0);
    assert_eq!(named.stderr, "");
}

#[test]
fn a_store_that_is_there_is_not_left() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let busybox = format!("oci:{}:latest", World::layout("busybox"));
    let on = |script: &str| with_mounts(&w, script);
    on("true").args(["pull", "-q", &busybox]).ok();
    let home = w.dir.join("data/coracle");
    assert_eq!(graph_root(on("true")), home.to_str().unwrap());
    let read_only = "mount --bind $W/data $W/data; mount -o remount,bind,ro $W/data";
    assert_eq!(graph_root(on(read_only)), home.to_str().unwrap());
    on("true").args(["rmi", "--all", "--force"]).ok();
}

#[test]
fn podmans_storage_conf_says_where_it_is() {
    need!("subid", "images");
    let w = World::new();
    let file = w.dir.join("config/containers/storage.conf");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let say = |text: &str| std::fs::write(&file, text).unwrap();
    say("[storage]\ndriver = \"overlay\"\ngraphroot = \"$HOME/scratch\"\n");
    w.c("pull -q").arg(format!("oci:{}:latest", World::layout("busybox"))).ok();
    let there = w.dir.join("home/scratch/coracle");
    assert!(there.join("layers").exists() && !w.dir.join("data/coracle").exists());
    assert_eq!(graph_root(w.coracle()), there.to_str().unwrap());
    let image = w.c("images -q").ok();
    assert_eq!(w.run(image.trim()).args(["echo", "ran"]).ok(), "ran\n");
    // Two keys, and no file at all.
    say("[storage]\nrootless_storage_path = \"~/${UID}\"\ngraphroot = \"/nowhere\"\n");
    assert_eq!(graph_root(w.coracle()), format!("{}/home/{}/coracle", w.dir.display(), user::ids().0));
    for (text, why) in [
        ("[storage]\ngraphroot = 1\n", "graphroot"),
        ("[storage]\ngraphroot = \"scratch\"\n", "no absolute path"),
    ] {
        say(text);
        w.c("ps").run().says(125, &["Error: cannot use ", "storage.conf", "Caused by: ", why, "Hint: "]);
        assert_eq!(
            graph_root(w.c("--root").arg(w.dir.join("home/root"))),
            w.dir.join("home/root").to_str().unwrap()
        );
    }
    say("[storage]\ngraphroot = \"$HOME/scratch\"\n");
    w.c("rmi --all --force").ok();
    std::fs::remove_file(&file).unwrap();
    w.c("unshare rm -rf").arg(w.dir.join("home/scratch")).ok();
}

#[test]
fn an_image_that_has_no_room_is_refused_before_it_is_loaded() {
    need!("subid", "images", "registry", "setpriv");
    let w = World::new();
    let small =
        || with_mounts(&w, "mkdir -p $W/home/small; mount -t tmpfs -o size=6m,mode=700 small $W/home/small");
    let root = w.dir.join("home/small");
    for name in [World::reference("debian"), format!("oci:{}:latest", World::layout("debian"))] {
        let refused = small().arg("--root").arg(&root).args(["pull", "-q", &name]).run().says(
            125,
            &[
                "Error: cannot ",
                "debian",
                "Caused by:",
                "at least ",
                " bytes",
                " are free in ",
                "Hint: ",
                "--root",
            ],
        );
        assert!(refused.stderr.contains(root.to_str().unwrap()), "{refused:?}");
    }
    // What has room is not in the way.
    let root = root.to_str().unwrap();
    let busybox = format!("oci:{}:latest", World::layout("busybox"));
    small().args(["--root", root, "pull", "-q", &busybox]).ok();
    // Nor does a bundle begin that cannot be whole.
    let tiny =
        || with_mounts(&w, "mkdir -p $W/home/tiny; mount -t tmpfs -o size=64k,mode=700 tiny $W/home/tiny");
    tiny().args(["bundle", &busybox]).arg(w.dir.join("home/tiny/b")).run().says(
        125,
        &[
            "Error: cannot copy the files of ",
            "Caused by:",
            "they have ",
            " bytes are free where the bundle would be",
            "Hint: ",
        ],
    );
    tiny().args(["rmi", "--all", "--force"]).ok();
}
