//! `cp` between the host and containers.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::need;
use crate::support::World;

/// With a shifted map the files of the container's root are a subordinate id's: on the host they are the user's.
#[test]
fn what_comes_to_the_host_is_the_users() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    w.c("create --name k --userns keep-id bb true").ok();
    let target = w.dir.join("passwd");
    w.c("cp k:/etc/passwd").arg(&target).ok();
    assert_eq!(std::fs::metadata(&target).unwrap().uid(), rustix::process::getuid().as_raw());
    std::fs::remove_file(&target).unwrap();
}

#[test]
fn both_ways_running_or_not() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let home = w.dir.join("home");
    std::fs::create_dir_all(home.join("tree/below")).unwrap();
    std::fs::write(home.join("tree/f"), "one\n").unwrap();
    std::fs::set_permissions(home.join("tree/f"), std::fs::Permissions::from_mode(0o750)).unwrap();
    std::os::unix::fs::symlink("f", home.join("tree/link")).unwrap();
    w.c("create --network none --name c bb sleep 1000").ok();
    for state in ["created", "running"] {
        if state == "running" {
            w.c("start c").ok();
        }
        let to = format!("c:/{state}");
        // A directory that is not there takes the source's place; into one that is there it goes by its name.
        w.c("cp tree").arg(&to).cwd(&home).ok();
        w.c("cp tree").arg(&to).cwd(&home).ok();
        w.c("cp tree/.").arg(format!("{to}/below")).cwd(&home).ok();
        let back = home.join(format!("back-{state}"));
        w.c("cp").arg(&to).arg(&back).ok();
        for file in ["f", "tree/f", "below/f"] {
            assert_eq!(std::fs::read_to_string(back.join(file)).unwrap(), "one\n", "{state} {file}");
        }
        assert_eq!(std::fs::read_link(back.join("link")).unwrap().to_str(), Some("f"));
        let meta = std::fs::metadata(back.join("f")).unwrap();
        assert_eq!((meta.mode() & 0o777, meta.uid()), (0o750, rustix::process::getuid().as_raw()));
    }
    assert_eq!(w.c("exec c cat /created/f").ok(), "one\n");
    assert_eq!(w.c("exec c stat -c %u:%a /running/f").ok(), "0:750\n");
}

/// A FUSE file system lets in only processes of the user namespace in which it was mounted.
#[test]
fn a_running_container_on_fuse() {
    need!("subid", "registry", "fuse", "fuse-overlayfs");
    let w = World::with_busybox();
    w.c("--storage-driver=fuse-overlayfs run -d --network none --name c bb sleep 1000").ok();
    assert_eq!(w.get("c", "/Driver"), "fuse-overlayfs");
    std::fs::write(w.dir.join("home/f"), "one\n").unwrap();
    w.c("cp f c:/tmp/f").cwd(&w.dir.join("home")).ok();
    assert_eq!(w.c("exec c stat -c %u:%s /tmp/f").ok(), "0:4\n");
    w.c("cp c:/tmp/f back").cwd(&w.dir.join("home")).ok();
    assert_eq!(std::fs::read_to_string(w.dir.join("home/back")).unwrap(), "one\n");
    let listed = w.sh("$C export c | tar t").ok();
    assert!(listed.lines().any(|line| line == "tmp/f"), "{listed}");
    // keep-id: its map is fuse-overlayfs' work. A process is in one namespace, so not between two of them.
    w.c("--storage-driver=fuse-overlayfs run -d --network none --userns keep-id --name k bb sleep 1000").ok();
    w.c("cp f k:/tmp/f").cwd(&w.dir.join("home")).ok();
    assert_eq!(w.c("exec k cat /tmp/f").ok(), "one\n");
    w.c("cp c:/tmp/f k:/tmp/g").run().says(
        125,
        &[
            "Error: cannot copy between c and k",
            "Caused by: ",
            "Hint: ",
            "coracle cp c:PATH - | coracle cp - k:DIRECTORY",
        ],
    );
    w.c("create --network none --name d bb true").ok();
    w.c("cp c:/tmp/f d:/tmp/f").ok();
}

#[test]
fn through_tar_streams() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("c", "bb sleep 1000");
    let listed = w.sh("$C cp c:/etc - | tar t").ok();
    assert!(listed.lines().any(|line| line.ends_with("etc/passwd")), "{listed}");
    w.sh("cd $HOME; echo tarred >f; tar c f | $C cp - c:/tmp").ok();
    assert_eq!(w.c("exec c cat /tmp/f").ok(), "tarred\n");
}

