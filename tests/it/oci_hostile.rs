//! Hostile bundles, payloads and neighbours, further: T4, T6, T8, T9, T23 and T24 of the security rules. The others are in
//! `oci_security` and `oci_escape`.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use crate::need;
use crate::support::{Canary, Env, Terminal, wait_for};

/// T4: whoever is in the container watches the processes that join it, and finds nothing of the host in them.
#[test]
fn t4_a_joining_process_shows_nothing_of_the_host() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let watch = "while :; do for p in /proc/[0-9]*; do \
        for f in $p/cwd $p/root $p/exe $p/fd/*; do readlink $f; done 2>/dev/null; ls $p/cwd/ $p/root/ $p/fd/*/ 2>/dev/null; done; done >/tmp/seen";
    let ctr = env.script("t4", watch).start();
    let tries = if std::env::var("CORACLE_TEST_TIER").as_deref() == Ok("full") { 500 } else { 60 };
    for _ in 0..tries {
        ctr.exec(&["true"]).ok();
    }
    ctr.kill("KILL");
    ctr.wait_stopped();
    let seen = std::fs::read_to_string(env.dir.join("bundles/t4/rootfs/tmp/seen")).unwrap();
    // Its own stdout and stderr, which are the caller's.
    let given = env.dir.join("out").to_str().unwrap().to_owned();
    let seen: String =
        seen.lines().filter(|line| !line.starts_with(&given)).map(|line| format!("{line}\n")).collect();
    assert!(seen.lines().any(|line| line == "/bin/busybox"), "it saw nothing at all");
    // Names that only the host has: of its directories, of the test's own, of the runtime.
    let tag = env.tag.as_str();
    for name in
        ["bundles", "coracle", "runc", "crun", "home", "boot", "config.json", "init.lock", "state.json", tag]
    {
        let shown =
            seen.lines().find(|line| line.split('/').any(|part| part == name || part.starts_with("coracle")));
        assert_eq!(shown, None, "it saw {name}");
    }
}

/// T6: every combination of /proc, /sys, /dev and /etc as links, and the directories below /dev.
#[test]
fn t6_every_combination_of_links() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let canary = Canary::new(&env);
    let names = ["proc", "sys", "dev", "etc"];
    for which in 1..16_u32 {
        let chosen: Vec<&str> = (0..4).filter(|n| which & (1 << n) != 0).map(|n| names[n]).collect();
        for (n, target) in [canary.dir.clone(), "/tmp".into(), "../../../canary".into()].iter().enumerate() {
            let bundle = env.bundle(&format!("t6-{which}-{n}"), &["true"]);
            if chosen.contains(&"etc") {
                std::fs::remove_dir_all(bundle.rootfs().join("etc")).unwrap();
            }
            for name in &chosen {
                bundle.relink(name, target);
            }
            let output = bundle.run();
            canary.check(&format!("{chosen:?} -> {}", target.display()));
            let refused: Vec<_> = chosen.iter().filter(|name| **name != "etc").collect();
            if refused.is_empty() {
                output.ok();
                continue;
            }
            let words = output.fails();
            assert!(refused.iter().any(|name| words.contains(&format!("/{name}"))), "{chosen:?}: {words}");
        }
    }
    // The kernel's own places below each other, and loops.
    for (n, (name, target)) in
        [("proc", "/sys"), ("sys", "/proc"), ("proc", "proc"), ("dev", "/proc/self"), ("sys", "/dev/shm")]
            .iter()
            .enumerate()
    {
        let bundle = env.bundle(&format!("t6-own{n}"), &["true"]);
        bundle.relink(name, Path::new(target));
        let words = bundle.run().fails();
        assert!(words.contains(&format!("/{name}")), "/{name} -> {target}: {words}");
    }
    // What the image has below /dev is covered by the mount on /dev.
    for (n, name) in ["dev/pts", "dev/shm", "dev/mqueue", "dev/null", "dev/console"].iter().enumerate() {
        let bundle = env.script(&format!("t6-dev{n}"), "echo x >/dev/null; ls /dev/pts /dev/shm; true");
        bundle.relink(name, &canary.dir);
        bundle.run().ok();
        canary.check(name);
    }
}

