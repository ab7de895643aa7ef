//! create, start, state, kill, delete, run, exec, list, ps: the runtime's command line as its callers use it.
//!
//! A test that needs "runtime" passes under crun and runc too (CORACLE_TEST_RUNTIME); where they are laxer than we are, it
//! needs "coracle-oci".

use serde_json::{Value, json};

use crate::need;
use crate::support::{Bundle, Env};

#[test]
fn a_created_container_waits_for_start() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.script("one", "echo started; exec sleep 1000");
    bundle.set("/annotations", json!({"org.example.key": "value"}));
    let ctr = bundle.create();
    let state = ctr.state();
    assert_eq!(state["id"], json!(ctr.id));
    assert_eq!(state["status"], "created");
    assert_eq!(state["bundle"], json!(bundle.dir));
    assert_eq!(state["annotations"], json!({"org.example.key": "value"}));
    assert!(state["ociVersion"].as_str().is_some_and(|version| version.starts_with("1.")), "{state}");
    assert!(state["pid"].as_i64().is_some_and(|pid| pid > 1), "{state}");
    assert_eq!(ctr.stdout(), "");

    ctr.cmd(&["start"]).ok();
    assert_eq!(ctr.status(), "running");
    assert_eq!(ctr.exec(&["true"]).ok(), "");
    assert_eq!(ctr.stdout(), "started\n");

    ctr.kill("KILL");
    ctr.wait_stopped();
    ctr.cmd(&["delete"]).ok();
    ctr.cmd(&["state"]).fails();
}

/// Whoever sees a container in `state` may start it, also where `create` is not done yet (crun's own suite does).
#[test]
fn start_waits_for_a_create_that_is_at_work() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.bundle("early", &["sleep", "1000"]);
    bundle.set("/hooks/createRuntime", json!([{"path": "/bin/sleep", "args": ["sleep", "0.5"]}]));
    let create = bundle.create_cmd().spawn();
    let state = || env.oci().args(["state", &bundle.id]).run().stdout;
    wait_for(&|| state().contains("\"creating\""));
    env.oci().args(["start", &bundle.id]).ok();
    assert!(state().contains("\"running\""), "{}", state());
    assert_eq!(create.wait().code, 0);
    env.oci().args(["delete", "--force", &bundle.id]).ok();
}

#[test]
fn run_returns_the_payloads_exit_code() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    assert_eq!(env.script("zero", "echo out; echo err >&2").run().exits(0).stdout, "out\n");
    env.script("seven", "exit 7").run().exits(7);
    // The first process of a pid namespace is spared signals that it does not handle, unless they come from outside.
    let running = env.bundle("term", &["sleep", "1000"]);
    let run = running.run_cmd().spawn();
    wait_for(&|| env.oci().args(["state", &running.id]).run().stdout.contains("\"running\""));
    env.oci().args(["kill", &running.id, "KILL"]).ok();
    assert_eq!(run.wait().code, 128 + 9);
}

/// Linux 6.14 and later kill whoever is born in a cgroup that was emptied by cgroup.kill. A restart uses one again.
#[test]
fn a_cgroup_that_was_killed_can_be_used_again() {
    need!("userns", "cgroup", "busybox", "coracle-oci");
    let env = Env::new();
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned();
    let mut bundle = env.script("again", "echo ran");
    let path = format!("{}/{}", own.trim_end_matches('/'), bundle.id);
    let dir = std::path::Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("cgroup.kill"), "1").unwrap();
    bundle.set("/linux/cgroupsPath", json!(path));
    assert_eq!(bundle.run().ok(), "ran\n");
}

/// Where a container stands still, `--debug` shows how far it came: in the words that runc has for these stages.
#[test]
fn debug_says_which_stage_is_reached() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let stages =
        ["nsexec container setup", "child process in init()", "init: closing the pipe to signal completion"];
    let good = env.script("good", "echo ran");
    assert_eq!(good.run().ok(), "ran\n", "and nothing of it where it is not asked for");
    let said = env.oci().args(["--debug", "run", "--bundle"]).arg(&good.dir).arg(&good.id).run().exits(0);
    assert_eq!(said.stdout, "ran\n");
    for stage in stages {
        assert!(
            said.stderr.contains("level=debug") && said.stderr.contains(stage),
            "{stage}: {}",
            said.stderr
        );
    }
    let mut bad = env.bundle("bad", &["true"]);
    bad.set("/process/cwd", json!("/etc/passwd"));
    bad.run().fails();
    let said = env.oci().args(["--debug", "run", "--bundle"]).arg(&bad.dir).arg(&bad.id).run();
    assert!(said.stderr.contains(stages[1]) && !said.stderr.contains(stages[2]), "{}", said.stderr);
}