#[test]
fn links_of_the_container_lead_nowhere_else() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let secret = w.dir.join("home/secret");
    std::fs::write(&secret, "of the host\n").unwrap();
    w.start("c", "bb sleep 1000");
    let script = format!(
        "ln -s {} /read; ln -s {} /dir; ln -s ../../../../../../.. /up",
        secret.display(),
        w.dir.display()
    );
    w.c("exec c sh -c").arg(script).ok();
    let out = w.dir.join("home/out");
    let copied = w.c("cp c:/read/.").arg(&out).run();
    // The link itself may be copied, never what it would lead to here.
    let is_link = std::fs::symlink_metadata(&out).is_ok_and(|meta| meta.is_symlink());
    let text = if is_link { String::new() } else { std::fs::read_to_string(&out).unwrap_or_default() };
    assert!(!text.contains("of the host"), "{copied:?}");
    std::fs::write(w.dir.join("home/new"), "planted\n").unwrap();
    w.c("cp").arg(w.dir.join("home/new")).arg("c:/dir/").run();
    assert!(!w.dir.join("new").exists());
    w.c("cp").arg(w.dir.join("home/new")).arg("c:/up/planted").ok();
    assert_eq!(w.c("exec c cat /planted").ok(), "planted\n");
}

#[test]
fn a_link_at_the_end_is_followed() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("c", "bb sleep 1000");
    let made = "mkdir -p /t/d; echo x >/t/f; echo y >/t/d/g; ln -s f /t/link; ln -s /t/d /t/dir; ln -s link /t/two; ln -s no /t/dangling; ln -s loop /t/loop";
    w.c("exec c sh -c").arg(made).ok();
    // Out of the container: under the name of what the link led to, or the one that was asked for.
    let out = w.sh("cd $HOME; mkdir o; $C cp c:/t/link o/; $C cp c:/t/two o/2; $C cp c:/t/dir o/; $C cp c:/t/dir/. o/3; ls -F o o/d o/3")
        .ok();
    assert_eq!(out, "o:\n2\n3/\nd/\nf\n\no/3:\ng\n\no/d:\ng\n");
    // Into it: under the link's own; a link to a directory is that directory.
    w.sh("cd $HOME; echo h >h; ln -s h l; $C cp l c:/t/; $C cp l c:/t/dir; $C cp l c:/t/link").ok();
    let out = w.c("exec c sh -c").arg("cat /t/l /t/d/l /t/f; readlink /t/dir").ok();
    assert_eq!(out, "h\nh\nh\n/t/d\n");
    w.c("cp c:/t/dangling -").run().says(125, &["Error: ", "/t/dangling"]);
    w.c("cp c:/t/loop -").run().says(125, &["Error: ", "too many links"]);
}

#[test]
fn what_is_wrong_is_said() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("create --name c bb true").ok();
    w.c("cp c:/nope /tmp/x").run().says(125, &["Error: ", "/nope"]);
    w.c("cp /not/there c:/x").run().says(125, &["Error: ", "/not/there"]);
    w.c("cp nobody:/x /tmp").run().says(125, &["Error: ", "nobody"]);
    w.c("cp /etc/passwd c:/not/there/x").run().says(
        125,
        &["Error: there is no directory /not/there in container c", "Hint: Make it first: `coracle exec c "],
    );
    w.c("cp c:/etc/passwd /not/there/x")
        .run()
        .says(125, &["Error: there is no directory /not/there on the host"]);
    w.c("cp /etc/shadow c:/x").run().says(125, &["Error: cannot copy /etc/shadow", "Caused by: ", "EACCES"]);
    w.c("cp a b").run().says(125, &["Error: ", "Hint: "]);
}

/// Root of the host has no number in the container: what is copied in from there is the container's root's, as with podman.
#[test]
fn what_the_host_owns_is_roots_inside() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("c", "bb sleep 1000");
    w.c("cp /etc/passwd c:/tmp/").ok();
    w.c("cp /usr/share/base-files c:/tmp/").ok();
    assert_eq!(
        w.c("exec c stat -c %u:%g /tmp/passwd /tmp/base-files /tmp/base-files/motd").ok(),
        "0:0\n0:0\n0:0\n"
    );
}

#[test]
fn a_file_and_a_directory_of_one_name() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("c", "bb sleep 1000");
    w.sh("cd $HOME; mkdir -p t/d u/x; echo f >t/x; echo g >u/x/g; echo h >u/d").ok();
    w.c("cp t c:/").cwd(&w.dir.join("home")).ok();
    // `d` of the one is a directory, of the other a file; with `x` it is the other way round.
    let copy = |flag: &str| w.sh(&format!("cd $HOME; $C cp {flag} u/. c:/t"));
    copy("")
        .run()
        .says(125, &["Error: cannot copy u/./d", "Caused by: cannot overwrite the directory d with a file"]);
    copy("--overwrite").ok();
    assert_eq!(w.c("exec c cat /t/d /t/x/g").ok(), "h\ng\n");
}
