//! `coracle toolbox up`: the box of a project, from its devcontainer.json.

use crate::need;
use crate::support::apt::{Repository, derive};
use crate::support::registry::tar_of;
use crate::support::{Cmd, World, wait_for};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A project in the home, with this file.
fn project(w: &World, name: &str, text: &str) -> PathBuf {
    let dir = w.dir.join("home").join(name);
    std::fs::create_dir_all(dir.join(".devcontainer")).unwrap();
    std::fs::write(dir.join(".devcontainer/devcontainer.json"), text).unwrap();
    dir
}

fn up(w: &World, dir: &std::path::Path, words: &str) -> Cmd {
    w.c("toolbox up").arg(dir).args(words.split_whitespace())
}

#[test]
fn a_project_gets_its_box() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    std::fs::create_dir_all(w.dir.join("home/data")).unwrap();
    let dir = project(
        &w,
        "my proj",
        r#"// of the team
{
    "name": "My Proj (busybox)", /* for people */
    "image": "${localEnv:BASE:bb}",
    "mounts": [
        "source=${localWorkspaceFolder}/../data,target=/data,type=bind,consistency=cached",
        {"type": "volume", "source": "cache-${devcontainerId}", "target": "/cache"},
    ],
    "containerEnv": {"MODE": "dev", "FROM": "${localEnv:PLACE}"},
    "remoteEnv": {"TOOLS": "${containerEnv:MODE}:${containerWorkspaceFolder}/bin", "EDITOR": null},
    "remoteUser": "vscode",
    "runArgs": ["--cap-add=SYS_PTRACE", "--security-opt", "seccomp=unconfined", "-e", "RUN=yes"],
    "onCreateCommand": "pwd >>log; echo create >>log",
    "updateContentCommand": ["sh", "-c", "echo \"$0 $1\" >>log", "update", "a b"],
    "postCreateCommand": {"one": "while ! test -e go; do sleep 0.1; done; id -un >>log", "two": ["touch", "go"]},
    "postStartCommand": "echo start $TOOLS >>log",
    "postAttachCommand": "echo attach; echo attach >>log",
    "forwardPorts": [8000, "localhost:9000"],
    "customizations": {"vscode": {"extensions": ["x.y"]}},
    "colour": "red",
}
"#,
    );
    let made = up(&w, &dir, "").env("PLACE", "here").run();
    assert_eq!((made.code, made.stdout.as_str()), (0, "My-Proj--busybox\n"), "{made:#?}");
    let known = format!(
        "Warning: {}/.devcontainer/devcontainer.json: keys that coracle does not know are left out: colour\n",
        dir.display()
    );
    for said in ["Enter it with `coracle toolbox enter My-Proj--busybox`.", &known, "attach\n"] {
        assert!(made.stderr.contains(said), "{said}: {made:#?}");
    }
    let me = w.tool("id").arg("-un").ok();
    let log = || std::fs::read_to_string(dir.join("log")).unwrap();
    let workspace = "/workspaces/my proj";
    let first = format!("{workspace}\ncreate\nupdate a b\n{me}start dev:{workspace}/bin\nattach\n");
    assert_eq!(log(), first);
    // Entered as a project's box is: in its directory, with its environment.
    let seen = w
        .c("toolbox enter My-Proj--busybox -- sh -c")
        .arg("pwd; echo $MODE $FROM $TOOLS ${EDITOR-none} $RUN; ls -d /cache /data")
        .env("EDITOR", "vi")
        .ok();
    assert_eq!(seen, format!("{workspace}\ndev here dev:{workspace}/bin none yes\n/cache\n/data\n"));
    w.c("toolbox run My-Proj--busybox touch /data/seen made").ok();
    assert!(w.dir.join("home/data/seen").exists() && dir.join("made").exists());
    // Again: it runs, so nothing starts. Then after a stop.
    assert_eq!(up(&w, &dir, "-- sh -c").arg("echo $MODE; exit 3").run().exits(3).stdout, "dev\n");
    assert_eq!(log(), format!("{first}attach\n"));
    w.c("toolbox stop My-Proj--busybox").ok();
    assert_eq!(w.c("toolbox up").cwd(&dir).ok(), "My-Proj--busybox\n");
    assert_eq!(log(), format!("{first}attach\nstart dev:{workspace}/bin\nattach\n"));
    assert_eq!(w.names(), ["My-Proj--busybox"]);
    let label = format!("label=devcontainer.local_folder={}", dir.display());
    assert_eq!(w.c("ps -q --filter").arg(label).ok().lines().count(), 1);
}