#[test]
fn verbs_in_the_wrong_state_are_refused_and_change_nothing() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let bundle = env.bundle("state", &["sleep", "1000"]);
    let ctr = bundle.start();
    ctr.cmd(&["start"]).fails();
    ctr.cmd(&["delete"]).fails();
    bundle.create_cmd().fails();
    assert_eq!(ctr.status(), "running");
    ctr.kill("9");
    ctr.wait_stopped();
    ctr.cmd(&["start"]).fails();
    ctr.exec(&["true"]).fails();
    env.oci().args(["kill", &ctr.id, "TERM"]).fails();
    assert_eq!(ctr.status(), "stopped");
}

#[test]
fn delete_by_force_ends_what_runs() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let ctr = env.script("force", "trap '' TERM; sleep 1000 & sleep 1000 & wait").start();
    ctr.cmd(&["delete", "--force"]).ok();
    ctr.cmd(&["state"]).fails();
    // The specification: deleting what does not exist is an error; with --force runc and crun say nothing.
    env.oci().args(["delete", "nosuch"]).fails();
    env.oci().args(["delete", "--force", "nosuch"]).ok();
}

#[test]
fn a_created_container_can_be_deleted_by_force() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let ctr = env.bundle("created", &["sleep", "1000"]).create();
    ctr.cmd(&["delete", "--force"]).ok();
    ctr.cmd(&["state"]).fails();
}

/// A pid 1 is not ended by a signal that it has no handler for: an engine that stops what it has only created would wait
/// until it kills. runc's has one.
#[test]
fn a_created_container_ends_by_term() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let ctr = env.bundle("created-term", &["sleep", "1000"]).create();
    ctr.kill("TERM");
    ctr.wait_stopped();
    ctr.cmd(&["start"]).fails();
    ctr.cmd(&["delete"]).ok();
    ctr.cmd(&["state"]).fails();
}

#[test]
fn signals_go_by_name_and_by_number() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let script =
        "trap 'echo usr1' USR1; trap 'echo term; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    let ctr = env.script("signals", script).start();
    wait_for(&|| ctr.stdout().contains("ready"));
    ctr.kill("SIGUSR1");
    wait_for(&|| ctr.stdout().ends_with("usr1\n"));
    ctr.kill("USR1");
    wait_for(&|| ctr.stdout().ends_with("usr1\nusr1\n"));
    ctr.kill("10");
    wait_for(&|| ctr.stdout().ends_with("usr1\nusr1\nusr1\n"));
    ctr.cmd(&["kill"]).ok();
    ctr.wait_stopped();
    assert!(ctr.stdout().ends_with("term\n"));
}

#[test]
fn an_unknown_signal_is_an_error() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let ctr = env.bundle("unknown", &["sleep", "1000"]).start();
    for signal in ["NOSUCH", "SIG", "-1", "99999999999", "1x", "65"] {
        env.oci().args(["kill", &ctr.id, signal]).fails();
    }
    assert_eq!(ctr.status(), "running");
}

#[test]
fn wrong_ids_are_refused() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let outside = env.dir.join("escaped");
    for id in ["", ".", "..", "../escaped", "a/b", "a b", "a\nb", "/etc", "*"] {
        let mut bundle = env.bundle("ids", &["true"]);
        id.clone_into(&mut bundle.id);
        bundle.run_cmd().fails();
        assert!(!outside.exists(), "{id:?}");
    }
    let left: Vec<_> = std::fs::read_dir(env.dir.join("state")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_pid_file_has_the_payloads_pid() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let bundle = env.bundle("pidfile", &["sleep", "1000"]);
    bundle.write();
    let file = env.dir.join("pid");
    env.oci().args(["create", "--bundle"]).arg(&bundle.dir).arg("--pid-file").arg(&file).arg(&bundle.id).ok();
    let pid = std::fs::read_to_string(&file).unwrap();
    let state: Value = serde_json::from_str(&env.oci().args(["state", &bundle.id]).ok()).unwrap();
    assert_eq!(pid, state["pid"].to_string());
    env.oci().args(["delete", "--force", &bundle.id]).ok();
}

