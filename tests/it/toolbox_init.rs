//! A box with an init of its own, and systemd as the first process of any container.

use crate::need;
use crate::support::{World, wait_for};

/// A user with the image that boots, as `sd`.
fn with_image() -> World {
    let w = World::new();
    w.pull("systemd", "sd");
    std::fs::create_dir_all(w.dir.join("home")).unwrap();
    w
}

#[test]
fn services_run_in_a_box_with_an_init() {
    need!("subid", "registry", "fuse-overlayfs", "systemd");
    let w = with_image();
    assert_eq!(w.c("toolbox create --image sd --init b").ok(), "b\n");
    let name = w.tool("id").arg("-un").ok();
    // The first command finds the services started.
    let seen = w.c("toolbox run b systemctl is-system-running").cwd(&w.dir.join("home")).run();
    assert_eq!((seen.code, seen.stdout.as_str(), seen.stderr.as_str()), (0, "running\n", ""), "{seen:#?}");
    let inside = |script: &str| w.c("toolbox run b bash -c").arg(script).cwd(&w.dir.join("home")).ok();
    assert_eq!(inside("id -un; pwd; sudo id -un"), format!("{name}{}\nroot\n", w.dir.join("home").display()));
    assert_eq!(
        inside("cat /proc/1/comm; grep ^CapEff: /proc/self/status"),
        "systemd\nCapEff:\t0000000000000000\n"
    );
    // A service of one's own, with its log.
    let unit = "printf '[Unit]\\nDescription=x\\n[Service]\\nExecStart=/bin/sh -c \"echo said-$((40+2)); exec sleep 1000\"\\n[Install]\\nWantedBy=multi-user.target\\n' \
                >/etc/systemd/system/story.service; systemctl enable --now story 2>/dev/null; systemctl is-active story";
    assert_eq!(w.c("toolbox run b sudo bash -c").arg(unit).ok(), "active\n");
    wait_for("the log", || w.c("toolbox run b sudo journalctl -u story -o cat").ok().contains("said-42"));
    // It ends in order, and the service is there after the next start.
    w.c("toolbox run b sudo bash -c")
        .arg("printf '#!/bin/sh\necho ended >/etc/ended' >/usr/local/bin/ending; chmod 755 /usr/local/bin/ending; mkdir -p /etc/systemd/system/story.service.d; \
              printf '[Service]\nExecStopPost=/usr/local/bin/ending\n' >/etc/systemd/system/story.service.d/e.conf; systemctl daemon-reload")
        .ok();
    let machine = inside("cat /etc/machine-id");
    w.c("toolbox stop b").ok();
    assert_eq!(w.status("b"), "exited");
    assert_eq!(
        inside("cat /etc/ended; systemctl is-active story; cat /etc/machine-id"),
        format!("ended\nactive\n{machine}")
    );
    assert_ne!(machine, std::fs::read_to_string("/etc/machine-id").unwrap_or_default());
    // From inside as well.
    w.c("toolbox run b sudo systemctl poweroff").run();
    w.wait_status("b", "exited");
}

#[test]
fn an_init_does_not_find_the_users_session() {
    need!("subid", "registry", "fuse-overlayfs", "systemd");
    let w = with_image();
    let run = w.dir.join("run");
    let socket = |path: &str| {
        let path = run.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::net::UnixListener::bind(path).unwrap()
    };
    let _sockets = [socket("wayland-9"), socket("systemd/notify"), socket("pipewire-0")];
    let display = format!("/tmp/.X11-unix/X9{}", std::process::id());
    let _ = std::fs::create_dir("/tmp/.X11-unix");
    let _ = std::fs::remove_file(&display);
    let _x = std::os::unix::net::UnixListener::bind(&display).unwrap();
    let mine = format!("/tmp/{}-mine", w.tag);
    std::fs::write(&mine, "mine\n").unwrap();
    w.c("toolbox create -i sd --init b").ok();
    let script = format!(
        "test -S $XDG_RUNTIME_DIR/wayland-9 && echo wayland; test -S {display} && echo x11; ls -A $XDG_RUNTIME_DIR/systemd; \
         test -e {mine} && echo tmp; ls -d /dev/tty[0-9]* /dev/console /dev/kmsg 2>/dev/null; stat -fc %T /run /tmp"
    );
    let seen = w.c("toolbox run b bash -c").arg(&script).cwd(&w.dir.join("home")).run();
    assert_eq!(
        (seen.stdout.as_str(), seen.stderr.as_str()),
        ("wayland\nx11\ntmpfs\ntmpfs\n", ""),
        "{seen:#?}"
    );
    // As its root, too; and after an end in order.
    w.c("toolbox run b sudo rm").arg(&display).run().exits(1);
    let namespaces = |of: &str| ["pid", "cgroup", "mnt"].map(|kind| format!("{of}/ns/{kind}"));
    for (ours, theirs) in namespaces("/proc/self").iter().zip(namespaces("/proc/1")) {
        let theirs = w.c("toolbox run b sudo readlink").arg(theirs).ok();
        assert_ne!(theirs.trim(), std::fs::read_link(ours).unwrap().to_str().unwrap());
    }
    w.c("toolbox run b systemctl --user status").run().exits(1);
    w.c("toolbox stop b").ok();
    for path in ["wayland-9", "systemd/notify", "pipewire-0"] {
        assert!(run.join(path).exists(), "{path}");
    }
    assert!(std::path::Path::new(&display).exists());
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine\n");
    std::fs::remove_file(&display).unwrap();
    std::fs::remove_file(&mine).unwrap();
}

