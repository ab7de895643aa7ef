//! Images in one file: written, run by many at once over one mount, and refused when they are damaged.

use std::path::{Path, PathBuf};

use crate::need;
use crate::support::{World, wait_for};

/// squashfuse processes of this test.
fn servers(w: &World) -> usize {
    w.processes("squashfuse").len()
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
    let (w, file) = World::with_image_file();
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
    let (w, file) = World::with_image_file();
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
    let (w, file) = World::with_image_file();
    let text = file.to_str().unwrap();
    w.start("a", &format!("{text} sleep 1000"));
    w.tool("kill").args(["-9", &holder(&w)["holder"].to_string()]).ok();
    assert_eq!(w.c("exec a sh -c").arg("cat /bin/busybox | wc -c").run().code, 0);
    // The next one makes a mount of its own, and both go.
    w.c("run --rm --network none").arg(&file).arg("true").ok();
    assert_eq!(w.c("exec a sh -c").arg("cat /bin/busybox | wc -c").run().code, 0);
    w.c("rm -f -t 0 a").ok();
}

/// As `scancel --signal=TERM` does to a step: what the payload makes of it, it makes with its files.
#[test]
fn a_signal_to_all_processes_of_a_step_takes_no_files_away() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = World::with_image_file();
    w.start("signalled", &format!("{} sleep 1000", file.display()));
    let record = holder(&w);
    for signal in ["-TERM", "-INT", "-HUP", "-USR1"] {
        w.tool("kill").args([signal, &record["holder"].to_string(), &record["server"].to_string()]).ok();
    }
    assert_eq!(w.c("exec signalled sh -c").arg("cat /bin/busybox | wc -c").run().code, 0);
    assert_eq!(w.get("signalled", "/State/Status"), "running");
    w.c("rm -f -t 0 signalled").ok();
}

/// What ends the caller's cgroup (a logout, a service that stops) is not to take the files of containers away.
#[test]
fn holder_and_server_are_in_a_scope_of_their_own() {
    need!("subid", "systemd", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = World::with_image_file();
    w.start("scoped", &format!("{} sleep 1000", file.display()));
    let record = holder(&w);
    for process in ["holder", "server"] {
        let cgroup = std::fs::read_to_string(format!("/proc/{}/cgroup", record[process])).unwrap();
        let scope = format!("-{}.scope\n", record["holder"]);
        assert!(cgroup.contains("/coracle-image-") && cgroup.ends_with(&scope), "{process}: {cgroup}");
    }
    w.c("rm -f -t 0 scoped").ok();
}

#[test]
fn a_start_that_is_killed_at_any_moment_leaves_nobody_who_serves() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = World::with_image_file();
    let before = servers(&w);
    let mut undone = 0;
    for pause in (0..10).chain((10..100).step_by(5)) {
        let started = w.run("").arg(&file).args(["sleep", "1000"]).spawn();
        let pid = rustix::process::Pid::from_raw(started.inner_pid().try_into().unwrap()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(pause));
        // Without a program in between, which takes as long as a start.
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        started.wait();
        // Later than the start's commit it runs on, as every container does.
        undone += usize::from(w.names().is_empty());
        wait_for("the container to go", || {
            w.c("rm --all --force -t 0").run();
            w.names().is_empty()
        });
        w.end_idle_mounts();
        wait_for("squashfuse to end", || servers(&w) == before);
    }
    assert!(undone > 0, "none was killed before it ran");
    w.run("").arg(&file).arg("true").ok();
    wait_for("squashfuse to end", || servers(&w) == before);
}

#[test]
fn a_server_that_dies_ends_the_container_with_the_reason() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = World::with_image_file();
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
    let (w, file) = World::with_image_file();
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
    let (w, file) = World::with_image_file();
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
    let (w, file) = World::with_image_file();
    w.c("create --name old --network none").arg(&file).args(["sleep", "1000"]).ok();
    w.pull("config", "conf");
    w.c("image squash conf").arg(&file).ok();
    w.c("start old").run().says(125, &["not the one that the container was made from"]);
    w.run("").arg(&file).arg("true").ok();
}

