//! What a box has of the desktop and the session: on a host without it, with it, and on one that loses it after `create`.

use crate::need;
use crate::support::apt::derive;
use crate::support::registry::{Entry, tar_of};
use crate::support::{Output, World, leftovers, wait_for};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

fn with_box() -> World {
    let w = World::with_busybox();
    w.c("toolbox create -i bb b").ok();
    w
}

/// A session's runtime directory; coracle's own stays elsewhere, as another session's would.
fn session(w: &World) -> PathBuf {
    let run = w.dir.join("session");
    std::fs::create_dir(&run).unwrap();
    std::fs::set_permissions(&run, PermissionsExt::from_mode(0o700)).unwrap();
    run
}

/// In the box, with these variables of the caller's.
fn enter(w: &World, env: &[(&str, String)], script: &str) -> Output {
    let runroot = format!("--runroot {} toolbox enter b -- sh -c", w.dir.join("run/coracle").display());
    env.iter().fold(w.c(&runroot).arg(script), |cmd, (name, value)| cmd.env(name, value)).run()
}

#[test]
fn sockets_of_the_session() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let run = session(&w);
    let at = |name: &str| run.join(name);
    let path = |name: &str| at(name).display().to_string();
    // The variable, its value, and the socket.
    let table = [
        ("PULSE_SERVER", format!("unix:{}", path("pulse/native")), "pulse/native"),
        ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={},guid=1", path("bus")), "bus"),
        ("SSH_AUTH_SOCK", path("keyring/ssh"), "keyring/ssh"),
        ("GPG_AGENT_INFO", format!("{}:0:1", path("gnupg/S.gpg-agent")), "gnupg/S.gpg-agent"),
        ("WAYLAND_DISPLAY", path("wayland-7"), "wayland-7"),
        ("PIPEWIRE_REMOTE", path("pipewire-0"), "pipewire-0"),
    ];
    let mut env: Vec<(&str, String)> = table.iter().map(|(n, v, _)| (*n, v.clone())).collect();
    env.push(("XDG_RUNTIME_DIR", run.display().to_string()));
    let script: String =
        table.iter().map(|(n, _, _)| format!("echo {n}=${{{n}-none}}; ")).collect::<String>()
            + &table
                .iter()
                .map(|(.., s)| format!("test -S $XDG_RUNTIME_DIR/{s} && echo {s}; "))
                .collect::<String>()
            + "true";
    // Without them: no variable that leads nowhere, one word for each, and the box is entered.
    let without = enter(&w, &env, &script);
    assert_eq!(without.code, 0, "{without:#?}");
    for (name, ..) in table.iter() {
        assert!(without.stdout.contains(&format!("{name}=none\n")), "{name}: {without:#?}");
        assert_eq!(without.stderr.matches(&format!("{name} is left out: ")).count(), 1, "{without:#?}");
    }
    // With them, in a box that runs already: every socket where the host has it.
    for (_, _, socket) in &table {
        std::fs::create_dir_all(at(socket).parent().unwrap()).unwrap();
    }
    let listeners: Vec<UnixListener> =
        table.iter().map(|(.., socket)| UnixListener::bind(at(socket)).unwrap()).collect();
    let with = enter(&w, &env, &script);
    for (name, value, socket) in &table {
        assert!(with.stdout.contains(&format!("{name}={value}\n")), "{name}: {with:#?}");
        assert!(with.stdout.contains(&format!("\n{socket}\n")), "{socket}: {with:#?}");
    }
    assert_eq!((with.code, with.stderr.contains("left out")), (0, false), "{with:#?}");
    // One after the other goes; the box runs, and starts.
    drop(listeners);
    for (name, _, socket) in table.iter() {
        std::fs::remove_file(at(socket)).unwrap();
        w.c("stop --time 0 b").ok();
        let gone = enter(&w, &env, &script);
        assert_eq!(gone.code, 0, "{gone:#?}");
        assert!(gone.stdout.contains(&format!("{name}=none\n")), "{gone:#?}");
        assert!(gone.stderr.contains(&format!("{name} is left out: ")), "{gone:#?}");
    }
}

/// A program of the host's, in the box.
fn of_the_host(program: &str) -> String {
    let path = crate::support::need::find(program).unwrap();
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64", "lib64"];
    let libraries = libraries.map(|dir| format!("/run/host/{dir}")).join(":");
    let loader = std::fs::canonicalize("/lib64/ld-linux-x86-64.so.2").unwrap();
    format!("/run/host{} --library-path {libraries} /run/host{}", loader.display(), path.display())
}