/// T8: the terminal is a terminal, whatever /dev/console and /dev/pts were made to be, also while it is being opened.
#[test]
fn t8_the_console_is_a_terminal() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let canary = Canary::new(&env);
    // Major numbers 136 to 143, in hexadecimal.
    let script = "stat -L -c %t /dev/console /proc/self/fd/0";
    for (n, with_dev) in [true, false].into_iter().enumerate() {
        for (m, name) in ["dev/console", "dev/pts", "dev/ptmx", "dev"].iter().enumerate() {
            let mut bundle = env.script(&format!("t8-{n}{m}"), script);
            bundle.set("/process/terminal", json!(true));
            bundle.relink(name, &canary.dir.join(if *name == "dev/console" { "file" } else { "deep" }));
            if !with_dev {
                bundle.config["mounts"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|mount| mount["destination"] != "/dev");
            }
            let output = bundle.run();
            canary.check(&format!("/{name} (a mount on /dev: {with_dev})"));
            let all = output.stdout.split_whitespace().all(|major| major.starts_with('8'));
            assert!(output.code != 0 || all && !output.stdout.trim().is_empty(), "/{name}: {output:#?}");
        }
    }
}

/// T9: a /proc that is none: labels and sysctls are not written into it.
#[test]
fn t9_nothing_is_written_to_a_false_proc() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let fake = env.dir.join("fake");
    for dir in ["self/attr/apparmor", "thread-self/attr", "sys/net/ipv4", "self/fd"] {
        std::fs::create_dir_all(fake.join(dir)).unwrap();
    }
    let files = [
        "self/attr/exec",
        "self/attr/apparmor/exec",
        "self/attr/current",
        "thread-self/attr/exec",
        "thread-self/attr/current",
        "sys/net/ipv4/ip_forward",
        "self/setgroups",
        "self/oom_score_adj",
    ];
    for file in files {
        std::fs::write(fake.join(file), "untouched").unwrap();
    }
    for (n, pointer) in
        ["/process/apparmorProfile", "/process/selinuxLabel", "/linux/sysctl"].iter().enumerate()
    {
        for (m, kind) in ["bind", "tmpfs"].iter().enumerate() {
            let mut bundle = env.bundle(&format!("t9-{n}{m}"), &["echo", "it ran"]);
            bundle.config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/proc");
            bundle.config["linux"]["maskedPaths"] = json!([]);
            bundle.config["linux"]["readonlyPaths"] = json!([]);
            let options: &[&str] = if *kind == "bind" { &["rbind"] } else { &[] };
            bundle.mount("/proc", kind, &fake, options);
            let sysctl = json!({"net.ipv4.ip_forward": "1"});
            bundle.set(pointer, if n == 2 { sysctl } else { json!("profile") });
            bundle.set("/process/oomScoreAdj", json!(500));
            let output = bundle.run();
            assert!(!output.stdout.contains("it ran"), "{pointer} was passed over: {output:#?}");
            output.fails();
            for file in files {
                assert_eq!(
                    std::fs::read_to_string(fake.join(file)).unwrap(),
                    "untouched",
                    "{file}, {pointer}"
                );
            }
        }
    }
}

/// T23: without a filter, too, nobody types into the terminal that the runtime was started from.
#[test]
fn t23_nothing_is_typed_for_the_caller() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.bundle("t23", &[]);
    bundle.probe("push");
    let terminal = Terminal::start(bundle.run_cmd());
    terminal.sees("push /dev/console");
    terminal.sees("test result");
    let (code, shown) = terminal.wait();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("PUSHED"), "{shown}");
    for line in shown.lines().filter(|line| line.starts_with("push ")) {
        let what = line.split_whitespace().nth(2).unwrap();
        assert!(what != "0", "{line}: {shown}");
    }
}

