//! `run --rm --hpc` of an image in one file: a command of its caller's, with no monitor, no record and nothing on a disk.

use std::path::{Path, PathBuf};

use crate::need;
use crate::support::{Cmd, World, wait_for};

fn run(w: &World, file: &Path, flags: &str, script: &str) -> Cmd {
    w.c(&format!("run --rm --hpc {flags}")).arg(file).args(["sh", "-c", script])
}

/// All files below a directory, with when they were changed.
fn files(dir: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        // What goes meanwhile is not there.
        let Ok(data) = entry.metadata() else { continue };
        found.push((entry.path(), data.modified().unwrap()));
        if data.is_dir() {
            found.extend(files(&entry.path()));
        }
    }
    found.sort();
    found
}

/// The directories of images' mounts.
fn places(w: &World) -> Vec<PathBuf> {
    files(&w.dir.join("run/coracle/squash")).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn nothing_is_listed_and_nothing_is_left() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    w.c("info").ok();
    let before = files(&w.dir.join("data"));
    let first = run(&w, &file, "", "echo up; exec sleep 1000").spawn();
    let second = run(&w, &file, "", "echo up; exec sleep 1000").spawn();
    for one in [&first, &second] {
        wait_for("the payload", || one.so_far().0 == "up\n");
    }
    assert_eq!(w.processes("squashfuse").len(), 1, "one server for both");
    assert_eq!(w.processes("coracle-monito"), [0; 0], "nobody looks after it");
    assert!(w.names().is_empty());
    // The caller's own id needs no newuidmap: the server's namespace has one.
    let holder = holder_of(w.processes("squashfuse")[0]);
    let map = std::fs::read_to_string(format!("/proc/{holder}/uid_map")).unwrap();
    assert_eq!(map.split_whitespace().last(), Some("1"), "{map}");
    assert_eq!(files(&w.dir.join("data")), before, "nothing was written");
    for one in [first, second] {
        w.tool("kill").args(["-TERM", &one.inner_pid().to_string()]).ok();
        assert_eq!(one.wait().code, 128 + 15);
    }
    wait_for("the server to end", || w.processes("squashfuse").is_empty());
    wait_for("the mount's place to go", || places(&w).is_empty());
    assert_eq!(files(&w.dir.join("data")), before);
}

#[test]
fn exit_codes_signals_and_stdio_are_the_commands_own() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    assert_eq!(run(&w, &file, "", "exit 7").run().code, 7);
    assert_eq!(run(&w, &file, "", "kill -9 $$").run().code, 128 + 9);
    assert_eq!(run(&w, &file, "", "cat; echo err >&2").stdin("for it\n").run().exits(0).stdout, "for it\n");
    assert_eq!(run(&w, &file, "-i", "cat").stdin("for it\n").ok(), "for it\n");
    // With a monitor too, but for one in the background.
    assert_eq!(run(&w, &file, "--name own", "cat").stdin("for it\n").ok(), "for it\n");
    assert_eq!(w.c("run --rm --hpc bb cat").stdin("for it\n").ok(), "for it\n");
    w.c("run -d --name detached --hpc bb cat").stdin("not for it\n").ok();
    w.wait_status("detached", "exited");
    assert_eq!(w.logs("detached"), "");
    w.c("rm detached").ok();
    let bad = |command: &str| w.c("run --rm --hpc").arg(&file).arg(command).run();
    bad("no-such-command").says(127, &["Error: ", "no-such-command", "executable file not found in $PATH"]);
    bad("/etc").says(126, &["Error: ", "/etc", "is a directory"]);
    let trap =
        run(&w, &file, "", "trap 'echo got it; exit 3' USR1; echo up; while :; do sleep 0.05; done").spawn();
    wait_for("the payload", || trap.so_far().0 == "up\n");
    w.tool("kill").args(["-USR1", &trap.inner_pid().to_string()]).ok();
    let out = trap.wait();
    assert_eq!((out.code, out.stdout.as_str()), (3, "up\ngot it\n"));
}

