//! Ranks of a job step: started as srun, mpirun and mpiexec start them, on one node, in one container that they share.
//! `tests/slurm` has them under Slurm itself.

use std::path::PathBuf;

use crate::need;
use crate::support::{Cmd, World, wait_for};

/// A store with a fixture in one file.
fn world(fixture: &str) -> (World, PathBuf) {
    let w = World::new();
    w.pull(fixture, "img");
    let file = w.dir.join("home/app.sqsh");
    w.c("image squash img").arg(&file).ok();
    (w, file)
}

/// `coracle run LINE` as task RANK of step STEP, as srun starts it.
fn task(w: &World, step: &str, rank: u32, line: &str) -> Cmd {
    of_step(w.c("run").args(line.split_whitespace()), step, rank)
}

fn of_step(command: Cmd, step: &str, rank: u32) -> Cmd {
    command
        .env("SLURM_JOB_ID", "7")
        .env("SLURM_STEP_ID", step)
        .env("SLURM_STEP_NUM_TASKS", "4")
        .env("SLURM_PROCID", rank.to_string())
}

/// The same with a script in app.sqsh.
fn rank(w: &World, rank: u32, script: &str) -> Cmd {
    task(w, "0", rank, &w.dir.join("home/app.sqsh").display().to_string()).args(["sh", "-c", script])
}

const PROMISE: &str = r#"my $s = "the memory of rank 0"; open F, ">/dev/shm/new"; printf F "%d %d %d\n", $$, unpack("Q", pack("p", $s)), length $s;
close F; rename "/dev/shm/new", "/dev/shm/where"; select(undef, undef, undef, .05) until -e "/dev/shm/done";"#;

const READ: &str = r#"select(undef, undef, undef, .05) until -e "/dev/shm/where"; open F, "/dev/shm/where"; my ($pid, $at, $n) = split " ", <F>;
my $buf = "\0" x $n; my $here = pack("QQ", unpack("Q", pack("p", $buf)), $n); my $there = pack("QQ", $at, $n);
my $got = syscall(NUMBER, $pid + 0, $here, 1, $there, 1, 0); print $got == $n ? $buf : "process_vm_readv: $!"; open F, ">/dev/shm/done";"#;

#[test]
fn ranks_of_a_step_read_each_others_memory() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world("debian");
    let perl = |number: u32, script: &str| {
        task(&w, "0", number, &file.display().to_string()).args(["perl", "-e", script]).spawn()
    };
    let first = perl(0, PROMISE);
    let number = if cfg!(target_arch = "x86_64") { "310" } else { "270" };
    let second = perl(1, &READ.replace("NUMBER", number));
    assert_eq!(second.wait().ok(), "the memory of rank 0");
    first.wait().ok();
    wait_for("the container to end with its last rank", || w.names().is_empty());
}

#[test]
fn a_killed_rank_takes_its_own_command_along_and_nobody_else() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, _) = world("busybox");
    // Whoever is first makes the container.
    let first = rank(&w, 0, "echo up >/dev/shm/first; exec sleep 4321").spawn();
    wait_for("the first rank", || rank(&w, 3, "cat /dev/shm/first").run().stdout == "up\n");
    let second = rank(&w, 1, "while [ ! -e /dev/shm/go ]; do sleep 0.1; done; wc -l </etc/passwd").spawn();
    let others = || rank(&w, 3, "ps | grep -c '[s]leep 4321'").run().stdout;
    assert_eq!(others(), "1\n");
    w.tool("kill").args(["-9", &first.inner_pid().to_string()]).ok();
    assert_eq!(first.wait().code, 137);
    wait_for("its command to end with it", || others() == "0\n");
    rank(&w, 2, "touch /dev/shm/go").ok();
    assert_eq!(second.wait().ok().trim(), "3");
    wait_for("the container to end with its last rank", || w.names().is_empty());
    // The next step of that name begins anew.
    assert_eq!(rank(&w, 0, "ls /dev/shm").ok(), "");
}

#[test]
fn only_ranks_of_one_step_with_one_image_and_the_same_options_share() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world("busybox");
    let first = rank(&w, 0, "echo up >/dev/shm/up; while [ ! -e /dev/shm/go ]; do sleep 0.1; done").spawn();
    wait_for("the first rank", || rank(&w, 1, "cat /dev/shm/up").run().stdout == "up\n");
    let file = file.display();
    let looks = |step: &str, line: &str| {
        let out = task(&w, step, 2, line).args(["sh", "-c", "ls /dev/shm; readlink /proc/self/ns/user"]).ok();
        (out.contains("up\n"), out.lines().last().unwrap_or_default().to_owned())
    };
    let (shared, namespace) = looks("0", &format!("{file}"));
    assert!(shared);
    let (env, same) = looks("0", &format!("-e X=y -i {file}"));
    assert!(env && same == namespace, "the environment is each rank's own");
    for (step, line) in [
        ("1", format!("{file}")),
        ("0", format!("--rm --share-ranks=false {file}")),
        ("0", format!("--rm --name mine {file}")),
        ("0", format!("--cap-drop ALL {file}")),
        ("0", format!("--network none {file}")),
        ("0", "img".to_owned()),
    ] {
        let (shared, other) = looks(step, &line);
        assert!(!shared && other != namespace, "{step} {line}");
    }
    rank(&w, 3, "touch /dev/shm/go").ok();
    first.wait().ok();
    wait_for("the containers to end", || w.names().is_empty());
}

