//! Images whose files and words are made to reach the host when a container is made from them: T1, T2, T10, T14, T18, T20, T26
//! of the security rules, on the command line.

use serde_json::{Value, json};

use crate::need;
use crate::support::registry::{Entry, Image, digest, tar_of};
use crate::support::{Canary, World};

const SYMLINK: u8 = b'2';
const FIFO: u8 = b'6';

/// Loads an image of busybox, `files` and `config`, as localhost/hostile:1.
fn load(w: &World, files: &[Entry<'_>], config: Value) {
    load_document(w, files, json!({"config": config}));
}

/// The same with more than a `config`.
fn load_document(w: &World, files: &[Entry<'_>], mut document: Value) {
    let busybox = std::fs::read(crate::support::need::busybox().unwrap()).unwrap();
    let mut entries = vec![Entry::dir("bin"), Entry { mode: 0o755, ..Entry::file("bin/busybox", &busybox) }];
    for name in ["bin/sh", "bin/cat", "bin/ls", "bin/id", "bin/sleep", "bin/stat", "bin/true"] {
        entries.push(Entry::link(name, SYMLINK, "busybox"));
    }
    entries.extend_from_slice(files);
    let layer = tar_of(&entries);
    document["architecture"] = json!("amd64");
    document["os"] = json!("linux");
    document["rootfs"] = json!({"type": "layers", "diff_ids": [digest(&layer)]});
    let file = w.dir.join("home/image.tar");
    std::fs::write(&file, Image::archive(&serde_json::to_vec(&document).unwrap(), &[&layer])).unwrap();
    w.c("pull -q").arg(format!("docker-archive:{}", file.display())).ok();
}

const NAME: &str = "localhost/hostile:1";

/// T10, R25: what we put into a container goes into it, whatever its image has at those places.
#[test]
fn links_where_we_put_files() {
    need!("subid", "userns", "busybox");
    let w = World::new();
    let canary = Canary::new(&w);
    let (dir, file) =
        (canary.dir.to_str().unwrap().to_owned(), canary.dir.join("file").to_str().unwrap().to_owned());
    let up = format!("../../../../../../../../..{file}");
    for (name, target) in [
        ("dev", &dir),
        ("dev/null", &file),
        ("dev/console", &file),
        ("dev/pts", &dir),
        ("dev/shm", &dir),
        ("proc", &dir),
        ("sys", &dir),
        ("etc", &dir),
        ("etc/hosts", &file),
        ("etc/hosts", &up),
        ("etc/resolv.conf", &file),
        ("etc/hostname", &file),
        ("etc/passwd", &file),
        ("etc/mtab", &file),
        ("run", &dir),
        ("run/.containerenv", &file),
        ("tmp", &dir),
        ("var", &dir),
    ] {
        let parent = name.split_once('/').map(|(parent, _)| Entry::dir(parent));
        let files: Vec<_> = parent.into_iter().chain([Entry::link(name, SYMLINK, target)]).collect();
        load(&w, &files, json!({}));
        let script = "echo x >/dev/null; echo y >/etc/hosts; echo z >/tmp/z; true";
        let output = w.script(&format!("--hostname box {NAME}"), script).run();
        assert!(output.code == 0 || (125..=127).contains(&output.code), "/{name} -> {target}: {output:#?}");
        assert!(!output.stderr.contains("panicked"), "{output:#?}");
        canary.check(&format!("/{name} -> {target}"));
    }
}

/// Prints its user ids, and unlike `id` asks no passwd for it.
const IDS: &str = "while read -r name ids; do [ $name = Uid: ] && echo $ids; done </proc/self/status; true";

/// T20: whatever /etc/passwd and /etc/group are, numbers work at once, and names are an answer or an error.
#[test]
fn passwd_that_is_none() {
    need!("subid", "userns", "busybox");
    let w = World::new();
    let long = format!("ada:x:7:8:{}:/:/bin/sh\nroot:x:0:0::/root:/bin/sh\n", "x".repeat(3 << 20));
    let many = "ada:x:0:0\n".repeat(300_000);
    let strange = b"\xff\xfe:x:0:0\nada:x:99999999999:0::/:\n\0\0\nada:x:-1:0::/:\n:::::::\n";
    let link = |target| Entry::link("etc/passwd", SYMLINK, target);
    let cases: [(&str, Entry<'_>); 10] = [
        ("fifo", Entry { kind: FIFO, ..Entry::file("etc/passwd", b"") }),
        ("stdin", link("/proc/self/fd/0")),
        ("zero", link("/dev/zero")),
        ("itself", link("passwd")),
        ("the host's", link("../../../../../../../../../../etc/passwd")),
        ("a directory", Entry::dir("etc/passwd")),
        ("one long line", Entry::file("etc/passwd", long.as_bytes())),
        ("many lines", Entry::file("etc/passwd", many.as_bytes())),
        ("strange bytes", Entry::file("etc/passwd", strange)),
        ("unreadable", Entry { mode: 0, ..Entry::file("etc/passwd", b"ada:x:7:8::/:/bin/sh\n") }),
    ];
    for (what, entry) in cases {
        load(&w, &[Entry::dir("etc"), entry], json!({}));
        let group = Entry { name: "etc/group", ..entry };
        let id = |user: &str| {
            let started = std::time::Instant::now();
            let output = w.script(&format!("-u {user} {NAME}"), IDS).run();
            assert!(started.elapsed().as_secs() < 20, "{what}: it took {:?}", started.elapsed());
            output
        };
        assert_eq!(id("1000").ok(), "1000 1000 1000 1000\n", "{what}");
        assert_eq!(id("1000:1000").ok(), "1000 1000 1000 1000\n", "{what}");
        // The name of the host's own user is none of the image's.
        for user in ["ada", "coracle-test", "nobody:nogroup"] {
            let output = id(user);
            let good = output.code == 0 && output.stdout == "7 7 7 7\n" && what == "unreadable";
            assert!(good || (125..=127).contains(&output.code), "{what}, {user}: {output:#?}");
        }
        load(&w, &[Entry::dir("etc"), group], json!({"User": "1000:1000"}));
        assert_eq!(w.script(NAME, IDS).ok(), "1000 1000 1000 1000\n", "{what} as group");
    }
}

/// T17, T18: USER of an image is a number as written or a name of its own passwd, never 0 by accident.
#[test]
fn user_of_an_image() {
    need!("subid", "userns", "busybox");
    let w = World::new();
    // CVE-2016-3697: a name of digits.
    let passwd = Entry::file("etc/passwd", b"1000:x:0:0::/:/bin/sh\napp:x:7:8::/:/bin/sh\n");
    let group = Entry::file(
        "etc/group",
        b"app:x:8:\none:x:20:app\ntwo:x:21:x,app\nthree:x:22:app,y\nother:x:23:apple\n",
    );
    let id = |user: &str| {
        load(&w, &[Entry::dir("etc"), passwd, group], json!({"User": user}));
        w.script(NAME, "echo $(id -u):$(id -g) $(id -G)").run()
    };
    assert_eq!(id("1000").ok(), "1000:0 0\n");
    assert_eq!(id("1000:1000").ok(), "1000:1000 1000\n");
    assert_eq!(id("app").ok(), "7:8 8 20 21 22\n");
    assert_eq!(id("app:two").ok().split_whitespace().next(), Some("7:21"));
    for user in [
        "-1",
        "+1",
        "4294967295",
        "4294967296",
        "99999999999999999999",
        "1000x",
        "\u{663}",
        "0x0",
        " 0",
        "app:",
        "nobody",
    ] {
        let output = id(user);
        assert!(
            (125..=127).contains(&output.code) || output.stdout.starts_with("7:8"),
            "{user:?}: {output:#?}"
        );
        assert!(output.code != 0 || user == "app:", "{user:?}: {output:#?}");
    }
}

/// T1, R7, R17: a working directory of the image's, or the caller's, through descriptors and links.
#[test]
fn working_directories() {
    need!("subid", "userns", "busybox");
    let w = World::new();
    let canary = Canary::new(&w);
    let dir = canary.dir.to_str().unwrap();
    let files = [Entry::link("out", SYMLINK, dir), Entry::link("fd", SYMLINK, "/proc/self/fd/7")];
    let names =
        ["bin", "dev", "etc", "fd", "out", "proc", "run", "sys", "tmp", "var", "home", "root", "usr", "var"];
    for cwd in
        ["/out", "/out/deep", "/fd", "/fd/..", "/proc/self/fd/5", "/../../../../..", "relative/../../.."]
    {
        load(&w, &files, json!({"WorkingDir": cwd}));
        let output = w.script(NAME, "ls -a . ..").run();
        // A directory of that name is made inside, as runc and crun do; what the host has there, and beside it, is not in it.
        let seen = ["file\n", "data\n"].iter().any(|name| output.stdout.contains(name));
        assert!(!seen, "{cwd}: {output:#?}");
        canary.check(cwd);
    }
    load(&w, &files, json!({}));
    w.start("long", &format!("{NAME} sh -c while:;do:;done")); // ends at once, and stays as a record
    w.c("rm -f -t 0 long").ok();
    w.c("run -d --network none --name long")
        .args([NAME, "sh", "-c", "while true; do read x </bin; done"])
        .ok();
    for n in 3..16 {
        for args in [vec!["run", "--rm", "--network", "none", "-w"], vec!["exec", "-w"]] {
            let subject = if args[0] == "run" { NAME } else { "long" };
            let cwd = format!("/proc/self/fd/{n}");
            let output = w.coracle().args(&args).args([&cwd, subject, "ls", "../../../.."]).run();
            let inside = output.stdout.lines().all(|line| names.contains(&line));
            assert!(output.code != 0 || inside, "{args:?} {cwd}: {output:#?}");
        }
    }
}

/// T2: what a careless caller has open reaches no container.
#[test]
fn descriptors_of_the_caller() {
    need!("subid", "userns", "busybox");
    let w = World::new();
    load(&w, &[], json!({}));
    let out = w.sh(&format!(
        "exec 9</etc 11<>/dev/null; $C run --rm --network none {NAME} sh -c 'cd /proc/self/fd; echo *'"
    ));
    assert_eq!(out.ok(), "0 1 2 3\n");
    let script = format!(
        "exec 9</etc; $C run -d --name fds --network none {NAME} sleep 1000 >/dev/null; \
         $C exec fds sh -c 'cd /proc/self/fd; echo *'; $C exec fds sh -c 'cd /proc/1/fd; echo *'"
    );
    assert_eq!(w.sh(&script).ok(), "0 1 2 3\n0 1 2\n");
}

/// T14: mounts below links of a volume, and volumes of an image at strange places.
#[test]
fn volumes_with_links() {
    need!("subid", "userns", "busybox");
    let w = World::new();
    let canary = Canary::new(&w);
    let file = canary.dir.join("file");
    let own = w.dir.join("home/own");
    std::fs::write(&own, "own").unwrap();
    load(&w, &[], json!({}));
    let fill = format!("ln -s {} /v/f; ln -s {} /v/d; ln -s / /v/root", file.display(), canary.dir.display());
    let busybox = |script: &str| {
        w.c("run --rm --network none -v vol:/v").args([NAME, "/bin/busybox", "sh", "-c", script]).run()
    };
    busybox(&fill.replace("ln -s", "/bin/busybox ln -s")).ok();
    for target in ["/v/f", "/v/d/new", "/v/root/x", "/v/d/deep", "/v/../../../v/f"] {
        for _ in 0..2 {
            let bind = format!("{}:{target}", own.display());
            let output = w.c("run --rm --network none -v vol:/v -v").args([&bind, NAME, "cat", target]).run();
            assert!(output.code == 0 || (125..=127).contains(&output.code), "{target}: {output:#?}");
            canary.check(target);
        }
    }
    let up = format!("/../../../../../../..{}", canary.dir.display());
    for volume in
        [up.as_str(), "/v/../..", "relative", "/", "/proc", "/proc/self/attr", "/sys/fs", "/dev", "/\u{0}"]
    {
        load(&w, &[], json!({"Volumes": {volume: {}}}));
        let output = w.script(NAME, "echo ran").run();
        assert!(output.code == 0 || (125..=127).contains(&output.code), "{volume:?}: {output:#?}");
        assert!(!output.stderr.contains("panicked"), "{output:#?}");
        canary.check(volume);
    }
}

/// T26, R17: an image's words are data. Nothing is run, read or sent because of them.
#[test]
fn labels_and_environment_are_text() {
    need!("subid", "userns", "busybox");
    let w = World::new();
    let canary = Canary::new(&w);
    let trap = w.dir.join("home/trap");
    std::fs::write(&trap, format!("#!/bin/sh\ntouch {}/sprung\n", canary.dir.display())).unwrap();
    std::fs::set_permissions(&trap, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let trap = trap.to_str().unwrap();
    let labels = json!({
        "io.containerd.runc.v2.logger": format!("binary://{trap}"), "run.oci.hooks.stdout": format!("{}/log", canary.dir.display()),
        "run.oci.handler": "../../trap", "run.oci.keep_original_groups": "1", "run.oci.mount_context_type": "rootcontext",
        "io.podman.annotations.privileged": "TRUE", "io.podman.annotations.seccomp": "unconfined",
        "io.podman.annotations.cid-file": format!("{}/cid", canary.dir.display()), "nvidia.cdi.k8s.io/x": "all",
        "org.systemd.property.ExecStartPre": format!("['{trap}']"), "io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel": "true",
        "run": format!("{trap} IMAGE"), "RUN": trap,
    });
    let environment = [
        "LD_PRELOAD=/evil.so",
        "LD_LIBRARY_PATH=/evil",
        "PATH=/evil:/bin",
        "HOME*",
        "=x",
        "XDG_RUNTIME_DIR=/tmp",
        "DBUS_SESSION_BUS_ADDRESS=unix:path=/evil",
        "CORACLE_LOG=x",
        "NOTIFY_SOCKET=/run/x",
        "LISTEN_FDS=3",
        "SECRET*",
    ];
    load(
        &w,
        &[],
        json!({"Labels": labels, "Env": environment, "StopSignal": "SIGKILL; touch x", "Entrypoint": [], "Cmd": ["true"]}),
    );
    let output = w.c("run --rm --network none").args([
        NAME,
        "/bin/busybox",
        "sh",
        "-c",
        "/bin/busybox grep -E 'Seccomp:|NoNewPrivs' /proc/self/status; env",
    ]);
    let output = output.env("SECRET_OF_THE_HOST", "sesame").run();
    assert!(output.code == 0 || output.code == 125, "{output:#?}");
    assert!(!output.stdout.contains("sesame"), "{output:#?}");
    assert!(output.code != 0 || output.stdout.contains("Seccomp:\t2"), "{output:#?}");
    canary.check("a label");
    let shown = w.c("inspect").arg(NAME).run();
    assert!(shown.stdout.contains("io.podman.annotations.seccomp"), "{shown:#?}");
    canary.check("inspect");
}

/// What an image says of itself is shown, and moves nothing on the terminal of whoever looks.
#[test]
fn words_that_would_command_the_terminal() {
    need!("subid", "userns", "busybox");
    let w = World::new();
    let evil = "x\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\r\nforged";
    let document = json!({
        "config": {"Cmd": [evil], "Labels": {evil: evil}},
        "history": [{"created": "2020-01-01T00:00:00Z", "created_by": evil, "comment": evil}],
    });
    load_document(&w, &[], document);
    let seen = |line: &str| {
        let output = w.c(line).run();
        let all = output.stdout.clone() + &output.stderr;
        let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(!all.contains(bad), "{line}: {output:?}");
        all
    };
    w.c("create --name c").arg(NAME).ok();
    for line in ["ps -a --no-trunc", &format!("history --no-trunc {NAME}")] {
        let shown = seen(line);
        assert!(shown.contains("x\\u{1b}]0;title") && !shown.contains("\nforged"), "{shown}");
    }
    for line in ["ps -a", &format!("history {NAME}"), "start -a c", &format!("run --rm {NAME}")] {
        seen(line);
    }
    // Templates are for programs.
    assert_eq!(w.c("inspect --format").args(["{{index .Config.Cmd 0}}", "c"]).ok(), format!("{evil}\n"));
}
