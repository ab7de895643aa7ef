//! Images in one file: written, run by many at once over one mount, and refused when they are damaged.

use std::path::{Path, PathBuf};

use crate::need;
use crate::support::{World, wait_for};

/// A store with busybox as `bb` and `config`, and `bb` as a file.
fn world() -> (World, PathBuf) {
    let w = World::with_busybox();
    let file = w.dir.join("home/app.sqsh");
    w.c("image squash bb").arg(&file).ok();
    (w, file)
}

/// squashfuse processes of this test: their environment names its directory.
fn servers(w: &World) -> usize {
    let mark = format!("XDG_RUNTIME_DIR={}", w.dir.join("run").display());
    let pids = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let serves = |path: &PathBuf| {
        let read = |file: &str| std::fs::read(path.join(file)).unwrap_or_default();
        read("comm").starts_with(b"squashfuse")
            && !String::from_utf8_lossy(&read("stat")).contains(") Z ")
            && read("environ").split(|byte| *byte == 0).any(|item| item == mark.as_bytes())
    };
    pids.filter(serves).count()
}

#[test]
fn an_image_runs_from_one_file_with_its_config() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let w = World::new();
    w.pull("config", "conf");
    let from_store = w.run("conf env").ok();
    let user_from_store = w.run("--user user conf id").ok();
    let file = w.dir.join("home/conf.sqsh");
    w.c("image squash conf").arg(&file).ok();
    // Nothing of the store is needed any more.
    w.c("rmi --all --force").ok();
    let hostless = |text: &str| {
        let mut lines: Vec<String> =
            text.lines().filter(|l| !l.starts_with("HOSTNAME=")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let from_file = w.c("run --rm --network none").arg(&file).arg("env").ok();
    assert_eq!(hostless(&from_file), hostless(&from_store));
    // By its relative name, and as a user of the image.
    let out = w.c("run --rm --network none --user user conf.sqsh id").cwd(&w.dir.join("home")).ok();
    assert_eq!(out, user_from_store);
    assert!(out.contains("uid=1000(user)"), "{out}");
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    need!("subid", "registry", "mksquashfs");
    let (w, file) = world();
    let again = w.dir.join("home/again.sqsh");
    w.c("image squash bb").arg(&again).ok();
    assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(&again).unwrap());
    // In another store, unpacked at another time.
    let other = World::with_busybox();
    let third = other.dir.join("home/third.sqsh");
    other.c("image squash bb").arg(&third).ok();
    assert!(std::fs::read(&file).unwrap() == std::fs::read(&third).unwrap(), "another store's file differs");
    // Any program that knows squashfs reads it, with the owners of the image.
    let list = w.tool("unsquashfs").args(["-lln", "-q"]).arg(&file).ok();
    assert!(list.lines().any(|l| l.contains("squashfs-root/etc/passwd") && l.contains("0/0")), "{list}");
}

#[test]
fn whiteouts_owners_and_links_of_the_layers_are_in_the_file() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let w = World::new();
    w.pull("layers", "l");
    let look = "cd /; find . -xdev ! -path './proc*' ! -path './sys*' ! -path './dev*' ! -path './etc/*host*' \
                ! -path './etc/resolv.conf' ! -path './run*' -exec stat -c '%n %a %u %g %s %h' {} + | grep -v '^\\. ' | \
                grep -v '^./[a-z]* [0-9]* 0 0 [0-9]* [0-9]*$' | sort";
    let file = w.dir.join("home/l.sqsh");
    w.c("image squash l").arg(&file).ok();
    let (store, one) =
        (w.script("l", look).ok(), w.c("run --rm --network none").arg(&file).args(["sh", "-c", look]).ok());
    // Sizes and link counts of directories are the file system's own.
    let plain = |text: &str| -> Vec<String> {
        text.lines().map(|l| l.rsplitn(3, ' ').last().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(plain(&one), plain(&store));
    assert!(!plain(&one).is_empty());
}

#[test]
fn all_containers_of_a_file_share_one_mount_and_a_killed_one_takes_nothing_away() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world();
    let text = file.to_str().unwrap();
    let before = servers(&w);
    for name in ["a", "b", "c"] {
        w.start(name, &format!("{text} sleep 1000"));
    }
    assert_eq!(servers(&w), before + 1, "one squashfuse, however many containers");
    // A command at the same time, many of them.
    let script = format!(
        "for i in $(seq 8); do $C run --rm --network none {text} sh -c 'test -x /bin/busybox' & done; \
         for job in $(jobs -p); do wait $job || exit 1; done"
    );
    w.sh(&script).ok();
    assert_eq!(servers(&w), before + 1);
    // One ends as processes end on a cluster: all of it killed.
    w.c("kill -s KILL a").ok();
    w.wait_status("a", "exited");
    w.c("rm -f -t 0 b").ok();
    assert_eq!(w.c("exec c cat /etc/hostname").run().code, 0);
    assert_eq!(w.c("exec c sh -c").arg("ls /bin | wc -l").run().code, 0);
    w.c("rm -f -t 0 c").ok();
    wait_for("squashfuse to end with the last container", || servers(&w) == before);
}

