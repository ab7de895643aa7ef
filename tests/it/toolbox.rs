//! `coracle toolbox`: living in a box.

use crate::need;
use crate::support::{World, wait_for};

/// A user with a box `b` of the busybox image, which has no sudo, no bash and a user of its own.
fn with_box() -> World {
    let w = World::with_busybox();
    assert_eq!(w.c("toolbox create -i bb b").ok(), "b\n");
    w
}

#[test]
fn one_is_oneself_in_any_image() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let home = w.dir.join("home");
    std::fs::create_dir_all(home.join("work")).unwrap();
    let outside = w.tool("sh").args(["-c", "id -u; id -g; id -un; id -gn"]).ok();
    let inside = w.c("toolbox run b sh -c").arg("id -u; id -g; id -un; id -gn").ok();
    assert_eq!(inside, outside);
    let name = outside.lines().nth(2).unwrap();
    let script =
        "pwd; echo $HOME $USER $SHELL $EDITOR; hostname; grep -c ^root: /etc/passwd; echo made >made";
    let enter = w.c("toolbox enter b -- sh -c").arg(script);
    let seen = enter.cwd(&home.join("work")).env("SHELL", "/bin/sh").env("EDITOR", "vi").ok();
    let shown = home.to_str().unwrap();
    assert_eq!(seen, format!("{shown}/work\n{shown} {name} /bin/sh vi\nb\n1\n"));
    assert_eq!(std::fs::read_to_string(home.join("work/made")).unwrap(), "made\n");
    w.c("toolbox run b sh -c").arg("exit 7").run().exits(7);
    // As for `enter`; a second one is the command's.
    assert_eq!(w.c("toolbox run b -- echo -- a").ok(), "-- a\n");
    // As toolbox(1) has it.
    assert_eq!(w.c("toolbox run -c b echo -n a").ok(), "a");
    assert_eq!(w.c("toolbox run --container b -- echo -- a").ok(), "-- a\n");
    w.c("toolbox run -c b").run().says(125, &["Error: no command given", "Hint: "]);
    w.c("toolbox run -c none true").run().says(125, &["none"]);
    w.c("toolbox run b --").run().says(125, &["Error: no command given", "Hint: "]);
    w.c("toolbox run b no-such-program").run().exits(127);
    // The same user for `exec` by name.
    assert_eq!(w.c("exec --user").arg(name).args(["b", "id", "-un"]).ok().trim(), name);
}

#[test]
fn sudo_without_a_password_in_an_image_that_has_none() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let root =
        w.c("toolbox run b sudo sh -c").arg("id -u; echo $HOME $SUDO_USER; echo new >/etc/new; exit 3").run();
    let name = w.tool("id").arg("-un").ok();
    assert_eq!(root.stdout, format!("0\n/root {name}"));
    root.exits(3);
    assert_eq!(w.c("toolbox run b stat -c %u:%g /etc/new").ok(), "0:0\n");
    assert_eq!(w.c("toolbox run b sudo -u nobody id -u").ok(), "65534\n");
    assert_eq!(w.c("toolbox run b sudo -i pwd").ok(), "/root\n");
    w.c("toolbox run b sudo -u nobody-here id").run().says(125, &["Error: sudo: unknown user nobody-here"]);
    w.c("toolbox run b sudo --chroot=/ id")
        .run()
        .says(125, &["Error: sudo: --chroot=/ is not known", "Hint: "]);
    w.c("toolbox run b sudo no-such-program")
        .run()
        .says(127, &["Error: sudo: no-such-program: command not found"]);
    // The box keeps what was installed in it.
    w.c("toolbox stop b").ok();
    assert_eq!(w.c("toolbox run b cat /etc/new").ok(), "new\n");
}

