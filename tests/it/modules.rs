//! Site modules: `--module`, in files of podman-hpc's form. Here they are the user's own; `site` has the administrator's.

use std::path::PathBuf;

use crate::need;
use crate::support::World;

/// A file of the user's modules.
fn put(w: &World, name: &str, text: &str) -> PathBuf {
    let dir = w.dir.join("config/coracle/modules.d");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), text).unwrap();
    dir.join(name)
}

#[test]
fn a_module_brings_its_files_variables_and_flags() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let site = w.dir.join("home/site");
    std::fs::create_dir_all(site.join("lib/deep")).unwrap();
    for (name, text) in
        [("libfab.so", "fab"), ("libfab.so.1", "fab 1"), ("other", "no"), ("deep/x", "deep\n")]
    {
        std::fs::write(site.join("lib").join(name), text).unwrap();
    }
    let text = "name: fabric\ncli_arg: fab\nhelp: The fabric of this site\nhidden: True\nenv: ENABLE_FABRIC\n\
        conflicts: [\"sockets\"]\nshared_run: False\nadditional_args:\n  - -e STORY_*\n  - -e SAID=by the module\n\
        \x20 - -e OTHER=by the module\n  - --ipc=host\n  - --hostname of-the-module\ncopy:\n  - ../fabric.conf:/etc/fabric.d/fabric.conf\n\
        \x20 - $SITE/lib/libfab.so*:/opt/fabric/\nbind:\n  - ${SITE}/lib/deep:/opt/deep\n  - /dev/nul*:/dev/given\n  - /no/such/dir/*:/x/\n";
    put(&w, "10-fabric.yaml", text);
    put(&w, "sockets.yaml", "name: sockets\nbind:\n");
    std::fs::write(w.dir.join("config/coracle/fabric.conf"), "the fabric\n").unwrap();
    let script = "cat /etc/fabric.d/fabric.conf; ls /opt/fabric; cat /opt/fabric/libfab.so.1 /opt/deep/x; echo $ENABLE_FABRIC $STORY_ONE; \
        echo $SAID, $OTHER; readlink /proc/self/ns/ipc; hostname; echo x 2>&- >/opt/fabric/libfab.so || echo read-only; \
        test -c /dev/given/null && echo device; echo new >/opt/deep/new";
    let run = |flags: &str| {
        w.c(&format!("run --rm {flags}"))
            .arg("bb")
            .args(["sh", "-c", script])
            .env("STORY_ONE", "of the host")
            .env("SITE", &site)
    };
    let ipc = std::fs::read_link("/proc/self/ns/ipc").unwrap().display().to_string();
    let want = format!(
        "the fabric\nlibfab.so\nlibfab.so.1\nfab 1deep\n1 of the host\nby the module, by the user\n{ipc}\nof-the-module\nread-only\ndevice\n"
    );
    // By either name, and once: what is typed stands above it, wherever it stands.
    assert_eq!(run("-e OTHER=by_the_user --module fabric").ok(), want.replace("by the user", "by_the_user"));
    assert_eq!(
        run("--module fab --module fabric -e OTHER=by_the_user").ok(),
        want.replace("by the user", "by_the_user")
    );
    assert_eq!(std::fs::read_to_string(site.join("lib/deep/new")).unwrap(), "new\n");
    let out = run("--module fab --hostname mine -e OTHER=x").ok();
    assert!(out.contains("\nmine\n"), "{out}");
    w.c("run --rm --module fab --module sockets bb true").run().says(
        125,
        &["Error: module fabric cannot be used with sockets", "Caused by: ", "10-fabric.yaml", "Hint: "],
    );
    // A container that is made and started later has them too.
    let id = w.c("create --module fab bb cat /etc/fabric.d/fabric.conf").env("SITE", &site).ok();
    assert_eq!(w.c("start -a").arg(id.trim()).ok(), "the fabric\n");
    w.c("rm").arg(id.trim()).ok();
}

#[test]
fn modules_of_programs_of_mpi_go_with_hpc() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let text = "name: openmpi-pmix\nadditional_args:\n  - --userns=keep-id\n  - --ipc=host\n  - --network=host\n  - --pid=host\nbind:\n  - /dev/shm:/dev/shm\n";
    put(&w, "pmix.yaml", text);
    put(&w, "more.yaml", "name: more\nbind: [/dev/shm:/dev/shm]\n");
    let me = crate::support::user::ids().0;
    let out =
        w.c("run --rm --hpc --module openmpi-pmix --module more bb sh -c").arg("id -u; ls -d /dev/shm").ok();
    assert_eq!(out, format!("{me}\n/dev/shm\n"));
}

#[test]
fn what_is_wrong_with_a_module_is_said() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let said = |what: &str, cause: &str, hint: &str| {
        let words = ["Error: ", what, "Caused by:", cause, "Hint: ", hint];
        w.c("run --rm --module story bb true").run().says(125, &words);
    };
    said("there is no module story", "/etc/coracle/modules.d", "leave out --module");
    put(&w, "other.yaml", "name: other\n");
    said("there is no module story", "modules.d", "Take one that is there: other");
    let colon = w.dir.join("home/a:b");
    std::fs::write(&colon, "").unwrap();
    let colons = format!("name: story\nbind: [\"{}/a*:/x\"]\n", w.dir.join("home").display());
    for (text, cause, hint) in [
        ("name: [\n", "story.yaml: ", "Correct the file"),
        ("name: story\nbnid: []\n", "story.yaml: unknown field `bnid`", "Known keys: name, "),
        ("name: story\nbind: 5\n", "invalid type", "Known keys"),
        ("name: story\nbind: [/no/such:/x]\n", "stat(\"/no/such\"): ENOENT", "ask the administrator"),
        ("name: story\nbind: [/etc]\n", "\"/etc\" is not SOURCE:TARGET", "Correct the file"),
        ("name: story\nbind: [/*/x:/x]\n", "in the last part of a path only", "Correct the file"),
        ("name: story\nbind: [$NO_SUCH/x:/x]\n", "the variable NO_SUCH is not set", "Correct the file"),
        ("name: story\nadditional_args: [--no-such]\n", "unknown flag: --no-such", "Correct the file"),
        ("name: story\nadditional_args: [-e]\n", "\"-e\" is not a flag with its value", "Correct the file"),
        ("name: story\nadditional_args: [image]\n", "\"image\" is not a flag", "Correct the file"),
        ("name: story\nadditional_args: [--module x]\n", "\"--module x\" is not a flag", "Correct the file"),
        (&colons, "a:b\": its name has a colon", "without one"),
    ] {
        put(&w, "story.yaml", text);
        said("cannot use module story", cause, hint);
    }
}
