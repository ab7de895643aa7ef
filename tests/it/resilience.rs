//! What is left when something dies: the command, the monitor, a FUSE server; damaged records; two commands at once.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::need;
use crate::support::{Cmd, World, wait_for};

fn send(pid: u32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(pid as i32).expect("a pid"), signal).unwrap();
}

fn is_there(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// All processes in the pid namespace of `pid`.
fn companions(pid: u32) -> Vec<u32> {
    let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(pid);
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<u32> =
        pids.filter(|other| *other == pid || (own.is_some() && namespace(*other) == own)).collect();
    // Processes of other uids hide their namespaces, not their parents.
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        let children =
            std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        at += 1;
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// kill -9 of the monitor: within a second nothing of the container runs.
#[track_caller]
fn monitor_dies(w: &World, name: &str) {
    let monitor = w.get(name, "/State/ConmonPid").as_u64().unwrap() as u32;
    let payload = companions(w.pid(name));
    assert!(payload.len() > 1, "{payload:?}");
    let begin = Instant::now();
    send(monitor, Signal::KILL);
    while payload.iter().any(|pid| is_there(*pid)) {
        assert!(begin.elapsed() < Duration::from_secs(10), "still there: {payload:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    // A second is the promise; a machine that is busy with other things gets four.
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    // Meanwhile its guard, or this very command, writes the record.
    w.wait_status(name, "exited");
    assert_eq!(w.get(name, "/State/ExitCode"), 137);
    assert!(w.c("ps -a").ok().contains("Exited (137)"));
}

#[test]
fn the_command_is_killed_and_the_container_lives() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let running = w
        .c("run --name c --network none bb sh -c")
        .arg("echo up; while ! test -e /go; do sleep 0.1; done; echo after")
        .spawn();
    wait_for("the payload", || running.so_far().0 == "up\n");
    send(running.inner_pid(), Signal::KILL);
    running.wait();
    assert_eq!(w.status("c"), "running");
    assert_eq!(w.logs("c"), "up\n");
    let attached = w.c("attach c").spawn();
    w.c("exec c touch /go").ok();
    attached.wait().exits(0);
    w.wait_log("c", "after");
    // With --rm too: its removal is the monitor's work.
    let running = w.c("run --rm --name r --network none bb sh -c").arg("echo up; sleep 0.7").spawn();
    wait_for("the payload", || running.so_far().0 == "up\n");
    send(running.inner_pid(), Signal::KILL);
    running.wait();
    wait_for("its removal", || w.names() == ["c"]);
}

#[test]
fn the_monitor_is_killed() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("run -d --network none --name m bb sh -c").arg("sleep 1000 & sleep 1001 & wait").ok();
    wait_for("its children", || companions(w.pid("m")).len() >= 3);
    monitor_dies(&w, "m");
    // It can be started again.
    w.c("start m").ok();
    assert_eq!(w.status("m"), "running");
}

#[test]
fn the_monitor_of_a_payload_with_another_uid_is_killed() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("run -d --network none --name m bb sh -c")
        .arg("setsid su user -c 'sleep 1000' & exec su user -c 'sleep 1001; true'")
        .ok();
    wait_for("its children", || companions(w.pid("m")).len() >= 3);
    monitor_dies(&w, "m");
}

#[test]
fn the_monitor_is_killed_under_crun() {
    need!("subid", "registry", "crun");
    let w = World::with_busybox();
    w.c("--runtime crun run -d --network none --name m bb sh -c").arg("sleep 1000 & wait").ok();
    assert_eq!(w.get("m", "/OCIRuntime"), "crun");
    assert_eq!(w.c("exec m echo in").ok(), "in\n");
    wait_for("its children", || companions(w.pid("m")).len() >= 2);
    monitor_dies(&w, "m");
    w.c("--runtime crun run --rm --network none bb sh -c").arg("exit 3").run().exits(3);
}

#[test]
fn the_monitor_is_killed_with_a_network_and_rm() {
    need!("subid", "registry", "tun", "slirp4netns");
    let w = World::with_busybox();
    w.c("run -d --rm --network slirp4netns --name m bb sleep 1000").ok();
    let monitor = w.get("m", "/State/ConmonPid").as_u64().unwrap() as u32;
    let payload = w.pid("m");
    send(monitor, Signal::KILL);
    wait_for("the payload to be gone", || !is_there(payload));
    wait_for("the removal", || w.names().is_empty());
}

/// The FUSE server of a container, by its arguments.
fn fuse_server(w: &World, name: &str) -> u32 {
    let id = w.get(name, "/Id").as_str().unwrap().to_owned();
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let serves = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("fuse-overlayfs") && line.contains(&id)
    };
    pids.find(serves).expect("a FUSE server")
}