#[test]
fn the_hosts_places_and_those_that_are_gone() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let run = w.dir.join("session");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let agent = std::os::unix::net::UnixListener::bind(run.join("agent")).unwrap();
    let script = "test -S \"$SSH_AUTH_SOCK\" && echo agent; test -d /run/host/usr && echo host; \
                  test -c /dev/null && test -e /dev/pts/ptmx && echo dev; grep -c 127.0.1.1 /etc/hosts; echo ${DISPLAY-none}";
    let enter = |socket: &std::path::Path| {
        w.c("toolbox enter b -- sh -c").arg(script).env("SSH_AUTH_SOCK", socket).env("DISPLAY", ":4711").run()
    };
    let seen = enter(&run.join("agent"));
    assert_eq!(seen.stdout, "agent\nhost\ndev\n1\nnone\n", "{seen:#?}");
    assert!(
        seen.stderr.contains("Warning: DISPLAY is left out: /tmp/.X11-unix/X4711 is not there"),
        "{seen:#?}"
    );
    drop(agent);
    // Another agent, without a new box or start.
    let _other = std::os::unix::net::UnixListener::bind(run.join("other")).unwrap();
    assert!(enter(&run.join("other")).stdout.starts_with("agent\n"));
    let gone = enter(&run.join("never"));
    assert!(
        gone.stdout.starts_with("host\n") && gone.stderr.contains("SSH_AUTH_SOCK is left out"),
        "{gone:#?}"
    );
}

#[test]
fn a_place_that_goes_between_two_starts() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let session = w.dir.join("session");
    std::fs::create_dir_all(&session).unwrap();
    let runroot = format!("--runroot {} toolbox", w.dir.join("run/coracle").display());
    let run = |line: &str| w.c(&format!("{runroot} {line}")).env("XDG_RUNTIME_DIR", &session).run();
    let seen = run("run b sh -c pwd;test${IFS}-d${IFS}$XDG_RUNTIME_DIR&&echo${IFS}there");
    assert!(seen.stdout.ends_with("there\n"), "{seen:#?}");
    run("stop b").ok();
    std::fs::remove_dir(&session).unwrap();
    let seen = run("run b echo up");
    assert_eq!((seen.code, seen.stdout.as_str()), (0, "up\n"));
    let gone = format!("Warning: {} is gone from the host: box b starts without it", session.display());
    assert!(seen.stderr.contains(&gone), "{seen:#?}");
    assert!(!run("run b echo up").stderr.contains("gone from the host"), "said once");
}

#[test]
fn a_home_of_its_own() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let home = w.dir.join("home");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("secret"), "mine\n").unwrap();
    w.c("toolbox create -i bb --home own o").ok();
    let line =
        format!("cd; pwd; ls -A; echo x >{}/inside; grep ^$USER: /etc/passwd | cut -d: -f6", home.display());
    assert_eq!(w.c("toolbox run o sh -c").arg(line).ok(), format!("{0}\n{0}\n", home.display()));
    assert!(!home.join("inside").exists());
    assert_eq!(w.c("toolbox run o cat").arg(home.join("inside")).ok(), "x\n");
    w.c("toolbox create -i bb --home none p").run().says(125, &["Error: ", "none"]);
}

#[test]
fn a_terminal_with_job_control_and_the_box_in_the_prompt() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let t = w.terminal("toolbox enter b");
    t.sees("(b)");
    t.keys("stty size; test -t 0 && test -t 1 && echo tty-$((40+2))\n");
    t.sees("30 100");
    t.sees("tty-42");
    // ctrl-c and ctrl-z are the shell's.
    t.keys("sleep 400\n");
    wait_for("sleep", || w.c("toolbox run b ps").ok().contains("sleep 400"));
    t.keys("\x1a");
    t.sees("Stopped");
    t.keys("kill -9 %1; wait; sudo sh -c 'echo root-$(id -u)-$(tty)'; exit 9\n");
    t.sees("root-0-/dev/pts/");
    assert_eq!(t.wait().0, 9);
}