#[test]
fn a_wrong_bundle_is_one_error_and_leaves_nothing() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let cases: &[(&str, &dyn Fn(&mut Bundle<'_>))] = &[
        ("no args", &|b| {
            b.set("/process/args", json!([]));
        }),
        ("no rootfs", &|b| {
            b.set("/root/path", json!("nosuch"));
        }),
        ("unknown namespace", &|b| {
            b.push("/linux/namespaces", json!({"type": "nosuch"}));
        }),
        ("no such command", &|b| {
            b.set("/process/args", json!(["/nosuch"]));
        }),
        ("a directory", &|b| {
            b.set("/process/args", json!(["/etc"]));
        }),
    ];
    for (what, spoil) in cases {
        let mut bundle = env.bundle("wrong", &["true"]);
        spoil(&mut bundle);
        let output = bundle.run();
        assert!(output.code != 0, "{what}: {output:#?}");
        output.fails();
    }
    let bundle = env.bundle("json", &["true"]);
    for text in ["", "{", "[]", "null", "{\"ociVersion\": 1}"] {
        std::fs::write(bundle.dir.join("config.json"), text).unwrap();
        env.oci().args(["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.id).fails();
    }
    env.oci().args(["run", "--bundle", "/nosuch", "x"]).fails();
    let left: Vec<_> = std::fs::read_dir(env.dir.join("state")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_command_is_looked_for_in_the_payloads_path() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("path", &["greet"]);
    std::fs::create_dir(bundle.rootfs().join("opt")).unwrap();
    let script = bundle.rootfs().join("opt/greet");
    std::fs::write(&script, "#!/bin/sh\necho \"$0\"\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    bundle.run().fails();
    assert_eq!(std::fs::read_dir(env.dir.join("state")).unwrap().count(), 0);
    bundle.set("/process/env/0", json!("PATH=/bin:/opt"));
    assert_eq!(bundle.run().ok(), "/opt/greet\n");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o644)).unwrap();
    bundle.run().fails();
}

#[test]
fn a_command_that_cannot_be_run_is_named() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.bundle("named", &["greet"]);
    std::fs::write(bundle.rootfs().join("bin/greet"), "#!/bin/sh\n").unwrap();
    std::fs::write(bundle.rootfs().join("bin/odd"), "no program").unwrap();
    let words = bundle.run().fails();
    assert!(words.contains("\"greet\"") && words.to_lowercase().contains("permission denied"), "{words}");
    bundle.set("/process/args", json!(["nosuch"]));
    let words = bundle.run().fails();
    assert!(words.contains("\"nosuch\"") && words.contains("not found"), "{words}");
    bundle.set("/process/args", json!(["/etc"]));
    let words = bundle.run().fails();
    assert!(words.contains("\"/etc\"") && words.to_lowercase().contains("permission denied"), "{words}");
}

#[test]
fn exec_joins_and_returns_its_own_exit_code() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("exec", &["sleep", "1000"]);
    bundle.push("/process/env", json!("FROM=config"));
    let ctr = bundle.start();
    ctr.exec(&["sh", "-c", "exit 9"]).run().exits(9);
    ctr.exec(&["nosuch"]).fails();
    assert_eq!(
        ctr.exec(&["sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '; hostname; echo $FROM"]).ok(),
        "sleep 1000 box\nconfig\n"
    );
    let out = env
        .oci()
        .args(["exec", "--env", "A=b", "--cwd", "/tmp", &ctr.id, "/bin/sh", "-c", "echo $A; pwd"])
        .ok();
    assert_eq!(out, "b\n/tmp\n");
    assert_eq!(ctr.exec(&["cat"]).stdin("through").ok(), "through");

    let process = env.dir.join("process.json");
    let document = json!({"user": {"uid": 0, "gid": 0}, "args": ["env"], "env": ["ONLY=this", "PATH=/bin"], "cwd": "/tmp"});
    std::fs::write(&process, document.to_string()).unwrap();
    let out = env.oci().args(["exec", "--process"]).arg(&process).arg(&ctr.id).ok();
    assert!(out.contains("ONLY=this\n") && !out.contains("FROM"), "{out}");
}

#[test]
fn a_detached_exec_goes_on() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let ctr = env.bundle("detach", &["sleep", "1000"]).start();
    let file = env.dir.join("exec-pid");
    env.oci()
        .args(["exec", "--detach", "--pid-file"])
        .arg(&file)
        .args([&ctr.id, "sh", "-c", "echo in >/tmp/f; sleep 1000"])
        .ok();
    assert!(std::fs::read_to_string(&file).unwrap().parse::<u32>().unwrap() > 1);
    wait_for(&|| ctr.exec(&["cat", "/tmp/f"]).run().stdout == "in\n");
    let out = ctr.exec(&["ps"]).ok();
    assert_eq!(out.lines().filter(|line| line.contains("sleep 1000")).count(), 2, "{out}");
}