#[test]
fn a_killed_holder_leaves_running_containers_their_files() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world();
    let text = file.to_str().unwrap();
    w.start("a", &format!("{text} sleep 1000"));
    w.tool("kill").args(["-9", &holder(&w)["holder"].to_string()]).ok();
    assert_eq!(w.c("exec a sh -c").arg("cat /bin/busybox | wc -c").run().code, 0);
    // The next one makes a mount of its own, and both go.
    w.c("run --rm --network none").arg(&file).arg("true").ok();
    assert_eq!(w.c("exec a sh -c").arg("cat /bin/busybox | wc -c").run().code, 0);
    w.c("rm -f -t 0 a").ok();
}

#[test]
fn a_server_that_dies_ends_the_container_with_the_reason() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world();
    w.start("a", &format!("{} sleep 1000", file.display()));
    w.tool("kill").args(["-9", &holder(&w)["server"].to_string()]).ok();
    w.wait_status("a", "exited");
    assert_eq!(w.get("a", "/State/Error"), "rootfs server died");
    // And it can be started again.
    w.c("start a").ok();
    assert_eq!(w.c("exec a echo up").ok(), "up\n");
}

/// The record of the only holder.
fn holder(w: &World) -> serde_json::Value {
    let record = find_holder(&w.dir.join("run")).expect("a holder's record");
    serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap()
}

fn find_holder(dir: &Path) -> Option<PathBuf> {
    for entry in std::fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| name == "holder") && path.is_file() {
            return Some(path);
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Some(found) = find_holder(&path)
        {
            return Some(found);
        }
    }
    None
}

#[test]
fn what_a_container_writes_is_its_own_or_in_the_overlay_directory() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world();
    let text = file.to_str().unwrap();
    let write = "echo mine > /etc/new; rm -r /home; mkdir /home";
    w.script(text, &format!("{write}; test ! -e /home/user")).ok();
    w.script(text, "test ! -e /etc/new").ok();
    // A container that stays keeps it: started again, and looked at while it is stopped.
    w.c("run --name kept --network none").arg(text).args(["sh", "-c", write]).ok();
    assert_eq!(w.c("cp kept:/etc/new -").run().code, 0);
    w.c("export -o").arg(w.dir.join("home/all.tar")).arg("kept").ok();
    let list = w.tool("tar").arg("tf").arg(w.dir.join("home/all.tar")).ok();
    assert!(
        list.lines().any(|l| l.ends_with("etc/new")) && list.lines().any(|l| l.ends_with("bin/busybox")),
        "{list}"
    );
    // --overlay: for the next container, and for one at a time.
    let overlay = w.dir.join("home/overlay");
    let mut with = vec!["--overlay".to_owned(), overlay.display().to_string(), text.to_owned()];
    w.run("").args(&with).arg("true").run().says(125, &["Error: cannot use", "Hint: Make it first"]);
    std::fs::create_dir(&overlay).unwrap();
    w.run("").args(&with).args(["sh", "-c", "echo one > /etc/kept"]).ok();
    assert_eq!(w.run("").args(&with).args(["cat", "/etc/kept"]).ok(), "one\n");
    w.c("run -d --name holds --network none").args(&with).args(["sleep", "1000"]).ok();
    w.run("").args(&with).arg("true").run().says(125, &["is in use", "Hint: "]);
    w.c("rm -f -t 0 holds").ok();
    with[1] = file.display().to_string();
    w.run("").args(&with).arg("true").run().says(125, &["it is a file", "Hint: Give a directory"]);
    // Read-only, and a mount on a place that the image does not have.
    w.run("--read-only").arg(text).args(["sh", "-c", "! touch /etc/x"]).ok();
    w.run("--read-only -v")
        .arg(format!("{}:/no/such/place", w.dir.join("home").display()))
        .arg(text)
        .args(["ls", "/no/such/place/app.sqsh"])
        .ok();
}