/// As on every path: what a user of `srun` or `timeout -s KILL` ends is ended.
#[test]
fn the_command_is_killed_with_it() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let mark = format!("10{}", std::process::id());
    let one = run(&w, &file, "", &format!("echo up; exec sleep {mark}")).spawn();
    wait_for("the payload", || one.so_far().0 == "up\n");
    let there = || w.tool("pgrep").args(["-f", &format!("^sleep {mark}$")]).run().code == 0;
    assert!(there());
    w.tool("kill").args(["-KILL", &one.inner_pid().to_string()]).ok();
    one.wait();
    wait_for("the payload to end", || !there());
    wait_for("the server to end", || w.processes("squashfuse").is_empty());
}

#[test]
fn a_server_that_dies_ends_it_with_the_reason() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let one = run(&w, &file, "", "echo up; exec sleep 1000").spawn();
    wait_for("the payload", || one.so_far().0 == "up\n");
    w.tool("kill").args(["-KILL", &w.processes("squashfuse")[0].to_string()]).ok();
    one.wait().says(
        125,
        &[
            "Error: ",
            "the container's root file system is gone",
            "the process that served it has ended",
            "Hint: ",
        ],
    );
    // The next one makes another mount.
    assert_eq!(run(&w, &file, "", "echo up").ok(), "up\n");
    // A holder that was killed has a server still, and its users go on; who comes while it dies makes another mount too.
    for _ in 0..8 {
        let one = run(&w, &file, "", "echo up; exec sleep 1000").spawn();
        wait_for("the payload", || one.so_far().0 == "up\n");
        let script = "kill -KILL $(cut -d' ' -f4 /proc/$SERVER/stat); exec $C run --rm --hpc $F echo next";
        let server = w.processes("squashfuse")[0].to_string();
        assert_eq!(w.sh(script).env("SERVER", server).env("F", &file).ok(), "next\n");
        w.tool("kill").args(["-TERM", &one.inner_pid().to_string()]).ok();
        assert_eq!(one.wait().code, 128 + 15);
        wait_for("the servers to end", || w.processes("squashfuse").is_empty());
    }
}

fn holder_of(server: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:\t")).unwrap().parse().unwrap()
}

/// A script's commands follow each other, and a workflow's: the image is mounted once for them.
#[test]
fn the_next_command_finds_the_mount() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    // A machine that stands still for so long is no reason to fail.
    let found = (0..8).any(|_| {
        run(&w, &file, "", "true").ok();
        let first = w.processes("squashfuse");
        w.c("run --rm --hpc").arg(&file).arg("true").ok();
        first.len() == 1 && first == w.processes("squashfuse")
    });
    assert!(found, "no command finds the one's before");
    // Nobody comes.
    wait_for("the server to end", || w.processes("squashfuse").is_empty());
    wait_for("the mount's place to go", || places(&w).is_empty());
}

/// What stops a service, or ends a session, waits for all of its processes.
#[test]
fn a_signal_ends_a_mount_that_nobody_uses() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let other = w.dir.join("home/other.sqsh");
    std::fs::copy(&file, &other).unwrap();
    let servers = || w.processes("squashfuse");
    // The one that was left first would go first.
    let told = (0..8).any(|_| {
        wait_for("none to be there", || servers().is_empty());
        run(&w, &other, "", "true").ok();
        let first = servers();
        let one = run(&w, &file, "", "echo up; exec sleep 1000").spawn();
        wait_for("the payload", || one.so_far().0 == "up\n");
        let Some(second) = servers().into_iter().find(|server| !first.contains(server)) else { return false };
        // Told while it is used, it stays until it is not.
        w.tool("kill").args(["-TERM", &holder_of(second).to_string()]).ok();
        assert!(servers().contains(&second));
        w.tool("kill").args(["-TERM", &one.inner_pid().to_string()]).ok();
        assert_eq!(one.wait().code, 128 + 15);
        wait_for("one to end", || servers().len() < 2);
        first.len() == 1 && servers() == first
    });
    assert!(told, "the one that was told to end does not end first");
}

