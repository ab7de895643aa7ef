//! `exec`: a second process in a running container.

use crate::need;
use crate::support::{World, wait_for};

#[test]
fn exit_codes_and_streams() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("e", "bb sleep 1000");
    let out = w.c("exec e sh -c").arg("echo out; echo err >&2; exit 5").run().exits(5);
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("out\n", "err\n"));
    w.c("exec e no-such-program").run().says(127, &["Error: ", "no-such-program"]);
    // podman gives what follows the container to the command, too.
    w.c("exec e -- true").run().says(127, &["Error: ", "--"]);
    w.c("exec -- e true").ok();
    w.c("exec e /etc/passwd").run().says(126, &["Error: ", "/etc/passwd"]);
    w.c("exec e sh -c").arg("kill -9 $$").run().exits(137);
    w.c("exec e").run().says(125, &["Error: ", "non-empty command"]);
    w.c("exec nobody true").run().says(125, &["Error: ", "nobody"]);
    assert_eq!(w.status("e"), "running");
}

#[test]
fn in_a_container_that_does_not_run() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("create --name e bb true").ok();
    w.c("exec e true").run().says(125, &["Error: ", "Hint: "]);
}

#[test]
fn user_directory_and_environment() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("e", "-e FROM_RUN=1 -w /etc bb sleep 1000");
    assert_eq!(w.c("exec e pwd").ok(), "/etc\n");
    assert_eq!(w.c("exec -w /tmp e pwd").ok(), "/tmp\n");
    assert_eq!(w.c("exec -u user e id -un").ok(), "user\n");
    assert_eq!(w.c("exec -u 1000:10 e id -g").ok(), "10\n");
    assert_eq!(
        w.c("exec -u 4711 e sh -c").arg("echo $(id -u) $(grep CapEff /proc/self/status)").ok(),
        "4711 CapEff: 0000000000000000\n"
    );
    assert_eq!(w.c("exec -e A=2 e sh -c").arg("echo $A $FROM_RUN").ok(), "2 1\n");
    assert_eq!(w.c("exec -u user e sh -c").arg("echo $HOME").ok(), "/home/user\n");
    w.c("exec -u nobody-there e true").run().fails_own(&["Error: ", "nobody-there"]);
    w.c("exec -w /not/there e true").run().fails_own(&["Error: ", "/not/there"]);
}

#[test]
fn is_confined_as_the_container_is() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("e", "--cap-drop all --security-opt no-new-privileges bb sleep 1000");
    let out = w.c("exec e grep -E").args(["^(CapBnd|CapEff|Seccomp|NoNewPrivs):", "/proc/self/status"]).ok();
    let values: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(
        values,
        ["CapEff:", "0000000000000000", "CapBnd:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]
    );
    assert_eq!(
        w.c("exec e hostname").ok(),
        w.get("e", "/Config/Hostname").as_str().unwrap().to_owned() + "\n"
    );
    // It shares the pid namespace, not a terminal or file of ours.
    let out = w.c("exec e ls /proc/self/fd").ok();
    assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    let out = w.c("exec --privileged e grep CapEff /proc/self/status").ok();
    assert!(out.contains("1ff"), "{out}");
}

#[test]
fn detached() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("e", "bb sleep 1000");
    let id = w.c("exec -d e sh -c").arg("sleep 0.2; echo done >/tmp/done").ok();
    assert_eq!(id.trim().len(), 64, "the session's id: {id}");
    wait_for("the detached command", || w.c("exec e cat /tmp/done").run().stdout == "done\n");
}

#[test]
fn stdin_through_a_pipe() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("e", "bb sleep 1000");
    assert_eq!(w.sh("printf 'a\\nb\\n' | $C exec -i e wc -l").ok().trim(), "2");
    assert_eq!(w.sh("echo x | $C exec e wc -c").ok().trim(), "0");
    assert_eq!(w.sh("head -c 2000000 /dev/zero | $C exec -i e cat | wc -c").ok().trim(), "2000000");
    assert_eq!(w.c("exec -i e cat").stdin("in\n").ok(), "in\n");
}

#[test]
fn on_a_terminal() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("e", "bb sleep 1000");
    let t = w.terminal("exec -it e sh");
    t.keys("stty size; tty\n");
    t.sees("30 100");
    t.sees("/dev/pts/");
    assert!(t.is_raw());
    t.keys("exit 9\n");
    assert_eq!(t.wait().0, 9);
}

#[test]
fn many_at_once_and_a_killed_client() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("e", "bb sleep 1000");
    let running: Vec<_> = (0..8).map(|i| w.c("exec e echo").arg(i.to_string()).spawn()).collect();
    for (i, one) in running.into_iter().enumerate() {
        assert_eq!(one.wait().ok(), format!("{i}\n"));
    }
    let mut sleeping = w.c("exec e sleep 900").spawn();
    wait_for("exec to start", || w.c("exec e ps").run().stdout.contains("sleep 900"));
    kill(sleeping.inner_pid());
    wait_for("the client to end", || sleeping.ended());
    assert_eq!(w.c("exec e echo still").ok(), "still\n");
}

