//! `run` of an image: mounts, capabilities, user namespaces, limits.

use std::os::unix::fs::MetadataExt;

use crate::need;
use crate::support::World;

#[test]
fn bind_mounts() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let dir = w.dir.join("home/src");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("f"), "of the host\n").unwrap();
    let at = |options: &str| format!("{}:/src{options}", dir.display());
    assert_eq!(w.run("-v").arg(at(":ro")).args(["bb", "cat", "/src/f"]).ok(), "of the host\n");
    w.run("-v").arg(at(":ro")).args(["bb", "touch", "/src/g"]).run().exits(1);
    w.run("-v").arg(at("")).args(["bb", "touch", "/src/g"]).ok();
    // Root inside is the user outside.
    assert_eq!(std::fs::metadata(dir.join("g")).unwrap().uid(), rustix::process::getuid().as_raw());
    let mount = format!("type=bind,source={},target=/m,ro", dir.display());
    assert_eq!(w.run("--mount").arg(mount).args(["bb", "cat", "/m/f"]).ok(), "of the host\n");
    // One file, and a relative path.
    let file = format!("{}:/etc/one", dir.join("f").display());
    assert_eq!(w.run("-v").arg(file).args(["bb", "cat", "/etc/one"]).ok(), "of the host\n");
    assert_eq!(w.run("-v ./f:/one bb cat /one").cwd(&dir).ok(), "of the host\n");
}

#[test]
fn named_volumes() {
    need!("subid", "registry");
    let w = World::with_busybox();
    // The image's content at that place, owners too, fills a new volume; once.
    assert_eq!(w.run("-v v:/home bb stat -c %u /home/user").ok(), "1000\n");
    w.run("-v v:/home bb touch /home/user/mine").ok();
    assert_eq!(w.run("-v v:/data:ro bb ls /data/user").ok(), "mine\n");
    w.run("-v v:/data:ro bb touch /data/x").run().exits(1);
    w.run("-v empty:/home:nocopy bb ls -A /home").ok();
    assert_eq!(w.run("-v empty:/x bb ls -A /x").ok(), "");
    assert_eq!(w.c("volume ls -q").ok(), "empty\nv\n");
}

#[test]
fn anonymous_volumes_go_with_rm() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.run("-v /anon bb touch /anon/f").ok();
    assert_eq!(w.c("volume ls -q").ok(), "");
    w.start("k", "-v /anon bb sleep 1000");
    assert_eq!(w.c("volume ls -q").ok().lines().count(), 1);
    w.c("rm -f -t 0 -v k").ok();
    assert_eq!(w.c("volume ls -q").ok(), "");
}

#[test]
fn capabilities() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let effective = |flags: &str| {
        let out = w.run(flags).args(["bb", "grep", "CapEff", "/proc/self/status"]).ok();
        u64::from_str_radix(out.trim().rsplit('\t').next().unwrap(), 16).unwrap()
    };
    let default = effective("");
    assert_eq!(default, 0x8004_05fb, "podman's eleven");
    assert_eq!(effective("--cap-drop all"), 0);
    assert_eq!(effective("--cap-drop all --cap-add chown"), 1);
    assert_eq!(effective("--cap-drop CAP_CHOWN"), default & !1);
    assert_eq!(effective("--cap-add NET_ADMIN"), default | 1 << 12);
    assert!(effective("--privileged").count_ones() >= 40);
    w.run("--cap-drop all bb chown 1:1 /tmp").run().exits(1);
}

#[test]
fn privileged_and_security_options() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let line = |flags: &str, name: &str| {
        let out = w.run(flags).args(["bb", "grep", name, "/proc/self/status"]).ok();
        out.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(line("", "Seccomp:"), "2");
    assert_eq!(line("--security-opt seccomp=unconfined", "Seccomp:"), "0");
    assert_eq!(line("--privileged", "Seccomp:"), "0");
    assert_eq!(line("--security-opt no-new-privileges", "NoNewPrivs:"), "1");
    w.script(
        "--privileged bb",
        "mount -t tmpfs t /mnt 2>/dev/null || { mkdir /mnt; mount -t tmpfs t /mnt; }",
    )
    .ok();
    w.script("bb", "mkdir /mnt; mount -t tmpfs t /mnt").run().exits(1);
}

