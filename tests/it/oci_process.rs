//! What the payload's process is like: ids, directories, limits, terminal, descriptors, environment.

use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};

use serde_json::json;

use crate::support::{Bundle, Cmd, Env, need};

#[test]
fn environment_and_directory_are_the_configs() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.script("env", "pwd; env | sort");
    bundle
        .set("/process/env", json!(["PATH=/bin", "B=2 3", "A=", "HOME=/x"]))
        .set("/process/cwd", json!("/tmp"));
    let output = bundle.run().ok();
    let lines: Vec<&str> =
        output.lines().filter(|l| !l.starts_with("PWD=") && !l.starts_with("SHLVL=")).collect();
    // crun adds the container's name for systemd's sake; runc and podman do not mind.
    let lines: Vec<&str> = lines.into_iter().filter(|l| !l.starts_with("container=")).collect();
    assert_eq!(lines, ["/tmp", "A=", "B=2 3", "HOME=/x", "PATH=/bin"]);
}

#[test]
fn a_missing_directory_is_made_inside_the_rootfs() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("cwd", &["pwd"]);
    bundle.set("/process/cwd", json!("/made/here"));
    assert_eq!(bundle.run().ok(), "/made/here\n");
    assert!(bundle.rootfs().join("made/here").is_dir());
}

#[test]
fn user_and_groups_are_the_configs() {
    need!("subid", "busybox", "runtime");
    let env = Env::in_store();
    let mut bundle = env.bundle("ids", &["sh", "-c", "id -u; id -g; id -G; umask"]);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 7], "umask": 0o27}));
    let lines: Vec<String> = bundle.run().ok().lines().map(str::to_owned).collect();
    assert_eq!(lines[..2], ["1000", "1001"]);
    let mut groups: Vec<&str> = lines[2].split(' ').collect();
    groups.sort_unstable();
    assert_eq!(groups, ["1001", "5", "7"]);
    assert_eq!(lines[3], "0027");
}

#[test]
fn an_unmapped_user_is_an_error() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("unmapped", &["id"]);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 0}));
    let output = bundle.run();
    assert_eq!(output.stdout, "");
    output.fails();
}

#[test]
fn limits_are_set() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle =
        env.script("limits", "ulimit -S -n; ulimit -H -n; ulimit -S -c; cat /proc/self/oom_score_adj");
    bundle.set(
        "/process/rlimits",
        json!([{"type": "RLIMIT_NOFILE", "soft": 123, "hard": 456}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]),
    );
    bundle.set("/process/oomScoreAdj", json!(900));
    assert_eq!(bundle.run().ok(), "123\n456\n0\n900\n");
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}]));
    bundle.run().fails();
}

#[test]
fn hostname_and_sysctls_are_the_containers_own() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle =
        env.script("uts", "hostname; cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/msgmax");
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_default_ttl": "77", "kernel.msgmax": "4096"}));
    assert_eq!(bundle.run().ok(), "box\n77\n4096\n");
    for wrong in ["kernel.core_pattern", "vm.swappiness", "kernel.../sys", "nosuch.key", "kernel.hostname"] {
        bundle.set("/linux/sysctl", json!({wrong: "1"}));
        bundle.run().fails();
    }
}

#[test]
fn the_first_process_is_pid_1_and_alone() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    assert_eq!(env.script("pids", "echo $$; cd /proc; echo [0-9]*").run().ok(), "1\n1\n");
}

#[test]
fn all_namespaces_are_new() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle =
        env.script("ns", "cd /proc/self/ns; for n in cgroup ipc mnt net pid user uts; do readlink $n; done");
    bundle.push("/linux/namespaces", json!({"type": "cgroup"}));
    let inside = bundle.run().ok();
    for (line, name) in inside.lines().zip(["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]) {
        let ours = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(line, ours.to_str().unwrap(), "{name}");
    }
    assert_eq!(inside.lines().count(), 7);
}

#[test]
fn a_namespace_can_be_joined_by_path() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let first = env.script("first", "hostname joined; exec sleep 1000");
    let mut first_bundle = first;
    first_bundle.set("/process/capabilities/effective", json!(["CAP_SYS_ADMIN"]));
    first_bundle.set("/process/capabilities/permitted", json!(["CAP_SYS_ADMIN"]));
    first_bundle.set("/process/capabilities/bounding", json!(["CAP_SYS_ADMIN"]));
    let ctr = first_bundle.start();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while ctr.exec(&["hostname"]).ok() != "joined\n" && std::time::Instant::now() < until {}
    let pid = ctr.state()["pid"].as_i64().unwrap();

    let mut second = env.bundle("second", &["hostname"]);
    second.remove("/hostname");
    let path = |kind: &str| format!("/proc/{pid}/ns/{kind}");
    second.set(
        "/linux/namespaces",
        json!([{"type": "user", "path": path("user")}, {"type": "uts", "path": path("uts")}, {"type": "mount"},
               {"type": "pid"}, {"type": "ipc", "path": path("ipc")}, {"type": "network", "path": path("net")}]),
    );
    assert_eq!(second.run().ok(), "joined\n");
}