#[test]
fn agents_and_buses_answer() {
    need!("subid", "registry", "fuse-overlayfs", "ssh-agent", "dbus-daemon");
    let w = with_box();
    let run = session(&w);
    let (agent, bus) = (run.join("agent"), run.join("bus"));
    let serve =
        "\"$0\" -D -a \"$1\" >/dev/null & exec dbus-daemon --session --nofork --address=\"unix:path=$2\"";
    let served = w.tool("sh").arg("-c").arg(serve).arg("ssh-agent").arg(&agent).arg(&bus).spawn();
    wait_for("agent and bus", || agent.exists() && bus.exists());
    let env = [
        ("SSH_AUTH_SOCK", agent.display().to_string()),
        ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", bus.display())),
        ("XDG_RUNTIME_DIR", run.display().to_string()),
    ];
    let ask = enter(&w, &env, &format!("{} -l", of_the_host("ssh-add"))).exits(1);
    assert!(ask.stdout.contains("The agent has no identities"), "{ask:#?}");
    let call = "--session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId";
    let answer = enter(&w, &env, &format!("{} {call}", of_the_host("dbus-send")));
    assert!(answer.code == 0 && answer.stdout.contains("string \""), "{answer:#?}");
    leftovers::kill(&w.tag, None);
    served.wait();
}

#[test]
fn tickets_and_displays_that_are_files() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    let run = session(&w);
    let ticket = std::env::temp_dir().join(format!("krb5cc-{}", w.tag));
    let cookie = run.join("xauth");
    let table = [
        ("KRB5CCNAME", format!("FILE:{}", ticket.display()), &ticket),
        ("XAUTHORITY", cookie.display().to_string(), &cookie),
    ];
    let script = "echo $KRB5CCNAME; cat ${KRB5CCNAME#FILE:}; echo $XAUTHORITY; cat $XAUTHORITY";
    let mut env: Vec<(&str, String)> = table.iter().map(|(n, v, _)| (*n, v.clone())).collect();
    env.push(("XDG_RUNTIME_DIR", run.display().to_string()));
    for (_, _, file) in &table {
        std::fs::write(file, "secret\n").unwrap();
    }
    let with = enter(&w, &env, script);
    assert_eq!(with.stdout, format!("{}\nsecret\n{}\nsecret\n", table[0].1, table[1].1), "{with:#?}");
    for (name, _, file) in &table {
        std::fs::remove_file(file).unwrap();
        let gone = enter(&w, &env, &format!("echo ${{{name}-none}}"));
        assert_eq!((gone.code, gone.stdout.as_str()), (0, "none\n"), "{gone:#?}");
        assert!(
            gone.stderr.contains(&format!("{name} is left out: {} is not there", file.display())),
            "{gone:#?}"
        );
    }
    // The name of a display is one in the runtime directory.
    let wayland = || {
        let env =
            [("WAYLAND_DISPLAY", "wayland-3".to_owned()), ("XDG_RUNTIME_DIR", run.display().to_string())];
        enter(&w, &env, "echo ${WAYLAND_DISPLAY-none}")
    };
    let gone = wayland();
    assert_eq!(gone.stdout, "none\n");
    assert!(gone.stderr.contains("WAYLAND_DISPLAY is left out: "), "{gone:#?}");
    let _display = UnixListener::bind(run.join("wayland-3")).unwrap();
    assert_eq!(wayland().stdout, "wayland-3\n");
    // A cache that is no file is passed on as it is.
    let kcm = enter(&w, &[("KRB5CCNAME", "KCM:".to_owned())], "echo $KRB5CCNAME");
    assert_eq!(kcm.stdout, "KCM:\n");
}

