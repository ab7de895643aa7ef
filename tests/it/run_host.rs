//! `host:`, the sandbox that needs no image and no registry.

use crate::need;
use crate::support::World;

#[test]
fn runs_the_hosts_programs() {
    need!("subid");
    let w = World::new();
    let out = w.c("run --rm host: sh -c").arg("id -u; ls /; cat /etc/passwd | head -1").ok();
    let mut lines = out.lines();
    assert_eq!(lines.next(), Some("0"), "{out}");
    for dir in ["bin", "dev", "etc", "proc", "sys", "tmp", "usr"] {
        assert!(out.lines().any(|line| line == dir), "no /{dir}: {out}");
    }
    assert!(out.lines().any(|line| line.starts_with("root:")), "{out}");
}

#[test]
fn what_is_the_users_own_is_not_there() {
    need!("subid");
    let w = World::new();
    std::fs::write(w.dir.join("home/secret"), "x").unwrap();
    w.c("run --rm host: cat").arg(w.dir.join("home/secret")).run().exits(1);
    let out = w.c("run --rm host: sh -c").arg("ls -A /home /tmp /run /root").ok();
    assert!(!out.contains("secret") && !out.contains("cit"), "{out}");
    // The shadow file of the host, and its other secrets, stay out.
    w.c("run --rm host: sh -c").arg("test ! -s /etc/shadow").ok();
}

#[test]
fn the_hosts_files_cannot_be_written() {
    need!("subid");
    let w = World::new();
    let out =
        w.c("run --rm host: sh -c").arg("touch /usr/x || echo refused; rm -f /usr/bin/env || echo kept").ok();
    assert_eq!(out, "refused\nkept\n");
    // What is its own can.
    w.c("run --rm host: sh -c").arg("for d in /tmp /run /home /root; do touch $d/x || exit 1; done").ok();
}

#[test]
fn has_namespaces_of_its_own_and_no_network() {
    need!("subid");
    let w = World::new();
    let out = w
        .c("run --rm --hostname box host: sh -c")
        .arg("hostname; ls /proc | grep -c '^[0-9]'; ls /sys/class/net")
        .ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.first(), Some(&"box"), "{out}");
    assert!(lines.get(1).unwrap().parse::<u32>().unwrap() < 8, "{out}");
    assert_eq!(lines.get(2..), Some(&["lo"][..]), "{out}");
}

#[test]
fn default_seccomp_and_capabilities() {
    need!("subid");
    let w = World::new();
    let out = w.c("run --rm host: grep -E").arg("^(Seccomp|CapBnd):").arg("/proc/self/status").ok();
    assert!(out.contains("Seccomp:\t2"), "{out}");
    assert!(out.contains("CapBnd:\t00000000800405fb"), "{out}");
}

#[test]
fn exit_codes() {
    need!("subid");
    let w = World::new();
    w.c("run --rm host: sh -c").arg("exit 7").run().exits(7);
    w.c("run --rm host: no-such-program").run().exits(127);
    w.c("run --rm host: /etc/passwd").run().exits(126);
    w.c("run --rm --init host: sh -c").arg("kill -9 $$").run().exits(137);
}

#[test]
fn works_detached_and_with_exec() {
    need!("subid");
    let w = World::new();
    w.start("h", "host: sleep 1000");
    assert_eq!(w.c("exec h echo hi").ok(), "hi\n");
    w.c("exec h sh -c").arg("echo kept >/tmp/f").ok();
    w.c("restart -t 0 h").ok();
    w.c("stop -t 0 h").ok();
    assert_eq!(w.status("h"), "exited");
}

#[test]
fn rootfs_directory() {
    need!("subid", "busybox");
    let w = World::new();
    let root = w.dir.join("home/rootfs");
    std::fs::create_dir_all(root.join("bin")).unwrap();
    std::fs::copy(crate::support::need::busybox().unwrap(), root.join("bin/sh")).unwrap();
    let out =
        w.run("--rootfs").arg(&root).args(["sh", "-c", "echo made >/made; echo $0; exit 3"]).run().exits(3);
    assert_eq!(out.stdout, "sh\n");
    // It is used as it is.
    assert_eq!(std::fs::read_to_string(root.join("made")).unwrap(), "made\n");
}
