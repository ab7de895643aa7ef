//! Networks of containers: none, the host's, slirp4netns with published ports.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use crate::need;
use crate::support::{World, wait_for};

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn none_has_only_loopback() {
    need!("subid", "registry");
    let w = World::with_busybox();
    assert_eq!(w.run("bb ls /sys/class/net").ok(), "lo\n");
    assert!(w.run("bb ip addr show lo").ok().contains("inet 127.0.0.1/8"));
    let out = w.run("bb nc -w 2 192.0.2.1 80").run().exits(1);
    assert!(out.stderr.contains("unreachable"), "{out:?}");
}

#[test]
fn host_shares_the_hosts() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"hello\n").unwrap();
    });
    let out = w.c("run --rm --network host bb sh -c").arg(format!("nc 127.0.0.1 {port} </dev/null")).ok();
    assert_eq!(out, "hello\n");
    server.join().unwrap();
}

#[test]
fn a_published_port_answers() {
    need!("subid", "registry", "tun", "slirp4netns");
    let w = World::with_busybox();
    let port = port();
    w.c("run -d --name web -v page:/www")
        .arg("-p")
        .arg(format!("{port}:80"))
        .args(["bb", "httpd", "-f", "-p", "80", "-h", "/www"])
        .ok();
    w.c("exec web sh -c").arg("echo a page >/www/index.html").ok();
    wait_for("an answer", || get(port).is_some_and(|answer| answer.contains("a page")));
    // On every address of the host, as it says.
    assert!(TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port)).is_ok());
    assert_eq!(w.c("port web").ok(), format!("80/tcp -> 0.0.0.0:{port}\n"));
    assert!(w.c("ps").ok().contains(&format!("0.0.0.0:{port}->80/tcp")));

    // The port is taken.
    w.c("run --rm -p")
        .arg(format!("{port}:80"))
        .args(["bb", "true"])
        .run()
        .says(125, &["Error: ", &port.to_string()]);
    // It is free again after the end.
    w.c("stop -t 0 web").ok();
    wait_for("the port to be free", || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok());
    w.c("start web").ok();
    wait_for("an answer after a start", || get(port).is_some_and(|answer| answer.contains("a page")));
}

#[test]
fn on_one_address_and_a_port_of_our_choice() {
    need!("subid", "registry", "tun", "slirp4netns");
    let w = World::with_busybox();
    w.c("run -d --name web -p 127.0.0.1::80 bb httpd -f -p 80 -h /etc").ok();
    let shown = w.c("port web 80").ok();
    let port: u16 = shown.trim().strip_prefix("127.0.0.1:").expect("an address").parse().unwrap();
    wait_for("an answer", || get(port).is_some_and(|answer| answer.starts_with("HTTP/1")));
}

#[test]
fn what_the_helper_cannot_publish_is_refused_before_anything_is_made() {
    need!("subid", "registry", "tun", "slirp4netns");
    let w = World::with_busybox();
    for (ports, why) in [("[::1]:18080:80", "IPv4"), ("18080:80/sctp", "TCP and UDP")] {
        w.c("run -d --name p -p")
            .arg(ports)
            .args(["bb", "true"])
            .run()
            .says(125, &["Error: cannot publish port 18080", why, "Hint: "]);
    }
    assert!(w.names().is_empty());
}

#[test]
fn a_privileged_port_is_refused_with_a_hint() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if start.trim() != "1024" {
        return crate::support::need::skip("ports below 1024 are not privileged here");
    }
    w.c("run --rm -p 80:80 bb true").run().says(125, &["Error: ", "80", "Hint: "]);
    assert!(w.names().is_empty());
}

#[test]
fn slirp_has_an_address_and_a_resolver() {
    need!("subid", "registry", "tun", "slirp4netns");
    let w = World::with_busybox();
    let out = w
        .c("run --rm --network slirp4netns bb sh -c")
        .arg("ls /sys/class/net; ip addr show tap0; ip route; cat /etc/resolv.conf")
        .ok();
    for part in ["tap0", "10.0.2.100", "default via 10.0.2.2", "nameserver 10.0.2.3"] {
        assert!(out.contains(part), "no {part}: {out}");
    }
    // The host's loopback is out of reach.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    w.c("run --rm --network slirp4netns bb nc -w 3 10.0.2.2").arg(port.to_string()).run().exits(1);
}