#[test]
fn the_fuse_server_is_killed() {
    need!("subid", "registry", "fuse", "fuse-overlayfs");
    let w = World::with_busybox();
    w.c("--storage-driver fuse-overlayfs run -d --network none --name f bb sleep 1000").ok();
    send(fuse_server(&w, "f"), Signal::KILL);
    w.wait_status("f", "exited");
    assert_eq!(w.get("f", "/State/ExitCode"), 137);
    assert_eq!(w.get("f", "/State/Error"), "rootfs server died");
    w.c("start f").ok();
    assert_eq!(w.c("exec f echo again").ok(), "again\n");
}

#[test]
fn the_fuse_server_is_stopped() {
    need!("subid", "registry", "fuse", "fuse-overlayfs");
    let w = World::with_busybox();
    w.c("--storage-driver fuse-overlayfs run -d --network none --name f bb sleep 1000").ok();
    w.start("other", "bb sleep 1000");
    send(fuse_server(&w, "f"), Signal::STOP);
    // Nothing that does not need its files waits for it.
    assert!(w.c("ps").ok().contains("f"));
    assert_eq!(w.status("f"), "running");
    assert_eq!(w.c("logs f").ok(), "");
    assert_eq!(w.c("exec other echo fine").ok(), "fine\n");
    w.c("kill f").ok();
    w.wait_status("f", "exited");
    w.c("rm f").ok();
    assert_eq!(w.names(), ["other"]);
}

#[test]
fn a_damaged_container_is_no_concern_of_the_others() {
    need!("subid", "registry");
    let mut w = World::with_busybox();
    w.damaged = true;
    w.start("good", "bb sleep 1000");
    let id = w.c("create --name bad bb true").ok();
    let record = w.dir.join("data/coracle/containers").join(id.trim()).join("container.json");
    for content in ["", "{\"version\":", "[]", "{\"version\": 999}"] {
        std::fs::write(&record, content).unwrap();
        let ps = w.c("ps -a").run();
        assert!(ps.stdout.contains("good"), "{ps:?}");
        assert!(!ps.stderr.is_empty() && !ps.stderr.contains("panicked"), "damage is said: {ps:?}");
        assert_eq!(w.c("exec good echo on").ok(), "on\n");
        assert_ne!(w.c("system check").run().code, 0);
        w.c("inspect bad").run().exits(125);
    }
    w.start("third", "bb sleep 1000");
    w.c("rm -f -t 0 good third").ok();
}

#[test]
fn a_damaged_image_is_no_concern_of_the_others() {
    need!("subid", "registry");
    let mut w = World::with_busybox();
    w.damaged = true;
    w.pull("config", "z");
    let id = w.c("image inspect --format {{.Id}} z").ok();
    let id = id.trim().trim_start_matches("sha256:");
    std::fs::write(w.dir.join("data/coracle/images").join(format!("{id}.json")), "{").unwrap();
    assert_eq!(w.run("bb echo on").ok(), "on\n");
    let images = w.c("images").run();
    assert!(images.stdout.contains("localhost/bb"), "{images:?}");
    assert!(!images.stderr.is_empty(), "{images:?}");
    w.run("z true").run().exits(125);
    // Pulling it again puts it right.
    w.c("pull -q").arg(World::reference("config")).ok();
    assert_eq!(w.run("z").ok(), "default\n");
}

#[test]
fn two_commands_at_once() {
    need!("subid", "registry");
    let w = World::with_busybox();
    // One name: one wins, the others say so.
    let all: Vec<_> = (0..4).map(|_| w.c("run -d --network none --name one bb sleep 1000").spawn()).collect();
    let codes: Vec<i32> = all.into_iter().map(|one| one.wait().code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, 0 | 125)), "{codes:?}");
    // Stops, kills and removals of one container.
    let all: Vec<_> = ["stop -t 0 one", "rm -f -t 0 one", "kill one", "rm -f -t 0 one", "restart -t 0 one"]
        .map(|line| w.c(line).spawn())
        .into_iter()
        .collect();
    for one in all {
        let out = one.wait();
        assert!(matches!(out.code, 0 | 1 | 2 | 125) && !out.stderr.contains("panicked"), "{out:?}");
    }
    w.c("rm -f -t 0 --ignore one").ok();
    // One start.
    w.c("create --network none --name s bb sleep 1000").ok();
    let all: Vec<_> = (0..4).map(|_| w.c("start s").spawn()).collect();
    for one in all {
        let out = one.wait();
        assert!(matches!(out.code, 0 | 125), "{out:?}");
    }
    assert_eq!(w.status("s"), "running");
}