#[test]
fn keep_id() {
    need!("subid", "registry", "fuse", "fuse-overlayfs");
    let w = World::with_busybox();
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let dir = w.dir.join("home/work");
    std::fs::create_dir(&dir).unwrap();
    let mount = format!("{}:/data", dir.display());
    let out = w
        .c("run --rm --network none --userns keep-id -v")
        .arg(&mount)
        .args([
            "bb",
            "sh",
            "-c",
            "id -u; id -g; touch /data/f; stat -c %u /bin/busybox; stat -c %u /home/user",
        ])
        .ok();
    assert_eq!(out, format!("{uid}\n{gid}\n0\n1000\n"));
    assert_eq!(std::fs::metadata(dir.join("f")).unwrap().uid(), uid);
    assert_eq!(w.run("--userns keep-id:uid=1000,gid=1000 bb id -u").ok(), "1000\n");
    assert_eq!(w.run("--userns keep-id -u 0 bb id -u").ok(), "0\n");
    // One has one's name, a group and a home, unless the image gives the number to somebody; nothing changes for others.
    let name = w.tool("id").arg("-un").ok();
    let look =
        "id -un; id -gn; echo $HOME; grep -c : /etc/passwd; ls -ln /etc/passwd | awk '{ print $3, $4 }'";
    let expected = format!("{0}\n{0}\n/data\n4\n0 0\n", name.trim());
    for line in ["--read-only -w /data", "-w /data"] {
        assert_eq!(w.script(&format!("--userns keep-id -v {mount} {line} bb"), look).ok(), expected);
    }
    assert_eq!(
        w.script("--userns keep-id:uid=1000,gid=1000 bb", "id -un; echo $HOME").ok(),
        "user\n/home/user\n"
    );
    assert_eq!(w.run("--userns keep-id:uid=4711,gid=10 bb id -gn").ok(), "wheel\n");
    let home = w.dir.join("home").display().to_string();
    assert_eq!(
        w.script(&format!("--userns keep-id -v {home}:{home} bb"), "echo $HOME").ok(),
        format!("{home}\n")
    );
    w.c("run -d --network none --userns keep-id --name k bb sleep 1000").ok();
    w.c("restart -t 0 k").ok();
    assert_eq!(w.c("exec k id -un").ok(), name);
}

#[test]
fn keep_id_without_fuse_is_a_copy() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let look = "id -u; id -g; stat -c %u:%g /bin/busybox /home/user /; stat -c %u /; echo x >/home/user/mine";
    w.c("--storage-driver vfs create --network none --userns keep-id -u 0 --name k bb sh -c").arg(look).ok();
    assert_eq!(w.c("start -a k").ok(), "0\n0\n0:0\n1000:1000\n0:0\n0\n");
    // What it wrote stays, and comes out as the user's.
    let file = w.dir.join("home/mine");
    w.c("cp k:/home/user/mine").arg(&file).ok();
    assert_eq!(std::fs::metadata(&file).unwrap().uid(), uid);
    assert_eq!(
        w.c("--storage-driver vfs run --rm --network none --userns keep-id bb sh -c")
            .arg("id -u; id -g")
            .ok(),
        format!("{uid}\n{gid}\n")
    );
    // In the store's namespace /dev/fuse can be hidden: the kernel's overlay is there, and fuse-overlayfs does not serve.
    let hidden = "mount --bind /dev/null /dev/fuse && $C run --rm --network none --userns keep-id:uid=4711,gid=4712 bb \
                  sh -c 'id -u; id -g; stat -c %u:%g /bin/busybox /home/user'";
    let script = "hidden=$0; exec $C unshare unshare --mount sh -c \"$hidden\"";
    let run = || {
        w.tool("bash")
            .env("C", crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle")))
            .args(["-c", script, hidden])
            .run()
    };
    let out = run().exits(0);
    assert_eq!(out.stdout, "4711\n4712\n0:0\n1000:1000\n");
    assert!(out.stderr.contains("gets a copy of the image"), "said once: {out:?}");
    assert_eq!(run().stderr, "", "and only once");
}

