//! Several commands on one thing at once, and removals that were killed half-way. Whoever wins, nobody breaks anything:
//! each command succeeds or says why not, and afterwards everything works (`World`'s drop checks the store).

use std::path::PathBuf;

use crate::need;
use crate::support::{World, wait_for};

/// Runs all lines at once. Each may succeed or be refused (125; `rm`, `kill` and others have 1 and 2).
#[track_caller]
fn all_at_once(w: &World, lines: &[&str]) -> Vec<i32> {
    let all: Vec<_> = lines.iter().map(|line| w.c(line).spawn()).collect();
    let mut codes = Vec::new();
    for (line, one) in lines.iter().zip(all) {
        let out = one.wait();
        assert!(matches!(out.code, 0 | 1 | 2 | 125 | 137 | 143), "{line}: {out:#?}");
        assert!(!out.stderr.contains("panicked") && !out.stderr.contains("internal"), "{line}: {out:#?}");
        // A refusal speaks of the container, not of files of ours that are gone.
        assert!(!out.stderr.contains("ENOENT"), "{line}: {out:#?}");
        codes.push(out.code);
    }
    codes
}

fn containers(w: &World) -> PathBuf {
    w.dir.join("data/coracle/containers")
}

#[track_caller]
fn entries(dir: PathBuf) -> Vec<String> {
    let names = std::fs::read_dir(&dir).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn starts_against_removals() {
    need!("subid", "registry");
    let w = World::with_busybox();
    for _ in 0..4 {
        w.c("create --name c --network none bb sleep 1000").ok();
        all_at_once(&w, &["start c", "rm -f -t 0 c", "start c", "rm -f -t 0 c"]);
        w.c("rm -f -t 0 c").run().exits(0);
        assert_eq!(w.names(), [""; 0]);
        w.c("create --rm --name c --network none bb sleep 1000").ok();
        all_at_once(&w, &["start c", "start c", "rm -f -t 0 c"]);
        w.c("rm -f -t 0 c").run().exits(0);
        assert_eq!(w.names(), [""; 0]);
        // Perhaps its monitor is still at it, which was faster.
        wait_for("its files to go", || entries(containers(&w)).is_empty());
    }
}

#[test]
fn everything_at_once_on_a_running_container() {
    need!("subid", "registry");
    let w = World::with_busybox();
    for _ in 0..3 {
        w.start("c", "bb sleep 1000");
        all_at_once(&w, &["exec c true", "stop -t 0 c", "exec c true", "kill c", "start c", "rename c d"]);
        let names = w.names();
        assert!(names == ["c"] || names == ["d"], "{names:?}");
        w.c("rm -f -t 0 --ignore c d").ok();
        assert_eq!(w.names(), [""; 0]);
    }
}

#[test]
fn renames_to_one_name() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("create --name a bb true").ok();
    w.c("create --name b bb true").ok();
    let codes = all_at_once(&w, &["rename a x", "rename b x", "create --name x --network none bb true"]);
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert!(w.names().contains(&"x".to_owned()));
    assert_eq!(w.names().len(), if codes[2] == 0 { 3 } else { 2 });
}

/// Each of them changes records that the others change too. The names are no hexadecimal digits: an old name of `c` would
/// still find one container in sixteen, by its id.
#[test]
fn updates_and_a_rename_at_once() {
    need!("subid", "registry");
    let w = World::with_busybox();
    for _ in 0..4 {
        w.c("create --name one --network none bb true").ok();
        let lines = [
            "update --memory 64m one",
            "update --pids-limit 9 one",
            "rename one two",
            "update --cpu-shares 77 one",
        ];
        let codes = all_at_once(&w, &lines);
        let format = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}}";
        let limits = w.c("inspect --format").arg(format).arg("two").ok();
        let [memory, pids, _, shares] = codes.as_slice() else { panic!("{codes:?}") };
        // Who looks for the old name after the rename finds nothing. The default limit of processes comes with the start.
        let wanted = [(*memory, "67108864", "0"), (*pids, "9", "0"), (*shares, "77", "0")];
        let wanted: Vec<_> =
            wanted.iter().map(|(code, set, not)| if *code == 0 { *set } else { *not }).collect();
        assert_eq!(limits.trim(), wanted.join(" "), "{codes:?}");
        w.c("rm one").run().exits(1);
        w.c("rm two").ok();
    }
}