/// T24: a cgroup path stays below where containers go, and is never the runtime's own cgroup: `delete` kills all in it.
#[test]
fn t24_cgroup_paths_stay_below() {
    need!("userns", "busybox", "coracle-oci", "cgroup");
    let env = Env::new();
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned();
    let above = Path::new(&own).parent().unwrap().to_str().unwrap().to_owned();
    let tag = env.tag.as_str();
    let paths = [
        "..".to_owned(),
        format!("../{tag}"),
        format!("a/../../{tag}"),
        format!("/../{tag}"),
        format!("/{tag}/../../x"),
        ".".to_owned(),
        "/".to_owned(),
        "./.".to_owned(),
        "//".to_owned(),
        own,
        above,
    ];
    for (n, path) in paths.iter().enumerate() {
        let mut bundle = env.bundle(&format!("t24-{n}"), &["sleep", "1000"]);
        bundle.set("/linux/cgroupsPath", json!(path));
        let words = bundle.create_cmd().fails();
        assert!(words.contains("cgroupsPath"), "{path}: {words}");
        env.oci().args(["delete", "--force", &bundle.id]).ok();
    }
    // Inside, its own cgroup is not writable, and no other one is in sight.
    let mut bundle = env.script(
        "t24-in",
        "mkdir /sys/fs/cgroup/x /sys/fs/cgroup/../cgroup/x; echo $$ >/sys/fs/cgroup/cgroup.procs; \
         cat /proc/self/cgroup; ls -d /sys/fs/cgroup/x",
    );
    bundle.push("/linux/namespaces", json!({"type": "cgroup"}));
    bundle.mount("/sys/fs/cgroup", "cgroup", Path::new("cgroup"), &["ro", "nosuid", "noexec", "nodev"]);
    let output = bundle.run();
    assert!(output.stdout.contains("0::/\n"), "{output:#?}");
    assert!(!output.stdout.contains("/sys/fs/cgroup/x\n"), "{output:#?}");
    for limit in ["..", "../..", "/", "a/../.."] {
        let ctr = env.bundle("t24-exec", &["sleep", "1000"]).start();
        let output = env.oci().args(["exec", "--cgroup", limit, &ctr.id, "cat", "/proc/self/cgroup"]).run();
        assert!(output.code != 0 || limit == "/", "exec --cgroup {limit}: {output:#?}");
    }
}

/// R7: a working directory that is a link to a directory of the host, or becomes one, is inside or an error.
#[test]
fn a_working_directory_is_inside() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let canary = Canary::new(&env);
    let bundle = env.bundle("cwd", &["sleep", "1000"]);
    for (name, target) in [
        ("abs", canary.dir.as_path()),
        ("up", Path::new("../../../canary")),
        ("up2", Path::new("/proc/1/root")),
    ] {
        symlink(target, bundle.rootfs().join(name)).unwrap();
    }
    let ctr = bundle.start();
    for cwd in ["/abs", "/up", "/up2/../..", "/abs/deep", "/proc/1/cwd/../..", "/proc/self/task/1/root"] {
        let output = env.oci().args(["exec", "--cwd", cwd, &ctr.id, "ls", "-a", "."]).run();
        assert!(!output.stdout.contains("deep") && !output.stdout.contains("canary"), "{cwd}: {output:#?}");
    }
    canary.check("a working directory");
    // Swapped all the time for a link to the host.
    let dir = bundle.rootfs().join("swapped");
    std::fs::create_dir(&dir).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            let link = bundle.rootfs().join("abs");
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE);
            }
        });
        for _ in 0..40 {
            let output = env.oci().args(["exec", "--cwd", "/swapped", &ctr.id, "ls"]).run();
            assert!(!output.stdout.contains("deep"), "{output:#?}");
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    canary.check("a working directory that is swapped");
    wait_for("the container to be there still", || ctr.status() == "running");
}
