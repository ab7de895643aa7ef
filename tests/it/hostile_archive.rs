//! Layers made to reach out of their directory, and what of a layer must come through unharmed (T28 of the security rules).
//!
//! Loaded by the real program from archives that are written byte by byte: no tar program would make them.

use serde_json::json;

use crate::need;
use crate::support::registry::{Answer, Entry, Image, Server, digest, tar_of};
use crate::support::{World, wait_for};

const SYMLINK: u8 = b'2';
const HARD_LINK: u8 = b'1';

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}});
    serde_json::to_vec(&config).unwrap()
}

fn load(w: &World, layers: &[&[u8]]) -> crate::support::Output {
    let file = w.dir.join("home/image.tar");
    std::fs::write(&file, Image::archive(&config(layers), layers)).unwrap();
    w.c("pull -q").arg(format!("docker-archive:{}", file.display())).run()
}

#[test]
fn layers_that_reach_out_are_refused_and_touch_nothing() {
    need!("subid", "userns");
    let w = World::new();
    let canary = w.dir.join("home/canary");
    std::fs::create_dir(&canary).unwrap();
    std::fs::write(canary.join("file"), "of the host").unwrap();
    let host = canary.to_str().unwrap();
    let (host_file, f) = (format!("{host}/file"), |name| Entry::file(name, b"evil"));
    let up = format!("../../../../../../../../../..{host}");
    let relative = format!("{up}/file");
    let device = |kind| Entry { kind, mode: 0o666, ..Entry::file("dev/node", b"") };
    let pax_path = [("path", relative.as_bytes())];
    let (pax, link) = (Entry { pax: &pax_path, ..f("harmless") }, Entry::link);
    let refused: &[(&str, Vec<Entry<'_>>)] = &[
        ("dots", vec![f(&relative)]),
        ("dots below a directory", vec![Entry::dir("a"), f("a/../../x")]),
        ("dots in PAX", vec![pax]),
        ("an absolute link as parent", vec![link("l", SYMLINK, host), f("l/file")]),
        ("a relative link as parent", vec![link("l", SYMLINK, &up), f("l/file")]),
        (
            "a link of links",
            vec![link("m", SYMLINK, host), link("l", SYMLINK, "m"), Entry::dir("l/d"), f("l/d/x")],
        ),
        ("a hard link out", vec![link("h", HARD_LINK, &relative)]),
        ("an absolute hard link", vec![link("h", HARD_LINK, &host_file)]),
        (
            "a hard link through a link",
            vec![link("l", SYMLINK, host), link("h", HARD_LINK, "l/file"), f("h")],
        ),
        ("a root that is a link", vec![link(".", SYMLINK, host), f("file")]),
        ("a root that is a link, nameless", vec![link("/", SYMLINK, host), f("file")]),
        ("a whiteout of dots", vec![f(".wh...")]),
        ("a whiteout of a dot", vec![f(".wh..")]),
        ("a whiteout of nothing", vec![f(".wh.")]),
        ("a whiteout through a link", vec![link("l", SYMLINK, host), f("l/.wh.file")]),
        ("opaque through a link", vec![link("l", SYMLINK, host), f("l/.wh..wh..opq")]),
    ];
    let harmless: &[(&str, Vec<Entry<'_>>)] = &[
        ("an absolute name", vec![f(&host_file)]),
        ("a file over a link", vec![link("l", SYMLINK, &host_file), f("l")]),
        ("a directory over a link", vec![link("l", SYMLINK, host), Entry::dir("l"), f("l/file")]),
        ("a device", vec![Entry::dir("dev"), device(b'3'), device(b'4')]),
        ("a hard link to a link", vec![link("l", SYMLINK, &host_file), link("h", HARD_LINK, "l"), f("h")]),
    ];
    for (what, entries, ok) in refused
        .iter()
        .map(|(what, entries)| (what, entries, false))
        .chain(harmless.iter().map(|(what, entries)| (what, entries, true)))
    {
        let output = load(&w, &[&tar_of(entries)]);
        assert_eq!(output.code, if ok { 0 } else { 125 }, "{what}: {output:#?}");
        assert!(ok || output.stderr.contains("cannot unpack"), "{what}: {output:#?}");
        assert_eq!(std::fs::read_to_string(canary.join("file")).unwrap(), "of the host", "{what}");
        assert_eq!(std::fs::read_dir(&canary).unwrap().count(), 1, "{what}");
        w.c("rmi -a -f").run();
    }
    // The same over two layers: the link comes with the one, what goes through it with the other.
    let first = tar_of(&[link("l", SYMLINK, host)]);
    let second = tar_of(&[Entry::dir("l"), f("l/file")]);
    load(&w, &[&first, &second]);
    assert_eq!(std::fs::read_to_string(canary.join("file")).unwrap(), "of the host");
}

/// setuid bits, owners and file capabilities act in the container; attributes that speak to overlays do not come in.
#[test]
fn privileges_of_files_come_through() {
    need!("subid", "userns", "busybox");
    let w = World::new();
    let busybox = std::fs::read(crate::support::need::busybox().unwrap()).unwrap();
    // linux/capability.h, VFS_CAP_REVISION_2 with the effective flag: CAP_CHOWN alone, permitted.
    let mut capability = 0x0200_0001_u32.to_le_bytes().to_vec();
    capability.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let pax: &[(&str, &[u8])] = &[("SCHILY.xattr.security.capability", &capability)];
    let redirect: &[(&str, &[u8])] =
        &[("SCHILY.xattr.user.overlay.redirect", b"/secret"), ("SCHILY.xattr.user.overlay.metacopy", b"")];
    let program = Entry { mode: 0o755, ..Entry::file("bin/busybox", &busybox) };
    let layer = tar_of(&[
        Entry::dir("bin"),
        Entry::dir("secret"),
        Entry::dir("caps"),
        Entry::dir("proc"),
        program,
        Entry::link("bin/sh", SYMLINK, "busybox"),
        Entry { name: "caps/grep", pax, ..program },
        Entry { mode: 0o6755, uid: 7, ..Entry::file("suid", b"x") },
        Entry { pax: redirect, ..Entry::file("moved", b"its own") },
    ]);
    load(&w, &[&layer]).ok();
    let run = |line: &str, args: &[&str]| w.run(line).arg("localhost/hostile:1").args(args).ok();
    assert_eq!(run("", &["/bin/busybox", "stat", "-c", "%a %u %g", "/suid"]), "6755 7 7\n");
    assert_eq!(run("", &["/bin/busybox", "cat", "/moved"]), "its own");
    let eff = |text: String| text.split_whitespace().last().unwrap().to_owned();
    let plain = run("-u 1000", &["/bin/busybox", "grep", "CapEff", "/proc/self/status"]);
    assert_eq!(eff(plain), "0000000000000000");
    let capable = run("-u 1000", &["/caps/grep", "CapEff", "/proc/self/status"]);
    assert_eq!(eff(capable), "0000000000000001");
}

/// The pull is killed while its layer comes: the next one goes on, and nothing of the first is left.
#[test]
fn a_killed_pull_leaves_a_store_that_works() {
    need!("subid", "userns");
    let w = World::new();
    let data: Vec<u8> = (0..3u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let image = Image::of(&tar_of(&[Entry::file("data", &data)]));
    let stalls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (served, until) = (image.clone(), std::sync::Arc::clone(&stalls));
    let server = Server::start(move |r| {
        let part = until.load(std::sync::atomic::Ordering::Relaxed);
        if served.is_layer(r) && part > 0 {
            let bytes = served.layer[..served.layer.len() * part / 10].to_vec();
            return Answer::new(200, bytes).says(served.layer.len()).stalls();
        }
        served.answer(r)
    });
    for part in [1, 5, 9] {
        stalls.store(part, std::sync::atomic::Ordering::Relaxed);
        let asked = server.seen().len();
        let pull = w.c("pull -q").arg(format!("{}/x:1", server.host)).spawn();
        wait_for("the layer to be asked for", || server.seen()[asked..].iter().any(|r| image.is_layer(r)));
        let pid = rustix::process::Pid::from_raw(pull.inner_pid() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        pull.wait();
        assert_eq!(w.c("images -q").ok(), "");
        w.c("system check").ok();
    }
    stalls.store(0, std::sync::atomic::Ordering::Relaxed);
    w.c("pull -q").arg(format!("{}/x:1", server.host)).ok();
    assert_eq!(w.c("images -q").ok().lines().count(), 1);
}

/// A store on a file system that is full before the layer is there: an error with a hint, and the space is given back.
#[test]
fn a_full_disk_is_an_error_that_loses_nothing() {
    need!("userns");
    let w = World::new();
    let data: Vec<u8> = (0..8u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let big = Image::of(&tar_of(&[Entry::file("data", &data)]));
    let small = Image::of(&tar_of(&[Entry::file("name", b"small")]));
    let (big, small) = (
        Server::start(move |request| big.answer(request)),
        Server::start(move |request| small.answer(request)),
    );
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let script = format!(
        "mount -t tmpfs -o size=7m full \"$XDG_DATA_HOME\" || exit 9; C={0}
         $C pull -q {1}/x:1; echo big $?; $C system check; echo check $?
         $C pull -q {2}/x:1; echo small $?; $C images -q | wc -l",
        program.display(),
        big.host,
        small.host
    );
    let output = w.tool("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).run();
    assert!(output.stdout.contains("big 125\n") && output.stdout.contains("check 0\n"), "{output:#?}");
    assert!(output.stdout.contains("small 0\n") && output.stdout.trim_end().ends_with('1'), "{output:#?}");
    assert!(output.stderr.contains("Hint:") && output.stderr.contains("space"), "{output:#?}");
}