#[test]
fn listed_stopped_and_removed() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    w.start("other", "bb sleep 1000");
    assert_eq!(w.c("toolbox list -q").ok(), "b\n");
    let list = w.c("toolbox list").ok();
    assert!(
        list.starts_with("CONTAINER ID") && list.contains("Created") && !list.contains("other"),
        "{list}"
    );
    w.c("toolbox enter -- true").ok();
    assert_eq!(w.status("b"), "running");
    w.c("toolbox rm b").run().says(2, &["Error: cannot remove box b: it is running", "Hint: "]);
    assert_eq!(w.c("toolbox stop b").ok(), "b\n");
    assert_eq!(w.status("b"), "exited");
    // `start` makes a box ready as `enter` does.
    w.c("start b").ok();
    assert_eq!(
        w.c("toolbox run b pwd").cwd(&w.dir.join("home")).ok().trim(),
        w.dir.join("home").to_str().unwrap()
    );
    assert_eq!(w.c("toolbox rm --force b").ok(), "b\n");
    assert_eq!(w.names(), ["other"]);
    w.c("toolbox enter").run().says(125, &["Error: there is no box", "Hint: "]);
}

#[test]
fn names_that_cannot_be_a_box() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    w.c("toolbox create -i bb b")
        .run()
        .says(125, &["Error: the name \"b\" is in use by", "Hint: ", "toolbox enter b"]);
    w.c("toolbox create -i bb ../x").run().says(125, &["Error: "]);
    w.c("toolbox create -i no-such-image.invalid/x:1 n").run().says(125, &["Error: "]);
    w.c("toolbox create -i host: h").run().says(125, &["Error: a box cannot be made from host:"]);
    w.c("toolbox enter nobody").run().says(125, &["Error: no box \"nobody\"", "Hint: "]);
    w.start("plain", "bb sleep 1000");
    w.c("toolbox enter plain").run().says(125, &["Error: container plain is not a box", "Hint: "]);
    w.c("toolbox rm plain").run().says(125, &["Error: container plain is not a box"]);
    w.c("toolbox stop").run().says(125, &["Error: no box given", "Hint: "]);
    w.c("toolbox run b").run().says(125, &["Error: no command given", "Hint: "]);
    w.c("toolbox create -i bb c").ok();
    w.c("toolbox enter -- true").run().says(125, &["Error: there is more than one box", "Hint: "]);
}

#[test]
fn two_enter_at_once_and_one_dies() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let both: Vec<_> = (0..4).map(|i| w.c("toolbox run b echo").arg(i.to_string()).spawn()).collect();
    for (i, enter) in both.into_iter().enumerate() {
        assert_eq!(enter.wait().ok(), format!("{i}\n"));
    }
    let inside = w.c("toolbox run b sleep 1000").spawn();
    wait_for("sleep", || w.c("toolbox run b ps").ok().contains("sleep 1000"));
    w.c("kill b").ok();
    assert_eq!(inside.wait().code, 137);
    assert_eq!(w.c("toolbox run b echo again").ok(), "again\n");
}

#[test]
fn a_box_of_an_older_coracle() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    w.c("toolbox run b sudo touch /etc/kept").ok();
    w.c("toolbox stop b").ok();
    let id = w.get("b", "/Id");
    let dir = w.dir.join("data/coracle/containers").join(id.as_str().unwrap());
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(dir.join(name)).unwrap()).unwrap()
    };
    let write =
        |name: &str, json: &serde_json::Value| std::fs::write(dir.join(name), json.to_string()).unwrap();
    // What the first release wrote of a box, and nothing more.
    let now = read("toolbox.json");
    let kept = ["version", "home", "mounted"].map(|key| (key.to_owned(), now[key].clone()));
    write("toolbox.json", &kept.into_iter().collect::<serde_json::Map<_, _>>().into());
    let mut container = read("container.json");
    let since = ["default_pids_limit", "exposed_ports", "timeout", "pid_file", "systemd"];
    since.iter().for_each(|key| drop(container.as_object_mut().unwrap().remove(*key)));
    write("container.json", &container);
    assert_eq!(w.c("toolbox list -q").ok(), "b\n");
    assert_eq!(
        w.c("toolbox run b sh -c").arg("test -e /etc/kept && id -u").ok(),
        w.tool("id").arg("-u").ok()
    );
    // One of a newer coracle is not guessed at.
    w.c("toolbox stop b").ok();
    let mut newer = now.clone();
    newer["version"] = 1000.into();
    write("toolbox.json", &newer);
    w.c("toolbox run b true").run().says(125, &["Error: ", "newer", "Hint: "]);
    write("toolbox.json", &now);
}

