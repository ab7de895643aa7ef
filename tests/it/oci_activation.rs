//! What a caller hands in by its environment and by sockets: READY for a service manager, activated sockets, pidfds.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::Duration;

use serde_json::json;

use crate::support::{Env, need, wait_for};

/// A service manager: what it hears, with the fd of a barrier closed as it comes.
struct Manager {
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn new(env: &Env) -> Self {
        let path = env.dir.join("manager.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { socket, path }
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 4096];
        let len = self.socket.recv(&mut buffer).expect("the runtime says something");
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    }

    fn is_silent(&self) -> bool {
        self.socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let silent = self.socket.recv(&mut [0; 64]).is_err();
        self.socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        silent
    }
}

/// busybox has no datagram client: the probe sends.
#[test]
fn a_service_manager_hears_when_the_payload_is_ready() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let manager = Manager::new(&env);
    let mut bundle = env.bundle("ready", &[]);
    bundle.probe("notify");
    bundle.write();
    env.oci()
        .args(["create", "--bundle"])
        .arg(&bundle.dir)
        .arg(&bundle.id)
        .env("NOTIFY_SOCKET", &manager.path)
        .ok();
    assert!(manager.is_silent(), "nothing is ready after create");
    let start = env.oci().args(["start", &bundle.id]).env("NOTIFY_SOCKET", &manager.path).spawn();
    let pid = env.oci().args(["state", &bundle.id]).ok();
    let pid = serde_json::from_str::<serde_json::Value>(&pid).unwrap()["pid"].to_string();
    assert_eq!(manager.hear(), "READY=1\n", "only READY is passed on, not STATUS");
    assert_eq!(manager.hear(), format!("MAINPID={pid}\n"));
    assert_eq!(manager.hear(), "BARRIER=1");
    start.wait().ok();
    env.oci().args(["delete", "--force", &bundle.id]).ok();
    assert!(!env.dir.join("state").join(&bundle.id).exists());
}

#[test]
fn a_run_passes_ready_on_and_goes_on() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let manager = Manager::new(&env);
    let mut bundle = env.bundle("run", &[]);
    bundle.probe("notify");
    let run = bundle.run_cmd().env("NOTIFY_SOCKET", &manager.path).spawn();
    assert_eq!(manager.hear(), "READY=1\n");
    assert_eq!(manager.hear(), "BARRIER=1");
    env.oci().args(["kill", &bundle.id, "KILL"]).ok();
    assert_eq!(run.wait().code, 137);
    // A payload that ends without a word does not hold its start up.
    let bundle = env.script("silent", "exit 0");
    bundle.write();
    let detached = env.oci().args(["run", "--detach", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    detached.env("NOTIFY_SOCKET", &manager.path).ok();
    env.oci().args(["delete", "--force", &bundle.id]).ok();
}

/// crun leaves LISTEN_FDS to the configuration.
#[test]
fn activated_sockets_are_passed_on() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let bundle = env.script("listen", "echo ${LISTEN_FDS:-1} $LISTEN_PID; cat <&3; cat <&4");
    bundle.write();
    for (name, text) in [("one", "first\n"), ("two", "second\n")] {
        std::fs::write(env.dir.join(name), text).unwrap();
    }
    let script = format!(
        "exec 3<{0}/one 4<{0}/two; export LISTEN_FDS=1 LISTEN_PID=$$; exec {1} --root {0}/state run --preserve-fds 1 --bundle {2} {3}",
        env.dir.display(),
        need::runtime().unwrap().display(),
        bundle.dir.display(),
        bundle.id
    );
    assert_eq!(env.tool("sh").arg("-c").arg(&script).ok(), "1 1\nfirst\nsecond\n");
}

#[test]
fn sockets_that_are_meant_for_others_stay_out() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let bundle = env.script("others", "echo [$LISTEN_FDS]; cd /proc/$$/fd; echo *");
    let run = bundle.run_cmd().env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    // 3 is the directory that the shell reads.
    assert_eq!(run.ok(), "[]\n0 1 2 3\n");
}

#[test]
fn a_pidfd_of_the_process_is_sent() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let path = env.dir.join("pidfd.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let received = || {
        let (socket, _) = listener.accept().unwrap();
        pid_of(&receive_fd(&socket))
    };
    let mut bundle = env.bundle("pidfd", &["sleep", "1000"]);
    bundle.write();
    env.oci()
        .args(["create", "--pidfd-socket"])
        .arg(&path)
        .arg("--bundle")
        .arg(&bundle.dir)
        .arg(&bundle.id)
        .ok();
    let state: serde_json::Value = serde_json::from_str(&env.oci().args(["state", &bundle.id]).ok()).unwrap();
    assert_eq!(received(), state["pid"].to_string());
    env.oci().args(["start", &bundle.id]).ok();
    let file = env.dir.join("exec-pid");
    env.oci()
        .args(["exec", "--detach", "--pidfd-socket"])
        .arg(&path)
        .arg("--pid-file")
        .arg(&file)
        .args([&bundle.id, "sleep", "1000"])
        .ok();
    assert_eq!(received(), std::fs::read_to_string(&file).unwrap());
    env.oci().args(["delete", "--force", &bundle.id]).ok();
    bundle.set("/annotations", json!({"run.oci.pidfd_receiver": path}));
    bundle.create();
    assert!(received().parse::<i32>().is_ok());
    let missing = env.dir.join("nosuch.sock");
    let words = env
        .oci()
        .args(["create", "--pidfd-socket"])
        .arg(&missing)
        .arg("--bundle")
        .arg(&bundle.dir)
        .arg("other")
        .fails();
    assert!(words.contains("nosuch.sock"), "{words}");
    assert!(!env.dir.join("state/other").exists());
}

