//! A store that an administrator fills for all users, and what others, who can map none of its ids, have of it.

use std::path::PathBuf;

use crate::images::{LIST, check_tree};
use crate::need;
use crate::support::{Cmd, World};

/// The test's user is the administrator.
struct Site {
    w: World,
    /// With the store, and the programs, in a place that all may enter.
    dir: PathBuf,
}

impl Site {
    /// With these images of the fixtures, in a store for all if `shared`.
    fn new(images: &[&str], shared: bool) -> Self {
        let w = World::new();
        let dir = w.dir.join("site");
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        for (name, built) in
            [("coracle", env!("CARGO_BIN_EXE_coracle")), ("coracle-oci", env!("CARGO_BIN_EXE_coracle-oci"))]
        {
            std::fs::copy(crate::support::need::program(name, built), dir.join("bin").join(name)).unwrap();
        }
        let site = Self { w, dir };
        if shared {
            site.admin("system share").ok();
        }
        for name in images {
            let id = site.admin("pull -q").arg(format!("oci:{}:latest", World::layout(name))).ok();
            site.admin("tag").args([id.trim(), name]).ok();
        }
        site
    }

    /// `coracle --root STORE LINE`.
    fn admin(&self, line: &str) -> Cmd {
        self.w.c("--root").arg(self.dir.join("store")).args(line.split_whitespace())
    }