#[test]
fn a_file_that_changes_and_a_box_made_anew() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let text = |env: &str, rest: &str| {
        format!("{{\"image\": \"bb\", \"containerEnv\": {{\"V\": \"{env}\"}}{rest}}}")
    };
    let dir = project(&w, "p", &text("1", ""));
    assert_eq!(up(&w, &dir, "--name dev").ok(), "dev\n");
    w.c("toolbox run dev sudo touch /etc/mine").ok();
    // Comments and what an editor reads are no change, nor is what is read at every `up`.
    project(&w, "p", &text("1", ", \"settings\": {}, /* x */ \"remoteEnv\": {\"R\": \"r\"}"));
    let same = up(&w, &dir, "-- sh -c").arg("echo $V$R").run();
    assert_eq!((same.stdout.as_str(), same.stderr.contains("Warning")), ("1r\n", false), "{same:#?}");
    project(&w, "p", &text("2", ""));
    let old = up(&w, &dir, "-- sh -c").arg("echo $V; ls /etc/mine").run();
    assert_eq!(old.stdout, "1\n/etc/mine\n");
    assert!(old.stderr.contains("has changed since box dev was made; --recreate makes it anew"), "{old:#?}");
    // What cannot be completed leaves the old one in its place.
    project(&w, "p", &text("2", ", \"postCreateCommand\": {\"good\": \"true\", \"bad\": \"exit 7\"}"));
    up(&w, &dir, "--recreate").run().says(
        7,
        &[
            "bad failed with exit code 7",
            "Error: cannot make a box from ",
            "postCreateCommand failed",
            "exit code 7; what it says is above",
            "Hint: No half-made box is left",
        ],
    );
    assert_eq!(w.c("toolbox run dev sh -c").arg("echo $V").ok(), "1\n");
    project(&w, "p", &text("2", ", \"postCreateCommand\": \"echo x >>made\""));
    let new = up(&w, &dir, "--recreate -- sh -c").arg("echo $V; ls /etc/mine; cat made").run();
    assert_eq!(new.stdout, "2\nx\n", "{new:#?}");
    assert_eq!(w.names(), ["dev"]);
    up(&w, &dir, "--name other").run().says(
        125,
        &[
            "Error: cannot make a box from ",
            "its box is there, by the name of dev",
            "Hint: Give that one the name: `coracle rename dev other`.",
        ],
    );
    // Another project with that name, and a directory whose own name will do.
    let other = project(&w, "q", "{\"image\": \"bb\", \"name\": \"dev\"}");
    up(&w, &other, "").run().says(
        125,
        &[
            "Error: cannot make a box from ",
            "the name \"dev\" is in use",
            "Hint: Give the box another one: `coracle toolbox up --name NAME`.",
        ],
    );
    assert_eq!(up(&w, &other, "--name q.dev").ok(), "q.dev\n");
}

#[test]
fn two_at_once_and_one_that_was_killed() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let dir = project(
        &w,
        "p",
        "{\"image\": \"bb\", \"onCreateCommand\": \"echo $$ >>begun; sleep 1; test -e fast || sleep 1000\"}",
    );
    let killed = up(&w, &dir, "").spawn();
    wait_for("the command", || dir.join("begun").exists());
    w.tool("kill").arg("-9").arg(killed.inner_pid().to_string()).ok();
    killed.wait();
    std::fs::write(dir.join("fast"), "").unwrap();
    // What was begun and not finished is begun again; the second waits for the first.
    let both = [up(&w, &dir, "").spawn(), up(&w, &dir, "").spawn()];
    for one in both {
        assert_eq!(one.wait().ok(), "p\n");
    }
    assert_eq!(std::fs::read_to_string(dir.join("begun")).unwrap().lines().count(), 2);
    assert_eq!(w.names(), ["p"]);
}

