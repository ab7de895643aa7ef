//! `coracle host` and its like: commands of the host from inside a box.

use crate::need;
use crate::support::{Cmd, World, wait_for};
use std::os::unix::fs::PermissionsExt;

/// A user in a box `b` that may run the host's commands.
fn with_box() -> World {
    let w = World::with_busybox();
    std::fs::create_dir_all(w.dir.join("home/work")).unwrap();
    w.c("toolbox create -i bb --host-exec b").ok();
    w
}

/// Pid and command line of the processes that serve the box with this id.
fn servers(id: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        if line.contains("--role\0host\0") && line.contains(id) {
            found.push((process.file_name().into_string().unwrap(), line));
        }
    }
    found
}

/// In the box, from the home.
fn inside(w: &World, script: &str) -> Cmd {
    w.c("toolbox enter b -- sh -c").arg(script).cwd(&w.dir.join("home"))
}

#[test]
fn a_command_of_the_host_as_if_it_ran_in_the_box() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let home = w.dir.join("home");
    let outside = w.tool("sh").args(["-c", "uname -n; id -u; readlink /proc/self/ns/mnt"]).ok();
    let script = "coracle host sh -c 'uname -n; id -u; readlink /proc/self/ns/mnt'";
    assert_eq!(inside(&w, script).ok(), outside);
    // stdin, stdout and stderr apart, and the exit code.
    let seen = inside(&w, "coracle host sh -c 'cat; echo e >&2; exit 7'").stdin("in\n").run();
    assert_eq!((seen.stdout.as_str(), seen.stderr.as_str(), seen.code), ("in\n", "e\n", 7));
    inside(&w, "coracle host sh -c 'kill -9 $$'").run().exits(137);
    let many = "seq 60000 | coracle host cat | coracle host wc -l";
    assert_eq!(inside(&w, many).ok().trim(), "60000");
    // From a root shell of the box's, too: as the user.
    assert_eq!(inside(&w, "sudo coracle host id -u").ok(), w.tool("id").arg("-u").ok());
    // The environment of who entered last, and what is asked for.
    let env = "coracle host --env B=2 -e C=3 sh -c 'echo ${A-none} $B $C ${CONTAINER-}'";
    assert_eq!(inside(&w, env).env("A", "1").ok(), "1 2 3\n");
    assert_eq!(inside(&w, env).env("A", "other").ok(), "other 2 3\n");
    // The same directory, or the nearest.
    let pwd = |dir: &str| inside(&w, &format!("cd {dir} && coracle host pwd")).run();
    assert_eq!(pwd("work").stdout, format!("{}/work\n", home.display()));
    let usr = pwd("/run/host/usr");
    assert_eq!((usr.stdout.as_str(), usr.stderr.as_str()), ("/usr\n", ""));
    let own = pwd("/etc");
    assert_eq!(own.stdout, format!("{}\n", home.display()));
    assert_eq!(own.stderr, format!("Warning: /etc is not on the host; using {}\n", home.display()));
    assert_eq!(inside(&w, "coracle host --workdir /usr pwd").ok(), "/usr\n");
    // From a file of boxes.
    std::fs::write(home.join("toolbox.toml"), "[t]\nimage = \"bb\"\nhost-exec = true\n").unwrap();
    assert_eq!(w.c("toolbox assemble").cwd(&home).ok(), "t\n");
    assert_eq!(w.c("toolbox run t coracle host echo t").ok(), "t\n");
    // What goes wrong.
    inside(&w, "coracle host no-such-program")
        .run()
        .says(127, &["Error: cannot run no-such-program on the host", "Caused by: No such file"]);
    inside(&w, "coracle host /etc").run().says(126, &["Error: cannot run /etc on the host"]);
    inside(&w, "coracle host -w /no/dir ls")
        .run()
        .says(125, &["Error: ", "/no/dir is not a directory of the host"]);
    inside(&w, "coracle host").run().says(125, &["Error: no command given", "Hint: "]);
    inside(&w, "coracle host --what ls").run().says(125, &["Error: unknown flag: --what", "Hint: "]);
    inside(&w, "coracle host --env").run().says(125, &["Error: a value is required for '--env'", "Hint: "]);
    assert!(inside(&w, "coracle host --help").ok().contains("Run a command on the host"));
}

