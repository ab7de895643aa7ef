//! Hostile bundles and payloads (T1, T2, T6, T10, T15-T17, T21 of the security rules). T22 is in `oci_seccomp`.
//!
//! A canary directory stands for the host: whatever happens inside, its listing stays the same.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::need;
use crate::support::{Bundle, Canary, Env};

/// CVE-2024-21626: a working directory through a descriptor that the runtime forgot to close.
#[test]
fn t1_no_working_directory_through_a_leaked_descriptor() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let canary = Canary::new(&env);
    let mut bundle = env.script("leak", "pwd; ls ../../../.. 2>/dev/null; ls");
    let inside = ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var"];
    for n in 0..24 {
        bundle.set("/process/cwd", json!(format!("/proc/self/fd/{n}")));
        let output = bundle.run();
        for name in output.stdout.lines().skip(1) {
            assert!(inside.contains(&name) || output.code != 0, "descriptor {n}: {output:#?}");
        }
    }
    let ctr = env.bundle("leakexec", &["sleep", "1000"]).start();
    for n in 0..24 {
        let output = env
            .oci()
            .args(["exec", "--cwd", &format!("/proc/self/fd/{n}"), &ctr.id, "ls", "/proc/self/cwd/../../.."])
            .run();
        for name in output.stdout.lines() {
            assert!(inside.contains(&name), "exec, descriptor {n}: {output:#?}");
        }
    }
    canary.check("a leaked descriptor");
}

#[test]
fn t2_exec_passes_no_descriptor_on() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let ctr = env.bundle("t2", &["sleep", "1000"]).start();
    let script = format!(
        "exec 9</etc 8</; exec {} --root {} exec {} sh -c 'cd /proc/$$/fd; echo *'",
        crate::support::need::runtime().unwrap().display(),
        env.dir.join("state").display(),
        ctr.id
    );
    // 3 is the directory that the shell reads.
    assert_eq!(env.tool("sh").arg("-c").arg(&script).ok(), "0 1 2 3\n");
}

/// CVE-2019-16884, 2019-19921, 2023-27561: a rootfs whose /proc or /sys leads elsewhere.
#[test]
fn t6_links_at_proc_and_sys_are_refused() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let canary = Canary::new(&env);
    let targets =
        [canary.dir.clone(), PathBuf::from("/tmp"), PathBuf::from("/sys"), PathBuf::from("../../canary")];
    for (n, name) in ["proc", "sys"].into_iter().enumerate() {
        for (m, target) in targets.iter().enumerate() {
            let bundle = env.bundle(&format!("t6-{n}{m}"), &["true"]);
            bundle.relink(name, target);
            bundle.run().fails();
            canary.check(&format!("/{name} -> {}", target.display()));
        }
    }
}

/// CVE-2026-41579, 2026-47766, 2026-88264: /dev and what is in it as links. (runc 1.1 loses this one, truly.)
#[test]
fn t10_links_at_dev_do_not_reach_the_host() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let canary = Canary::new(&env);
    let file = canary.dir.join("file");
    let cases: [(&str, &Path); 9] = [
        ("dev", &canary.dir),
        ("dev/null", &file),
        ("dev/console", &file),
        ("dev/ptmx", &file),
        ("dev/pts", &canary.dir),
        ("dev/shm", &canary.dir),
        ("dev/mqueue", &canary.dir),
        ("dev/fd", &canary.dir),
        ("dev/tty", &file),
    ];
    for (n, (name, target)) in cases.into_iter().enumerate() {
        for with_dev in [true, false] {
            let mut bundle = env.script(
                &format!("t10-{n}{with_dev}"),
                "echo x >/dev/null; echo x >/dev/tty; chmod 0 /dev/ptmx; true",
            );
            bundle.relink(name, target);
            if !with_dev {
                // Without a mount on /dev the devices would have to be made in the rootfs itself.
                let mounts = bundle.config["mounts"].as_array_mut().unwrap();
                mounts.retain(|mount| mount["destination"] != "/dev");
            }
            bundle.run();
            canary.check(&format!("/{name} -> {} (a mount on /dev: {with_dev})", target.display()));
        }
    }
}

/// Bind targets below links: nothing is created outside (CVE-2024-45310, 2026-87766).
#[test]
fn t12_targets_below_links_are_made_inside() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let canary = Canary::new(&env);
    let source = env.dir.join("source");
    std::fs::write(&source, "s").unwrap();
    for (n, target) in [canary.dir.clone(), PathBuf::from("../../../../../../../canary")].iter().enumerate() {
        let mut bundle = env.bundle(&format!("t12-{n}"), &["true"]);
        bundle.relink("etc/link", target);
        bundle.mount("/etc/link/new/file", "bind", &source, &["bind", "ro"]);
        bundle.run();
        canary.check("a bind's target");
    }
}

#[test]
fn t15_capabilities_are_exactly_the_configs() {
    need!("subid", "busybox", "runtime");
    let env = Env::in_store();
    let default = 0x800405fb_u64;
    let show = ["sh", "-c", "grep ^Cap /proc/self/status"];
    let parse = |text: &str| -> Vec<u64> {
        text.lines().map(|line| u64::from_str_radix(line.split('\t').nth(1).unwrap(), 16).unwrap()).collect()
    };
    // Inheritable, permitted, effective, bounding, ambient.
    let root = env.bundle("t15-root", &show);
    assert_eq!(parse(&root.run().ok()), [0, default, default, default, 0]);

    let mut user = env.bundle("t15-user", &show);
    user.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    user.set("/process/capabilities/effective", json!([])).set("/process/capabilities/permitted", json!([]));
    assert_eq!(parse(&user.run().ok()), [0, 0, 0, default, 0]);

    let mut none = env.bundle("t15-none", &show);
    none.remove("/process/capabilities");
    assert_eq!(parse(&none.run().ok()), [0, 0, 0, 0, 0]);

    let ctr = env.bundle("t15-exec", &["sleep", "1000"]).start();
    assert_eq!(parse(&ctr.exec(&show).ok()), [0, default, default, default, 0]);
    let as_user = parse(&env.oci().args(["exec", "--user", "1000:1000", &ctr.id]).args(show).ok());
    assert_eq!((as_user[0], as_user[1], as_user[2], as_user[4]), (0, 0, 0, 0), "{as_user:x?}");
}