#[test]
fn updates_against_removals() {
    need!("subid", "registry");
    let w = World::with_busybox();
    for _ in 0..4 {
        w.c("create --name c --network none bb true").ok();
        all_at_once(&w, &["update --memory 64m c", "rm -f c", "update --pids-limit 9 c", "rename c d"]);
        w.c("rm -f --ignore c d").ok();
        assert_eq!(w.names(), [""; 0]);
        wait_for("its files to go", || entries(containers(&w)).is_empty());
    }
}

#[test]
fn pulls_of_one_image() {
    need!("subid", "registry");
    let w = World::new();
    let reference = World::reference("many-layers");
    let all: Vec<_> = (0..4).map(|_| w.c("pull -q").arg(&reference).spawn()).collect();
    let ids: Vec<String> = all.into_iter().map(|one| one.wait().ok()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    // And a removal among them: whoever comes last decides whether it is there, nobody fails for another reason.
    let all: Vec<_> = (0..3).map(|_| w.c("pull -q").arg(&reference).spawn()).collect();
    let removal = w.c("rmi -f").arg(&reference).spawn();
    all.into_iter().for_each(|one| drop(one.wait().ok()));
    removal.wait().exits(0);
    w.c("pull -q").arg(&reference).ok();
    w.run(&format!("{reference} true")).ok();
}

/// A pull cleans up after the dead; a container that is being made is not dead.
#[test]
fn pulls_beside_creations() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let reference = World::reference("layers");
    for _ in 0..3 {
        let pulls: Vec<_> = (0..2).map(|_| w.c("pull -q").arg(&reference).spawn()).collect();
        let runs: Vec<_> = (0..6).map(|_| w.run("bb true").spawn()).collect();
        runs.into_iter().for_each(|run| drop(run.wait().ok()));
        pulls.into_iter().for_each(|pull| drop(pull.wait().ok()));
        w.c("rmi -f").arg(&reference).ok();
    }
}

/// What a removal leaves that was killed after its rename. The next command that lists containers finishes it.
#[test]
fn a_killed_removal_is_finished() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let id = w.c("create --name c -v /data --network none bb true").ok().trim().to_owned();
    w.c("create --name other bb true").ok();
    let volume = w.c("volume ls -q").ok();
    std::fs::rename(containers(&w).join(&id), containers(&w).join(format!(".removed-volumes-{id}"))).unwrap();
    assert_eq!(w.names(), ["other"]);
    assert_eq!(entries(containers(&w)).len(), 1, "its files are gone");
    assert_ne!(volume, "");
    assert_eq!(w.c("volume ls -q").ok(), "", "its anonymous volume too");
    w.c("create --name c bb true").ok();
    assert_eq!(w.c("system check").ok(), "no problems found\n");
}

/// kill -9 of `run --rm` at once after its container exists: nobody else would start or remove that.
#[test]
fn a_killed_run_leaves_no_container_that_removes_itself() {
    need!("subid", "registry");
    let w = World::with_busybox();
    for _ in 0..5 {
        let running = w.run("--name r bb sleep 0.3").spawn();
        let pid = rustix::process::Pid::from_raw(running.inner_pid() as i32).unwrap();
        wait_for("its container", || containers(&w).exists() && !entries(containers(&w)).is_empty());
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        running.wait();
        // Nobody keeps the name.
        wait_for("the name", || w.run("--name r bb true").run().code == 0);
        wait_for("its removal", || w.names().is_empty());
    }
}