/// An overlay asks for an attribute of each file that is looked up. Whether the image has any stands in its superblock, and
/// where it has none the kernel is told so once: then it is as on a file system that knows no attributes.
#[test]
fn attributes_are_the_images_and_an_image_without_any_is_not_asked() {
    need!("subid", "fuse", "squashfuse", "mksquashfs", "musl-gcc");
    let w = World::new();
    let home = w.dir.join("home");
    let tree = home.join("tree");
    std::fs::create_dir_all(&tree).unwrap();
    let source = "#include <errno.h>\n#include <stdio.h>\n#include <string.h>\n#include <sys/xattr.h>\n\
        int main(void) { char color[9] = \"\"; \
        puts(getxattr(\"/leaf\", \"user.color\", color, 8) < 0 ? strerror(errno) : color); }\n";
    std::fs::write(home.join("ask.c"), source).unwrap();
    w.tool("musl-gcc").args(["-static", "-o", "tree/ask", "ask.c"]).cwd(&home).ok();
    std::fs::write(tree.join("leaf"), "").unwrap();
    rustix::fs::setxattr(tree.join("leaf"), "user.color", b"green", rustix::fs::XattrFlags::empty()).unwrap();
    for (file, flag, answer) in [("with", "-xattrs", "green\n"), ("without", "-no-xattrs", "Not supported\n")]
    {
        w.tool("mksquashfs")
            .args(["tree", file, "-all-root", "-quiet", "-no-progress", flag])
            .cwd(&home)
            .ok();
        for mode in ["--network none", "--hpc"] {
            let out = w.c(&format!("run --rm {mode}")).arg(home.join(file)).arg("/ask").ok();
            assert_eq!(out, answer, "{file} {mode}");
        }
    }
}

#[test]
fn a_file_whose_disk_was_mounted_again_is_the_same() {
    use std::os::unix::fs::MetadataExt;
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "fusermount3");
    let (w, app) = World::with_image_file();
    let place = |name: &str| w.dir.join("home").join(name);
    let disk = place("disk.sqsh");
    w.tool("mksquashfs").arg(&app).arg(&disk).args(["-quiet", "-no-progress"]).ok();
    for name in ["far", "other"] {
        std::fs::create_dir_all(place(name).join("disk")).unwrap();
        w.tool("squashfuse").arg(&disk).arg(place(name).join("disk")).ok();
    }
    let file = place("far/disk/app.sqsh");
    w.c("create --name again --network none").arg(&file).args(["echo", "ran"]).ok();
    let device = file.metadata().unwrap().dev();
    // Such disks get their number when they are mounted.
    std::fs::rename(place("far"), place("before")).unwrap();
    std::fs::rename(place("other"), place("far")).unwrap();
    assert_ne!(file.metadata().unwrap().dev(), device);
    assert_eq!(w.c("start -a again").ok(), "ran\n");
    w.c("rm again").ok();
    for name in ["far", "before"] {
        let unmount = || w.tool("fusermount3").arg("-u").arg(place(name).join("disk")).run();
        wait_for("squashfuse to let go of it", || unmount().code == 0);
    }
}

/// As when a file server forgets the file, or its mount is forced away: who reads gets an error, and nobody waits.
#[test]
fn a_disk_that_dies_under_its_containers_leaves_nothing_to_reset() {
    need!("subid", "fuse", "squashfuse", "mksquashfs", "fusermount3", "busybox", "tmpfs-xattr");
    let w = World::new();
    let place = |name: &str| w.dir.join("home").join(name);
    let (tree, far, file) = (place("tree"), place("far"), place("far/app.sqsh"));
    for dir in [tree.join("bin"), place("disk"), far.clone()] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::copy(crate::support::need::busybox().unwrap(), tree.join("bin/busybox")).unwrap();
    for name in ["sh", "sha256sum", "sleep", "true"] {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(name)).unwrap();
    }
    w.sh("head -c 24M /dev/urandom >$T/big").env("T", &tree).ok();
    let sum = w.tool("sha256sum").arg(tree.join("big")).ok();
    let sum = sum.split_whitespace().next().unwrap();
    w.tool("mksquashfs").arg(&tree).arg(place("disk/app.sqsh")).args(["-quiet", "-no-progress"]).ok();
    w.tool("mksquashfs").arg(place("disk")).arg(place("disk.sqsh")).args(["-quiet", "-no-progress"]).ok();
    let mounted = || {
        let served = w.tool("squashfuse").arg("-f").arg(place("disk.sqsh")).arg(&far).spawn();
        wait_for("the disk", || file.exists());
        served
    };
    let script = |script: &str| ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    let first = mounted();
    w.c("create --name again --network none").arg(&file).args(script("sha256sum </big")).ok();
    w.c("run -d --name old --network none").arg(&file).args(script("sleep 1000")).ok();
    let alone = w.c("run --rm --hpc").arg(&file).args(script("echo up; exec sleep 1000")).spawn();
    wait_for("the payload", || alone.so_far().0 == "up\n");
    w.tool("kill").args(["-KILL", &first.inner_pid().to_string()]).ok();
    first.wait();
    let read = w.c("exec old").args(script("sha256sum </big")).run();
    assert!(![0, 124].contains(&read.code) && !read.stdout.contains(sum), "{read:?}");
    assert_eq!(w.names(), ["again", "old"]);
    for line in ["run --rm --network none", "run --rm --hpc"] {
        let words = ["Error: ", "app.sqsh", "Caused by:", "ENOTCONN", "Hint: "];
        w.c(line).arg(&file).args(script("true")).run().says(125, &words);
    }
    w.c("start -a again").run().says(125, &["Error: ", "app.sqsh", "ENOTCONN", "Hint: "]);
    w.tool("fusermount3").arg("-uz").arg(&far).ok();
    let second = mounted();
    for line in ["run --rm --network none", "run --rm --hpc"] {
        assert!(w.c(line).arg(&file).args(script("sha256sum </big")).ok().starts_with(sum));
    }
    assert!(w.c("start -a again").ok().starts_with(sum));
    w.tool("kill").args(["-TERM", &alone.inner_pid().to_string()]).ok();
    assert_eq!(alone.wait().code, 128 + 15);
    w.c("rm -f -t 0 old again").ok();
    wait_for("squashfuse to let go of it", || w.tool("fusermount3").arg("-u").arg(&far).run().code == 0);
    second.wait();
}