#[test]
fn many_runs_at_once() {
    need!("subid", "registry");
    let w = World::with_busybox();
    for _ in 0..3 {
        let all: Vec<_> = (0..8).map(|i| w.run("bb echo").arg(i.to_string()).spawn()).collect();
        for (i, one) in all.into_iter().enumerate() {
            assert_eq!(one.wait().ok(), format!("{i}\n"));
        }
    }
    assert!(w.names().is_empty());
}

#[test]
fn runtime_directory_and_records_are_lost_at_a_reboot() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("c", "bb sleep 1000");
    w.c("stop -t 0 c").ok();
    // What a reboot leaves of the runtime directory: nothing.
    std::fs::remove_dir_all(w.dir.join("run/coracle")).unwrap();
    assert_eq!(w.status("c"), "exited");
    w.c("start c").ok();
    assert_eq!(w.c("exec c echo back").ok(), "back\n");
    // The same where nobody wrote its end down. Who finds it makes the directory anew, for nobody else.
    let id = w.c("inspect --format {{.Id}} c").ok();
    let record = w.dir.join("data/coracle/containers").join(id.trim()).join("state.json");
    let running = std::fs::read(&record).unwrap();
    w.c("stop -t 0 c").ok();
    std::fs::write(&record, running).unwrap();
    std::fs::remove_dir_all(w.dir.join("run/coracle")).unwrap();
    assert_eq!(w.status("c"), "exited");
    assert_eq!(std::fs::metadata(w.dir.join("run/coracle")).unwrap().mode() & 0o777, 0o700);
    w.c("start c").ok();
}

/// systemd leaves one of a scope whose processes had ended before it could move them in.
#[test]
fn a_cgroup_that_systemd_has_forgotten_is_removed() {
    need!("userns", "cgroup", "systemd");
    let w = World::new();
    w.start("a", "host: sleep 1000");
    let own = std::fs::read_to_string(format!("/proc/{}/cgroup", w.pid("a"))).unwrap();
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    let (scopes, _) = path.split_once("/coracle-").expect("a scope of its own");
    let left = std::path::Path::new("/sys/fs/cgroup").join(scopes).join(format!("coracle-{:064}.scope", 7));
    std::fs::create_dir(&left).unwrap();
    w.c("system check").ok();
    assert!(!left.exists());
    // What lives is left alone.
    assert_eq!(w.c("exec a echo here").ok(), "here\n");
    w.c("rm -f -t 0 a").ok();
}

/// A script of a user without subordinate ids, whose store is on a disk of its own, in memory. `c` in it is coracle, `full`
/// leaves no room on the disk but what is given back later, and `room` makes some.
pub fn on_a_small_disk(w: &World, script: &str) -> Cmd {
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let whole = format!(
        "D=$XDG_DATA_HOME; mkdir -p $D; mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid
         mount -t tmpfs -o size=900m small $D
         c() {{ setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all $C \"$@\"; }}
         used() {{ df --output=used -k $D | tail -n 1; }}
         full() {{ mount -o remount,size=$(($(used) + 64))k $D; cat /dev/zero >$D/fill 2>/dev/null; }}
         room() {{ mount -o remount,size=900m $D; }}
         {script}"
    );
    w.tool("unshare")
        .env("C", program)
        .args(["--user", "--map-current-user", "--keep-caps", "--mount", "--propagation", "private"])
        .args(["bash", "-c", &whole])
}

#[test]
fn on_a_full_disk_containers_are_seen_and_removed() {
    need!("images", "setpriv");
    let w = World::new();
    let script = format!(
        "id=$(c pull -q oci:{}:latest 2>/dev/null); c tag $id bb
         c run -d --name one --network none bb sleep 1000 >/dev/null 2>&1; c run -d --name two --network none bb sleep 1000 >/dev/null 2>&1
         full
         c run --rm --network none bb true; echo run $? >&2
         c stop --time 0 one; echo stop $?
         kill -9 $(c inspect --format '{{{{.State.ConmonPid}}}}' two)
         until test \"$(c inspect --format '{{{{.State.Status}}}}' two)\" = exited; do sleep 0.1; done
         c ps --all --format '{{{{.Names}}}} {{{{.State}}}}' | sort; c rm one; echo rm $?
         rm $D/fill; c start two; echo start $?; c rm --all --force --time 0 >/dev/null; c system check",
        World::layout("busybox")
    );
    let out = on_a_small_disk(&w, &script).run();
    let out = out.says(0, &["Error: ", "ENOSPC", "Hint: The disk is full", "run 125\n"]);
    assert_eq!(
        out.stdout, "one\nstop 0\none exited\ntwo exited\none\nrm 0\ntwo\nstart 0\nno problems found\n",
        "{out:#?}"
    );
}
