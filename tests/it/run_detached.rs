//! Containers that outlive their command: run -d, ps, logs, attach, stop, start, restart, kill, wait, rm.

use crate::need;
use crate::support::{World, wait_for};

#[test]
fn from_start_to_removal() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let id = w.start("web", "bb sleep 1000");
    assert_eq!(id.len(), 64);
    let ps = w.c("ps").ok();
    assert!(
        ps.starts_with("CONTAINER ID") && ps.contains(&id[..12]) && ps.contains("Up ") && ps.contains("web"),
        "{ps}"
    );
    assert_eq!(w.c("ps -q --no-trunc").ok().trim(), id);
    assert_eq!(w.c("stop -t 0 web").ok(), "web\n");
    assert_eq!(w.c("ps -q").ok(), "");
    let all = w.c("ps -a").ok();
    assert!(all.contains("Exited (137)"), "{all}");
    assert_eq!(w.c("start web").ok(), "web\n");
    assert_eq!(w.status("web"), "running");
    w.c("rm web").run().says(2, &["Error: ", "running", "Hint: "]);
    assert_eq!(w.c("rm -f -t 0 web").ok(), "web\n");
    w.c("rm web").run().says(1, &["Error: ", "web"]);
    assert!(w.names().is_empty());
}

#[test]
fn by_id_prefix_and_not_by_an_ambiguous_one() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let id = w.start("named", "bb sleep 1000");
    assert_eq!(w.c("inspect --format {{.Name}}").arg(&id[..8]).ok(), "named\n");
    w.c("inspect").arg("").run().exits(125);
    // Sixteen containers after it two begin alike at the latest.
    for i in 0..17 {
        w.c("create --name").arg(format!("c{i}")).args(["bb", "true"]).ok();
    }
    let ids = w.c("ps -aq --no-trunc").ok();
    let twice = ids.lines().find(|one| ids.lines().filter(|o| o.starts_with(&one[..1])).count() > 1).unwrap();
    w.c("rm").arg(&twice[..1]).run().says(125, &["Error: ", "more than one", "Hint: "]);
    assert_eq!(w.c("ps -aq").ok().lines().count(), 18);
}

#[test]
fn wait_and_exit_codes() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("run -d --network none --name slow bb sh -c").arg("sleep 0.5; exit 4").ok();
    assert_eq!(w.c("wait slow").ok(), "4\n");
    assert_eq!(w.c("wait slow").ok(), "4\n");
    assert_eq!(w.get("slow", "/State/ExitCode"), 4);
    w.c("wait nobody").run().says(125, &["Error: ", "nobody"]);
    // Attached to its second run it gives its code again.
    w.c("start -a slow").run().exits(4);
}

#[test]
fn logs() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("run -d --network none --name l bb sh -c")
        .arg("echo err >&2; sleep 0.3; for i in 1 2 3 4 5; do echo out$i; done; printf partial; sleep 1000")
        .ok();
    w.wait_log("l", "partial");
    let out = w.c("logs l").run().exits(0);
    assert_eq!(out.stdout, "out1\nout2\nout3\nout4\nout5\npartial");
    assert_eq!(out.stderr, "err\n");
    assert_eq!(w.c("logs --tail 0 l").ok(), "");
    assert_eq!(w.c("logs --tail 3 l").ok(), "out4\nout5\npartial");
    let stamped = w.c("logs -t --tail 7 l").ok();
    assert!(stamped.lines().next().unwrap().starts_with("20") && stamped.contains(" out1"), "{stamped}");
    assert_eq!(w.c("logs --since 1h l").ok().lines().count(), 6);
    assert_eq!(w.c("logs --until 1h l").ok(), "");
    assert_eq!(w.c("logs --since 2100-01-01T00:00:00Z l").ok(), "");
    w.c("logs --since yesterday-ish l").run().says(125, &["Error: "]);
    w.c("logs nobody").run().says(125, &["Error: ", "nobody"]);
}

#[test]
fn logs_follow_to_the_end() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("run -d --network none --name l bb sh -c")
        .arg("echo first; while ! test -e /go; do sleep 0.1; done; echo last")
        .ok();
    let following = w.c("logs -f l").spawn();
    wait_for("the first line", || following.so_far().0 == "first\n");
    w.c("exec l touch /go").ok();
    assert_eq!(following.wait().ok(), "first\nlast\n");
    assert_eq!(w.c("logs -f l").ok(), "first\nlast\n");
}

#[test]
fn attach_and_forwarded_signals() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("run -d -i --network none --name a bb sh -c")
        .arg("trap 'echo usr1' USR1; echo up; while read line; do echo got $line; done; exit 6")
        .ok();
    w.wait_log("a", "up");
    let out = w.sh("printf 'x\\ny\\n' | $C attach a").run().exits(6);
    assert_eq!(out.stdout, "got x\ngot y\n");
    // Signals of an attached command go to the payload.
    w.c("run -d --network none --name s bb sh -c")
        .arg("trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done")
        .ok();
    w.wait_log("s", "up");
    let attached = w.c("attach s").spawn();
    std::thread::sleep(std::time::Duration::from_millis(700));
    signal(attached.inner_pid(), rustix::process::Signal::TERM);
    attached.wait().exits(9);
    assert_eq!(w.status("s"), "exited");
    w.c("attach s").run().says(125, &["Error: "]);
}

