//! `coracle bundle`: what it writes is a bundle that `coracle-oci` starts, for a user with subordinate ids and one without.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::need;
use crate::support::{Cmd, World};

/// Where a test puts a bundle.
fn at(w: &World, name: &str) -> PathBuf {
    w.dir.join("home").join(name)
}

fn config(bundle: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(bundle.join("config.json")).unwrap()).unwrap()
}

/// The bundle's config.json with another command, as Slurm puts its own.
fn set_command(bundle: &Path, words: &[&str]) {
    let mut config = config(bundle);
    config["process"]["args"] = words.iter().copied().collect();
    std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
}

/// `coracle-oci run -b DIR ID`.
fn start(w: &World, bundle: &Path, id: &str) -> Cmd {
    w.oci().args(["run", "--bundle"]).arg(bundle).arg(id)
}

/// Names below a directory that begin with a dot: what is left of a bundle that was not finished.
fn unfinished(w: &World) -> Vec<String> {
    let names = std::fs::read_dir(w.dir.join("home")).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with('.')).collect();
    names.sort();
    names
}

#[test]
fn a_bundle_is_the_image_with_its_owners_and_config() {
    need!("subid", "registry", "coracle-oci");
    let w = World::new();
    w.pull("config", "conf");
    let bundle = at(&w, "conf");
    w.c("bundle conf").arg(&bundle).arg("env").ok();
    // What the image says about its process.
    let hostless = |text: &str| {
        let mut lines: Vec<String> = text
            .lines()
            .filter(|l| !l.starts_with("HOSTNAME=") && !l.starts_with("TERM="))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let wanted = w.run("conf env").ok();
    assert_eq!(hostless(&start(&w, &bundle, "env").ok()), hostless(&wanted));
    // Every user of the image is there, and files belong to whom they belong in the image.
    let look = "id -u; stat -c %u /home/user; touch /tmp/x; chown 33:44 /tmp/x; stat -c %u:%g /tmp/x";
    let other = at(&w, "other");
    w.c("bundle --user 0 --entrypoint sh conf").arg(&other).args(["-c", look]).ok();
    assert_eq!(start(&w, &other, "look").ok(), w.run("--user 0 --entrypoint sh conf -c").arg(look).ok());
    assert_eq!(start(&w, &other, "look").ok(), "0\n1000\n33:44\n");
    // The store is not needed any more, and what one container wrote the next one finds.
    w.c("rmi --all --force").ok();
    set_command(&other, &["stat", "-c", "%u:%g", "/tmp/x"]);
    assert_eq!(start(&w, &other, "again").ok(), "33:44\n");
}

#[test]
fn the_flags_of_a_bundle_are_in_its_config() {
    need!("subid", "registry", "coracle-oci");
    let w = World::with_busybox();
    let data = at(&w, "data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("file"), "from the host\n").unwrap();
    std::fs::write(at(&w, "vars"), "FROM_FILE=f\n").unwrap();
    let bundle = at(&w, "flags");
    w.c("bundle --env A=1 --env-file vars --workdir /home --user 1000:1000 --volume ./data:/data:ro --tmpfs /scratch \
         --hostname node9 --ipc private --entrypoint sh bb flags -c")
        .arg("echo $A $FROM_FILE; pwd; id -u; cat /data/file; touch /data/x 2>&1; touch /scratch/x && hostname")
        .cwd(&at(&w, ""))
        .ok();
    let out = start(&w, &bundle, "flags").ok();
    assert_eq!(out, "1 f\n/home\n1000\nfrom the host\ntouch: /data/x: Read-only file system\nnode9\n");
    // Without them: the machine's network, name and shared memory, its own processes.
    let plain = at(&w, "plain");
    let look = "for kind in net uts ipc; do readlink /proc/self/ns/$kind; done; stat -c %d /dev/shm; ls -d /proc/[0-9]* | wc -l";
    w.c("bundle bb").arg(&plain).args(["sh", "-c", look]).ok();
    let inside = start(&w, &plain, "plain").ok();
    let host = w.tool("sh").args(["-c", look]).ok();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&inside)[..4], lines(&host)[..4]);
    assert!(lines(&inside)[4].trim().parse::<u32>().unwrap() < 6, "{inside}");
    let alone = at(&w, "alone");
    w.c("bundle --network none --pid host bb").arg(&alone).args(["sh", "-c", look]).ok();
    let inside = start(&w, &alone, "alone").ok();
    assert_ne!(lines(&inside)[0], lines(&host)[0]);
    // And read-only, where only what is in memory can be written.
    let fixed = at(&w, "fixed");
    w.c("bundle --read-only bb").arg(&fixed).args(["sh", "-c", "touch /tmp/x && touch /x"]).ok();
    let out = start(&w, &fixed, "fixed").run();
    assert!(out.code == 1 && out.stderr.contains("Read-only file system"), "{out:?}");
}