/// From /proc/self/fdinfo, which names the process of a pidfd.
fn pid_of(fd: &OwnedFd) -> String {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    info.lines().find_map(|line| line.strip_prefix("Pid:")).expect("a pidfd").trim().to_owned()
}

fn receive_fd(socket: &std::os::unix::net::UnixStream) -> OwnedFd {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); 64];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut data = [0; 64];
    let mut iov = [std::io::IoSliceMut::new(&mut data)];
    let got = recvmsg(socket, &mut iov, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
    assert!(got.bytes > 0, "a payload that is not empty");
    let fds = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    fds.flatten().next().expect("the runtime sends a descriptor")
}

/// crun's annotations.
#[test]
fn what_hooks_write_goes_to_the_files_that_annotations_name() {
    need!("userns", "busybox", "runtime");
    // runc has no such annotations.
    if need::runtime().unwrap().ends_with("runc") {
        return;
    }
    let env = Env::new();
    let mut bundle = env.bundle("hooks", &["echo", "payload"]);
    let points = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    for point in points {
        let script = format!("echo {point} out; echo {point} err >&2");
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
        bundle.set(&format!("/hooks/{point}"), hook);
    }
    let (out, err) = (env.dir.join("hooks.out"), env.dir.join("hooks.err"));
    std::fs::write(&out, "before\n").unwrap();
    bundle.set("/annotations", json!({"run.oci.hooks.stdout": out, "run.oci.hooks.stderr": err}));
    let output = bundle.run();
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (0, "payload\n", ""),
        "{output:#?}"
    );
    let lines = |path: &std::path::Path| {
        let mut lines: Vec<_> = std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
        // poststart and the payload go their own pace.
        lines.sort();
        lines
    };
    let expected = |stream: &str, first: &[&str]| {
        let mut lines: Vec<_> = points.iter().map(|point| format!("{point} {stream}")).collect();
        lines.extend(first.iter().map(|line| (*line).to_owned()));
        lines.sort();
        lines
    };
    assert_eq!(lines(&out), expected("out", &["before"]));
    assert_eq!(lines(&err), expected("err", &[]));
    let nowhere = env.dir.join("nosuch/file");
    for point in ["createRuntime", "createContainer"] {
        let mut bundle = env.bundle(point, &["echo", "payload"]);
        bundle.set(&format!("/hooks/{point}"), json!([{"path": "/bin/true"}]));
        bundle.set("/annotations", json!({"run.oci.hooks.stderr": nowhere}));
        let output = bundle.run();
        assert_eq!(output.stdout, "", "{point}");
        let words = output.fails();
        assert!(words.contains("nosuch/file"), "{point}: {words}");
    }
}

#[test]
fn hooks_that_hang_are_ended() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    for name in ["createRuntime", "createContainer", "startContainer"] {
        let mut bundle = env.bundle(name, &["echo", "ran"]);
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "exec sleep 1000"], "timeout": 1}]);
        bundle.set(&format!("/hooks/{name}"), hook);
        let started = std::time::Instant::now();
        let output = bundle.run();
        assert!(output.code != 0 && output.stdout.is_empty(), "{name}: {output:#?}");
        assert!(started.elapsed() < Duration::from_secs(60), "{name}");
    }
}

#[test]
fn original_groups_are_kept_on_demand() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.script("groups", "grep ^Groups: /proc/self/status | wc -w");
    bundle.set("/annotations", json!({"run.oci.keep_original_groups": "1"}));
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find(|line| line.starts_with("Groups:")).unwrap().split_whitespace().count();
    wait_for("the container", || bundle.run().ok().trim() == own.to_string());
}

#[test]
fn a_poststop_hook_that_fails_is_a_warning_and_the_next_one_runs() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.bundle("poststop", &["sleep", "1000"]);
    let seen = env.dir.join("seen");
    let last = json!({"path": "/bin/touch", "args": ["touch", seen]});
    bundle.set("/hooks", json!({"poststop": [{"path": "/bin/false"}, {"path": "/nosuch"}, last]}));
    let output = bundle.start().cmd(&["delete"]).arg("--force").run().exits(0);
    for words in ["error running poststop hook #0: /bin/false: exit status: 1", "hook #1: /nosuch"] {
        assert!(output.stderr.contains(words), "{words}: {output:#?}");
    }
    assert!(seen.exists());
}