#[test]
fn signals_of_a_foreground_run_are_forwarded() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let running = w
        .c("run --name s --network none bb sh -c")
        .arg("trap 'exit 9' INT; echo up; while :; do sleep 0.1; done")
        .spawn();
    wait_for("the payload", || running.so_far().0 == "up\n");
    signal(running.inner_pid(), rustix::process::Signal::INT);
    running.wait().exits(9);
    let stays =
        w.c("run --rm --name t --network none --sig-proxy=false bb sh -c").arg("echo up; sleep 1000").spawn();
    wait_for("the payload", || stays.so_far().0 == "up\n");
    signal(stays.inner_pid(), rustix::process::Signal::TERM);
    stays.wait();
    assert_eq!(w.status("t"), "running", "without the proxy the signal is the command's own");
}

/// A script starts its background jobs with SIGINT and SIGQUIT ignored, nohup with SIGHUP. That is the caller's.
#[test]
fn what_the_caller_ignores_the_payload_hears() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let ignored = "SigIgn:\t0000000000000000\n";
    let run =
        "trap '' HUP INT QUIT PIPE TERM; exec $C run --rm --network none bb grep SigIgn /proc/self/status";
    assert_eq!(w.sh(run).ok(), ignored);
    w.start("c", "bb sleep 1000");
    assert_eq!(w.sh("trap '' HUP INT QUIT; exec $C exec c grep SigIgn /proc/self/status").ok(), ignored);
    w.sh(
        "cd $HOME; $C run --rm --network none bb sh -c \"trap 'exit 9' INT; echo up; while :; do sleep 0.1; done\" >out & \
         until grep -q up out; do sleep 0.1; done; kill -INT $!; wait $!",
    )
    .run()
    .exits(9);
}

#[test]
fn stop_signals_and_kill() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("run -d --network none --name s --stop-signal USR2 bb sh -c")
        .arg("trap 'exit 42' USR2; echo up; while :; do sleep 0.1; done")
        .ok();
    w.wait_log("s", "up");
    w.c("stop -t 20 s").ok();
    assert_eq!(w.get("s", "/State/ExitCode"), 42);
    // stop of one that is over is fine; kill is not.
    w.c("stop s").ok();
    w.c("kill s").run().says(125, &["Error: "]);
    w.c("run -d --network none --name k bb sh -c")
        .arg("trap 'echo hup' HUP; echo up; while :; do sleep 0.1; done")
        .ok();
    w.wait_log("k", "up");
    w.c("kill -s HUP k").ok();
    w.wait_log("k", "hup");
    w.c("kill -s SIGNOPE k").run().says(125, &["Error: ", "SIGNOPE"]);
    w.c("kill k").ok();
    w.wait_status("k", "exited");
    assert_eq!(w.get("k", "/State/ExitCode"), 137);
    assert_eq!(w.c("stop -t 0 nobody").run().code, 125);
}

#[test]
fn names_are_used_once() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("n", "bb sleep 1000");
    w.run("--name n bb true").run().says(125, &["Error: ", "in use", "Hint: "]);
    let old = w.get("n", "/Id");
    w.c("run -d --network none --replace --name n bb sleep 1000").ok();
    assert_ne!(w.get("n", "/Id"), old);
    assert_eq!(w.names(), ["n"]);
    w.c("rename n m").ok();
    assert_eq!(w.names(), ["m"]);
    w.start("n", "bb true");
    w.c("rename n m").run().says(125, &["Error: ", "in use", "Hint: "]);
}

#[test]
fn rm_by_itself() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("run -d --rm --network none --name r bb sleep 0.3").ok();
    wait_for("its removal", || w.names().is_empty());
    w.c("run -d --rm --network none --name r bb sleep 1000").ok();
    w.c("stop -t 0 r").ok();
    wait_for("its removal", || w.names().is_empty());
}

#[test]
fn restart_policies() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let count = "echo run >>/runs; wc -l </runs; exit 3";
    w.c("run -d --network none --restart on-failure:2 --name f bb sh -c").arg(count).ok();
    wait_for("its third end", || w.status("f") == "exited" && w.logs("f").lines().count() == 3);
    assert_eq!(w.logs("f"), "1\n2\n3\n");
    assert_eq!(w.get("f", "/RestartCount"), 2);
    w.c("run -d --network none --restart on-failure --name ok bb true").ok();
    w.wait_status("ok", "exited");
    w.c("run -d --network none --restart always --name a bb sh -c").arg("echo run; exit 0").ok();
    wait_for("restarts", || w.logs("a").lines().count() >= 3);
    w.c("stop -t 0 a").ok();
    assert_eq!(w.status("a"), "exited");
    w.c("run --rm --restart always bb true").run().says(125, &["Error: "]);
}