#[test]
fn ulimits_and_other_limits() {
    need!("subid", "registry");
    let w = World::with_busybox();
    assert_eq!(w.script("--ulimit nofile=100:200 bb", "ulimit -Sn; ulimit -Hn").ok(), "100\n200\n");
    assert_eq!(w.script("--ulimit core=0 bb", "ulimit -c").ok(), "0\n");
    assert_eq!(w.script("--umask 0077 bb", "umask").ok(), "0077\n");
    assert_eq!(w.script("--shm-size 1m bb", "df -k /dev/shm | tail -1 | awk '{print $2}'").ok(), "1024\n");
    assert_eq!(w.script("--oom-score-adj 500 bb", "cat /proc/self/oom_score_adj").ok(), "500\n");
    assert_eq!(
        w.script("--sysctl net.ipv4.ip_default_ttl=77 bb", "cat /proc/sys/net/ipv4/ip_default_ttl").ok(),
        "77\n"
    );
}

#[test]
fn a_limit_that_cannot_be_kept_is_refused() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let out = w.run("--memory 64m bb true").run();
    // With the controller delegated it works; without, it is said before the start.
    if out.code != 0 {
        out.says(125, &["Error: ", "memory", "Hint: "]);
    }
    w.run("--memory 64m --cgroups=disabled bb true").run().says(125, &["Error: "]);
}

#[test]
fn the_default_limit_of_processes_is_left_out_where_it_cannot_be_kept() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let pids_max = "cat /sys/fs/cgroup/pids.max 2>/dev/null || echo none";
    let limited = w.script("--pids-limit 5 bb", pids_max).run();
    let default = w.script("bb", pids_max).ok();
    if limited.code == 0 {
        assert_eq!((limited.stdout.as_str(), default.as_str()), ("5\n", "2048\n"));
    } else {
        limited.says(125, &["Error: ", "pids", "Hint: "]);
        assert_eq!(default, "none\n");
    }
}

#[test]
fn limits_of_disk_traffic_are_checked_before_the_start() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.run("--device-read-bps /dev/null:1mb bb true").run().says(125, &["/dev/null", "no block device"]);
    w.run("--device-write-iops /dev/sda:1mb bb true")
        .run()
        .says(125, &["--device-write-iops", "not a number"]);
    w.run("--device-read-iops sda:1 bb true").run().says(125, &["below /dev"]);
    w.run("--blkio-weight 5 bb true").run().says(125, &["--blkio-weight"]);
}

#[test]
fn limits_are_changed_for_the_next_start() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("create --name u --network none bb true").ok();
    w.c("update u").run().says(125, &["no limit given"]);
    w.c("update --memory 64m nobody").run().says(125, &["no such container"]);
    w.c("update --restart always u").run().says(125, &["--restart is not supported"]);
    w.c("update --memory 64m --pids-limit 9 u").ok();
    let format = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}";
    assert_eq!(w.c("inspect --format").arg(format).arg("u").ok(), "67108864 9\n");
    let other = w.c("create --name n --cgroups=disabled --network none bb true").ok();
    w.c("update --memory 64m").arg(other.trim()).run().says(125, &["--cgroups=disabled"]);
}

#[test]
fn volume_from_a_link_stays_inside() {
    need!("subid", "registry");
    let w = World::with_busybox();
    // A link in the rootfs that points out leads nowhere else than into the rootfs.
    w.start("l", "-v v:/data bb sleep 1000");
    w.c("exec l sh -c").arg("ln -s / /data/root; ln -s ../../../../../../etc/hostname /data/up").ok();
    let out = w.dir.join("home/out");
    std::fs::create_dir(&out).unwrap();
    w.c("cp l:/data/up").arg(&out).run();
    assert_eq!(w.run("-v v:/data bb ls /data/root/bin/busybox").ok(), "/data/root/bin/busybox\n");
}