#[test]
fn a_shell_that_the_box_has_not() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let t = w.terminal("toolbox enter b");
    // The tests' SHELL is not in busybox's image when it is bash.
    t.keys("echo in-$((40+2)); exit\n");
    t.sees("in-42");
    t.wait();
    let said = w.c("toolbox enter b").env("SHELL", "/usr/bin/zsh").run();
    assert!(said.stderr.contains("Warning: /usr/bin/zsh is not in the box; using /bin/sh"), "{said:#?}");
    // No shell at all.
    w.c("toolbox run b sudo rm /bin/sh").ok();
    w.c("toolbox enter b")
        .run()
        .says(127, &["Error: cannot enter box b", "Caused by: ", "no shell", "Hint: "]);
    assert_eq!(w.c("toolbox run b echo still").ok(), "still\n");
}

#[test]
fn debian_as_it_comes() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::new();
    w.pull("debian", "deb");
    w.c("toolbox create -i deb d").ok();
    let id = w.tool("id").arg("-un").ok();
    let script = "id -un; sudo -n id -un; sudo dpkg --version >/dev/null && echo dpkg; sudo useradd -m eve && id -un eve; locale 2>&1 | head -n 1";
    let seen = w.c("toolbox enter d -- bash -c").arg(script).env("LANG", "xx_YY.UTF-8").ok();
    assert_eq!(seen, format!("{id}root\ndpkg\neve\nLANG=C.UTF-8\n"));
}

#[test]
fn a_distribution_by_its_name() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    // Here already: nothing is pulled.
    w.c("tag bb registry.fedoraproject.org/fedora-toolbox:42").ok();
    w.c("tag bb quay.io/toolbx/arch-toolbox:latest").ok();
    assert_eq!(w.c("toolbox create -d fedora -r f42").ok(), "fedora-toolbox-42\n");
    assert_eq!(w.c("toolbox create --distro arch").ok(), "arch-toolbox-latest\n");
    assert_eq!(w.c("toolbox create -d arch mine").ok(), "mine\n");
    assert_eq!(w.c("toolbox enter -d fedora -r 42 -- hostname").ok(), "fedora-toolbox-42\n");
    assert_eq!(w.c("toolbox run -d fedora -r 42 hostname").ok(), "fedora-toolbox-42\n");
    assert_eq!(w.c("toolbox run --distro arch -- sh -c hostname").ok(), "arch-toolbox-latest\n");
    w.c("toolbox run -d fedora -r 41 hostname").run().says(125, &["Error: no box \"fedora-toolbox-41\""]);
    w.c("toolbox run -c arch-toolbox-latest -d arch hostname")
        .run()
        .says(125, &["Error: ", "cannot be combined with"]);
    w.c("toolbox enter -d arch arch-toolbox-latest").run().says(125, &["Error: ", "cannot be combined with"]);
    w.c("toolbox create -d arch").run().says(125, &["Error: the name \"arch-toolbox-latest\" is in use"]);
    w.c("toolbox create -d debian -r x86").run().says(125, &["Error: invalid --release \"x86\"", "Hint: "]);
    w.c("toolbox create -d fedora -r rawhide").run().says(125, &["Error: invalid --release", "Hint: "]);
    w.c("toolbox create -d beos -r 5")
        .run()
        .says(125, &["Error: invalid --distro \"beos\"", "debian", "Hint: "]);
    w.c("toolbox create -d ubuntu")
        .run()
        .says(125, &["Error: no release of ubuntu given", "Hint: ", "24.04"]);
    w.c("toolbox create -i bb -d arch").run().says(125, &["Error: "]);
    w.c("toolbox enter -d fedora -r 41").run().says(125, &["Error: no box \"fedora-toolbox-41\"", "Hint: "]);
}