#[test]
fn root_where_the_file_says_root() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let dir = project(
        &w,
        "p",
        r#"{"image": "bb", "containerUser": "root", "containerEnv": {"A": "b"}, "workspaceFolder": "/srv/sub",
            "workspaceMount": "type=bind,source=${localWorkspaceFolder},target=/srv",
            "onCreateCommand": "id -u >/etc/made; echo $A >>/etc/made; pwd >>/etc/made"}"#,
    );
    std::fs::create_dir_all(dir.join("sub")).unwrap();
    assert_eq!(up(&w, &dir, "-- cat /etc/made").ok(), "0\nb\n/srv/sub\n");
    assert_eq!(w.c("toolbox enter p -- id -u").ok(), "0\n");
    let me = w.tool("id").arg("-u").ok();
    project(&w, "p", "{\"image\": \"bb\", \"remoteUser\": \"me\", \"workspaceFolder\": \"/gone\"}");
    let seen = up(&w, &dir, "-- id -u").run();
    assert_eq!(seen.stdout, me);
    assert!(seen.stderr.contains("has changed since"), "{seen:#?}");
    let anew = up(&w, &dir, "--recreate -- pwd").run();
    assert_eq!(anew.stdout, format!("{}\n", w.dir.join("home").display()));
    assert!(anew.stderr.contains("Warning: /gone is not in the box; using "), "{anew:#?}");
}

#[test]
fn files_that_ask_for_what_is_not_done() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let empty = w.dir.join("home/empty");
    std::fs::create_dir_all(&empty).unwrap();
    up(&w, &empty, "")
        .run()
        .says(125, &["Error: no devcontainer.json in ", ".devcontainer.json", "Hint: Name the project's"]);
    up(&w, &empty.join("gone"), "").run().says(125, &["Error: cannot read the project ", "ENOENT"]);
    let odd = empty.join(std::ffi::OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&odd).unwrap();
    w.c("toolbox up").cwd(&odd).run().says(
        125,
        &[
            "Error: cannot read the project ",
            "its path is not UTF-8",
            "Hint: Give the directory another name.",
        ],
    );
    for (rest, words) in [
        ("\"a\" \"b\"", ["line 1: ", ""]),
        ("\"build\": {\"dockerfile\": \"D\"}", ["build is not supported", "Hint: Build the image elsewhere"]),
        ("\"dockerFile\": \"D\"", ["dockerFile is not supported", "Hint: Build the image elsewhere"]),
        ("\"dockerComposeFile\": \"c.yml\"", ["dockerComposeFile is not supported", "Hint: Name one image"]),
        ("\"features\": {\"x\": {}}", ["features is not supported", "Hint: Name an image that has them"]),
        ("\"overrideCommand\": false", ["overrideCommand is false", "`postStartCommand`"]),
        ("\"runArgs\": [\"--memory=1g\"]", ["runArgs: --memory=1g is not for boxes", "Hint: Leave it out."]),
        ("\"runArgs\": [\"-v\"]", ["runArgs: -v wants a value", "-v=VALUE"]),
        (
            "\"runArgs\": [\"-e=x\", \"-e\", \"=x\"]",
            ["runArgs: -e=x is not for boxes", "Hint: Leave it out."],
        ),
        ("\"runArgs\": [\"-e\", \"=x\"]", ["-e of runArgs is not the name of a variable", "Hint: See"]),
        ("\"runArgs\": \"-v\"", ["runArgs is not a list", "Hint: See https://containers.dev"]),
        ("\"securityOpt\": [\"label=x\"]", ["securityOpt: label=x is not for boxes", "Hint: Leave it out."]),
        ("\"forwardPorts\": [\"db:5432\"]", ["forwardPorts: \"db:5432\" is no port", "Hint: Give numbers"]),
        ("\"mounts\": [{\"type\": 1}]", ["{\"type\":1} is no mount", "Hint: For example"]),
        ("\"mounts\": [\"type=bind,src=/x\"]", ["no dst=", "--mount type=bind"]),
        ("\"mounts\": [\"type=tmpfs,dst=/a\", \"type=tmpfs,dst=/a\"]", ["/a", ""]),
        ("\"workspaceFolder\": \"w\"", ["workspaceFolder \"w\" is not an absolute", "Hint: For example"]),
        (
            "\"workspaceMount\": \"\"",
            ["there is a workspaceMount, and no workspaceFolder", "Hint: Add the directory"],
        ),
        (
            "\"containerEnv\": {\"A\": \"${containerEnv:B}\"}",
            ["needs the environment of a container", "`remoteEnv`"],
        ),
        ("\"containerEnv\": {\"A\": 1}", ["containerEnv is not an object with texts", "Hint: See"]),
        (
            "\"remoteEnv\": {\"/\": \"x\"}",
            ["remoteEnv is not an object with names of variables", "Hint: See"],
        ),
        ("\"name\": \"a\\u0000b\"", ["a text in it has a zero byte", "Hint: Take it out."]),
        ("\"postCreateCommand\": 1", ["postCreateCommand is no command", "Hint: Write a line"]),
    ] {
        std::fs::write(empty.join(".devcontainer.json"), format!("{{\"image\": \"bb\",\n{rest}}}")).unwrap();
        let line = words[0].replace("line 1", "line 2");
        up(&w, &empty, "").run().says(125, &["Error: cannot make a box from ", &line, words[1]]);
        assert!(w.names().is_empty());
    }
    for (text, words) in [
        ("[]", ["it is not an object", "Hint: For example"]),
        ("{}", ["it names no image", "Hint: For example"]),
        ("", ["it is not an object", "Hint: For example"]),
        (
            "{\"image\": \"bb\", \"onCreateCommand\": \"exit 4\"}",
            ["onCreateCommand failed: `sh -c exit 4`", "No half-made"],
        ),
    ] {
        std::fs::write(empty.join(".devcontainer.json"), text).unwrap();
        let code = if text.contains("exit") { 4 } else { 125 };
        up(&w, &empty, "").run().says(code, &["Error: cannot make a box from ", words[0], words[1]]);
        assert!(w.names().is_empty());
    }
    // Commands of a project are not run elsewhere.
    let text = "{\"image\": \"bb\", \"workspaceFolder\": \"/gone\", \"onCreateCommand\": \"touch astray\"}";
    std::fs::write(empty.join(".devcontainer.json"), text).unwrap();
    up(&w, &empty, "").run().says(
        125,
        &[
            "Error: cannot make a box from ",
            "cannot run onCreateCommand",
            "workspaceFolder /gone is not in the box",
            "Hint: Give the directory",
        ],
    );
    assert!(!w.dir.join("home/astray").exists());
    // A start that fails leaves the box, and is tried again.
    let text = "{\"image\": \"bb\", \"initializeCommand\": \"make\", \"postStartCommand\": \"test -e ok\"}";
    std::fs::write(empty.join(".devcontainer.json"), text).unwrap();
    let failed = up(&w, &empty, "").run();
    failed.says(
        1,
        &[
            "initializeCommand is not run",
            "Error: postStartCommand failed: `sh -c test -e ok`",
            "exit code 1",
        ],
    );
    std::fs::write(empty.join("ok"), "").unwrap();
    assert_eq!(up(&w, &empty, "").ok(), "empty\n");
}