#[test]
fn only_standard_descriptors_are_passed_on() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    // The shell leaks a directory into the runtime.
    let bundle = env.bundle("fds", &["ls", "-l", "/proc/self/fd"]);
    bundle.write();
    let state = env.dir.join("state");
    let runtime = crate::support::need::runtime().unwrap();
    let script = format!(
        "exec 9</etc 8</; exec {} --root {} run --bundle {} {}",
        runtime.display(),
        state.display(),
        bundle.dir.display(),
        bundle.id
    );
    let output = env.tool("sh").arg("-c").arg(&script).ok();
    let fds: Vec<&str> = output
        .lines()
        .filter(|line| line.starts_with('l'))
        .filter_map(|line| line.split(" -> ").next()?.split(' ').next_back())
        .collect();
    // ls itself opens the directory as 3.
    assert_eq!(fds, ["0", "1", "2", "3"], "{output}");
}

#[test]
fn preserved_descriptors_begin_at_three() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let bundle = env.script("preserve", "cat <&3; cd /proc/$$/fd; echo *");
    bundle.write();
    let file = env.dir.join("passed");
    std::fs::write(&file, "passed\n").unwrap();
    let script = format!(
        "exec 3<{} 4</etc; exec {} --root {} run --preserve-fds 1 --bundle {} {}",
        file.display(),
        crate::support::need::runtime().unwrap().display(),
        env.dir.join("state").display(),
        bundle.dir.display(),
        bundle.id
    );
    // 4 is the directory that the shell reads.
    assert_eq!(env.tool("sh").arg("-c").arg(&script).ok(), "passed\n0 1 2 3 4\n");
}

#[test]
fn a_terminal_is_sent_over_the_console_socket() {
    need!("subid", "busybox", "runtime");
    let env = Env::in_store();
    let mut bundle =
        env.script("tty", "tty; stty size; ls -l /dev/console | cut -c1; read line; echo got $line");
    bundle
        .set("/process/terminal", json!(true))
        .set("/process/consoleSize", json!({"height": 33, "width": 101}));
    bundle.write();
    let path = env.dir.join("console.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let create = env
        .oci()
        .args(["create", "--console-socket"])
        .arg(&path)
        .arg("--bundle")
        .arg(&bundle.dir)
        .arg(&bundle.id);
    let create = create.spawn();
    let (socket, _) = listener.accept().unwrap();
    let terminal = receive_fd(&socket);
    create.wait().ok();
    env.oci().args(["start", &bundle.id]).ok();

    let mut terminal = std::fs::File::from(terminal);
    rustix::io::write(&terminal, b"hello\n").unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 256];
    // EIO: the payload has closed its end.
    while let Ok(n) = terminal.read(&mut buffer) {
        if n == 0 {
            break;
        }
        seen.extend_from_slice(&buffer[..n]);
    }
    let seen = String::from_utf8(seen).unwrap().replace("\r\n", "\n");
    let lines: Vec<&str> = seen.lines().filter(|line| *line != "hello").collect();
    assert!(lines[0] == "/dev/pts/0" || lines[0] == "/dev/console", "{seen}");
    assert_eq!(lines[1..], ["33 101", "c", "got hello"]);
    env.oci().args(["delete", "--force", &bundle.id]).ok();
}

#[test]
fn a_terminal_without_a_socket_is_an_error_for_create() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("nosocket", &["true"]);
    bundle.set("/process/terminal", json!(true));
    bundle.create_cmd().fails();
}

#[test]
fn a_foreground_terminal_leaves_lines_as_they_were_written() {
    need!("userns", "busybox", "runtime");
    match std::env::var("CORACLE_TEST_RUNTIME").as_deref() {
        Ok("crun") => {
            return crate::support::need::skip(
                "crun relays a terminal to another terminal only, and leaves the carriage returns in",
            );
        }
        Ok("runc") => return crate::support::need::skip("runc wants a terminal of its own at /dev/tty"),
        _ => {}
    }
    let env = Env::new();
    let mut bundle = env.script("lines", "echo one; echo two");
    bundle.set("/process/terminal", json!(true));
    assert_eq!(bundle.run().ok(), "one\ntwo\n");
}

#[test]
fn a_pidfd_goes_to_the_socket_that_was_named() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let bundle = env.bundle("pidfd", &["sleep", "1000"]);
    bundle.write();
    let path = env.dir.join("pidfd.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let create = bundle.create_cmd().arg("--pidfd-socket").arg(&path).spawn();
    let pidfd = receive_fd(&listener.accept().unwrap().0);
    assert_eq!(create.wait().code, 0);
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    let pid =
        env.oci().args(["state", &bundle.id]).ok().parse::<serde_json::Value>().unwrap()["pid"].to_string();
    assert!(info.lines().any(|line| line == format!("Pid:\t{pid}")), "{info} {pid}");
    env.oci().args(["delete", "--force", &bundle.id]).ok();
}