#[test]
fn with_one_id_all_files_are_the_users_and_a_plain_rm_removes_them() {
    need!("subid", "registry", "coracle-oci");
    let w = World::with_busybox();
    let bundle = at(&w, "one");
    w.c("bundle --single-uid bb")
        .arg(&bundle)
        .args(["sh", "-c", "id -u; chown 33 /etc/passwd && echo pretended"])
        .ok();
    let me = std::fs::metadata(w.dir.join("home")).unwrap().uid();
    let others = w.tool("find").arg(&bundle).args(["!", "-uid", &me.to_string()]).ok();
    assert_eq!(others, "");
    assert_eq!(start(&w, &bundle, "one").ok(), "0\npretended\n");
    w.tool("rm").arg("-r").arg(&bundle).ok();
    let refused = w.c("bundle --single-uid --user 1000 bb").arg(&bundle).run();
    refused.says(125, &["cannot run as user 1000", "--single-uid was given", "Hint: "]);
    assert_eq!(unfinished(&w), [""; 0]);
}

#[test]
fn a_user_without_subordinate_ids_makes_and_runs_a_bundle() {
    need!("subid", "images", "setpriv", "coracle-oci");
    let w = World::new();
    let bundle = at(&w, "alone");
    let alone = |program: PathBuf| crate::single_uid::alone_with(&w, &program);
    let coracle = || alone(crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle")));
    coracle().arg("bundle").arg(format!("oci:{}:latest", World::layout("busybox"))).arg(&bundle).ok();
    set_command(&bundle, &["sh", "-c", "id -u; wc -l < /proc/self/uid_map; cat /bin/busybox | wc -c"]);
    let out = alone(crate::support::need::runtime().unwrap())
        .arg("--root")
        .arg(w.dir.join("state"))
        .args(["run", "--bundle"])
        .arg(&bundle)
        .arg("alone")
        .ok();
    let size = std::fs::metadata(bundle.join("rootfs/bin/busybox")).unwrap().len();
    assert_eq!(out, format!("0\n1\n{size}\n"));
    coracle().args(["rmi", "--all", "--force"]).ok();
}

#[test]
fn an_image_in_one_file_becomes_a_bundle() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "coracle-oci");
    let w = World::new();
    w.pull("config", "conf");
    let file = at(&w, "app.sqsh");
    w.c("image squash conf").arg(&file).ok();
    w.c("rmi --all --force").ok();
    let (kept, one) = (at(&w, "kept"), at(&w, "one"));
    w.c("bundle --user 0 --entrypoint stat app.sqsh kept -c %u /home/user").cwd(&at(&w, "")).ok();
    w.c("bundle --single-uid --user 0 --entrypoint stat app.sqsh one -c %u /home/user").cwd(&at(&w, "")).ok();
    assert_eq!(start(&w, &kept, "kept").ok(), "1000\n");
    assert_eq!(start(&w, &one, "one").ok(), "0\n");
    let env = config(&kept)["process"]["env"].to_string();
    assert!(env.contains("FROM_IMAGE=yes"), "the config in the file: {env}");
    // A file that is cut off leaves nothing behind.
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(at(&w, "cut.sqsh"), &bytes[..bytes.len() / 2]).unwrap();
    w.c("bundle cut.sqsh cut").cwd(&at(&w, "")).run().says(125, &["cut.sqsh"]);
    assert!(!at(&w, "cut").exists());
    assert_eq!(unfinished(&w), [""; 0]);
}