#[test]
fn a_newer_image_keeps_what_the_file_says() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::new();
    Repository::new(&w, "repository").image(&w, "deb");
    let dir = project(
        &w,
        "p",
        r#"{"image": "deb", "containerEnv": {"A": "b"}, "mounts": ["type=tmpfs,target=/scratch"],
            "postStartCommand": "echo start >>log", "onCreateCommand": "echo create >>log"}"#,
    );
    up(&w, &dir, "").ok();
    assert_eq!(w.c("toolbox rebase --image deb p").ok(), "p\n");
    assert_eq!(
        up(&w, &dir, "-- sh -c").arg("echo $A; grep -c /scratch /proc/mounts; cat log").ok(),
        "b\n1\ncreate\nstart\nstart\n"
    );
}

#[test]
fn a_project_with_more_than_one_file() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let dir = w.dir.join("home/many");
    let put = |name: &str| {
        let file = dir.join(".devcontainer").join(name).join("devcontainer.json");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text = format!(
            "{{\"name\": \"{name}\", \"image\": \"bb\", \"containerEnv\": {{\"WHICH\": \"{name}\"}}}}"
        );
        std::fs::write(&file, text).unwrap();
        file
    };
    let one = put("one");
    assert_eq!(up(&w, &dir, "-- sh -c").arg("echo $WHICH; pwd").ok(), "one\n/workspaces/many\n");
    let two = put("two");
    up(&w, &dir, "").run().says(
        125,
        &[
            "Error: more than one devcontainer.json in ",
            "Caused by: ",
            "/one/",
            "/two/",
            "Hint: ",
            "up --config ",
        ],
    );
    let chosen = |file: &std::path::Path| {
        w.c("toolbox up --config").arg(file).arg(&dir).args(["--", "sh", "-c", "echo $WHICH"]).ok()
    };
    assert_eq!(chosen(&two), "two\n");
    assert_eq!(chosen(&one), "one\n");
    assert_eq!(w.names(), ["one", "two"]);
    let gone = dir.join("no-such.json");
    w.c("toolbox up --config")
        .arg(&gone)
        .arg(&dir)
        .run()
        .says(125, &["Error: cannot read ", "no-such.json", "Caused by: "]);
}