#[test]
fn images_of_boxes_are_removed() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    w.pull("many-layers", "other");
    w.c("toolbox rmi other-image").run().says(1, &["Error: no image other-image", "Hint: "]);
    w.c("toolbox rmi --all")
        .run()
        .says(2, &["Error: cannot remove image", "in use by container b", "Hint: "]);
    w.c("toolbox rmi").run().says(125, &["Error: no image given", "Hint: "]);
    let removed = w.c("toolbox rmi --all --force").ok();
    assert!(removed.contains("Untagged: localhost/bb:latest") && removed.contains("Deleted: "), "{removed}");
    assert!(w.names().is_empty());
    let left = w.c("images --format {{.Repository}}").ok();
    assert!(left.contains("localhost/other") && !left.contains("localhost/bb"), "{left}");
}

#[test]
fn an_isolated_box_has_nothing_of_the_host() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let home = w.dir.join("home");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("secret"), "mine\n").unwrap();
    assert_eq!(w.c("toolbox create -i bb --isolate i").ok(), "i\n");
    let inside = |script: &str| {
        let cmd = w.c("toolbox enter i -- sh -c").arg(script).cwd(&home).env("TERM", "vt100");
        cmd.env("TOKEN", "mine").env("SSH_AUTH_SOCK", "/tmp/agent").run()
    };
    let seen = inside("ls -A; echo $TERM ${TOKEN-none} ${SSH_AUTH_SOCK-none} ${XDG_RUNTIME_DIR-none}; pwd");
    assert_eq!(seen.stdout, format!("vt100 none none none\n{}\n", home.display()), "{seen:#?}");
    assert_eq!(seen.stderr, "");
    for place in ["/run/host", "/run/dbus", "/var/log/journal"] {
        inside(&format!("test -e {place}")).exits(1);
    }
    inside(&format!("test -e {}", w.dir.join("data").display())).exits(1);
    for namespace in ["net", "ipc", "pid", "uts", "cgroup", "mnt"] {
        let ours = std::fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap();
        let theirs = inside(&format!("readlink /proc/self/ns/{namespace}")).ok();
        assert_ne!(theirs.trim(), ours.to_str().unwrap());
    }
    // The usual limits, and one's own root in it.
    assert_eq!(inside("grep Seccomp: /proc/self/status").ok(), "Seccomp:\t2\n");
    inside("sudo mount -t tmpfs none /mnt").exits(1);
    assert_eq!(inside("sudo id -u; grep -qw i /etc/hosts && echo name; echo kept >kept").ok(), "0\nname\n");
    w.c("toolbox stop i").ok();
    assert_eq!(inside("cat kept").ok(), "kept\n");
    assert!(!home.join("kept").exists());
    w.c("toolbox create -i bb --isolate --home host j")
        .run()
        .says(125, &["Error: an isolated box cannot have the host's home", "Hint: "]);
    w.c("toolbox create -i bb --isolate --read-only-host j").run().says(125, &["Error: "]);
}

#[test]
fn the_hosts_files_read_only() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let home = w.dir.join("home");
    std::fs::create_dir_all(&home).unwrap();
    w.c("toolbox create -i bb b").ok();
    w.c("toolbox create -i bb --read-only-host r").ok();
    let at = w.dir.join("data/touched");
    let touch = |name: &str, path: &str| w.c("toolbox run").arg(name).arg("touch").arg(path).run();
    let on_host = format!("/run/host{}", at.display());
    touch("b", &on_host).exits(0);
    std::fs::remove_file(&at).unwrap();
    touch("r", &on_host).says(1, &["Read-only file system"]);
    assert!(!at.exists());
    // What is mounted below, too.
    touch("r", &format!("/run/host/dev/shm/{}", w.tag)).says(1, &["Read-only file system"]);
    touch("r", home.join("made").to_str().unwrap()).exits(0);
    assert!(home.join("made").exists());
    let temporary = format!("/tmp/{}", w.tag);
    touch("r", &temporary).exits(0);
    std::fs::remove_file(temporary).unwrap();
}