#[test]
fn what_a_killed_call_has_left_goes_with_the_next_one() {
    need!("subid", "registry", "flock");
    let w = World::with_busybox();
    let left = at(&w, ".b.0123456789abcdef");
    // As it is left: files of the image's owners. Another is still at work, and one only looks like it.
    for dir in [&left, &at(&w, ".b.fedcba9876543210"), &at(&w, ".b.not-one")] {
        let script = "mkdir -p $0/rootfs/home; echo x >$0/rootfs/home/x; chown -R 1000 $0/rootfs; chmod 700 $0/rootfs/home";
        w.c("unshare sh -c").arg(script).arg(dir).ok();
    }
    let busy = w
        .tool("flock")
        .arg("-F")
        .arg(at(&w, ".b.fedcba9876543210"))
        .args(["sh", "-c", "echo locked; exec sleep 1000"])
        .spawn();
    crate::support::wait_for("the lock", || busy.so_far().0.contains("locked"));
    w.c("bundle bb b").cwd(&at(&w, "")).ok();
    assert_eq!(unfinished(&w), [".b.fedcba9876543210", ".b.not-one"]);
    w.tool("kill").arg(busy.inner_pid().to_string()).ok();
    let _ = busy.wait();
    w.c("bundle bb c").cwd(&at(&w, "")).ok();
    assert_eq!(unfinished(&w), [".b.fedcba9876543210", ".b.not-one"]);
    w.c("unshare rm -rf").args([at(&w, ".b.fedcba9876543210"), at(&w, ".b.not-one")]).ok();
}

#[test]
fn what_cannot_be_a_bundle_is_refused_and_leaves_nothing() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let full = at(&w, "full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("mine"), "").unwrap();
    let refused = |line: &str, words: &[&str]| {
        w.c(line).cwd(&at(&w, "")).run().says(125, words);
        assert_eq!(unfinished(&w), [""; 0], "{line}");
    };
    refused("bundle bb", &["no directory given", "Hint: Name one after the image"]);
    refused("bundle bb full", &["cannot make the bundle", "exists and is not empty", "Hint: "]);
    refused("bundle bb missing/dir", &["cannot make the bundle", "mkdir", "ENOENT"]);
    refused("bundle bb full/mine", &["cannot make the bundle", "ENOTDIR"]);
    refused("bundle --volume name:/data bb b", &["has no volumes", "/data", "Hint: Give a directory"]);
    refused("bundle --network bridge bb b", &["--network", "one of host, none"]);
    refused("bundle --pid wat bb b", &["--pid", "one of private, host"]);
    refused("bundle --user nobody-here bb b", &["unable to find user nobody-here"]);
    refused("bundle --pull=never no-such-image b", &["no-such-image is not here"]);
    refused("bundle host: b", &["an image of its own is needed"]);
    refused("bundle --workdir rel bb b", &["working directory", "not an absolute path"]);
    refused(
        "bundle --hostname a_b/c bb b",
        &["invalid hostname \"a_b/c\"", "Hint: For example: `--hostname web`."],
    );
    refused("bundle --files-only bb b", &["--files-only is for coracle itself"]);
    // An empty directory is a place for it.
    std::fs::create_dir(at(&w, "empty")).unwrap();
    w.c("bundle bb empty").cwd(&at(&w, "")).ok();
    assert_eq!(config(&at(&w, "empty"))["process"]["args"][0], "/bin/sh");
    assert!(at(&w, "empty/rootfs/bin/busybox").exists());
}