#[test]
fn what_a_killed_holder_leaves_goes_with_the_next_start() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let other = w.dir.join("home/other.sqsh");
    std::fs::copy(&file, &other).unwrap();
    let one = run(&w, &file, "", "echo up; exec sleep 1000").spawn();
    wait_for("the payload", || one.so_far().0 == "up\n");
    // As a batch system ends a job.
    w.sh("kill -KILL $(cut -d' ' -f4 /proc/$SERVER/stat) $SERVER $COMMAND")
        .env("SERVER", w.processes("squashfuse")[0].to_string())
        .env("COMMAND", one.inner_pid().to_string())
        .ok();
    one.wait();
    assert!(!places(&w).is_empty(), "nobody could take it away");
    run(&w, &other, "", "true").ok();
    wait_for("both to go", || places(&w).is_empty());
    // Nobody loses the place that another one takes away.
    let many = "for i in 1 2 3 4; do (for j in $(seq 12); do $C run --rm --hpc $F true || echo failed; done) & done; wait";
    let out = w.sh(many).env("F", &file).run();
    assert!(out.code == 0 && out.stdout.is_empty() && out.stderr.is_empty(), "{out:?}");
    wait_for("it to go", || places(&w).is_empty());
}

#[test]
fn what_it_writes_is_in_memory() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    // A directory that is made anew hides what the image had in it.
    let tool = format!("/tmp/busybox-{}", w.tag);
    let script = format!(
        "mkdir -p /var/deep; echo x >/var/deep/f; cp /bin/busybox {tool}; {tool} rm -r /bin && {tool} mkdir /bin && \
         {tool} ls -A /bin; {tool} echo made; {tool} rm {tool}"
    );
    assert_eq!(run(&w, &file, "", &script).ok(), "made\n");
    assert_eq!(
        run(&w, &file, "", "test -e /bin/busybox && test ! -e /var/deep && echo as it was").ok(),
        "as it was\n"
    );
}

/// What needs somebody to look after it gets a monitor, as everywhere.
#[test]
fn a_container_that_is_asked_for_more_is_one_of_the_others() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let text = file.to_str().unwrap();
    for flags in ["--name one", "--pid private --name two", "-d", "--restart no --network none --name three"]
    {
        let started = w.c(&format!("run --rm --hpc {flags} {text} sleep 1000")).spawn();
        wait_for("the container", || w.names().len() == 1);
        w.c("rm --all --force -t 0").ok();
        started.wait();
    }
    let kept = w.c(&format!("run --hpc {text} true"));
    kept.ok();
    assert_eq!(w.names().len(), 1, "without --rm it stays");
    w.c("rm --all").ok();
    let ids = w.dir.join("home/cid");
    w.c("run --rm --hpc --cidfile").arg(&ids).arg(&file).arg("true").ok();
    assert!(ids.exists());
    let over = w.dir.join("home/over");
    std::fs::create_dir(&over).unwrap();
    w.c("run --rm --hpc --overlay").arg(&over).arg(&file).args(["touch", "/kept"]).ok();
    assert!(over.join("upper/kept").exists());
}

/// Whoever holds a terminal could read what is typed on it: the command has pipes, and what it writes is copied.
#[test]
fn the_callers_terminal_is_not_given_away() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let script = "for fd in 0 1 2; do test -t $fd && echo terminal $fd; done; echo out; echo err >&2; \
                  read line && echo read:$line; read line || echo end; exit 6";
    for (line, ranks) in [("run --rm --hpc", 1), ("fanout -n 2", 2)] {
        let script = format!("{script} ");
        let t = crate::support::Terminal::start(
            w.c(&format!("{line} -i")).arg(&file).args(["sh", "-c", &script]),
        );
        t.sees("out\r\n");
        t.sees("err\r\n");
        t.keys("typed\n");
        t.sees("read:typed\r\n");
        // ctrl-d, and ctrl-d of an empty line
        t.keys("\x04");
        t.sees("end\r\n");
        let (code, shown) = t.wait();
        assert_eq!(code, 6, "{shown}");
        assert!(!shown.contains("terminal "), "{shown}");
        assert_eq!(shown.matches("out\r\n").count(), ranks, "{shown}");
    }
    // A key that ends it.
    let t = crate::support::Terminal::start(w.c("run --rm --hpc").arg(&file).args([
        "sh",
        "-c",
        "echo up; sleep 1000",
    ]));
    t.sees("up\r\n");
    t.keys("\x03");
    assert_eq!(t.wait().0, 128 + 2);
}

