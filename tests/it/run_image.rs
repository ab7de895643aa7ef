//! `run` of an image: the payload's exit code, environment, user, command and files it starts with.

use crate::need;
use crate::support::World;

#[test]
fn pull_shows_layers_and_run_pulls_what_is_missing() {
    need!("subid", "registry");
    let w = World::new();
    let reference = World::reference("busybox");
    let out = w.c("pull").arg(&reference).run();
    let id = out.stdout.trim().to_owned();
    assert_eq!(id.len(), 64, "the image's id on stdout: {out:?}");
    // Again: nothing to do, the same id.
    assert_eq!(w.c("pull -q").arg(&reference).ok().trim(), id);
    let other = World::reference("zstd");
    assert_eq!(w.run("").arg(&other).args(["echo", "zstd"]).ok(), "zstd\n");
    // As podman's and docker's: the policy may also be a word of its own.
    let never = w.c("run --rm --pull never").arg(World::reference("config")).run();
    never.says(125, &["Error: image ", " is not here", "--pull=never", "Hint: "]);
    assert_eq!(w.c("run --rm --network none --pull never").arg(&other).args(["echo", "x"]).ok(), "x\n");
}

/// An image that is here for one platform is none for another.
#[test]
fn the_platform_that_was_asked_for() {
    need!("subid", "registry");
    let w = World::new();
    let multi = World::reference("multi");
    w.c("pull -q").arg(&multi).ok();
    let foreign = if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };
    let create =
        |flags: &str| w.c("create --network none").args(flags.split_whitespace()).arg(&multi).arg("x");
    let never = create(&format!("--pull=never --platform linux/{foreign}")).run();
    never.says(125, &["Error: image ", &format!("is not here for linux/{foreign}"), "Hint: "]);
    create(&format!("--name c --arch {foreign}")).ok();
    assert_eq!(w.sh("$C cp c:/platform - | tar xO").ok(), format!("{foreign}\n"));
    // The other one again, and without a word the one that has the name.
    create("--name own").ok();
    assert_eq!(w.sh("$C cp own:/platform - | tar xO").ok(), format!("{foreign}\n"));
}

#[test]
fn exit_codes_are_the_payloads_and_podmans() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.run("bb true").run().exits(0);
    w.script("bb", "exit 3").run().exits(3);
    w.run("bb no-such-program").run().says(127, &["Error: ", "no-such-program"]);
    w.run("bb -- true").run().says(127, &["Error: ", "--"]);
    assert_eq!(w.run("--entrypoint echo -- bb -- a").ok(), "-- a\n");
    w.run("bb /etc/passwd").run().says(126, &["Error: ", "/etc/passwd"]);
    w.run("bb /etc").run().exits(126);
    w.run("--no-such-flag bb").run().exits(125);
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("ABRT", 134)] {
        w.script("--init bb", &format!("kill -{signal} $$")).run().exits(code);
    }
    assert!(w.names().is_empty(), "--rm leaves nothing, also after a failure: {:?}", w.names());
}

#[test]
fn environment() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let file = w.dir.join("home/env");
    std::fs::write(&file, "# comment\nFILE=from file\nHOSTVAR\n  A NAME=\"quoted\"\n").unwrap();
    let out = w
        .run("-e A=1 -e B=x=y -e EMPTY= -e HOSTVAR2 -e NOT_THERE --env-file")
        .arg(&file)
        .args(["bb", "env"])
        .env("HOSTVAR", "of the host")
        .env("HOSTVAR2", "too")
        .ok();
    for line in [
        "A=1",
        "B=x=y",
        "EMPTY=",
        "FILE=from file",
        "A NAME=\"quoted\"",
        "HOSTVAR=of the host",
        "HOSTVAR2=too",
        "HOME=/root",
    ] {
        assert!(out.lines().any(|l| l == line), "no {line}: {out}");
    }
    for name in ["NOT_THERE=", "XDG_", "DBUS_", "CORACLE_TEST_MARK"] {
        assert!(!out.contains(name), "{name}: {out}");
    }
    assert!(out.contains("PATH=/usr/local/sbin:"), "{out}");
    assert!(out.lines().any(|l| l.starts_with("HOSTNAME=")), "{out}");
    let out = w.run("--unsetenv-all -e B=2 bb /bin/env").ok();
    let mut names: Vec<&str> = out.lines().filter_map(|l| Some(l.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["B", "HOME", "HOSTNAME"]);
}

#[test]
fn an_image_is_called_what_it_was_called() {
    need!("subid", "registry");
    let w = World::new();
    w.pull("busybox", "busybox");
    let registry = World::reference("busybox:latest");
    for (asked, shown) in [("busybox", "localhost/busybox:latest"), (registry.as_str(), registry.as_str())] {
        w.c("create --replace --name c").arg(asked).ok();
        assert_eq!(w.c("ps -a --format {{.Image}}").ok().trim(), shown);
        assert_eq!(w.get("c", "/ImageName"), shown);
    }
    let out = w.run("--privileged busybox cat /run/.containerenv").ok();
    let id = w.c("images -q --no-trunc busybox").ok();
    let id = id.trim().trim_start_matches("sha256:");
    assert!(
        out.contains("image=\"localhost/busybox:latest\"\n") && out.contains(&format!("imageid=\"{id}\"")),
        "{out}"
    );
}