#[test]
fn exec_before_start_gets_in_and_learns_nothing_of_the_waiting_process() {
    need!("userns", "subid", "busybox", "coracle-oci");
    for env in [Env::new(), Env::in_store()] {
        let mut bundle = env.bundle("early", &["sleep", "1000"]);
        for set in ["bounding", "effective", "permitted"] {
            bundle.push(&format!("/process/capabilities/{set}"), json!("CAP_SYS_PTRACE"));
        }
        let ctr = bundle.create();
        let script = "cd /proc/self/ns; for n in ipc mnt net pid user uts; do readlink $n; done";
        let early = ctr.exec(&["sh", "-c", script]).ok();
        for (line, name) in early.lines().zip(["ipc", "mnt", "net", "pid", "user", "uts"]) {
            let ours = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
            assert_ne!(line, ours.to_str().unwrap(), "{name}");
        }
        // It holds fds of the host still: whoever came in early must not reach them.
        for path in ["/proc/1/fd/", "/proc/1/cwd/", "/proc/1/root/", "/proc/1/ns/", "/proc/1/environ"] {
            let error = ctr.exec(&["sh", "-c", &format!("ls -l {path}* && cat {path}")]).fails();
            assert!(error.contains("ermission denied") || error.contains("No such file"), "{path}: {error}");
        }
        assert_eq!(ctr.status(), "created");
        ctr.cmd(&["start"]).ok();
        assert_eq!(ctr.exec(&["sh", "-c", script]).ok(), early);
    }
}

#[test]
fn a_cgroup_that_cannot_be_made_is_refused_where_one_was_asked_for() {
    need!("userns", "cgroup", "busybox", "coracle-oci");
    let env = Env::new();
    let words = [
        "unable to apply cgroup configuration",
        "rootless needs no limits + no cgrouppath",
        "permission denied",
    ];
    let mut bundle = env.bundle("cgroup", &["true"]);
    bundle.set("/linux/cgroupsPath", json!("/nobody-gave-us-this"));
    bundle.run().says(1, &words);
    bundle.set("/linux/resources/pids/limit", json!(10));
    bundle.run().says(1, &words);
}

#[test]
fn a_poststart_hook_that_fails_stops_the_container() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.bundle("poststart", &["sleep", "1000"]);
    bundle.set("/hooks", json!({"poststart": [{"path": "/bin/true"}, {"path": "/bin/false"}]}));
    bundle.run().says(1, &["error running poststart hook #1: /bin/false: exit status: 1"]);
    let ctr = bundle.create();
    ctr.cmd(&["start"]).run().says(1, &["error running poststart hook #1"]);
    ctr.wait_stopped();
}

#[test]
fn a_start_container_hook_has_the_payloads_environment_and_its_failure_is_seen() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.bundle("hook", &["true"]);
    let hook = |script: &str| json!({"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]});
    bundle.push("/process/env", json!("ONE=two"));
    bundle.set("/hooks", hook("test $ONE = two"));
    bundle.run().ok();
    bundle.set("/hooks", hook("echo words >&2; exit 3"));
    bundle.run().says(1, &["words", "error running startContainer hook #0", "exit status 3"]);
    bundle.set("/process/terminal", json!(true));
    let output = bundle.run();
    assert_eq!(output.stdout, "words\n", "{output:#?}");
    output.says(1, &["error running startContainer hook #0"]);
}

#[test]
fn list_and_ps_show_what_is_there() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    assert_eq!(env.oci().args(["list", "--quiet"]).ok(), "");
    let one = env.bundle("one", &["sleep", "1000"]).start();
    let two = env.bundle("two", &["sleep", "1000"]).create();
    let quiet = env.oci().args(["list", "-q"]).ok();
    let mut ids: Vec<&str> = quiet.lines().collect();
    ids.sort_unstable();
    assert_eq!(ids, [&one.id, &two.id]);
    let list: Value = serde_json::from_str(&env.oci().args(["list", "--format", "json"]).ok()).unwrap();
    let status =
        |id: &str| list.as_array().unwrap().iter().find(|c| c["id"] == id).unwrap()["status"].clone();
    assert_eq!((status(&one.id), status(&two.id)), (json!("running"), json!("created")));
}

