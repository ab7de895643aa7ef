//! What the payload's file system is like: mounts and their flags, devices, masks, read-only parts.

use std::path::Path;

use serde_json::json;

use crate::support::{Env, need};

#[test]
fn tmpfs_and_its_options() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.script(
        "tmpfs",
        "stat -c '%a %F' /mnt; grep ' /mnt ' /proc/mounts | cut -d' ' -f3,4; echo '#!/bin/sh' >/mnt/x; chmod +x /mnt/x; /mnt/x; echo $?; \
         dd if=/dev/zero of=/mnt/big bs=1k count=2000 2>/dev/null; echo $?",
    );
    bundle.mount("/mnt", "tmpfs", Path::new("tmpfs"), &["nosuid", "nodev", "noexec", "mode=1750", "size=1m"]);
    let output = bundle.run();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[0], "1750 directory");
    for word in ["tmpfs ", "nosuid", "nodev", "noexec", "size=1024k", "mode=1750"] {
        assert!(lines[1].contains(word), "{word}: {}", lines[1]);
    }
    assert_eq!(lines[2..], ["126", "1"]);
}

#[test]
fn a_bind_is_what_its_options_say() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let source = env.dir.join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("f"), "from host\n").unwrap();
    let mut bundle = env.script(
        "bind",
        "cat /rw/f; echo inside >/rw/g; cat /ro/f; echo no >/ro/h; echo $?; cat /one; echo more >>/one",
    );
    bundle.mount("/rw", "bind", &source, &["rbind", "nosuid", "nodev"]);
    bundle.mount("/ro", "none", &source, &["bind", "ro"]);
    bundle.mount("/one", "bind", &source.join("f"), &["bind"]);
    let output = bundle.run().exits(0);
    assert_eq!(output.stdout, "from host\nfrom host\n1\nfrom host\n");
    assert!(output.stderr.contains("Read-only file system"), "{}", output.stderr);
    assert_eq!(std::fs::read_to_string(source.join("f")).unwrap(), "from host\nmore\n");
    assert_eq!(std::fs::read_to_string(source.join("g")).unwrap(), "inside\n");
    assert!(!source.join("h").exists());
}

#[test]
fn mounts_are_made_in_their_order() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let source = env.dir.join("source");
    std::fs::create_dir(&source).unwrap();
    let mut bundle = env.script("order", "ls /a; ls /a/b; grep -c ' /a' /proc/mounts");
    bundle.mount("/a", "tmpfs", Path::new("tmpfs"), &[]);
    bundle.mount("/a/b/c", "bind", &source, &["bind"]);
    assert_eq!(bundle.run().ok(), "b\nc\n2\n");
}

#[test]
fn a_missing_source_is_named() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("nosource", &["true"]);
    let missing = env.dir.join("nosuch");
    bundle.mount("/mnt", "bind", &missing, &["bind"]);
    let words = bundle.run().fails();
    assert!(words.contains("nosuch"), "{words}");
}

#[test]
fn an_unknown_filesystem_or_option_is_an_error() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("fs", &["true"]);
    bundle.mount("/mnt", "nosuchfs", Path::new("x"), &[]);
    bundle.run().fails();
    let mut bundle = env.bundle("option", &["true"]);
    bundle.mount("/mnt", "tmpfs", Path::new("x"), &["nosuchoption=1"]);
    bundle.run().fails();
}

#[test]
fn a_read_only_root_is_read_only_and_its_mounts_are_not() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle =
        env.script("roroot", "touch /f; echo $?; touch /mnt/f; echo $?; touch /dev/shm/f; echo $?");
    bundle.set("/root/readonly", json!(true)).mount("/mnt", "tmpfs", Path::new("tmpfs"), &[]);
    std::fs::create_dir(bundle.rootfs().join("mnt")).unwrap();
    assert_eq!(bundle.run().exits(0).stdout, "1\n0\n0\n");
}

#[test]
fn the_standard_devices_are_there_and_work() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let script = "cd /dev; for d in null zero full random urandom tty; do stat -c '%n %F' $d; done; \
        for l in fd stdin stdout stderr; do readlink $l; done; head -c 4 zero | od -An -tx1; head -c 8 urandom | wc -c; \
        echo x >null; echo $?; echo x >full; echo $?; ls -d pts shm mqueue; test -c ptmx; echo $?; grep -c ' /dev ' /proc/mounts";
    let output = env.script("devices", script).run();
    let expected = "null character special file\nzero character special file\nfull character special file\n\
        random character special file\nurandom character special file\ntty character special file\n\
        /proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n 00 00 00 00\n8\n0\n1\nmqueue\npts\nshm\n0\n1\n";
    assert_eq!(output.stdout, expected, "{}", output.stderr);
}