#[test]
fn places_of_the_system_are_there_when_the_host_has_them() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = with_box();
    // On the host, and in the box.
    let table = [
        ("/run/cups", "/run/cups"),
        ("/run/dbus", "/run/dbus"),
        ("/run/systemd/journal", "/run/systemd/journal"),
        ("/run/udev", "/run/udev"),
        ("/run/.heim_org.h5l.kcm-socket", "/run/.heim_org.h5l.kcm-socket"),
        ("/var/log/journal", "/var/log/journal"),
        ("/etc/machine-id", "/etc/machine-id"),
        ("/usr/share/fonts", "/usr/local/share/fonts"),
        ("/usr/share/icons", "/usr/local/share/icons"),
        ("/usr/share/themes", "/usr/local/share/themes"),
        ("/dev/dri", "/dev/dri"),
        ("/tmp/.X11-unix", "/tmp/.X11-unix"),
        ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt"),
    ];
    let script: String =
        table.iter().map(|(_, inside)| format!("test -e {inside} && echo {inside}; ")).collect();
    let seen = enter(&w, &[], &(script + "true")).ok();
    let want: Vec<&str> =
        table.iter().filter(|(host, _)| Path::new(host).exists()).map(|(_, inside)| *inside).collect();
    assert_eq!(seen.lines().collect::<Vec<_>>(), want);
    // They are the host's: the same files, not copies.
    for (host, inside) in table.iter().filter(|(host, _)| Path::new(host).is_dir()) {
        let inode = |out: String| out.trim().to_owned();
        let theirs = inode(enter(&w, &[], &format!("stat -L -c %i {inside}")).ok());
        assert_eq!(theirs, inode(w.tool("stat").args(["-L", "-c", "%i", host]).ok()), "{inside}");
    }
}

#[test]
fn a_reboot_and_a_moved_coracle() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let (old, new) = (w.dir.join("old"), w.dir.join("new"));
    std::fs::create_dir(&old).unwrap();
    for (name, built) in
        [("coracle", env!("CARGO_BIN_EXE_coracle")), ("coracle-oci", env!("CARGO_BIN_EXE_coracle-oci"))]
    {
        std::fs::copy(crate::support::need::program(name, built), old.join(name)).unwrap();
    }
    let by = |dir: &Path, line: &str| {
        w.tool("sh").args(["-c", "exec \"$0\" $1"]).arg(dir.join("coracle")).arg(line).run()
    };
    by(&old, "toolbox create -i bb --host-exec b").ok();
    by(&old, "toolbox run b sudo touch /etc/kept").ok();
    // While it runs.
    std::fs::rename(&old, &new).unwrap();
    assert_eq!(by(&new, "toolbox run b sudo id -u").ok(), "0\n");
    assert_eq!(by(&new, "toolbox run b coracle ps -q").ok().lines().count(), 1);
    // The machine goes down without a word, and comes up with an empty runtime directory.
    leftovers::kill(&w.tag, None);
    let run = w.dir.join("run");
    std::fs::remove_dir_all(&run).unwrap();
    std::fs::create_dir(&run).unwrap();
    std::fs::set_permissions(&run, PermissionsExt::from_mode(0o700)).unwrap();
    let up = by(&new, "toolbox run b ls /etc/kept");
    assert_eq!((up.code, up.stdout.as_str()), (0, "/etc/kept\n"), "{up:#?}");
    assert_eq!(by(&new, "toolbox run b sudo id -u").ok(), "0\n");
    assert_eq!(by(&new, "toolbox run b coracle host echo up").ok(), "up\n");
}

#[test]
fn an_image_with_another_libc() {
    need!("subid", "registry", "fuse-overlayfs", "musl-gcc");
    let w = World::new();
    let home = w.dir.join("home");
    let source = "#include <pwd.h>\n#include <stdio.h>\n#include <unistd.h>\n\
        int main(void) { struct passwd *p = getpwuid(getuid()); return !p || printf(\"%s %s\\n\", p->pw_name, p->pw_dir) < 0; }\n";
    std::fs::write(home.join("me.c"), source).unwrap();
    w.tool("musl-gcc").args(["-o", "me", "me.c"]).cwd(&home).ok();
    let loader = format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH);
    let (program, libc) =
        (std::fs::read(home.join("me")).unwrap(), std::fs::read(format!("/{loader}")).unwrap());
    let files = [
        Entry { mode: 0o755, ..Entry::file(&loader, &libc) },
        Entry { mode: 0o755, ..Entry::file("usr/bin/me", &program) },
    ];
    let dir = home.join("image");
    derive(Path::new(&World::layout("busybox")), &dir, &tar_of(&files), serde_json::json!({}));
    w.c("toolbox create -i").arg(format!("oci:{}", dir.display())).arg("b").ok();
    let name = w.tool("id").arg("-un").ok();
    assert_eq!(w.c("toolbox run b me").ok(), format!("{} {}\n", name.trim(), home.display()));
    assert_eq!(w.c("toolbox run b sudo me").ok(), "root /root\n");
    // Every name of a locale is one to it, and none that the host's glibc would need is taken for missing.
    let seen = w.c("toolbox enter b -- sh -c").arg("echo $LANG; me").env("LANG", "fr_CH.UTF-8").run();
    assert_eq!(seen.stdout, format!("fr_CH.UTF-8\n{} {}\n", name.trim(), home.display()), "{seen:#?}");
}