#[test]
fn without_a_runtime_directory() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let script = format!(
        "unset XDG_RUNTIME_DIR; exec \"$C\" --runroot {} toolbox run b sh -c 'echo ${{XDG_RUNTIME_DIR-none}}; id -un'",
        w.dir.join("run/coracle").display()
    );
    let name = w.tool("id").arg("-un").ok();
    assert_eq!(w.sh(&script).ok(), format!("none\n{name}"));
}

#[test]
fn programs_and_applications_on_the_host() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let (bin, data) = (w.dir.join("home/.local/bin"), w.dir.join("data"));
    let make = "mkdir -p /usr/bin /usr/share/applications /usr/share/icons/hicolor/48x48/apps /opt
        printf '[Desktop Entry]\nType=Application\nName=Story\nExec=/opt/story menu\nTryExec=no\nIcon=story\n' \
            >/usr/share/applications/org.example.story.desktop
        echo picture >/usr/share/icons/hicolor/48x48/apps/story.png
        printf '#!/bin/sh\necho \"$@\" in $(hostname); exit 4\n' >/opt/story; chmod 755 /opt/story; cp /opt/story /usr/bin";
    w.c("toolbox run b sudo sh -c").arg(make).ok();
    let exported = w.c("toolbox export --bin b story").run();
    assert_eq!(exported.stdout, format!("{}\n", bin.join("story").display()));
    assert!(exported.stderr.contains("is not in your PATH"), "{exported:#?}");
    let as_typed = |line: &str| w.tool("sh").arg("-c").arg(line).cwd(&w.dir.join("home")).run();
    let seen = as_typed("$HOME/.local/bin/story 'two  words' '*'").exits(4);
    assert_eq!(seen.stdout, "two  words * in b\n");
    // In the box the same script is the program itself.
    w.c("toolbox run b").arg(bin.join("story")).arg("x").run().exits(4);
    let entry = data.join("applications/b-org.example.story.desktop");
    assert_eq!(w.c("toolbox export b Story").ok(), format!("{}\n", entry.display()));
    let text = std::fs::read_to_string(&entry).unwrap();
    assert!(text.contains("Name=Story (b)\n") && !text.contains("TryExec"), "{text}");
    assert_eq!(std::fs::read(data.join("icons/hicolor/48x48/apps/story.png")).unwrap(), b"picture\n");
    let exec = text.lines().find_map(|line| line.strip_prefix("Exec=")).unwrap();
    assert_eq!(as_typed(exec).exits(4).stdout, "menu in b\n");
    assert_eq!(w.c("toolbox export --check").ok().matches("ok ").count(), 3);

    w.c("toolbox export b gedit").run().says(125, &["Error: ", "Caused by: ", "org.example.story", "Hint: "]);
    w.c("toolbox export --bin b no-such").run().says(125, &["Error: box b has no program no-such", "Hint: "]);
    std::fs::write(bin.join("ls"), "mine\n").unwrap();
    w.c("toolbox export --bin b ls").run().says(125, &["Error: ", "Caused by: ", "not exported", "Hint: "]);
    assert_eq!(std::fs::read_to_string(bin.join("ls")).unwrap(), "mine\n");
    w.c("toolbox export").run().says(125, &["Error: nothing to export given", "Hint: "]);
    w.c("toolbox export --delete b never")
        .run()
        .says(125, &["Error: never of box b is not exported", "Hint: "]);
    assert_eq!(w.c("toolbox export --delete b story").ok(), format!("{}\n", entry.display()));
    assert!(!entry.exists());
}