#[test]
fn masked_paths_are_empty_and_read_only_ones_refuse() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let script = "cat /proc/kcore | wc -c; cat /proc/keys; ls /sys/firmware | wc -l; ls -A /secret; cat /etc/secret; \
        (echo h >/proc/sysrq-trigger) 2>/dev/null; echo $?; (echo 1 >/proc/sys/net/ipv4/ip_forward) 2>/dev/null; echo $?; touch /fixed/f; echo $?";
    let mut bundle = env.script("masks", script);
    std::fs::create_dir(bundle.rootfs().join("secret")).unwrap();
    std::fs::create_dir(bundle.rootfs().join("fixed")).unwrap();
    std::fs::write(bundle.rootfs().join("secret/f"), "s").unwrap();
    std::fs::write(bundle.rootfs().join("etc/secret"), "s").unwrap();
    for path in ["/secret", "/etc/secret", "/not/there"] {
        bundle.push("/linux/maskedPaths", json!(path));
    }
    for path in ["/fixed", "/not/there/either"] {
        bundle.push("/linux/readonlyPaths", json!(path));
    }
    let output = bundle.run();
    assert_eq!(output.stdout, "0\n0\n1\n1\n1\n", "{}", output.stderr);
}

#[test]
fn the_hosts_mounts_are_not_seen() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let output = env.bundle("hostmounts", &["cat", "/proc/self/mountinfo"]).run().ok();
    // Fields 4 and 5: the root within the filesystem, and where it is.
    let points: Vec<&str> = output.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    assert_eq!(points[0], "/");
    let known = ["/", "/proc", "/dev", "/sys"];
    for point in &points {
        assert!(
            known.iter().any(|k| point == k || (*k != "/" && point.starts_with(&format!("{k}/")))),
            "{output}"
        );
    }
    // No mount of the container can travel to the host, nor the other way.
    assert!(!output.contains("shared:"), "{output}");
}

#[test]
fn a_mount_never_reaches_the_host() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let shared = env.dir.join("shared");
    std::fs::create_dir(&shared).unwrap();
    let mut bundle = env.script("propagate", "mount -t tmpfs x /shared && echo mounted");
    for set in ["bounding", "effective", "permitted"] {
        bundle.push(&format!("/process/capabilities/{set}"), json!("CAP_SYS_ADMIN"));
    }
    bundle.mount("/shared", "bind", &shared, &["rbind", "rslave"]);
    assert_eq!(bundle.run().ok(), "mounted\n");
    assert!(!std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(shared.to_str().unwrap()));
}

/// A source in the rootfs is what the mounts before it have made of it; a destination may begin with the path of the rootfs.
#[test]
fn a_source_in_the_rootfs_shows_earlier_mounts() {
    need!("userns", "busybox", "runtime");
    // crun takes all sources before it makes the first mount.
    if need::runtime().unwrap().ends_with("crun") {
        return;
    }
    let env = Env::new();
    let source = env.dir.join("source");
    std::fs::create_dir_all(source.join("x")).unwrap();
    std::fs::write(source.join("x/file"), "from host\n").unwrap();
    let mut bundle =
        env.script("order", "cat /final/x/file; cat /mnt/again/file; grep -c ' /final ' /proc/mounts");
    let rootfs = bundle.rootfs();
    std::fs::create_dir(rootfs.join("mnt")).unwrap();
    std::fs::create_dir(source.join("again")).unwrap();
    bundle.mount("/mnt", "bind", &source, &["bind"]);
    bundle.mount(rootfs.join("mnt/again").to_str().unwrap(), "bind", &rootfs.join("mnt/x"), &["bind"]);
    bundle.mount("/final", "bind", &rootfs.join("mnt"), &["rbind", "ro"]);
    assert_eq!(bundle.run().ok(), "from host\nfrom host\n1\n");
}

/// Without a mode of its own, a tmpfs hides that it is there: what may be done at /tmp may be done afterwards.
#[test]
fn a_tmpfs_without_a_mode_takes_over_that_of_its_directory() {
    need!("userns", "busybox", "runtime");
    // crun 1.8 does not.
    if need::runtime().unwrap().ends_with("crun") {
        return;
    }
    let env = Env::new();
    let mut bundle = env.script("inherit", "stat -c %a /dir /new");
    let dir = bundle.rootfs().join("dir");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o2710)).unwrap();
    for place in ["/dir", "/new"] {
        bundle.mount(place, "tmpfs", Path::new("tmpfs"), &["nosuid"]);
    }
    assert_eq!(bundle.run().ok(), "2710\n1777\n");
}

