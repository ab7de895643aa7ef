//! `coracle fanout`: many ranks on this machine, in one container, without Slurm.

use std::path::PathBuf;

use crate::need;
use crate::support::{Cmd, World, wait_for};

/// `coracle fanout FLAGS app.sqsh -- sh -c SCRIPT`.
fn fanout(w: &World, flags: &str, script: &str) -> Cmd {
    let file = w.dir.join("home/app.sqsh");
    w.c("fanout").args(flags.split_whitespace()).arg(file).args(["--", "sh", "-c", script])
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Nothing is left: no container, and no process of this test but the test's own.
fn gone(w: &World) {
    wait_for("the container to end with its last rank", || w.names().is_empty());
    wait_for("its processes to end", || processes(w).is_empty());
}

/// What runs with this test's environment: squashfuse, monitors, and ranks.
fn processes(w: &World) -> Vec<String> {
    let mark = format!("XDG_RUNTIME_DIR={}", w.dir.join("run").display());
    let pids = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| {
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|item| item == mark.as_bytes())
    };
    let name =
        |path: PathBuf| std::fs::read_to_string(path.join("comm")).unwrap_or_default().trim().to_owned();
    pids.filter(ours).map(name).collect()
}

#[test]
fn ranks_know_who_they_are_and_share_one_container() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, _) = World::with_image_file();
    let script = "echo $PMI_RANK/$PMI_SIZE $OMPI_COMM_WORLD_RANK/$OMPI_COMM_WORLD_SIZE $SLURM_PROCID/$SLURM_NTASKS \
                  $RANK/$WORLD_SIZE; (readlink /proc/self/ns/user; readlink /proc/self/ns/mnt) >/dev/shm/.$RANK; mv /dev/shm/.$RANK /dev/shm/$RANK; \
                  while [ $(ls /dev/shm | wc -l) -lt 3 ]; do sleep 0.1; done; cat /dev/shm/* | sort -u >&2";
    let out = fanout(&w, "-n 3", script).run().exits(0);
    assert_eq!(sorted(&out.stdout), ["0/3 0/3 0/3 0/3", "1/3 1/3 1/3 1/3", "2/3 2/3 2/3 2/3"]);
    // One user and one mount namespace, told by each of three.
    let mut namespaces = sorted(&out.stderr);
    namespaces.dedup();
    assert_eq!(namespaces.len(), 2, "{namespaces:?}");
    gone(&w);
}

#[test]
fn output_can_be_tagged_and_stdin_is_rank_0s() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, _) = World::with_image_file();
    let out =
        fanout(&w, "-n 2 -i --tag-output", "echo out; echo err >&2; cat; printf end").stdin("in\n").run();
    let out = out.exits(0);
    assert_eq!(sorted(&out.stdout), ["0: end", "0: in", "0: out", "1: end", "1: out"]);
    assert_eq!(sorted(&out.stderr), ["0: err", "1: err"]);
    assert_eq!(fanout(&w, "-n 2 --ranks 1", "echo one").ok(), "one\n");
    gone(&w);
}

#[test]
fn the_exit_code_is_the_highest_or_the_one_that_ended_all() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = World::with_image_file();
    fanout(&w, "-n 4", "exit $RANK").run().exits(3);
    fanout(&w, "-n 3", "[ $RANK = 1 ] && kill -9 $$; exit 0").run().exits(137);
    // One fails, one heeds SIGTERM, one does not.
    let script = "trap 'echo heeds; exit 0' TERM; [ $RANK = 2 ] && trap '' TERM; touch /dev/shm/$RANK; \
                  while [ $(ls /dev/shm | wc -l) -lt 3 ]; do sleep 0.1; done; [ $RANK = 0 ] && exit 5; \
                  while :; do sleep 0.1; done";
    let out = fanout(&w, "-n 3 --kill-on-bad-exit --stop-timeout 1", script).run().exits(5);
    assert_eq!(out.stdout, "heeds\n");
    let out = w.c("fanout -n 2").arg(&file).arg("/no/such").run();
    out.says(127, &["Error: cannot start the command of a rank", "Caused by", "\"/no/such\""]);
    gone(&w);
}

#[test]
fn signals_reach_all_ranks_and_a_killed_command_leaves_none() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, _) = World::with_image_file();
    let up = |running: &crate::support::Running| running.so_far().0.matches("up").count() == 3;
    let waits =
        fanout(&w, "-n 3", "trap 'echo caught; exit 4' TERM; echo up; while :; do sleep 0.1; done").spawn();
    wait_for("three ranks", || up(&waits));
    w.tool("kill").arg(waits.inner_pid().to_string()).ok();
    let out = waits.wait().exits(4);
    assert_eq!(out.stdout.matches("caught").count(), 3);
    let killed = fanout(&w, "-n 3", "trap '' TERM; echo up; while :; do sleep 0.1; done").spawn();
    wait_for("three ranks", || up(&killed));
    w.tool("kill").args(["-9", &killed.inner_pid().to_string()]).ok();
    killed.wait().exits(137);
    gone(&w);
}

#[test]
fn a_hundred_and_twenty_eight_ranks_have_one_squashfuse() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, _) = World::with_image_file();
    let script = "touch /dev/shm/$RANK; while [ ! -e /dev/shm/go ]; do sleep 1; done; test -x /bin/busybox && echo good";
    let many = fanout(&w, "-n 128", script).spawn();
    let list = || w.c("ps -q").ok().trim().to_owned();
    wait_for("the container", || !list().is_empty());
    let inside = |script: &str| w.c("exec").arg(list()).args(["sh", "-c", script]).run().stdout;
    wait_for("all ranks", || inside("ls /dev/shm | wc -l") == "128\n");
    let servers = processes(&w).into_iter().filter(|name| name.starts_with("squashfuse")).count();
    assert_eq!(servers, 1);
    inside("touch /dev/shm/go");
    assert_eq!(many.wait().exits(0).stdout.matches("good").count(), 128);
    gone(&w);
}

#[test]
fn what_cannot_be_fanned_out_is_refused_before_anything_is_made() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = World::with_image_file();
    for flags in [
        "--name x",
        "-t",
        "--memory 64m",
        "--restart always",
        "-p 8080:80",
        "--pidfile p",
        "--timeout 5",
        "--pid host",
    ] {
        let out = w.c("fanout -n 2").args(flags.split_whitespace()).arg(&file).arg("true").run();
        out.says(125, &["Error: cannot fan out with ", "Caused by", "one container", "Hint: Leave it out"]);
    }
    w.c("fanout -n 2 --cidfile c")
        .arg(&file)
        .arg("true")
        .run()
        .says(125, &["Error: ", "--cidfile with fanout"]);
    w.c("fanout -n 0").arg(&file).arg("true").run().says(125, &["Error: ", "0 is not in 1..=4096"]);
    w.c("fanout").arg(&file).arg("true").run().says(125, &["Error: ", "--ranks"]);
    w.c("fanout -n 2 ./none.sqsh true").run().says(125, &["Error: cannot use the image file", "ENOENT"]);
    gone(&w);
}
