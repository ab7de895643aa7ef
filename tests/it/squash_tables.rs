//! What is read from the tables of an image in one file: whose its files are, for a user with one id, and what is there before
//! it is mounted.

use std::path::Path;

use crate::need;
use crate::single_uid::alone_with;
use crate::support::{Cmd, World};

const NAME: &str = "data/many/a-file-with-a-name-of-some-length";

/// A small system with a directory of more names than one metadata block has room for, and files of other owners.
fn tree(w: &World) {
    let at = |path: &str| w.dir.join("home/tree").join(path);
    let (_, image) = (w.pull("busybox", "bb"), w.dir.join("home/bb.sqsh"));
    w.c("image squash bb").arg(&image).ok();
    w.tool("unsquashfs").args(["-q", "-n", "-no-xattrs", "-d"]).arg(at("")).arg(&image).args(["bin"]).ok();
    for dir in ["etc", "tmp", "usr/lib", "data/many"] {
        std::fs::create_dir_all(at(dir)).unwrap();
    }
    for n in 0..2000 {
        std::fs::write(at(&format!("{NAME}-{n}")), "").unwrap();
    }
    std::fs::write(at("etc/others"), "x").unwrap();
    std::os::unix::fs::symlink("/data/../data", at("usr/lib/link")).unwrap();
    let owners = format!("etc/others m 640 0 42\n{NAME}-1999 m 644 1000 70000\nusr/lib m 755 7 8\n");
    std::fs::write(w.dir.join("home/owners"), owners).unwrap();
}

/// It as a squashfs, in which all else is root's.
fn pack(w: &World, name: &str, flags: &str) -> std::path::PathBuf {
    let home = w.dir.join("home");
    let packer = ["--user", "--map-root-user", "mksquashfs"];
    w.tool("unshare")
        .args(packer)
        .arg(home.join("tree"))
        .arg(home.join(name))
        .args(["-noappend", "-quiet", "-no-progress", "-pf"])
        .arg(home.join("owners"))
        .args(flags.split_whitespace())
        .ok();
    home.join(name)
}

fn run(w: &World, image: &Path, flags: &str) -> Cmd {
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    alone_with(w, &program)
        .args(["run", "--rm", "-q", "--network", "none"])
        .args(flags.split_whitespace())
        .arg(image)
}

#[test]
fn files_have_the_owners_that_the_file_says() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "setpriv");
    let w = World::new();
    tree(&w);
    let look = format!("stat -c %u:%g,%a /etc/others /{NAME}-1999 /{NAME}-0 /usr/lib /usr/lib/link");
    let told = "0:42,640\n1000:70000,644\n0:0,644\n7:8,755\n0:0,777\n";
    for flags in ["-comp gzip", "-comp zstd -b 4096", "-comp zstd -noI -noId", "-no-exports -no-fragments"] {
        let image = pack(&w, "app.sqsh", flags);
        assert_eq!(run(&w, &image, "").args(["sh", "-c", &look]).ok(), told, "{flags}");
    }
    // What has been given away belongs to whom it was given.
    let given =
        "chown 0:0 /etc/others; stat -c %u:%g /etc/others; rm -f /tmp/x; : >/tmp/x; stat -c %u:%g /tmp/x";
    let image = pack(&w, "app.sqsh", "-comp zstd");
    assert_eq!(run(&w, &image, "").args(["sh", "-c", given]).ok(), "0:0\n0:0\n");
    // Of a compression that is not known nothing is said.
    let image = pack(&w, "app.sqsh", "-comp xz");
    assert_eq!(run(&w, &image, "").args(["stat", "-c", "%g", "/etc/others"]).ok(), "65534\n");
}

#[test]
fn a_working_directory_has_to_be_there() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let w = World::new();
    tree(&w);
    for (packed, alone) in [("-comp gzip", ""), ("-comp zstd", "--hpc")] {
        let image = pack(&w, "app.sqsh", packed);
        let at = |dir: &str| w.run(alone).args(["-w", dir]).arg(&image).arg("pwd").run();
        assert_eq!(at("/data/many").ok(), "/data/many\n");
        assert_eq!(at("/usr/lib/link/./many/..").ok(), "/data\n");
        assert_eq!(at("/tmp/new").ok(), "/tmp/new\n");
        at("/data/none")
            .says(126, &["workdir \"/data/none\" does not exist in", "Hint: Make it in the image"]);
        at("/etc/others").says(126, &["workdir \"/etc/others\" is not a directory in"]);
    }
    // Where it cannot be known it is made, and where one was made before it is there.
    let image = pack(&w, "app.sqsh", "-comp zstd");
    let above = w.dir.join("home/above");
    std::fs::create_dir(&above).unwrap();
    let kept = || w.run("--overlay").arg(&above);
    kept().arg(&image).args(["mkdir", "/made"]).ok();
    assert_eq!(kept().args(["-w", "/made"]).arg(&image).arg("pwd").ok(), "/made\n");
    let image = pack(&w, "app.sqsh", "-comp xz");
    assert_eq!(w.run("-w /data/none").arg(&image).arg("pwd").ok(), "/data/none\n");
}