    /// A script of somebody else's, whose disk with the store is mounted read-only at /mnt/site. `c` is coracle.
    ///
    /// That is root of a user namespace with the test user's subordinate ids alone, or its user 1500, who has no others.
    fn other(&self, lone: bool, script: &str) -> Cmd {
        let user = if lone { "setpriv --reuid 1500 --regid 1500 --clear-groups" } else { "" };
        let script = format!("c() {{ $C --storage-opt additionalimagestore=$S \"$@\"; }}\n{script}");
        let prepare = format!(
            "set -e; mount -t tmpfs -o mode=755 other /mnt; mkdir /mnt/site /mnt/home /mnt/home/run
             mount --bind . /mnt/site; mount -o remount,bind,ro /mnt/site; cd /mnt
             {} exec {user} bash -c \"$0\"",
            if lone { "chown -R 1500:1500 /mnt/home;" } else { "" }
        );
        let mut cmd = self.w.tool("unshare");
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "DBUS_SESSION_BUS_ADDRESS"] {
            cmd = cmd.env(name, "");
        }
        cmd.env("HOME", "/mnt/home")
            .env("XDG_RUNTIME_DIR", "/mnt/home/run")
            .env("C", "/mnt/site/bin/coracle")
            .env("S", "/mnt/site/store")
            .cwd(&self.dir)
            .args(["--user", "--map-users", "auto", "--map-groups", "auto", "--setuid", "0", "--setgid", "0"])
            .args(["--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "--kill-child"])
            .args(["bash", "-c", &prepare, &script])
    }

    /// Every file of the store, with what is known of it.
    fn files(&self) -> String {
        let script =
            format!("find {} -printf '%P %U %m %s %T@ %C@\\n' | sort", self.dir.join("store").display());
        self.w.sh(&script).ok()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.w.c("unshare rm -rf").arg(&self.dir).run();
    }
}

#[test]
fn its_images_are_everybodys_with_the_right_owners() {
    need!("subid", "images", "fuse", "fuse-overlayfs", "setpriv");
    let site = Site::new(&["debian", "layers"], true);
    let before = site.files();
    let owners = "stat -c '%u:%g %a' /etc/shadow /tmp /root /usr/bin/passwd /bin /var/mail";
    let debian = "0:42 640\n0:0 1777\n0:0 700\n0:0 4755\n0:0 777\n0:8 2775\n";
    let script = format!(
        "set -e; c images --format '{{{{.Repository}}}} {{{{.ReadOnly}}}}' | sort; c images | head -1
         c run --rm --network none debian sh -c \"{owners}\"
         c run --name w --network none debian sh -c 'rm -r /usr/share/doc; mkdir /usr/share/doc; chown 33:33 /usr/share/doc;
           mv /etc/passwd /etc/p; sed -i s/root/toor/ /etc/p; ln -s p /etc/passwd; stat -c %u:%g /etc/p; chmod u-s /bin/su'
         c start -a w 2>/dev/null || :; c run --rm --network none debian sh -c 'ls /usr/share/doc | grep -c .; stat -c %a /bin/su'
         c rm -f w >/dev/null; test -z \"$(ls /mnt/home/.local/share/coracle/layers 2>/dev/null)\""
    );
    let out = site.other(false, &script).ok();
    let rest = out.strip_prefix("localhost/debian true\nlocalhost/layers true\nREPOSITORY").expect(&out);
    let rest = rest.split_once("R/O\n").expect(&out).1;
    let rest = rest.strip_prefix(debian).expect(&out);
    let rest = rest.strip_prefix("0:0\n").expect(&out);
    assert!(rest.trim_end().ends_with("4755") && !rest.starts_with("0\n"), "{out}");
    // Whiteouts, hard links and the rest are as in an own store; of a symlink and a fifo the owner cannot
    // be stated, and nobody's is root's.
    let list = site
        .other(false, &format!("c run --rm --network none layers sh -c '{}'", LIST.replace('\'', "'\\''")));
    check_tree("a shared store", &list.ok(), |line| {
        let mut words: Vec<&str> = line.split('\t').collect();
        if matches!(words[1], "symlink" | "fifo") || words[3] == "65534:65534" {
            words[3] = "0:0";
        }
        if words[1] == "fifo" {
            words[2] = "644";
        }
        words.join("\t")
    });
    // Also with shifted ids, with one id, and as a copy.
    let keep = format!("c run --rm --userns keep-id --network none debian sh -c \"{owners}\" | tail -1");
    assert_eq!(site.other(false, &keep).ok(), "0:8 2775\n");
    let copy = format!("c --storage-driver vfs run --rm --network none debian sh -c \"{owners}\"");
    assert_eq!(site.other(false, &copy).ok(), debian);
    let lone = format!(
        "c run --rm --network none debian sh -c \"{owners}; touch /etc/x; chown 7 /etc/x; stat -c %u /etc/x\""
    );
    assert_eq!(site.other(true, &lone).ok(), debian.replace(":42", ":0").replace(":8", ":0") + "7\n");
    assert_eq!(site.files(), before, "nothing was written into it");
}

#[test]
fn what_is_in_it_is_only_read() {
    need!("subid", "images", "fuse", "fuse-overlayfs", "setpriv", "squashfuse", "mksquashfs");
    let site = Site::new(&["busybox"], true);
    let before = site.files();
    let refused = |verb: &str, line: &str| {
        site.other(false, &format!("c {line}")).run().says(
            125,
            &[
                &format!("Error: cannot {verb} image busybox\n"),
                "Caused by: it is in /mnt/site/store, a store that is only read",
                "Hint: ",
                "coracle --root /mnt/site/store ",
            ],
        );
    };
    refused("remove", "rmi busybox");
    refused("remove", "rmi -f busybox");
    refused("name", "tag busybox mine");
    refused("take names from", "untag busybox");
    let script = "set -e; c rmi --all; c image prune -af; c system prune -af; c system check
        c images -q | wc -l; c images -q --filter readonly=false | wc -l; c image exists busybox; c history -q busybox
        c inspect --format '{{.GraphDriver.Data.UpperDir}}' busybox | cut -d/ -f1-5
        c pull -q --policy missing busybox; c image squash busybox app.sqsh; c run --rm --network none ./app.sqsh echo file
        c bundle busybox b; ls b/rootfs/bin/sh";
    let out = site.other(false, script).ok();
    let id = site.admin("images -q").ok();
    let id = id.trim();
    let full = site.admin("images -q --no-trunc").ok();
    let full = full.trim().trim_start_matches("sha256:");
    assert!(out.contains("no problems found\n1\n0\n"), "{out}");
    assert!(
        out.ends_with(&format!("{id}\n/mnt/site/store/layers\n{full}\nfile\nb/rootfs/bin/sh\n")),
        "{out}"
    );
    // One's own of the same name comes first, and can go.
    let own = format!(
        "set -e; id=$(c pull -q oci:{}:latest); c tag $id busybox
         c images --format '{{{{.ReadOnly}}}}' busybox | sort; c run --rm --network none busybox grep -c ' / overlay ' /proc/mounts
         c rmi -f $id >/dev/null; c images --format '{{{{.ReadOnly}}}}'; c run --rm --network none busybox grep -c ' / fuse.fuse-overlayfs ' /proc/mounts",
        World::layout("zstd")
    );
    assert_eq!(site.other(false, &own).ok(), "false\ntrue\n1\ntrue\n1\n");
    assert_eq!(site.files(), before, "nothing was written into it");
    // Who fills it changes it as ever, and runs from it as everybody does.
    assert_eq!(site.admin("run --rm --network none busybox stat -c %u /bin").ok(), "0\n");
    site.admin("rmi busybox").ok();
    let gone = site.other(false, "c run --rm --pull=never busybox true").run();
    assert!(gone.code == 125 && gone.stderr.contains("image busybox is not here"), "{gone:?}");
}

#[test]
fn files_of_configuration_lead_to_it() {
    need!("subid", "images", "fuse", "fuse-overlayfs", "setpriv");
    let site = Site::new(&["busybox"], true);
    let conf = "mkdir -p /mnt/home/.config/containers; conf() { echo '[storage.options]
        additionalimagestores = ['\"$1\"']' >/mnt/home/.config/containers/storage.conf; }";
    // podman's own, which are none of coracle's, and places that are not there on this machine say nothing.
    let script = format!(
        "set -e; {conf}; mkdir -p /mnt/podman/overlay-images; ln -s $S /mnt/site2
         conf '\"/mnt/podman\", \"/no/such\", \"'$S'\"'; $C images --format '{{{{.ReadOnly}}}}'; $C run --rm --network none busybox echo ran
         mkdir /mnt/both; ln -s $S /mnt/both/coracle; conf '\"/mnt/both\"'; $C images -q | wc -l
         conf 3 || :; $C images"
    );
    let run = site.other(false, &script).run();
    assert!(run.stdout.starts_with("true\nran\n1\n"), "{run:?}");
    run.says(125, &["Error: cannot use /mnt/home/.config/containers/storage.conf", "additionalimagestores"]);
    // The administrator's file, and a store that is missing: said where it was looked for in vain.
    let script = "set -e; mkdir -p /mnt/etc/coracle /mnt/work; cp /etc/passwd /etc/group /mnt/etc
        echo 'stores = [\"/mnt/gone\", \"'$S'\"]' >/mnt/etc/coracle/site.toml; mount --bind /mnt/etc /etc
        $C images -q | wc -l; $C run --rm --network none busybox echo ran";
    let run = site.other(false, script).run();
    assert!(run.code == 0 && run.stdout.starts_with("1\nran\n"), "{run:?}");
    assert!(run.stderr.contains("Warning: cannot use the image store /mnt/gone: open("), "{run:?}");
}

#[test]
fn what_cannot_be_one_says_why() {
    need!("subid", "images", "overlay", "setpriv");
    // Unpacked for its owner alone, and then opened to everybody by hand.
    let site = Site::new(&["busybox"], false);
    let closed = site.other(false, "c images").run();
    assert!(closed.code == 0 && closed.stderr.contains("EACCES"), "{closed:?}");
    site.w.c("unshare chmod -R a+rX").arg(site.dir.join("store")).ok();
    site.other(false, "c run --rm --network none busybox true").run().says(
        125,
        &[
            "Error: cannot use image busybox\n",
            "owners that are nobody's in your user namespace",
            "Hint: Ask whoever fills it",
            "coracle --root /mnt/site/store system share",
        ],
    );
    site.admin("system share")
        .run()
        .says(125, &["Error: cannot share the store ", "it has images already", "Hint: ", "rmi --all"]);
    // One's own on another disk needs nothing of this: the kernel shows it.
    let own = |line: &str| {
        let store = format!("additionalimagestore={}", site.dir.join("store").display());
        site.w.c("--storage-opt").arg(store).args(line.split_whitespace())
    };
    assert_eq!(own("run --rm --network none busybox grep -c ./.overlay. /proc/mounts").ok(), "1\n");
    own("rmi busybox").run().says(125, &["a store that is only read"]);
    own("ps --storage-opt size=1")
        .run()
        .says(125, &["--storage-opt size is not supported", "additionalimagestore"]);
    // Whoever could write it could have everybody run anything.
    site.w.sh("chmod o+w \"$0\"").arg(site.dir.join("store")).ok();
    let open = own("images").run();
    assert!(open.stderr.contains("everybody may write it (mode 0757)"), "{open:?}");
    site.w.sh("chmod o-w \"$0\"").arg(site.dir.join("store")).ok();
    // A file system on which nothing can be stated.
    let script = format!(
        "mkdir /mnt/ram; mount -t ramfs r /mnt/ram; chmod 700 /mnt/ram; $C --root /mnt/ram/s system share
         $C --root /mnt/ram/s pull oci:{}:latest",
        World::layout("busybox")
    );
    let run = site.other(false, &script).run();
    assert!(run.stderr.contains("Warning: others cannot enter /mnt/ram, and so not the store"), "{run:?}");
    run.says(125, &["Error: ", "fsetxattr", "Hint: A store for all users needs", "coracle image squash"]);
}

/// What is in a store is its owner's word: a link there leads nowhere but into it, and nobody waits for a pipe.
#[test]
fn links_and_pipes_in_it_reach_no_file_of_whoever_uses_it() {
    need!("subid", "images", "fuse", "fuse-overlayfs", "setpriv");
    let site = Site::new(&["layers"], true);
    let store = site.dir.join("store");
    let records = |dir: &str| -> Vec<PathBuf> {
        std::fs::read_dir(store.join(dir)).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let record = std::fs::read(&records("images")[0]).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let middle = record["layers"][1].as_str().unwrap();
    let links: Vec<PathBuf> = records("l");
    let is_middle = |link: &&PathBuf| std::fs::read_link(link).unwrap().to_string_lossy().contains(middle);
    let short = links.iter().find(is_middle).unwrap();
    let private = "mkdir -m 700 /mnt/home/private; echo of-mine >/mnt/home/private/key";
    let run = format!("{private}; c run --rm --network none layers cat /key");
    std::fs::remove_file(short).unwrap();
    std::os::unix::fs::symlink("/mnt/home/private", short).unwrap();
    let out = site.other(false, &run).run();
    assert!(out.code == 1 && !out.stdout.contains("of-mine"), "{out:?}");
    let diff = store.join("layers/sha256").join(middle).join("diff");
    std::fs::rename(&diff, diff.with_file_name("away")).unwrap();
    std::os::unix::fs::symlink("/mnt/home/private", &diff).unwrap();
    for driver in ["fuse-overlayfs", "vfs"] {
        let run = run.replace("c run", &format!("c --storage-driver {driver} run"));
        let out = site.other(false, &run).run();
        assert!(!out.stdout.contains("of-mine"), "{out:?}");
        out.says(125, &["Error: ", middle, "Hint: "]);
    }
    let config = records("images")[0].file_stem().unwrap().to_owned();
    let config = store.join("blobs/sha256").join(config);
    std::fs::remove_file(&config).unwrap();
    site.w.tool("mkfifo").arg(&config).ok();
    site.other(false, "timeout 20 $C --storage-opt additionalimagestore=$S images")
        .run()
        .says(125, &["Error: cannot use image ", "is damaged", "Hint: "]);
}