#[test]
fn an_isolated_box_with_an_init() {
    need!("subid", "registry", "fuse-overlayfs", "systemd");
    let w = with_image();
    w.c("toolbox create -i sd --init --isolate i").ok();
    assert_eq!(w.c("toolbox run i systemctl is-system-running").ok(), "running\n");
    assert_eq!(w.c("toolbox run i grep Seccomp: /proc/self/status").ok(), "Seccomp:\t2\n");
}

#[test]
fn boxes_that_cannot_have_an_init() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::new();
    w.pull("debian", "deb");
    w.c("toolbox create -i deb --init d").run().says(
        125,
        &[
            "Error: ",
            "deb",
            "cannot be started by an init",
            "Caused by: there is no /sbin/init",
            "Hint: ",
            "systemd-sysv",
        ],
    );
    assert!(w.names().is_empty());
    // An init that ends at once.
    w.pull("systemd", "sd");
    let script = w.dir.join("home/init");
    std::fs::write(&script, "#!/bin/sh\necho not today\nexit 3\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let volume = format!("{}:/usr/lib/systemd/systemd", script.display());
    w.c("toolbox create -i sd --init -v").arg(volume).arg("e").ok();
    w.c("toolbox run e true")
        .run()
        .says(125, &["Error: box e ended while it started", "Caused by: ", "Hint: ", "coracle logs e"]);
    assert!(w.logs("e").contains("not today"));
    // Without cgroups.
    w.c("run --rm --cgroups=disabled --systemd=always deb true")
        .run()
        .says(125, &["Error: systemd needs a cgroup", "Hint: "]);
    w.c("run --rm --systemd=perhaps deb true")
        .run()
        .says(125, &["Error: invalid --systemd", "always", "Hint: "]);
}

#[test]
fn systemd_is_the_first_process_of_a_container() {
    need!("subid", "registry", "fuse-overlayfs", "systemd");
    let w = with_image();
    // By its command, with no flag: the image says /sbin/init.
    w.c("run -d --network none --name s sd").ok();
    let up = || w.c("exec s systemctl is-system-running").run().stdout;
    wait_for("systemd", || matches!(up().as_str(), "running\n" | "degraded\n"));
    assert_eq!(w.c("exec s stat -fc %T /run /tmp /run/lock").ok(), "tmpfs\ntmpfs\ntmpfs\n");
    assert_eq!(w.get("s", "/Config/StopSignal"), "SIGRTMIN+3");
    assert_eq!(w.get("s", "/Config/SystemdMode"), true);
    w.c("create --network none --name p sd true").ok();
    assert_eq!(w.get("p", "/Config/SystemdMode"), false);
    assert_eq!(w.c("stop --time 20 s").ok(), "s\n");
    // Not killed.
    assert_ne!(w.get("s", "/State/ExitCode"), 137);
    let script =
        |flag: &str| w.script(&format!("{flag} sd"), "stat -fc %T /run; echo ${container_uuid-none}").ok();
    assert!(!script("").starts_with("tmpfs\n") && script("").ends_with("none\n"));
    assert!(
        script("--systemd=always").starts_with("tmpfs\n") && !script("--systemd=always").ends_with("none\n")
    );
    assert!(!script("--systemd=false").starts_with("tmpfs\n"));
}

#[test]
fn a_box_with_an_init_whose_monitor_is_killed() {
    need!("subid", "registry", "fuse-overlayfs", "systemd");
    let w = with_image();
    w.c("toolbox create -i sd --init killed").ok();
    w.c("toolbox run killed true").ok();
    let monitor = w.get("killed", "/State/ConmonPid").to_string();
    w.tool("kill").args(["-KILL", &monitor]).ok();
    // The guard ends what runs, and the cgroups that systemd made go with it: the world's end looks for them.
    w.wait_status("killed", "exited");
    assert_eq!(w.c("toolbox run killed systemctl is-system-running").ok(), "running\n");
}