#[test]
fn a_project_asks_for_gpus() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let spec = |kind: &str, name: &str, env: &str| {
        format!(
            "{{\"cdiVersion\":\"0.5.0\",\"kind\":\"{kind}\",\"devices\":[{{\"name\":\"{name}\",\"containerEdits\":{{\"env\":[\"{env}\"]}}}}]}}"
        )
    };
    let cdi = w.dir.join("config/cdi");
    std::fs::create_dir_all(&cdi).unwrap();
    std::fs::write(cdi.join("nvidia.json"), spec("nvidia.com/gpu", "all", "GPU=yes")).unwrap();
    std::fs::write(cdi.join("story.json"), spec("story.org/dev", "a", "STORY=yes")).unwrap();
    let text = |args: &str| format!("{{\"image\": \"bb\", \"runArgs\": [{args}]}}");
    let dir = project(&w, "p", &text("\"--gpus\", \"all\", \"--device=story.org/dev=a\""));
    assert_eq!(up(&w, &dir, "-- sh -c").arg("echo $GPU $STORY").ok(), "yes yes\n");
    let other = project(&w, "q", &text("\"--gpus=7\""));
    up(&w, &other, "").run().says(
        125,
        &[
            "Error: cannot make a box from ",
            "cannot give the device nvidia.com/gpu=7",
            "know only all",
            "Hint: ",
        ],
    );
    let odd = project(&w, "r", &text("\"--device=gpu\""));
    up(&w, &odd, "").run().says(125, &["Error: cannot make a box from ", "invalid device \"gpu\"", "Hint: "]);
}

#[test]
fn what_the_image_says_counts_where_the_file_says_nothing() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::new();
    let image = |name: &str, label: &str| {
        let dir = w.dir.join("home").join(format!("image-{name}"));
        let labels = serde_json::json!({"devcontainer.metadata": label});
        derive(Path::new(&World::layout("busybox")), &dir, &tar_of(&[]), labels);
        let id = w.c("pull -q").arg(format!("oci:{}", dir.display())).ok();
        w.c("tag").arg(id.trim()).arg(name).ok();
    };
    image(
        "said",
        r#"[{"id": "a-feature", "containerEnv": {"A": "image", "B": "image"}, "onCreateCommand": "echo image >>log",
             "mounts": ["type=tmpfs,target=/made"], "customizations": {}},
            {"remoteUser": "root", "remoteEnv": {"R": "${containerEnv:A}"}, "postAttachCommand": "echo attached >>log"}]"#,
    );
    let text = r#"{"image": "said", "containerEnv": {"B": "file"}, "onCreateCommand": "echo file >>log"}"#;
    let dir = project(&w, "p", text);
    let seen = up(&w, &dir, "-- sh -c").arg("id -u; echo $A $B $R; grep -c ' /made ' /proc/mounts").ok();
    assert_eq!(seen, "0\nimage file image\n1\n");
    let log = || std::fs::read_to_string(dir.join("log")).unwrap();
    assert_eq!(log(), "image\nfile\nattached\n");
    // As the image of the box said, whatever the name means now.
    image("said", "[]");
    assert_eq!(up(&w, &dir, "-- sh -c").arg("id -u; echo $R").ok(), "0\nimage\n");
    assert_eq!(log(), "image\nfile\nattached\nattached\n");
    image("bad", "[1]");
    let other = project(&w, "q", r#"{"image": "bad"}"#);
    let made = up(&w, &other, "").run().exits(0);
    assert!(
        made.stderr
            .contains("the image's label devcontainer.metadata is left out: it is not made of objects"),
        "{made:#?}"
    );
    let gone = project(&w, "r", r#"{"image": "127.0.0.1:1/none"}"#);
    up(&w, &gone, "").run().says(125, &["Error: cannot pull 127.0.0.1:1/none", "Hint: "]);
}