#[test]
fn time_zone() {
    need!("subid", "registry");
    let w = World::with_busybox();
    for zone in ["Europe/Berlin", "local"] {
        let there =
            if zone == "local" { "/etc/localtime".into() } else { format!("/usr/share/zoneinfo/{zone}") };
        let wanted = w.tool("md5sum").arg(&there).ok();
        let seen = w.run("--tz").arg(zone).args(["bb", "md5sum", "/etc/localtime"]).ok();
        assert_eq!(seen.split(' ').next(), wanted.split(' ').next(), "{zone}");
    }
    for zone in ["Europe/Nowhere", "../../etc/passwd", "/etc/localtime", ""] {
        w.run("--tz").arg(zone).args(["bb", "true"]).run().says(125, &["Error: unknown time zone", "Hint: "]);
    }
}

#[test]
fn namespaces_of_the_host() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let out =
        w.c("run --rm --pid host bb sh -c").arg("echo $$; cat /proc/sys/net/ipv4/ping_group_range").ok();
    assert_ne!(out.lines().next(), Some("1"), "{out}");
    assert_eq!(out.lines().nth(1), Some("0\t0"), "sysctls of the container's own network: {out}");
    let own = w.tool("hostname").ok();
    assert_eq!(w.run("--uts host bb hostname").ok(), own);
    w.run("--uts host --hostname other bb true").run().says(125, &["Error: ", "--hostname", "--uts host"]);
    let ipc = w.run("--ipc host bb readlink /proc/self/ns/ipc").ok();
    assert_eq!(ipc, w.tool("readlink").arg("/proc/self/ns/ipc").ok());
}

#[test]
fn working_directory_and_user() {
    need!("subid", "registry");
    let w = World::with_busybox();
    assert_eq!(w.run("-w /etc bb pwd").ok(), "/etc\n");
    assert_eq!(w.run("-u 1000:1000 bb id -u").ok(), "1000\n");
    assert_eq!(w.run("-u user bb id").ok(), "uid=1000(user) gid=1000(user) groups=10(wheel),1000(user)\n");
    assert_eq!(w.run("-u 4711 bb id").ok(), "uid=4711 gid=0(root) groups=0(root)\n");
    assert_eq!(w.run("-u user:wheel bb id -g").ok(), "10\n");
    assert_eq!(w.script("-u user bb", "echo $HOME").ok(), "/home/user\n");
    // As somebody else nothing is left of root's capabilities.
    let caps = w.run("-u user bb grep CapEff /proc/self/status").ok();
    assert_eq!(caps.trim(), "CapEff:\t0000000000000000");
}