#[test]
fn the_hosts_containers_from_inside() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    w.start("web", "bb sleep 1000");
    let seen = inside(&w, "coracle ps --format '{{.Names}}' | sort").ok();
    assert_eq!(seen, "b\nweb\n");
    inside(&w, "coracle stop --time 0 web").ok();
    assert_eq!(w.status("web"), "exited");
    assert_eq!(inside(&w, "coracle toolbox list -q").ok(), "b\n");
    inside(&w, "coracle run --rm --network none bb sh -c 'exit 9'").run().exits(9);
    // The very binary of the host's, where the home has it.
    let at = w.dir.join("home/coracle");
    std::fs::copy(crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle")), &at).unwrap();
    assert_eq!(inside(&w, "./coracle ps -q | wc -l").ok().trim(), "1");
    assert_eq!(inside(&w, "./coracle host uname -n").ok(), w.tool("uname").arg("-n").ok());
}

#[test]
fn a_real_terminal_of_the_host() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let t = w.terminal("toolbox run b coracle host sh -i");
    t.keys("stty size; tty; test -t 2 && echo tty-$((40+2)); uname -n | sed s/^/on-/\n");
    t.sees("30 100");
    t.sees("/dev/pts/");
    t.sees("tty-42");
    t.sees(&format!("on-{}", w.tool("uname").arg("-n").ok().trim()));
    // Job control and ctrl-c are the host shell's.
    t.keys("sleep 400\n");
    let command = |name: &str| {
        std::fs::read_dir("/proc").unwrap().flatten().any(|p| {
            std::fs::read(p.path().join("cmdline"))
                .is_ok_and(|line| line == name.replace(' ', "\0").as_bytes())
        })
    };
    wait_for("sleep", || command("sleep 400 "));
    t.keys("\x1a");
    t.sees("Stopped");
    t.keys("kill -9 %1; wait; sleep 401\n");
    wait_for("the other sleep", || command("sleep 401 "));
    t.keys("\x03");
    wait_for("its end", || !command("sleep 401 ") && !command("sleep 400 "));
    t.resize(41, 99);
    wait_for("the new size", || {
        t.keys("stty size\n");
        t.shown().contains("41 99")
    });
    t.keys("exit 6\n");
    assert_eq!(t.wait().0, 6);
}

#[test]
fn signals_and_the_end_of_the_caller() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let home = w.dir.join("home");
    // A signal to the client is one to the command.
    let script = "coracle host sh -c 'trap \"echo got; exit 5\" TERM; echo up >up; while :; do sleep 0.1; done' & \
        while ! test -e up; do sleep 0.1; done; kill -TERM $!; wait $!";
    let seen = inside(&w, script).run().exits(5);
    assert_eq!(seen.stdout, "got\n");
    // A client that is killed hangs up.
    let hung = |name: &str| home.join(name).exists();
    let command = |name: &str| {
        format!(
            "coracle host sh -c 'trap \"echo x >{name}; exit\" HUP; echo x >{name}-up; while :; do sleep 0.1; done'"
        )
    };
    let script = format!("{} & while ! test -e one-up; do sleep 0.1; done; kill -KILL $!", command("one"));
    inside(&w, &script).ok();
    wait_for("the hang-up", || hung("one"));
    // So does a box that ends.
    let running = inside(&w, &command("two")).spawn();
    wait_for("its start", || hung("two-up"));
    w.c("toolbox stop b").ok();
    wait_for("the hang-up", || hung("two"));
    running.wait();
    // The next start serves again, and so does an enter after its process was killed.
    assert_eq!(inside(&w, "coracle host echo again").ok(), "again\n");
    let id = w.get("b", "/Id").as_str().unwrap().to_owned();
    let servers = servers(&id);
    assert_eq!(servers.len(), 1, "{servers:?}");
    w.tool("kill").args(["-9", servers[0].0.as_str()]).ok();
    w.c("exec --user")
        .arg(w.tool("id").arg("-un").ok().trim())
        .args(["b", "coracle", "host", "true"])
        .run()
        .says(125, &["Error: cannot run a command on the host", "Caused by: ", "Hint: ", "toolbox enter"]);
    assert_eq!(inside(&w, "coracle host echo again").ok(), "again\n");
}