/// Distributions make /etc/resolv.conf a link into /run, which is empty in an image.
#[test]
fn a_bind_goes_through_links_to_what_is_not_there() {
    need!("userns", "busybox", "runtime");
    // crun makes nothing behind a link.
    if need::runtime().unwrap().ends_with("crun") {
        return;
    }
    let env = Env::new();
    let source = env.dir.join("source");
    std::fs::write(&source, "from host\n").unwrap();
    let mut bundle = env.script("dangling", "cat /run/deep/er/resolv.conf /etc/resolv.conf");
    let link = |text: &str, name: &str| {
        let link = bundle.rootfs().join(name);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(text, link).unwrap();
    };
    link("/run/deep", "jump");
    link("../jump/er/resolv.conf", "etc/resolv.conf");
    bundle.mount("/etc/resolv.conf", "bind", &source, &["bind", "ro"]);
    assert_eq!(bundle.run().ok(), "from host\nfrom host\n");
    // And never out of the rootfs.
    let mut bundle = env.script("out", "cat /out");
    let outside = env.dir.join("outside/file");
    let text = format!("../../../../../..{}", outside.display());
    std::os::unix::fs::symlink(text, bundle.rootfs().join("out")).unwrap();
    bundle.mount("/out", "bind", &source, &["bind"]);
    assert_eq!(bundle.run().ok(), "from host\n");
    assert!(!outside.parent().unwrap().exists());
}

/// mount_namespaces(7): flags "become locked when propagated from a more privileged to a less privileged mount namespace, and
/// may not be changed in the less privileged mount namespace".
#[test]
fn a_bind_that_names_attributes_has_no_others() {
    need!("subid", "busybox", "runtime");
    let env = Env::in_store();
    let source = env.dir.join("source");
    std::fs::create_dir(&source).unwrap();
    env.tool("mount").args(["-t", "tmpfs", "-o", "nosuid,nodev,noexec", "x"]).arg(&source).ok();
    let flags = "grep ' /mnt ' /proc/mounts | cut -d' ' -f4 | grep -oE '\\b(ro|nosuid|nodev|noexec)\\b' | tr '\\n' ' '";
    let shown = |name: &str, options: &[&str], own_user: bool| {
        let mut bundle = env.script(name, flags);
        bundle.mount("/mnt", "bind", &source, options);
        if !own_user {
            bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
            bundle.set(
                "/linux/namespaces",
                json!(["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({"type": kind}))),
            );
        }
        bundle.run()
    };
    // crun clears without being told to.
    if !need::runtime().unwrap().ends_with("crun") {
        assert_eq!(shown("none", &["bind"], false).ok(), "nosuid nodev noexec ");
    }
    assert_eq!(shown("some", &["bind", "ro"], false).ok(), "ro ");
    // As runc from 1.2 on: a word that clears counts too, what is locked stays, and is not taken off in silence.
    if need::runtime().unwrap().ends_with("coracle-oci") {
        assert_eq!(shown("clear", &["bind", "suid"], false).ok(), "");
        assert_eq!(shown("user", &["bind", "ro"], true).ok(), "ro nosuid nodev noexec ");
        let words = shown("locked", &["bind", "suid"], true).fails();
        assert!(words.contains("EPERM"), "{words}");
    }
    env.tool("umount").arg(&source).ok();
}

/// What the kernel has locked, for a user without any other privilege.
#[test]
fn a_bind_cannot_take_off_what_is_locked() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let locked = Path::new("/proc");
    let mut bundle = env.script("exec", "grep ' /mnt ' /proc/mounts");
    bundle.mount("/mnt", "bind", locked, &["rbind", "exec", "nodev"]);
    let words = bundle.run().fails();
    assert!(words.contains("/proc on /mnt") && words.contains("EPERM"), "{words}");
}

/// Links in a destination are followed inside the rootfs, never out of it.
#[test]
fn links_in_a_destination_stay_inside() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let canary = env.dir.join("canary");
    std::fs::create_dir(&canary).unwrap();
    for (name, target) in
        [("absolute", canary.to_str().unwrap()), ("dots", "../../../../../../canary"), ("loop", "loop")]
    {
        let mut bundle = env.script(name, "grep -c ' /canary\\| /tmp/' /proc/mounts");
        std::os::unix::fs::symlink(target, bundle.rootfs().join(name)).unwrap();
        bundle.mount(&format!("/{name}/deep"), "tmpfs", Path::new("tmpfs"), &[]);
        bundle.run();
        assert_eq!(std::fs::read_dir(&canary).unwrap().count(), 0, "{name} reached the host");
    }
}

#[test]
fn fifty_binds_and_their_flags() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let source = env.dir.join("source");
    std::fs::create_dir(&source).unwrap();
    let mut bundle = env.script(
        "fifty",
        "grep -c ' /m/' /proc/mounts; grep ' /m/' /proc/mounts | grep -c '[ ,]ro,'; touch /m/1/f && ls /m/50",
    );
    for n in 0..50 {
        let flags: &[&str] = if n % 2 == 0 { &["bind", "ro"] } else { &["bind", "rw"] };
        bundle.mount(&format!("/m/{n}"), "bind", &source, flags);
    }
    bundle.mount("/m/50", "bind", &source, &["bind", "ro"]);
    assert_eq!(bundle.run().ok(), "51\n26\nf\n");
}
