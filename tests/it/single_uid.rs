//! A user without subordinate ids, as on most clusters: one id is mapped, and that must be enough.

use std::path::{Path, PathBuf};

use crate::need;
use crate::support::{Cmd, World};

/// `coracle LINE` as a user who is in no /etc/subuid.
fn alone(w: &World, line: &str) -> Cmd {
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    alone_with(w, &program).args(line.split_whitespace())
}

/// Any program as such a user: in a namespace of mounts where the file is empty, as oneself.
pub fn alone_with(w: &World, program: &Path) -> Cmd {
    let script = "mount --bind /dev/null /etc/subuid && mount --bind /dev/null /etc/subgid && \
                  exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all \"$@\"";
    w.tool("unshare")
        .args(["--user", "--map-current-user", "--keep-caps", "--mount", "--propagation", "private"])
        .args(["sh", "-c", script, "sh"])
        .arg(program)
}

/// The user's image, by its id and as one file.
pub fn image_and_file(w: &World, alone: &dyn Fn() -> Cmd) -> (String, PathBuf) {
    alone().args(["pull", "-q"]).arg(format!("oci:{}:latest", World::layout("busybox"))).ok();
    let image = alone().args(["images", "-q"]).ok().trim().to_owned();
    let file = w.dir.join("home/app.sqsh");
    alone().args(["image", "squash", &image]).arg(&file).ok();
    (image, file)
}

#[test]
fn packages_whose_files_have_other_owners_install() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    alone(&w, "pull -q").arg(format!("oci:{}:latest", World::layout("debian"))).ok();
    let image = alone(&w, "images -q").ok();
    // A package as openssh-client is one: a group of its own, a program that is setgid to it, directories of its user.
    let build = "set -e; cd /tmp; mkdir -p p/DEBIAN p/usr/bin p/var/lib/story; cp /bin/true p/usr/bin/story
        printf 'Package: story\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: x\\n' > p/DEBIAN/control
        printf '#!/bin/sh\\nset -e\\ngroupadd -r storyg\\nuseradd -r -g storyg story\\nchgrp storyg /usr/bin/story\\n' > p/DEBIAN/postinst
        printf 'chmod 2755 /usr/bin/story\\nchown -R story:storyg /var/lib/story\\nmknod /var/lib/story/null c 1 3\\n' >> p/DEBIAN/postinst
        printf 'setpriv --reuid story --regid storyg --clear-groups true\\n' >> p/DEBIAN/postinst
        chmod 755 p/DEBIAN/postinst; dpkg-deb -b p story.deb
        apt-get install -y ./story.deb
        dpkg -s story | grep Status; stat -c '%a %U' /usr/bin/story; mkfifo f; stat -c %F f";
    let out = alone(&w, "run --rm --network none").arg(image.trim()).args(["sh", "-c", build]).run();
    let text = out.ok();
    assert!(text.contains("Status: install ok installed\n2755 root\nfifo\n"), "{text}");
    // Who wants the kernel's own answers gets them.
    let honest = alone(&w, "run --rm --network none --security-opt seccomp=unconfined").arg(image.trim());
    honest.args(["chown", "www-data", "/etc/hostname"]).run().exits(1);
    alone(&w, "rmi --all --force").ok();
}

#[test]
fn an_image_in_one_file_runs_and_keeps_its_owners() {
    need!("subid", "images", "fuse", "squashfuse", "mksquashfs", "setpriv");
    let w = World::new();
    alone(&w, "pull -q").arg(format!("oci:{}:latest", World::layout("busybox"))).ok();
    let image = alone(&w, "images -q").ok();
    let file = w.dir.join("home/alone.sqsh");
    alone(&w, "image squash").arg(image.trim()).arg(&file).ok();
    // Owners could not be set on the files of the layers; in the file they are the image's.
    let list = w.tool("unsquashfs").args(["-lln", "-q"]).arg(&file).ok();
    assert!(
        list.lines().any(|l| l.contains("1000/1000") && l.ends_with("squashfs-root/home/user")),
        "{list}"
    );
    let out = alone(&w, "run --rm --network none")
        .arg(&file)
        .args(["sh", "-c", "id -u; echo x > /etc/x; cat /etc/x"])
        .ok();
    assert_eq!(out, "0\nx\n");
    // With a number of one's own the files are as much one's own as without.
    for image in [image.trim(), file.to_str().unwrap()] {
        let out = alone(&w, "run --rm --network none --userns keep-id:uid=1000,gid=1000")
            .args([image, "sh", "-c", "id -u; stat -c %u:%g /etc; echo x > /etc/x; cat /etc/x"])
            .ok();
        assert_eq!(out, "1000\n1000:1000\nx\n", "{image}");
    }
    alone(&w, "rmi --all --force").ok();
}