#[test]
fn create_start_restart() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let id =
        w.c("create --network none --name c bb sh -c").arg("echo run >>/runs; cat /runs; sleep 1000").ok();
    assert_eq!(id.trim().len(), 64);
    assert_eq!(w.status("c"), "created");
    w.c("start c").ok();
    w.wait_log("c", "run");
    let first = w.pid("c");
    w.c("restart -t 0 c").ok();
    wait_for("the second run, in the same file system", || w.logs("c") == "run\nrun\nrun\n");
    assert_ne!(w.pid("c"), first);
    w.c("start c").ok();
    w.c("start nobody").run().says(125, &["Error: ", "nobody"]);
}

#[test]
fn ps_filters_and_formats() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("one", "--label tier=web bb sleep 1000");
    w.c("create --name two bb true").ok();
    let names = |flags: &str| w.c("ps -a --format {{.Names}}").args(flags.split_whitespace()).ok();
    assert_eq!(names("--filter label=tier=web"), "one\n");
    assert_eq!(names("--filter status=created"), "two\n");
    assert_eq!(names("--filter name=tw"), "two\n");
    let json: serde_json::Value = serde_json::from_str(&w.c("ps -a --format json").ok()).unwrap();
    let all = json.as_array().unwrap();
    assert_eq!(all.len(), 2);
    for key in ["Id", "Names", "Image", "State", "Created", "Command", "Labels", "Ports"] {
        assert!(all.iter().all(|c| c.get(key).is_some()), "no {key}: {json:#}");
    }
    let top = w.c("top one").ok();
    assert!(top.starts_with("USER") && top.contains("sleep 1000"), "{top}");
    let top = w.c("top one capbnd,capinh seccomp").ok();
    let cells: Vec<&str> = top.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(cells[1..], ["none", "filter"], "{top}");
    assert!(cells[0].starts_with("CHOWN,DAC_OVERRIDE,") && !cells[0].contains("SYS_ADMIN"), "{top}");
    assert_eq!(w.c("inspect --format {{.State.Status}} one two").ok(), "running\ncreated\n");
}

#[test]
fn pause() {
    need!("subid", "registry", "cgroup", "systemd");
    let w = World::with_busybox();
    w.start("p", "bb sleep 1000");
    w.c("pause p").ok();
    assert_eq!(w.status("p"), "paused");
    w.c("exec p true").run().fails_own(&["Error: "]);
    w.c("unpause p").ok();
    assert_eq!(w.c("exec p echo on").ok(), "on\n");
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

#[test]
fn logs_of_several_containers_say_whose_they_are() {
    need!("subid", "registry");
    let w = World::with_busybox();
    for name in ["one", "two"] {
        w.c("run --network none --name")
            .args([name, "bb", "sh", "-c"])
            .arg(format!("echo {name}; echo err-{name} >&2"))
            .ok();
    }
    // What was written at once to both comes out in the usual order.
    let both = |line: &str| w.sh(&format!("$C {line} 2>&1")).ok();
    assert_eq!(both("logs one"), "one\nerr-one\n");
    assert_eq!(both("logs -n one two"), "one one\none err-one\ntwo two\ntwo err-two\n");
    let id = w.get("two", "/Id").as_str().unwrap().get(..12).unwrap().to_owned();
    assert!(both("logs one two").ends_with(&format!("{id} two\n{id} err-two\n")));
}

#[test]
fn what_a_container_wrote_is_counted() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let script = "mkdir -m 700 /p; head -c 5000 /dev/zero >/p/f; chown -R 1000:1000 /p";
    w.c("run --name s --network none bb sh -c").arg(script).ok();
    let image: u64 = w.c("image inspect --format {{.Size}} bb").ok().trim().parse().unwrap();
    let all: serde_json::Value = serde_json::from_str(&w.c("ps -a --size --format json").ok()).unwrap();
    assert_eq!(all[0]["Size"], serde_json::json!({"rwSize": 5000, "rootFsSize": 5000 + image}));
    assert!(w.c("ps -as").ok().contains("5kB (virtual "));
}

#[test]
fn tables_of_templates_have_columns() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("t", "--label tier=db bb sleep 1000");
    let id = w.c("ps -q").ok();
    let table = w.c("ps --format").arg("table {{.ID}} {{.Names}}").ok();
    assert_eq!(table, format!("CONTAINER ID  NAMES\n{}  t\n", id.trim()));
    assert_eq!(w.c("ps --format").arg("{{.ID}} {{.Names}}").ok(), format!("{} t\n", id.trim()));
    assert_eq!(w.c("ps --format {{.Labels}}").ok(), "map[tier:db]\n");
}