#[test]
fn damaged_and_foreign_files_are_refused_with_the_reason() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world();
    let good = std::fs::read(&file).unwrap();
    let bad = w.dir.join("home/bad.sqsh");
    let run = |bytes: &[u8]| {
        std::fs::write(&bad, bytes).unwrap();
        w.run("").arg(&bad).arg("true").run()
    };
    run(b"").says(125, &["cannot use the image file", "it is empty"]);
    run(b"#!/bin/sh\necho no\n").says(125, &["no squashfs and no SIF", "coracle image squash"]);
    run(&good[..50]).says(125, &["cut off"]);
    run(&good[..good.len() / 2]).says(125, &["cut off"]);
    let mut ext = vec![0u8; 4096];
    ext[1080..1082].copy_from_slice(&[0x53, 0xEF]);
    run(&ext).says(125, &["ext file system", "lets no user mount", "mksquashfs"]);
    // A bit in the config behind the squashfs, in the superblock, in its tables.
    let mut flipped = good.clone();
    let at = good.len() - 100;
    flipped[at] ^= 1;
    run(&flipped).says(125, &["config at the end of the file is damaged", "checksum"]);
    let mut flipped = good.clone();
    flipped[28] ^= 4;
    run(&flipped).says(125, &["damaged squashfs", "version"]);
    let inodes = u64::from_le_bytes(good[64..72].try_into().unwrap()) as usize;
    let used = u64::from_le_bytes(good[40..48].try_into().unwrap()) as usize;
    let mut broken = good.clone();
    broken[inodes..used].fill(0xFF);
    run(&broken).says(125, &["squashfuse cannot read the image", "Hint: The file may be damaged"]);
    // One block of inodes: what it held is not found, and that is said.
    let mut broken = good.clone();
    broken[inodes..inodes + 64].fill(0xFF);
    assert_ne!(run(&broken).code, 0);
    // Every single byte of the superblock, wrong: an error or a container, never a hang or a panic.
    for at in 0..96 {
        let mut flipped = good.clone();
        flipped[at] ^= 0xFF;
        let out = run(&flipped);
        assert!(
            [0, 125, 126, 127].contains(&out.code) && !out.stderr.contains("panic"),
            "byte {at}: {out:?}"
        );
    }
    w.run("nothing-here.sqsh true")
        .cwd(&w.dir)
        .run()
        .says(125, &["cannot use the image file", "ENOENT", "Hint: Write it with"]);
    w.run("--overlay /tmp bb true").run().says(125, &["--overlay needs an image in one file"]);
    w.run("--userns keep-id").arg(&file).arg("true").run().says(125, &["shifted ids", "Hint: "]);
}

#[test]
fn a_file_that_was_replaced_is_another_image() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world();
    w.c("create --name old --network none").arg(&file).args(["sleep", "1000"]).ok();
    w.pull("config", "conf");
    w.c("image squash conf").arg(&file).ok();
    w.c("start old").run().says(125, &["not the one that the container was made from"]);
    w.run("").arg(&file).arg("true").ok();
}

#[test]
fn the_squashfs_of_a_sif_file_runs() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world();
    // As apptainer lays it out: a header of 128 bytes, descriptors of 585, the squashfs on a page of its own.
    let squashfs = std::fs::read(&file).unwrap();
    let mut sif = vec![0u8; 36_864];
    sif[..21].copy_from_slice(b"#!/usr/bin/env run-si");
    sif[32..45].copy_from_slice(b"SIF_MAGIC\x0001\0");
    sif[88..96].copy_from_slice(&1u64.to_le_bytes());
    sif[96..104].copy_from_slice(&4096u64.to_le_bytes());
    let part = &mut sif[4096..4096 + 585];
    part[..4].copy_from_slice(&0x4004u32.to_le_bytes());
    part[4] = 1;
    part[17..25].copy_from_slice(&36_864u64.to_le_bytes());
    part[25..33].copy_from_slice(&(squashfs.len() as u64).to_le_bytes());
    part[201..205].copy_from_slice(&1u32.to_le_bytes());
    part[205..209].copy_from_slice(&2u32.to_le_bytes());
    sif.extend_from_slice(&squashfs);
    let path = w.dir.join("home/app.sif");
    std::fs::write(&path, &sif).unwrap();
    assert_eq!(w.run("").arg(&path).args(["echo", "sif"]).ok(), "sif\n");
    sif[4096 + 201] = 5;
    std::fs::write(&path, &sif).unwrap();
    w.run("").arg(&path).arg("true").run().says(125, &["SIF file that cannot be run", "encrypted"]);
}