#[test]
fn hooks_run_in_order_with_the_state_on_stdin() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("hooks", &["sh", "-c", "echo payload >>/log"]);
    let log = bundle.rootfs().join("log");
    let host = |name: &str| {
        let script = format!("echo {name} >>{0}; cat >{0}.{name}", log.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}])
    };
    for name in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        bundle.set(&format!("/hooks/{name}"), host(name));
    }
    let inside = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo startContainer >>/log"]}]);
    bundle.set("/hooks/startContainer", inside);
    let ctr = bundle.create();
    let order = || {
        let log = std::fs::read_to_string(&log).unwrap();
        // poststart comes after start, at the payload's own pace.
        log.lines().filter(|line| *line != "poststart").map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(order(), ["prestart", "createRuntime", "createContainer"]);
    ctr.cmd(&["start"]).ok();
    ctr.wait_stopped();
    ctr.cmd(&["delete"]).ok();
    assert_eq!(order()[3..], ["startContainer", "payload", "poststop"]);
    assert!(std::fs::read_to_string(&log).unwrap().contains("poststart"));
    let state = std::fs::read(format!("{}.createRuntime", log.display())).unwrap();
    let state: Value = serde_json::from_slice(&state).unwrap();
    assert_eq!((&state["id"], &state["bundle"]), (&json!(ctr.id), &json!(bundle.dir)));
}

#[test]
fn times_that_no_clock_reaches_are_for_ever() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.bundle("ages", &["sleep", "1000"]);
    bundle.set("/hooks/createRuntime", json!([{"path": "/bin/true", "timeout": i64::MAX}]));
    let ctr = bundle.start();
    let events = ctr.cmd(&["events", "--interval", "4000000000000000h"]).spawn();
    std::thread::sleep(std::time::Duration::from_millis(200));
    ctr.cmd(&["kill"]).arg("KILL").ok();
    let output = events.wait();
    // Where the container has no cgroup there is nothing to count.
    assert!(output.code == 0 || output.stderr.contains("has no cgroup"), "{output:#?}");
}

#[test]
fn a_failing_hook_stops_the_creation() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    for name in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let mut bundle = env.bundle(name, &["echo", "ran"]);
        bundle.set(
            &format!("/hooks/{name}"),
            json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo broken >&2; exit 3"]}]),
        );
        let output = bundle.run();
        assert_eq!(output.stdout, "", "{name}");
        assert!(output.code != 0, "{name}: {output:#?}");
    }
}

#[test]
fn eight_at_once() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let bundles: Vec<_> = (0..8).map(|n| env.script(&format!("n{n}"), &format!("exit {n}"))).collect();
    let running: Vec<_> = bundles.iter().map(|bundle| bundle.run_cmd().spawn()).collect();
    let codes: Vec<i32> = running.into_iter().map(|run| run.wait().code).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn containers_are_deleted_by_a_regular_expression() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let created: Vec<_> = ["web1", "web2", "db1"].map(|name| env.bundle(name, &["true"]).create()).into();
    let running = env.bundle("web3", &["sleep", "1000"]).start();
    let left = || env.oci().args(["list", "--quiet"]).ok();
    let delete = |flags: &[&str], expression: &str| {
        let expression = format!("^{}-{expression}", env.tag);
        env.oci().arg("delete").args(flags).arg(expression).run()
    };
    // One that runs is named, and does not keep the others.
    let words =
        format!("{}: cannot delete container {} that is not stopped: running", running.id, running.id);
    delete(&["--regex"], "web[0-9]$").says(1, &["1 of 3 containers are still there", &words]);
    assert_eq!(left(), format!("{}\n{}\n", created[2].id, running.id));
    delete(&["--force", "-r"], "web").ok();
    assert_eq!(left(), format!("{}\n", created[2].id));
    // Nothing fits: nothing is to be done. What is no expression is said to be none.
    delete(&["--regex"], "nosuch").ok();
    env.oci().args(["delete", "--regex", "("]).run().says(1, &["invalid regular expression \"(\""]);
    env.oci().args(["delete", "--regex"]).run().says(1, &["delete --regex requires a regular expression"]);
    // Without the flag it is an id.
    env.oci().args(["delete", "--force", "web.*"]).fails();
    assert_eq!(left(), format!("{}\n", created[2].id));
}

#[test]
fn features_are_announced() {
    need!("userns", "coracle-oci");
    let env = Env::new();
    let features: Value = serde_json::from_str(&env.oci().arg("features").ok()).unwrap();
    assert!(features["ociVersionMin"].is_string() && features["ociVersionMax"].is_string(), "{features}");
    for known in ["seccomp", "netDevices"] {
        assert_eq!(features["linux"][known]["enabled"], json!(true), "{known}");
    }
}

fn wait_for(done: &dyn Fn() -> bool) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !done() {
        assert!(std::time::Instant::now() < until, "waited 20 s in vain");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