/// What a start of `far/FILE` asks of the file system that `outer` is mounted as at `far`: its metadata operations by name,
/// and the number of its reads.
fn asked_of_the_file_system(w: &World, outer: &Path, far: &Path, file: &str) -> (Vec<String>, usize) {
    // Names and attributes are good for the whole test, as a parallel file system's are until somebody changes them.
    let cached = ["-f", "-d", "-o", "attr_timeout=600,entry_timeout=600"];
    let served = w.tool("squashfuse").args(cached).arg(outer).arg(far).spawn();
    wait_for("the shared disk", || served.so_far().1.contains("opcode: INIT"));
    w.run("").arg(far.join(file)).arg("true").ok();
    wait_for("squashfuse to let go of it", || w.tool("fusermount3").arg("-u").arg(far).run().code == 0);
    let said = served.wait().stderr;
    let names = said.lines().filter_map(|line| line.split("opcode: ").nth(1)?.split_whitespace().next());
    let asked: Vec<String> = names.filter(|name| *name != "INIT").map(str::to_owned).collect();
    let (reads, mut others): (Vec<String>, Vec<String>) = asked.into_iter().partition(|name| name == "READ");
    others.sort();
    (others, reads.len())
}

#[test]
fn a_start_asks_the_same_few_things_of_a_shared_disk_however_large_the_image_is() {
    need!("subid", "fuse", "squashfuse", "mksquashfs", "fusermount3", "busybox");
    let w = World::new();
    let [tree, disk, far] = ["tree", "disk", "far"].map(|name| w.dir.join("home").join(name));
    for dir in [&tree.join("bin"), &disk, &far] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::copy(crate::support::need::busybox().unwrap(), tree.join("bin/true")).unwrap();
    let squash = |name: &str| {
        let target = w.tool("mksquashfs").arg(&tree).arg(disk.join(name));
        target.args(["-quiet", "-no-progress", "-all-root"]).ok();
    };
    squash("small.sqsh");
    for number in 0..6000 {
        let dir = tree.join(format!("usr/share/{}", number / 100));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(number.to_string()), format!("{number} ").repeat(number % 400)).unwrap();
    }
    squash("large.sqsh");
    let outer = w.dir.join("home/outer.sqsh");
    w.tool("mksquashfs").arg(&disk).arg(&outer).args(["-quiet", "-no-progress"]).ok();
    let (small, few) = asked_of_the_file_system(&w, &outer, &far, "small.sqsh");
    let (large, more) = asked_of_the_file_system(&w, &outer, &far, "large.sqsh");
    // Opened to be checked, and by squashfuse: one look for the name, two times open and close. README states it.
    assert_eq!(small, ["FLUSH", "LOOKUP", "OPEN", "OPEN", "RELEASE", "RELEASE"]);
    assert_eq!(large, small);
    // The tables are read where the program's name leads: in steps of the system's read-ahead.
    assert!(few <= 32 && more <= few + 16, "{few} {more}");
}