#[test]
fn resolver_and_hosts_files() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let out = w
        .script("--dns 192.0.2.53 --dns-search example.org --dns-option ndots:3 bb", "cat /etc/resolv.conf")
        .run();
    if out.code == 0 {
        for part in ["nameserver 192.0.2.53", "search example.org", "options ndots:3"] {
            assert!(out.stdout.contains(part), "{out:?}");
        }
    } else {
        // podman: no DNS without a network.
        out.says(125, &["Error: ", "dns"]);
    }
    let out = w.script("--add-host db:192.0.2.7 --hostname box bb", "cat /etc/hosts").ok();
    let line = |name: &str| {
        out.lines().find(|line| line.split_whitespace().any(|word| word == name)).unwrap_or_default()
    };
    assert!(line("db").starts_with("192.0.2.7"), "{out}");
    assert!(line("localhost").starts_with("127.0.0.1"), "{out}");
    assert!(!line("box").is_empty(), "{out}");
    // Written inside, it stays with the container.
    w.script("bb", "echo 192.0.2.9 x >>/etc/hosts && echo x >/etc/resolv.conf").ok();
    w.run("--add-host db bb true").run().says(125, &["Error: "]);
}

#[test]
fn namespaces_of_other_containers_are_refused_before_anything_is_made() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("web", "bb sleep 1000");
    // None of them may end up with the host's namespace instead, and --replace must not remove before the refusal.
    for flag in ["--network", "--pid", "--ipc", "--uts", "--cgroupns"] {
        for command in ["run --rm", "create", "run --replace --name web"] {
            let out = w.c(&format!("{command} {flag} container:web bb true")).run();
            let instead = format!("{flag} host");
            out.says(
                125,
                &["Error: ", "container:web is not supported yet", "Caused by: ", "Hint: ", &instead],
            );
        }
    }
    assert_eq!(w.c("ps --all --format {{.Names}}").ok(), "web\n");
    w.c("exec web true").ok();
}

#[test]
fn unknown_modes() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("run --rm --network no-such-mode bb true").run().says(125, &["Error: ", "no-such-mode"]);
}

/// A package as it is in a repository, and the list that apt reads; as the user, outside of every container.
const REPOSITORY: &str = r#"set -e; cd "$HOME"; mkdir -p p/DEBIAN p/usr/bin p/var/lib/story repo
    printf '#!/bin/sh\necho told\n' > p/usr/bin/story; chmod 755 p/usr/bin/story
    printf 'Package: story\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n' > p/DEBIAN/control
    printf '#!/bin/sh\nset -e\nuseradd -r story\nchown story /var/lib/story\n' > p/DEBIAN/postinst; chmod 755 p/DEBIAN/postinst
    dpkg-deb --root-owner-group -b p repo/story.deb >&2; cd repo
    { cat ../p/DEBIAN/control; printf 'Filename: ./story.deb\nSize: %s\nSHA256: %s\n' \
      "$(stat -c %s story.deb)" "$(sha256sum story.deb | cut -d ' ' -f 1)"; } > Packages"#;

#[test]
fn packages_install_from_a_repository() {
    need!("subid", "images", "tun", "slirp4netns", "python3", "dpkg-deb");
    let w = World::new();
    w.c("pull -q").arg(format!("oci:{}:latest", World::layout("debian"))).ok();
    let image = w.c("images -q").ok();
    w.sh(REPOSITORY).ok();
    let server = w
        .tool("python3")
        .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"])
        .cwd(&w.dir.join("home/repo"))
        .spawn();
    let mut port = String::new();
    wait_for("the repository's server", || {
        let said = server.so_far().0;
        port = said.split_once(" port ").and_then(|(_, p)| p.split(' ').next()).unwrap_or("").to_owned();
        !port.is_empty()
    });
    let install = "set -e; rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
        echo \"deb [trusted=yes] http://$0/ ./\" > /etc/apt/sources.list
        apt-get update; apt-get install -y story
        story; stat -c %U /var/lib/story /var/lib/apt/lists/partial";
    let reached =
        [("slirp4netns:allow_host_loopback=true", "host.containers.internal"), ("host", "127.0.0.1")];
    for (network, host) in reached {
        let out = w
            .c("run --rm --network")
            .args([network, image.trim(), "sh", "-c", install])
            .arg(format!("{host}:{port}"))
            .run()
            .exits(0);
        // What is fetched is fetched as _apt, a user of its own: without that, apt would say so.
        assert!(out.stdout.ends_with("told\nstory\n_apt\n"), "{network}: {out:?}");
        assert!(!out.stderr.contains("W:") && !out.stderr.contains("N:"), "{network}: {out:?}");
    }
    w.tool("kill").arg(server.inner_pid().to_string()).ok();
    let asked = server.wait().stderr;
    assert_eq!(asked.matches("GET /./story.deb HTTP/1.1\" 200").count(), 2, "{asked}");
}