#[test]
fn what_was_exported_survives_a_move() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let script = w.dir.join("home/.local/bin/ls");
    // Two programs side by side, somewhere else.
    let (old, new) = (w.dir.join("old"), w.dir.join("new"));
    std::fs::create_dir(&old).unwrap();
    for (name, built) in
        [("coracle", env!("CARGO_BIN_EXE_coracle")), ("coracle-oci", env!("CARGO_BIN_EXE_coracle-oci"))]
    {
        std::fs::copy(crate::support::need::program(name, built), old.join(name)).unwrap();
    }
    w.tool("sh").args(["-c", "\"$0\" toolbox export --bin b ls"]).arg(old.join("coracle")).ok();
    w.c("toolbox stop b").ok();
    std::fs::rename(&old, &new).unwrap();
    let by_path = w.tool("sh").arg("-c").arg("PATH=$1:$PATH \"$0\" -d /usr").arg(&script).arg(&new);
    assert_eq!(by_path.ok(), "/usr\n");
    let check = w.c("toolbox export --check").run().exits(1);
    assert!(check.stdout.contains("broken ") && check.stdout.contains("/old/coracle"), "{check:#?}");
    assert!(w.c("toolbox export --check --fix").ok().starts_with("repaired "));
    assert_eq!(w.tool("sh").args(["-c", "\"$0\" -d /usr"]).arg(&script).ok(), "/usr\n");
    // A program, then the box that is gone.
    w.c("toolbox run b sudo cp /bin/busybox /bin/story").ok();
    w.c("toolbox export --bin b story").ok();
    w.c("toolbox run b sudo rm /bin/story").ok();
    assert!(w.c("toolbox export --check").run().exits(1).stdout.contains("program is gone from the box"));
    w.c("toolbox rm --force b").ok();
    let fixed = w.c("toolbox export --check --fix").ok();
    assert_eq!(fixed.matches("removed ").count(), 2, "{fixed}");
    assert!(fixed.contains("its box is gone") && !script.exists(), "{fixed}");
    assert_eq!(w.c("toolbox export --check").ok(), "");
}

#[test]
fn packages_that_the_image_has_not() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    w.c("toolbox diff b")
        .run()
        .says(125, &["Error: cannot tell the packages of box b", "Caused by: ", "Hint: "]);
    w.c("toolbox run b sudo mkdir -p /var/db/xbps").ok();
    w.c("toolbox diff b").run().says(
        125,
        &[
            "Error: ",
            "Caused by: their list can be read only by its own",
            "Hint: ",
            "toolbox run b xbps-query -l",
        ],
    );
    w.c("toolbox run b sudo mkdir -p /var/lib/rpm").ok();
    w.c("toolbox diff b").run().says(125, &["Error: ", "Caused by: ", "Hint: ", "toolbox run b rpm -qa"]);
    w.c("toolbox run b sudo sh -c")
        .arg("mkdir -p /var/lib/pacman/local/gtk-doc-1:1.34-2; touch /var/lib/pacman/local/ALPM_DB_VERSION")
        .ok();
    assert_eq!(w.c("toolbox diff b").ok(), "added gtk-doc 1:1.34-2\n");
    w.c("toolbox run b sudo sh -c")
        .arg("mkdir -p /lib/apk/db; printf 'P:htop\\nV:3.4-r0\\n\\n' >/lib/apk/db/installed")
        .ok();
    assert_eq!(w.c("toolbox diff").ok(), "added htop 3.4-r0\n");
    w.pull("debian", "deb");
    w.c("toolbox create -i deb d").ok();
    assert_eq!(w.c("toolbox diff d").ok(), "");
    let build = "set -e; cd /root; mkdir -p p/DEBIAN
        printf 'Package: story\nVersion: 1-2\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n' >p/DEBIAN/control
        dpkg-deb -b p story.deb; dpkg -i story.deb; dpkg --purge --force-all bash";
    w.c("toolbox run d sudo sh -c").arg(build).ok();
    let diff = w.c("toolbox diff d").ok();
    let mut lines = diff.lines();
    assert_eq!(lines.next(), Some("added story 1-2"), "{diff}");
    assert!(lines.next().is_some_and(|line| line.starts_with("removed bash ")), "{diff}");
    assert_eq!(lines.next(), None, "{diff}");
    w.c("toolbox diff nobody").run().says(125, &["Error: no box \"nobody\"", "Hint: "]);
}