#[test]
fn entrypoint_and_the_rest_of_an_images_config() {
    need!("subid", "registry");
    let w = World::new();
    w.pull("config", "cfg");
    assert_eq!(w.run("cfg").ok(), "default\n");
    assert_eq!(w.run("cfg").arg("echo other").ok(), "other\n");
    assert_eq!(w.run("--entrypoint /bin/echo cfg a b").ok(), "a b\n");
    assert_eq!(w.run("--entrypoint").arg(r#"["/bin/echo","x"]"#).args(["cfg", "y"]).ok(), "x y\n");
    assert_eq!(
        w.c("run --rm --network none --entrypoint").arg("").args(["cfg", "echo", "bare"]).ok(),
        "bare\n"
    );
    let out = w.run("cfg").arg("pwd; id -u; echo $FROM_IMAGE; cat /data/kept; stat -c %u:%a /data").ok();
    assert_eq!(out, "/made/by/start\n1000\nyes\nkept\n0:755\n");
    // The anonymous volume of its VOLUME went with each container.
    assert_eq!(w.c("volume ls -q").ok(), "");

    w.start("c", "--label mine=1 cfg");
    let seen = w.inspect("c");
    assert_eq!(seen["Config"]["Labels"]["org.example.fixture"], "config");
    assert_eq!(seen["Config"]["Labels"]["mine"], "1");
    assert_eq!(seen["Config"]["StopSignal"], "SIGUSR1");
    assert_eq!(seen["Config"]["User"], "1000:1000");
    w.c("wait c").ok();
    w.c("rm -v c").ok();
}

#[test]
fn hostname_hosts_and_init() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let out = w.script("--hostname box bb", "hostname; cat /etc/hostname; grep -c box /etc/hosts").ok();
    assert_eq!(out, "box\nbox\n1\n");
    // The host's own names, where the container can reach anybody.
    let host = std::fs::read_to_string("/etc/hosts").unwrap();
    let line = host.lines().rfind(|l| l.starts_with(|c: char| c.is_ascii_digit())).unwrap();
    assert!(w.c("run --rm bb cat /etc/hosts").ok().lines().any(|l| l == line), "{line}");
    assert!(
        !w.run("bb cat /etc/hosts").ok().lines().any(|l| l == line && !l.contains("localhost")),
        "{line}"
    );
    let id = w.script("--cidfile /dev/null bb", "hostname").run();
    assert_ne!(id.code, 0, "a cidfile that is there already must not be written over: {id:?}");
    assert_eq!(w.script("bb", "hostname").ok().trim().len(), 12);
    // Without --init the command is process 1, with it its child; and orphans are reaped.
    assert_eq!(w.script("bb", "echo $$").ok(), "1\n");
    let out = w
        .script("--init bb", "(sleep 0 & ) ; sleep 0.3; ps -o stat= | grep -c Z; [ $$ != 1 ] && echo child")
        .ok();
    assert_eq!(out, "0\nchild\n");
}

#[test]
fn read_only_and_tmpfs() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let script =
        "touch /x 2>/dev/null && echo rootfs; touch /tmp/x && echo tmp; touch /dev/shm/x && echo shm";
    assert_eq!(w.script("--read-only bb", script).ok(), "tmp\nshm\n");
    w.script("--read-only --read-only-tmpfs=false bb", "touch /tmp/x").run().exits(1);
    let out = w
        .script(
            "--read-only --tmpfs /scratch:size=1m,mode=1770 bb",
            "stat -c %a /scratch; df -k /scratch | tail -1 | awk '{print $2}'",
        )
        .ok();
    assert_eq!(out, "1770\n1024\n");
    // What the image has there is seen, as podman's tmpcopyup.
    let out = w.script("--tmpfs /etc bb", "touch /etc/x; stat -c %a /etc/passwd; ls /etc/x").ok();
    assert_eq!(out, "644\n/etc/x\n");
    w.run("--tmpfs /etc:notmpcopyup bb ls /etc/passwd").run().exits(1);
    w.script("--tmpfs /scratch:size=64k bb", "dd if=/dev/zero of=/scratch/f bs=1k count=100 2>/dev/null")
        .run()
        .exits(1);
}

#[test]
fn stdin() {
    need!("subid", "registry");
    let w = World::with_busybox();
    // A pipe, and its end.
    assert_eq!(w.sh("printf 'a\\nb\\n' | $C run --rm -i --network none bb wc -l").ok().trim(), "2");
    let big = w.sh("head -c 3000000 /dev/zero | $C run --rm -i --network none bb wc -c").ok();
    assert_eq!(big.trim(), "3000000");
    // The exit code is there also when nobody has read the last input.
    for code in 1..=8 {
        w.sh(&format!("head -c 300000 /dev/zero | $C run --rm -i --network none bb sh -c 'exit {code}'"))
            .run()
            .exits(code);
    }
    // Without -i it is empty.
    assert_eq!(w.sh("echo x | $C run --rm --network none bb wc -c").ok().trim(), "0");
    // A payload that does not read ends all the same; so does one whose reader has gone.
    w.sh("yes | $C run --rm -i --network none bb true").ok();
    w.sh("set -o pipefail; $C run --rm --network none bb yes | head -1; [[ ${PIPESTATUS[0]} != 0 ]]").ok();
}

#[test]
fn stdout_and_stderr_apart() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let out = w.script("bb", "echo out; echo err >&2").run().exits(0);
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("out\n", "err\n"));
    let out = w.script("bb", "head -c 2000000 /dev/zero | tr '\\0' x").run().exits(0);
    assert_eq!(out.stdout.len(), 2_000_000);
}

#[test]
fn cidfile_pidfile_and_timeout() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let (cid, pid) = (w.dir.join("home/cid"), w.dir.join("home/pid"));
    let id = w
        .c("run -d --name f --network none --cidfile")
        .arg(&cid)
        .arg("--pidfile")
        .arg(&pid)
        .args(["bb", "sleep", "1000"])
        .ok();
    assert_eq!(std::fs::read_to_string(&cid).unwrap().trim(), id.trim());
    assert_eq!(std::fs::read_to_string(&pid).unwrap().trim(), w.pid("f").to_string());
    w.run("--timeout 1 bb sleep 1000").run().exits(137);
}

#[test]
fn many_ids_as_root() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let script = "for i in 1 33 1000 65534; do touch /f$i; chown $i:$i /f$i; done; stat -c %u:%g /f*; \
                  mkdir /var/x; chmod 4755 /var/x; su user -c 'id -u; touch /f33' 2>&1";
    let out = w.script("bb", script).run();
    assert!(out.stdout.starts_with("1:1\n1000:1000\n33:33\n65534:65534\n1000\n"), "{out:?}");
    assert!(out.stdout.contains("Permission denied"), "{out:?}");
}