#[test]
fn a_box_with_a_root_of_ones_own() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    alone(&w, "pull -q").arg(format!("oci:{}:latest", World::layout("debian"))).ok();
    let image = alone(&w, "images -q").ok();
    let name = w.tool("id").arg("-un").ok();
    // Each time another namespace around it, as the lane makes it: what one starts, another may not look into.
    let in_box = |script: &str| {
        let seen = alone(&w, "toolbox run s sh -c").arg(script).run();
        alone(&w, "toolbox stop s").ok();
        seen
    };
    let made = alone(&w, "toolbox create -i").arg(image.trim()).arg("s").run();
    assert!(made.code == 0 && made.stderr.contains("only your own user id is mapped"), "{made:#?}");
    let home = w.dir.join("home");
    let seen = in_box(
        "id -un; cd; pwd; echo x >made; sudo id -u; sudo sh -c 'echo new >/etc/new; stat -c %U /etc/new'",
    );
    assert_eq!(
        seen.stdout,
        format!(
            "{name}{0}
0
root
",
            home.display()
        ),
        "{seen:#?}"
    );
    assert!(home.join("made").exists());
    assert_eq!(
        in_box("cat /etc/new; exit 5").exits(5).stdout,
        "new
"
    );
    let build = "set -e; cd /tmp; d=$(mktemp -d); mkdir -p $d/DEBIAN $d/var/lib/story
        printf 'Package: story\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n' >$d/DEBIAN/control
        printf '#!/bin/sh\nchown daemon:daemon /var/lib/story\n' >$d/DEBIAN/postinst; chmod 755 $d $d/DEBIAN $d/DEBIAN/postinst
        dpkg-deb -b $d $d.deb >/dev/null; sudo dpkg -i $d.deb >/dev/null; dpkg -s story | grep Status; rm -r $d $d.deb";
    assert_eq!(
        in_box(build).stdout,
        "Status: install ok installed
"
    );
    in_box("sudo -u daemon id").says(125, &["Error: sudo: cannot become another user", "Hint: "]);
    alone(&w, "toolbox create --init -i").arg(image.trim()).arg("t").run().says(
        125,
        &[
            "Error: a box cannot have an init here",
            "Caused by: an init needs a root",
            "Hint: Leave out --init",
        ],
    );
    alone(&w, "toolbox rm --force s").ok();
    alone(&w, "rmi --all --force").ok();
}

/// No other owner has a number here: neither the host's root, nor whom an archive names.
#[test]
fn files_are_copied_in() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    alone(&w, "pull -q").arg(format!("oci:{}:latest", World::layout("busybox"))).ok();
    let image = alone(&w, "images -q").ok();
    alone(&w, "create --network none --name c")
        .arg(image.trim())
        .args(["stat", "-c", "%u:%g", "/x/passwd", "/x/f"])
        .ok();
    alone(&w, "cp /etc/passwd c:/x/").run().says(125, &["Error: there is no directory"]);
    w.sh("mkdir -p $HOME/x; cd $HOME; echo f >x/f; tar c x >t.tar").ok();
    let archive = std::fs::read(w.dir.join("home/t.tar")).unwrap();
    alone(&w, "cp - c:/").stdin(archive).ok();
    alone(&w, "cp /etc/passwd c:/x/").ok();
    assert_eq!(alone(&w, "start -a c").ok(), "0:0\n0:0\n");
    alone(&w, "rm --all --force").ok();
    alone(&w, "rmi --all --force").ok();
}

/// A process that joins the container is cloned by a stage: the runtime hears of it first, however fast it is.
#[test]
fn a_rank_that_is_faster_than_its_stage() {
    need!("subid", "images", "fuse", "squashfuse", "mksquashfs", "setpriv", "strace");
    let w = World::new();
    let (_, file) = image_and_file(&w, &|| alone(&w, ""));
    let slow = [
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=sendto",
        "-e",
        "inject=sendto:delay_enter=100000:when=1",
    ];
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let ranks =
        alone_with(&w, Path::new("strace")).args(slow).arg(program).args(["fanout", "-n", "2"]).arg(file);
    assert_eq!(ranks.args(["--", "echo", "x"]).ok(), "x\nx\n");
    alone(&w, "rmi --all --force").ok();
}