/// ctrl-c is for all that is in the foreground, as on the host and under other tools of clusters: a shell or `make` that gets it
/// alone waits for what it has started. What is sent by number is for the first process, which is what podman does.
#[test]
fn a_key_of_the_terminal_reaches_all_of_it() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let second = "trap 'echo second; exit 5' INT; echo up; while :; do sleep 0.1; done";
    let first = format!("trap 'echo first' INT; sh -c \"{second}\"; echo its-$?; exit 6");
    for line in ["run --rm --hpc", "run --rm --hpc -i"] {
        let t = crate::support::Terminal::start(w.c(line).arg(&file).args(["sh", "-c", &first]));
        t.sees("up\r\n");
        t.keys("\x03");
        t.sees("second\r\n");
        t.sees("first\r\n");
        t.sees("its-5\r\n");
        assert_eq!(t.wait().0, 6, "{line}");
    }
    let script = "trap 'echo first; kill $!; exit 6' INT; sleep 1000 & echo up; wait";
    let one = run(&w, &file, "", script).spawn();
    wait_for("the payload", || one.so_far().0 == "up\n");
    w.tool("kill").args(["-INT", &one.inner_pid().to_string()]).ok();
    let out = one.wait();
    assert_eq!((out.code, out.stdout.as_str()), (6, "up\nfirst\n"));
}

/// A launcher's connection may have any number: what is ours below it stays ours.
#[test]
fn no_fd_of_ours_is_passed_on() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let script = "exec 7</etc/hostname 100</etc/hostname; \
                  PMI_FD=100 $C run --rm --hpc $F sh -c 'cd /proc/self/fd && echo *'";
    let all = w.sh(script).env("F", &file).ok();
    // The shell reads the list by 3.
    let given: Vec<u32> = all.split_whitespace().map(|fd| fd.parse().unwrap()).filter(|fd| *fd > 3).collect();
    assert_eq!(given, [100]);
}

/// `--sig-proxy=false`: a signal is for the command itself, and its end is not the container's.
#[test]
fn signals_that_are_not_to_be_passed_on_are_not() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let script = "trap 'exit 7' USR1; echo up; while :; do sleep 0.1; done";
    let one = run(&w, &file, "--sig-proxy=false", script).spawn();
    wait_for("the payload", || one.so_far().0 == "up\n");
    w.tool("kill").args(["-USR1", &one.inner_pid().to_string()]).ok();
    assert_eq!(one.wait().code, 128 + 10);
    assert_eq!(w.names().len(), 1);
    w.c("rm --all --force -t 0").ok();
}