#[test]
fn only_a_box_that_may() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    w.c("host true")
        .run()
        .says(125, &["Error: cannot run a command on the host", "Caused by: this is the host", "Hint: "]);
    w.c("toolbox create -i bb o").ok();
    w.c("toolbox run o coracle host true")
        .run()
        .says(125, &["Error: cannot run a command on the host", "made without --host-exec", "Hint: "]);
    w.c("toolbox run o coracle ps").run().says(125, &["Error: cannot run a command on the host", "Hint: "]);
    w.c("toolbox run o xdg-open x").run().exits(127);
    w.c("toolbox create -i bb --isolate i").ok();
    w.c("toolbox run i coracle host true")
        .run()
        .says(125, &["Error: cannot run a command on the host", "this box is isolated", "Hint: "]);
    w.c("toolbox create -i bb --isolate --host-exec j")
        .run()
        .says(125, &["Error: an isolated box cannot run the host's commands", "Hint: "]);
    // Started, and not entered yet.
    w.c("start b").ok();
    let name = w.tool("id").arg("-un").ok();
    w.c("exec --user").arg(name.trim()).args(["b", "coracle", "host", "true"]).run().says(
        125,
        &["Error: cannot run a command on the host", "nobody has entered", "Hint: ", "toolbox enter"],
    );
    // Another box sees the socket below /run/host, and gets nothing by it.
    inside(&w, "coracle host true").ok();
    let id = w.get("b", "/Id").as_str().unwrap().to_owned();
    let live = w.dir.join("data/coracle/containers").join(id).join("live");
    assert!(live.join("host").exists());
    let steal = format!("sudo mount --bind /run/host{} /run/coracle && coracle host true", live.display());
    w.c("toolbox run o sh -c")
        .arg(steal)
        .run()
        .says(125, &["Error: cannot run a command on the host", "not the user of box b", "Hint: "]);
    // Nor does another user of the box.
    inside(&w, "sudo -u nobody coracle host true")
        .run()
        .says(125, &["Error: cannot run a command on the host"]);
    // A process that made namespaces of its own in the box is still the user.
    inside(&w, "sudo unshare -m sh -c 'coracle host true'").ok();
}

#[test]
fn what_programs_call_to_reach_the_host() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let bin = w.dir.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("xdg-open"), "#!/bin/sh\necho opens \"$@\"\n").unwrap();
    std::fs::set_permissions(bin.join("xdg-open"), PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let with_path = |script: &str| inside(&w, script).env("PATH", &path).run();
    assert_eq!(with_path("xdg-open https://example.org/").stdout, "opens https://example.org/\n");
    assert_eq!(with_path("xdg-open /run/host/etc/hosts").stdout, "opens /etc/hosts\n");
    let spawn = "flatpak-spawn --host --env=A=1 --directory=/usr --watch-bus sh -c 'echo $A $PWD; exit 3'";
    let seen = with_path(spawn).exits(3);
    assert_eq!(seen.stdout, "1 /usr\n");
    assert_eq!(
        with_path("flatpak-spawn --host --unset-env=EDITOR --clear-env /bin/sh -c 'echo ${HOME-none}'")
            .stdout,
        "none\n"
    );
    with_path("flatpak-spawn ls").says(125, &["Error: flatpak-spawn: a box has no sandboxes", "Hint: "]);
    with_path("flatpak-spawn --host --forward-fd=3 ls")
        .says(125, &["Error: flatpak-spawn: --forward-fd=3", "Hint: "]);
    with_path("flatpak-spawn --host").says(125, &["Error: no command given", "Hint: "]);
    // A box that may not has neither.
    w.c("toolbox create -i bb n").ok();
    w.c("toolbox run n test -e /usr/bin/xdg-open").run().exits(1);
}