/// runtime-spec, config.md: what "cannot be mapped to a relevant kernel interface" is a warning; granted it is never.
#[test]
fn t16_an_unknown_capability_is_not_passed_over_in_silence() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    for name in ["CAP_FOO", "FOO", "CAP_", "CAP_CHOWN "] {
        let mut bundle = env.bundle("t16", &["grep", "CapBnd", "/proc/self/status"]);
        bundle.set("/process/capabilities", json!({"bounding": [name]}));
        let output = bundle.run();
        let warning = format!("ignoring unknown or unavailable capabilities: [{name}]");
        assert!(output.stderr.contains(&warning), "{output:#?}");
        assert_eq!(output.exits(0).stdout, "CapBnd:\t0000000000000000\n", "{name}");
    }
    // The others of its set are there, and an exec hears of it too. A name that is not the kernel's is none.
    let mut bundle = env.bundle("t16-others", &["sleep", "1000"]);
    bundle.set("/process/capabilities", json!({"bounding": ["CAP_KILL", "chown", "CAP_CAP_CHOWN"]}));
    let ctr = bundle.start();
    let show = ["grep", "CapBnd", "/proc/self/status"];
    assert_eq!(ctr.exec(&show).ok(), "CapBnd:\t0000000000000020\n");
    let process = env.dir.join("process.json");
    let document =
        json!({"args": show, "cwd": "/", "env": ["PATH=/bin"], "capabilities": {"bounding": ["FOO"]}});
    std::fs::write(&process, document.to_string()).unwrap();
    let output = env.oci().args(["exec", "--process"]).arg(&process).arg(&ctr.id).run();
    assert!(output.stderr.contains("capabilities: [FOO]"), "{output:#?}");
    assert_eq!(output.exits(0).stdout, "CapBnd:\t0000000000000000\n");
    let output = env.oci().args(["exec", "--cap", "FOO", "--cap", "CAP_CHOWN", &ctr.id]).args(show).run();
    assert!(output.stderr.contains("capabilities: [FOO]"), "{output:#?}");
    assert_eq!(output.exits(0).stdout, "CapBnd:\t0000000000000021\n");
}

/// CVE-2016-3697, 2026-30892: a user is exactly the number that was typed, or an error; never 0 by accident.
#[test]
fn t17_exec_takes_a_user_as_typed() {
    need!("subid", "busybox", "coracle-oci");
    let env = Env::in_store();
    let ctr = env.bundle("t17", &["sleep", "1000"]).start();
    let id = |user: &str| {
        env.oci().args(["exec", "--user", user, &ctr.id, "sh", "-c", "echo $(id -u):$(id -g)"]).run()
    };
    for (user, expected) in [("1", "1:0\n"), ("1:2", "1:2\n"), ("65535", "65535:0\n"), ("0", "0:0\n")] {
        assert_eq!(id(user).exits(0).stdout, expected, "{user}");
    }
    let wrong = [
        "+1",
        "-1",
        "1:",
        ":1",
        "1:+1",
        "4294967295",
        "4294967296",
        "2147483648",
        "99999999999999999999",
        "1000x",
        "٣",
        "",
        " 1",
        "1 ",
        "0x1",
        "1e3",
        "65536",
    ];
    for user in wrong {
        let output = id(user);
        assert!(output.code != 0 && output.stdout.is_empty(), "{user:?}: {output:#?}");
    }
    assert!(["1:0\n", ""].contains(&id("01").stdout.as_str()));
}

#[test]
fn t21_no_new_privileges_stops_setuid_programs() {
    need!("subid", "busybox", "runtime");
    let env = Env::in_store();
    let mut bundle = env.bundle("t21", &[]);
    // Not busybox: it gives setuid up by itself.
    let program = bundle.rootfs().join("bin/euid");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    env.tool("chmod").arg("4755").arg(&program).ok();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})).probe("euid");
    bundle.set("/process/args/0", json!("/bin/euid"));
    let euid = |bundle: &Bundle<'_>| {
        let out = bundle.run().ok();
        out.lines().find_map(|line| line.strip_prefix("probe euid ").map(str::to_owned)).unwrap()
    };
    assert_eq!(euid(&bundle), "1000");
    bundle.set("/process/noNewPrivileges", json!(false));
    assert_eq!(euid(&bundle), "0");
}

/// The runtime's own program cannot be written to from inside (CVE-2019-5736).
#[test]
fn t3_the_runtime_is_not_writable_through_proc_exe() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let runtime = crate::support::need::runtime().unwrap();
    let before = std::fs::read(&runtime).unwrap();
    let attack = "i=0; while [ $i -lt 300 ]; do for p in /proc/[0-9]*/exe; do (echo pwned >>$p) 2>/dev/null && readlink $p; done; i=$((i+1)); done; true";
    let ctr = env.script("t3", attack).start();
    for _ in 0..30 {
        ctr.exec(&["/proc/self/exe", "true"]).run();
    }
    ctr.wait_stopped();
    let out = ctr.stdout();
    assert!(!out.contains("coracle") && !out.contains("runc") && !out.contains("crun"), "{out}");
    assert!(std::fs::read(&runtime).unwrap() == before, "the runtime's program has changed");
}