/// As on every path: a container's end is the end of all its processes.
#[test]
fn what_it_leaves_behind_ends_with_it() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let mark = format!("20{}", std::process::id());
    let there = || w.tool("pgrep").args(["-f", &format!("^sleep {mark}$")]).run().code == 0;
    // Another one uses the same server, which the first has started.
    let daemon = format!("(setsid sh -c 'sleep {mark} & sleep {mark}' >/dev/null 2>&1 &); echo up");
    let first = run(&w, &file, "", &format!("{daemon}; exec sleep 1000")).spawn();
    wait_for("the daemon", || first.so_far().0 == "up\n" && there());
    let other = run(&w, &file, "", "echo up; exec sleep 1000").spawn();
    wait_for("the other", || other.so_far().0 == "up\n");
    w.tool("kill").args(["-TERM", &first.inner_pid().to_string()]).ok();
    assert_eq!(first.wait().code, 128 + 15);
    assert!(!there(), "a daemon of a container that was ended");
    assert_eq!(run(&w, &file, "", &format!("{daemon}; exit 4")).run().code, 4);
    assert!(!there(), "a daemon of a container that has ended");
    // It has its server still.
    w.tool("kill").args(["-TERM", &other.inner_pid().to_string()]).ok();
    assert_eq!(other.wait().code, 128 + 15);
    // What its caller has started before it is no part of it, nor is what that leaves behind.
    let line = format!(
        "sh -c 'sleep 0.5; setsid sleep {mark} >/dev/null 2>&1 & sleep 1' & exec \"$C\" run --rm --hpc app.sqsh sh -c 'sleep 2.5; exit 6'"
    );
    assert_eq!(w.sh(&line).cwd(file.parent().unwrap()).run().code, 6);
    assert!(there(), "a daemon of the caller's");
    w.tool("pkill").args(["-f", &format!("^sleep {mark}$")]).ok();
    // One that writes for ever to the terminal holds nobody up.
    let script = "yes & echo here; exit 5";
    let t = crate::support::Terminal::start(w.c("run --rm --hpc").arg(&file).args(["sh", "-c", script]));
    assert_eq!(t.wait().0, 5);
}

/// As a program that has the terminal itself: one that takes nothing more (Ctrl-S) keeps no signal away.
#[test]
fn a_terminal_that_takes_nothing_keeps_no_signal_away() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let start = |script: &str| {
        let t = crate::support::Terminal::start(w.c("run --rm --hpc").arg(&file).args(["sh", "-c", script]));
        t.sees("begins");
        t.keys("\x13");
        t
    };
    let endless = start("echo begins; sleep 1; exec yes 0123456789");
    std::thread::sleep(std::time::Duration::from_secs(3));
    w.tool("kill").args(["-TERM", &endless.pid().to_string()]).ok();
    assert_eq!(endless.wait().0, 128 + 15);
    // What was written before the end is shown once it takes something again.
    let long =
        start("echo begins; sleep 1; i=0; while [ $i -lt 900 ]; do echo line-$i; i=$((i+1)); done; exit 7");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(!long.shown().contains("line-899"));
    long.keys("\x11");
    long.sees("line-899");
    assert_eq!(long.wait().0, 7);
}

#[test]
fn job_control_and_nohup_are_the_callers() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let file = file.to_str().unwrap();
    let t = crate::support::Terminal::start(w.sh("exec bash --norc -i"));
    t.keys(&format!(
        "$C run --rm --hpc {file} sh -c 'echo u''p; while test ! -e /tmp/{}; do sleep 0.1; done'\n",
        w.tag
    ));
    t.sees("up\r\n");
    t.keys("\x1a");
    t.sees("Stopped");
    t.keys(&format!("touch /tmp/{0}; fg >/dev/null; echo first-$?; rm /tmp/{0}\n", w.tag));
    t.sees("first-0");
    // What is typed to the shell is not for it.
    t.keys(&format!("$C run --rm --hpc -i {file} sh -c 'echo wa''its; cat; exit 3' &\n"));
    t.sees("waits\r\n");
    t.keys("echo shell-$((40+2))\n");
    t.sees("shell-42");
    wait_for("it to stop, as it has nothing to read", || {
        t.keys("jobs\n");
        t.shown().matches("Stopped").count() > 1
    });
    t.keys("echo in''front; fg >/dev/null\n");
    t.sees("infront\r\n");
    t.keys("to it\n");
    wait_for("it to read on", || t.shown().matches("to it").count() > 1);
    t.keys("\x04");
    t.keys("echo second-$?; exit\n");
    t.sees("second-3");
    assert_eq!(t.wait().0, 0);
    let script = "trap '' HUP; $C run --rm --hpc $F sh -c 'kill -HUP $PPID; sleep 0.3; echo on'; echo $?";
    assert_eq!(w.sh(script).env("F", file).ok(), "on\n0\n");
}
