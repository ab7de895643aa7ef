//! What cannot be: each is one clear error, with its cause and what to do, and leaves nothing behind.

use std::net::{Ipv4Addr, TcpListener};

use crate::need;
use crate::support::World;

/// Runs each line; `bb` is an image.
#[track_caller]
fn refused(w: &World, cases: &[(&str, &[&str])]) {
    for (line, words) in cases {
        w.c(line).run().says(125, words);
        assert!(w.names().is_empty(), "left by {line:?}: {:?}", w.names());
    }
}

#[test]
fn images_that_cannot_be_had() {
    need!("subid", "registry");
    let w = World::new();
    let registry = World::reference("");
    let unknown = format!("{registry}no-such-image");
    w.c("pull").arg(&unknown).run().says(125, &["Error: ", &unknown, "Caused by:"]);
    w.c("pull")
        .arg(format!("{registry}busybox:no-such-tag"))
        .run()
        .says(125, &["Error: ", "no-such-tag", "Caused by:"]);
    let digest = format!("{registry}busybox@sha256:{}", "0".repeat(64));
    w.c("pull").arg(digest).run().says(125, &["Error: ", "Caused by:"]);
    w.c("run --rm").arg(&unknown).arg("true").run().says(125, &["Error: ", "no-such-image"]);
    // Nobody listens there.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    w.c("pull")
        .arg(format!("{free}/busybox"))
        .run()
        .says(125, &["Error: ", "Caused by:", "refused", "Hint: "]);
    // Somebody listens who speaks something else.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::Write;
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"220 mail.example.org ESMTP\r\n");
        }
    });
    w.c("pull").arg(format!("{address}/busybox")).run().says(125, &["Error: ", "Caused by:"]);
    for name in ["UPPER/case", "a b", "x@sha256:short", "/abs", "http://x/y", ""] {
        w.c("pull").arg(name).run().says(125, &["Error: "]);
    }
    assert_eq!(w.c("images -q").ok(), "");
}

#[test]
fn flags() {
    need!("subid", "registry");
    let w = World::with_busybox();
    refused(
        &w,
        &[
            ("run --no-such-flag bb", &["Error: unknown flag: --no-such-flag", "Hint: "]),
            ("run", &["Error: ", "Hint: "]),
            ("rnu bb", &["Error: unknown command", "Hint: Did you mean `coracle run`?"]),
            ("run --memory lots bb", &["Error: ", "lots"]),
            ("run --cpus -1 bb", &["Error: ", "cpus"]),
            ("run -e =x bb true", &["Error: "]),
            ("run --env-file /not/there bb true", &["Error: ", "/not/there"]),
            ("run -p 99999:80 bb true", &["Error: ", "99999"]),
            ("run -p x:80 bb true", &["Error: "]),
            ("run --restart sometimes bb true", &["Error: ", "sometimes"]),
            ("run --userns nope bb true", &["Error: ", "nope"]),
            ("run --pull sometimes bb true", &["Error: invalid pull policy \"sometimes\"", "Hint: "]),
            ("run --device /dev/no-such bb true", &["Error: cannot give the device /dev/no-such", "Hint: "]),
            (
                "run --device /etc/passwd bb true",
                &["Error: cannot give the device /etc/passwd", "it is no device"],
            ),
            ("run -d --rm=maybe bb true", &["Error: ", "maybe"]),
            ("run --security-opt nope bb true", &["Error: ", "nope"]),
            ("run --security-opt seccomp=/not/there bb true", &["Error: ", "/not/there"]),
            ("--storage-driver nope run bb true", &["Error: ", "nope"]),
            ("--runtime /not/there run --rm bb true", &["Error: ", "/not/there", "Hint: "]),
        ],
    );
}

#[test]
fn mounts() {
    need!("subid", "registry");
    let w = World::with_busybox();
    refused(
        &w,
        &[
            ("run -v /not/there:/x bb true", &["Error: ", "/not/there", "Caused by:", "Hint: "]),
            ("run -v /etc:relative bb true", &["Error: ", "relative"]),
            ("run -v /etc:/x:nope bb true", &["Error: ", "nope"]),
            ("run -v a/b:/x bb true", &["Error: "]),
            ("run -v ../x:/x bb true", &["Error: "]),
            ("run --mount type=bind,source=/not/there,target=/x bb true", &["Error: ", "/not/there"]),
            ("run --mount type=nope,target=/x bb true", &["Error: ", "nope"]),
            ("run --mount type=bind,source=/etc bb true", &["Error: "]),
            ("run --tmpfs /x:nope=1 bb true", &["Error: ", "nope"]),
            ("run -v /etc:/x -v /usr:/x bb true", &["duplicate mount destination"]),
            ("run --rootfs /not/there true", &["Error: ", "/not/there"]),
        ],
    );
    assert_eq!(w.c("volume ls -q").ok(), "");
}