#[test]
fn the_callers_cpu_binding_is_not_the_containers() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let all = || std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |text: &str| text.lines().find(|l| l.starts_with("Cpus_allowed_list:")).unwrap().to_owned();
    let before = rustix::thread::sched_getaffinity(None).unwrap();
    if before.count() < 2 {
        return crate::support::need::skip("one CPU alone: nothing can be bound");
    }
    let wanted = line(&all());
    let mut one = rustix::thread::CpuSet::new();
    one.set((0..).find(|cpu| before.is_set(*cpu)).unwrap());
    let mut bundle = env.bundle("cpus", &["grep", "Cpus_allowed_list", "/proc/self/status"]);
    rustix::thread::sched_setaffinity(None, &one).unwrap();
    let bound = line(&std::fs::read_to_string("/proc/thread-self/status").unwrap());
    let free = bundle.run().ok();
    bundle.set("/annotations", json!({"io.coracle.cpu-affinity": "inherit"}));
    let inherited = bundle.run().ok();
    rustix::thread::sched_setaffinity(None, &before).unwrap();
    assert_eq!((free.trim_end(), inherited.trim_end()), (wanted.as_str(), bound.as_str()));
}

/// One message with one descriptor (SCM_RIGHTS).
fn receive_fd(socket: &std::os::unix::net::UnixStream) -> OwnedFd {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); 64];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut data = [0; 4096];
    let mut iov = [std::io::IoSliceMut::new(&mut data)];
    recvmsg(socket, &mut iov, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
    let fds = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    fds.flatten().next().expect("the runtime sends the terminal's descriptor")
}

/// As after kill -9 of buildah: each `buildah unshare` has a user namespace of its own, and root of one may not signal a user
/// of another.
#[test]
fn who_is_in_a_namespace_beside_the_containers_is_told_who_can_end_it() {
    need!("subid", "busybox", "coracle-oci");
    let env = Env::in_store();
    let mut bundle = env.bundle("beside", &["sleep", "1000"]);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.write();
    let run = ["--cgroup-manager", "disabled", "run", "--detach", "--bundle"];
    env.oci().args(run).arg(&bundle.dir).arg(&bundle.id).ok();
    let outside = Env::new();
    let verb = |cmd: Cmd, words: &[&str]| {
        let cmd = cmd.arg(crate::support::need::runtime().unwrap()).arg("--root").arg(env.dir.join("state"));
        cmd.args(words).arg(&bundle.id)
    };
    let unshare = ["--user", "--map-root-user", "--map-auto", "--mount"];
    let beside = |words: &[&str]| verb(outside.tool("unshare").args(unshare), words).run();
    for words in [&["delete", "--force"][..], &["kill"]] {
        beside(words).says(1, &["EPERM", "only its owner outside may"]);
    }
    assert!(beside(&["state"]).stdout.contains("running"));
    verb(outside.tool("env"), &["delete", "--force"]).ok();
    env.oci().args(["state", &bundle.id]).run().fails();
}

/// config.md: "Runtimes SHOULD NOT fail if the container configuration requests capabilities that cannot be granted, for
/// example, if the runtime operates in a restricted environment". In a user namespace of its own it has them all.
#[test]
fn a_capability_that_the_runtime_does_not_have_is_a_warning() {
    need!("subid", "busybox", "coracle-oci", "setpriv");
    let env = Env::in_store();
    let mut bundle = env.bundle("limited", &["grep", "Cap", "/proc/self/status"]);
    let all = json!(["CAP_SYS_TIME", "CAP_KILL"]);
    for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
        bundle.set(&format!("/process/capabilities/{set}"), all.clone());
    }
    let run = |verb: &str, bundle: &Bundle<'_>| {
        bundle.write();
        let script = match verb {
            "run" => "$OCI --root $STATE run --bundle $BUNDLE $ID",
            _ => "$OCI --root $STATE exec $ID grep Cap /proc/self/status",
        };
        let limited = ["--bounding-set", "-sys_time", "sh", "-c", script];
        let cmd = env.tool("setpriv").args(limited).env("OCI", need::runtime().unwrap());
        cmd.env("STATE", env.dir.join("state"))
            .env("BUNDLE", &bundle.dir)
            .env("ID", &bundle.id)
            .run()
            .exits(0)
    };
    let with_user = run("run", &bundle);
    assert_eq!(with_user.stdout.matches("0000000002000020").count(), 5, "{with_user:#?}");
    bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
    bundle.set("/linux/namespaces", json!(["pid", "ipc", "uts", "mount"].map(|kind| json!({"type": kind}))));
    let refused = "ignoring capabilities that the runtime does not have itself: [CAP_SYS_TIME]";
    let without = run("run", &bundle);
    assert_eq!(without.stdout.matches("0000000000000020").count(), 5, "{without:#?}");
    assert!(without.stderr.contains(refused), "{without:#?}");
    bundle.set("/process/args", json!(["sleep", "1000"]));
    let _ctr = bundle.start();
    let later = run("exec", &bundle);
    assert_eq!(later.stdout.matches("0000000000000020").count(), 5, "{later:#?}");
    assert!(later.stderr.contains(refused), "{later:#?}");
}