#[test]
fn a_rank_is_the_command_to_its_launcher() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world("config");
    let own = |line: &str| task(&w, "0", 2, line);
    // Entrypoint, command, user and working directory are the image's.
    let out = own(&file.display().to_string()).arg("echo $FROM_IMAGE $SLURM_PROCID $(id -u) $(pwd)").ok();
    assert_eq!(out, "yes 2 1000 /made/by/start\n");
    assert_eq!(own(&file.display().to_string()).ok(), "default\n");
    assert_eq!(own(&file.display().to_string()).arg("exit 42").run().code, 42);
    // What is meant for Slurm's own commands alone stays outside.
    let env = own(&file.display().to_string()).arg("env").env("SLURM_JWT", "secret").env("PMI_X", "y").ok();
    assert!(env.contains("PMI_X=y") && !env.contains("SLURM_JWT"), "{env}");
    // Its stdin is what it is for every container.
    assert_eq!(own(&file.display().to_string()).arg("cat").stdin("words").ok(), "");
    assert_eq!(own(&format!("-i {}", file.display())).arg("cat").stdin("words").ok(), "words");
    let waits = own(&file.display().to_string())
        .arg("trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done")
        .spawn();
    wait_for("the rank", || waits.so_far().0.contains("up"));
    w.tool("kill").arg(waits.inner_pid().to_string()).ok();
    assert_eq!(waits.wait().code, 9);
    let out = own(&format!("--entrypoint /no/such {}", file.display())).run();
    assert_eq!(out.code, 127);
    assert!(
        out.stderr.starts_with("Error: cannot start the command of a rank\nCaused by:\n")
            && out.stderr.contains("\"/no/such\""),
        "{}",
        out.stderr
    );
    wait_for("the containers to end", || w.names().is_empty());
}

#[test]
fn what_serves_all_is_not_bound_to_the_cpus_of_the_first() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "taskset");
    let (w, file) = world("busybox");
    let cpus = |status: &str| {
        let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap();
        line.rsplit('\t').next().unwrap().to_owned()
    };
    let all = cpus(&std::fs::read_to_string("/proc/self/status").unwrap());
    let first = all.split([',', '-']).next().unwrap().to_owned();
    if all == first {
        return crate::support::need::skip("one CPU");
    }
    let script = "grep Cpus_allowed_list /proc/self/status; while [ ! -e /dev/shm/go ]; do sleep 0.1; done";
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let bound = of_step(w.tool("taskset").args(["-c", &first]).arg(program).arg("run"), "0", 0);
    let bound = bound.arg(&file).args(["sh", "-c", script]).spawn();
    wait_for("the first rank", || bound.so_far().0.contains("Cpus_allowed_list"));
    // Everything of this test but the rank itself.
    let mark = format!("XDG_RUNTIME_DIR={}", w.dir.join("run").display());
    let mut seen = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let name = read("comm").trim().to_owned();
        if read("environ").split('\0').any(|word| word == mark)
            && (name.starts_with("squashfuse") || read("cmdline").contains("--role"))
        {
            seen.push((name, cpus(&read("status"))));
        }
    }
    assert!(seen.iter().any(|(name, _)| name.starts_with("squashfuse")) && seen.len() > 2, "{seen:?}");
    assert!(seen.iter().all(|(_, cpus)| *cpus == all), "{seen:?}");
    rank(&w, 1, "touch /dev/shm/go").ok();
    assert_eq!(bound.wait().ok(), format!("Cpus_allowed_list:\t{first}\n"));
    wait_for("the container to end with its last rank", || w.names().is_empty());
}

#[test]
fn ranks_need_no_subordinate_ids() {
    need!("subid", "images", "fuse", "squashfuse", "mksquashfs", "setpriv");
    let w = World::new();
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let alone = || crate::single_uid::alone_with(&w, &program);
    let (_, file) = crate::single_uid::image_and_file(&w, &alone);
    let script = "touch /x; chown 7:8 /x; stat -c %u:%g /x";
    let out = of_step(alone().arg("run").arg(&file), "0", 0).args(["sh", "-c", script]).ok();
    assert_eq!(out, "7:8\n");
    let out = alone().args(["fanout", "-n", "3"]).arg(&file).args(["--", "sh", "-c", "echo $(id -u)"]).ok();
    assert_eq!(out, "0\n0\n0\n");
    alone().args(["rmi", "--all", "--force"]).ok();
}

#[test]
fn ranks_that_would_each_be_rank_0_are_told_so() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, file) = world("busybox");
    let warned = |cmd: Cmd| {
        let out = cmd.run();
        assert_eq!(out.code, 0, "{out:#?}");
        out.stderr.lines().find(|line| line.contains("rank 0 of 1")).map(str::to_owned)
    };
    let file = file.display();
    let line = |flags: &str| task(&w, "0", 0, &format!("{flags} {file} true"));
    assert_eq!(warned(line("")), None);
    let pmi = warned(line("").env("PMI_FD", "77").env("PMI_RANK", "0"));
    let words = "srun has started 4 ranks, but what it tells them does not reach the container: \
                 PMI_FD says 77, and that file descriptor is not open. Each would become rank 0 of 1";
    assert_eq!(pmi, Some(format!("Warning: {words}")));
    let uri = |cmd: Cmd| cmd.env("PMIX_RANK", "0").env("PMIX_SERVER_URI41", "slurm.pmix;tcp4://127.0.0.1:1");
    assert_eq!(warned(uri(line(""))), None);
    assert!(
        warned(uri(line("--network none")))
            .is_some_and(|text| text.contains("PMIx server is on the host's loopback"))
    );
    assert!(
        warned(uri(line("--unsetenv PMIX_RANK")))
            .is_some_and(|text| text.contains("PMIX_RANK is taken from it"))
    );
    // Once, not by each.
    assert_eq!(
        warned(uri(task(&w, "0", 1, &format!("--network none {file} true"))).env("PMIX_RANK", "1")),
        None
    );
    wait_for("the containers to end", || w.names().is_empty());
}