#[test]
fn users_capabilities_limits_and_signals() {
    need!("subid", "registry");
    let w = World::with_busybox();
    refused(
        &w,
        &[
            ("run -u nobody-here bb true", &["Error: ", "nobody-here", "Hint: "]),
            ("run -u 0:no-group bb true", &["Error: ", "no-group"]),
            ("run -u -1 bb true", &["Error: "]),
            ("run -u 4294967296 bb true", &["Error: ", "4294967296"]),
            ("run -u 4000000000 bb true", &["Error: ", "4000000000", "Hint: "]),
            ("run --cap-add NOPE bb true", &["Error: ", "NOPE"]),
            ("run --cap-drop CAP_NOPE bb true", &["Error: ", "NOPE"]),
            ("run --ulimit nope=1 bb true", &["Error: ", "nope"]),
            ("run --ulimit nofile=x bb true", &["Error: "]),
            ("run --ulimit nofile=9:1 bb true", &["Error: "]),
            ("run --stop-signal NOPE bb true", &["Error: ", "NOPE"]),
            ("run --sysctl kernel.hostname bb true", &["Error: "]),
            ("run --rm --sysctl vm.swappiness=1 bb true", &["Error: ", "vm.swappiness"]),
        ],
    );
    w.run("-w /not/there bb true").run().says(126, &["Error: ", "/not/there"]);
}

#[test]
fn names_outside_the_grammar() {
    need!("subid", "registry");
    let w = World::with_busybox();
    for name in ["../x", "a/b", "-x", ".x", "a b", "", "x\n", "ü", &"n".repeat(300)] {
        w.coracle().args(["create", "--name", name, "bb", "true"]).run().says(125, &["Error: "]);
        w.coracle().args(["tag", "bb"]).arg(format!("{name}:///")).run().exits(125);
    }
    for id in ["../..", "/etc", "..", "a/../b", ""] {
        for verb in ["inspect", "start", "stop", "kill", "rm", "logs", "attach", "wait", "top"] {
            let out = w.coracle().args([verb, id]).run();
            assert!(out.code == 125 || (verb == "rm" && out.code == 1), "{verb} {id}: {out:?}");
            assert!(out.stderr.starts_with("Error: "), "{verb} {id}: {out:?}");
        }
    }
    w.c("run --hostname").arg("a b").args(["bb", "true"]).run().exits(125);
    assert!(w.names().is_empty());
}

#[test]
fn no_user_namespace_is_left() {
    need!("subid");
    let w = World::new();
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let limited = |limit: &str| {
        w.tool("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg("echo $0 > /proc/sys/user/max_user_namespaces; exec \"$@\"")
            .arg(limit)
            .arg(&program)
            .args(["run", "--rm", "host:", "echo", "ran"])
    };
    assert_eq!(limited("100").ok(), "ran\n");
    // None for the store, and none for the container.
    for (limit, why) in
        [("0", "user.max_user_namespaces is 0"), ("1", "the limit user.max_user_namespaces is reached")]
    {
        let out = limited(limit)
            .run()
            .says(125, &["Error: ", "Caused by:", why, "Hint: ", "sysctl user.max_user_namespaces="]);
        assert!(!out.stderr.to_lowercase().contains("no space left"), "{out:?}");
    }
}

#[test]
fn no_room_for_the_store() {
    need!("subid");
    let w = World::new();
    w.c("--root /proc/nope run --rm host: true").run().says(125, &["Error: ", "Hint: "]);
    w.c("--root /dev/null/x run --rm host: true").run().says(125, &["Error: "]);
    let shared = w.dir.join("home/open");
    std::fs::create_dir(&shared).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();
    w.c("--root").arg(&shared).args(["ps"]).run();
    w.c("--root")
        .arg(&shared)
        .args(["run", "--rm", "host:", "true"])
        .run()
        .says(125, &["Error: ", "Caused by:", "Hint: "]);
}

#[test]
fn too_few_open_files() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, app) = World::with_image_file();
    w.start("r", "bb sleep 1000");
    for line in [
        "ps",
        "images",
        "run --rm --network none bb true",
        "run --rm --hpc $APP true",
        "run --rm --network none $APP true",
        "run --rm host: true",
        "exec r true",
        "pull -q $REFERENCE",
    ] {
        for limit in [4, 7, 20, 64, 90, 110, 130] {
            let script = format!("ulimit -n {limit}; exec \"$C\" {line}");
            let out = w.sh(&script).env("APP", &app).env("REFERENCE", World::reference("busybox")).run();
            match out.code {
                0 => {
                    assert!(
                        limit > 90 || ["ps", "images", "exec r true"].contains(&line),
                        "{limit}: {out:?}"
                    );
                }
                _ => drop(out.says(125, &["Error: ", "EMFILE", "Hint: ", "`ulimit -n 1024`", "limits.conf"])),
            }
        }
    }
}