#[test]
fn a_failure_is_said_once_and_by_name() {
    need!("subid", "registry", "crun", "runc");
    let w = World::with_busybox();
    w.start("own", "bb sleep 1000");
    w.c("--runtime crun run -d --name crun --network none bb sleep 1000").ok();
    w.c("--runtime runc run -d --name runc --network none bb sleep 1000").ok();
    for name in ["own", "crun", "runc"] {
        let out = w.c("exec").args([name, "no-such-program"]).run();
        out.says(
            127,
            &[&format!("Error: cannot run a command in container {name}\nCaused by: "), "no-such-program"],
        );
        let out = w.c("exec").args([name, "no-such-program"]).run().exits(127);
        assert_eq!(out.stderr.lines().filter(|l| l.contains("no-such-program")).count(), 1, "{out:#?}");
        w.c("exec -w /missing").args([name, "true"]).run().says(127, &["Error: ", "/missing"]);
        let out = w.c("exec").args([name, "sh", "-c", "echo out; echo err >&2"]).run().exits(0);
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("out\n", "err\n"));
    }
    // Nobody waits for a background command: its failure is ours. So is that of a start.
    w.c("exec -d own no-such-program").run().says(125, &["no-such-program"]);
    w.c("create --name n --network none bb no-such-program").ok();
    w.c("start n").run().says(125, &["Error: cannot start container n\nCaused by: ", "no-such-program"]);
    w.c("start -a n").run().exits(125);
    let out = w.c("run --rm --network none --log-driver passthrough bb no-such-program").run().exits(127);
    assert_eq!(out.stderr.lines().count(), 2, "{out:#?}");
}

#[test]
fn files_of_the_caller() {
    need!("subid", "registry", "crun");
    let w = World::with_busybox();
    let file = w.dir.join("f");
    std::fs::write(&file, "kept\n").unwrap();
    let sh = |script: &str| w.sh(&script.replace("FILE", file.to_str().unwrap())).run();
    let run = "$C run --rm --network none";
    assert_eq!(
        sh(&format!("{run} --preserve-fds 1 bb cat /proc/self/fd/3 3<FILE")).exits(0).stdout,
        "kept\n"
    );
    assert_eq!(
        sh(&format!("{run} --preserve-fds 2 bb sh -c 'cat <&4' 3<FILE 4<FILE")).exits(0).stdout,
        "kept\n"
    );
    // Not asked for, not passed.
    let out = sh(&format!("{run} bb ls /proc/self/fd 3<FILE")).exits(0).stdout;
    assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"], "3 is the directory itself");
    sh(&format!("{run} --preserve-fds 2 bb true 3<FILE"))
        .says(125, &["file descriptor 4 is not open", "Hint: "]);
    // A pipe ends with its last user in the container: the monitor keeps no copy.
    let out = sh(
        "{ $C run -d --name p --preserve-fds 1 --network none bb sh -c 'echo x >&3; exec 3>&-; sleep 1000' 3>&1 >/dev/null; } | cat",
    );
    assert_eq!(out.exits(0).stdout, "x\n");
    w.c("--runtime crun run -d --name crun --network none bb sleep 1000").ok();
    for exec in ["p", "crun", "-t p"] {
        let out = sh(&format!("$C exec --preserve-fds 1 {exec} sh -c 'cat <&3' 3<FILE")).exits(0);
        assert_eq!(out.stdout.trim_end(), "kept", "{exec}");
    }
}

#[test]
fn the_callers_files_stay_the_callers() {
    need!("subid", "registry", "crun");
    let w = World::with_busybox();
    w.c("run -d --name c --network none bb sleep 1000").ok();
    w.sh("mkfifo $HOME/fifo").ok();
    for line in ["exec -u 5:6", "run -u 5:6 --rm --network none"] {
        let target = if line.starts_with("exec") { "c" } else { "bb" };
        let script =
            format!("cd $HOME; $C {line} {target} id -u >out 2>err; stat -c %u out err fifo | sort -u");
        assert_eq!(w.sh(&script).ok().trim(), rustix::process::getuid().as_raw().to_string(), "{line}");
        assert_eq!(w.sh("cat $HOME/out").ok(), "5\n", "{line}");
    }
    let script = "cd $HOME; cat fifo & $C exec -u 5:6 c id -u >fifo; wait; stat -c %u fifo";
    assert_eq!(w.sh(script).ok(), format!("5\n{}\n", rustix::process::getuid().as_raw()));
    // A nameless pipe is nobody's: with it the payload can do what it could with a file.
    assert_eq!(w.sh("$C exec -u 5:6 c sh -c 'echo x >/dev/stderr' 2>&1 | cat").ok(), "x\n");
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
