//! Ways out of a root that is set up already: descriptors of the runtime's own, and paths that change under its hands.

use serde_json::json;

use crate::need;
use crate::support::{Bundle, Env};

/// Deep enough to reach the host's root from anywhere.
const UP: &str = "../../../../../../../../../../../..";

/// CVE-2024-21626, its third way: the command itself is looked up through a directory of the host that the runtime still
/// has open. What ran was a program of the host, which the container could then write to.
#[test]
fn no_command_through_a_descriptor_of_the_runtime() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let host = env.dir.join("host-program");
    std::fs::copy(crate::support::need::busybox().unwrap(), &host).unwrap();
    let mut bundle = env.bundle("fd", &["true", "echo", "escaped"]);
    let ctr = env.bundle("fdexec", &["sleep", "1000"]).start();
    for fd in 3..24 {
        for path in [format!("/proc/self/fd/{fd}/{UP}{}", host.display()), format!("/proc/self/fd/{fd}/..")] {
            bundle.set("/process/args/0", json!(path));
            let output = bundle.run();
            assert!(!output.stdout.contains("escaped"), "{path}: {output:#?}");
            assert!(!output.stderr.contains("is a directory"), "{path}: {output:#?}");
            let output = ctr.exec(&[&path, "echo", "escaped"]).run();
            assert!(!output.stdout.contains("escaped"), "exec {path}: {output:#?}");
            assert!(!output.stderr.contains("is a directory"), "exec {path}: {output:#?}");
        }
    }
}

/// The same by a link of the container's, for an innocent `exec`.
#[test]
fn no_link_of_the_container_through_a_descriptor() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let bundle = env.bundle("link", &["sleep", "1000"]);
    let ctr = bundle.start();
    for fd in 3..24 {
        let link = bundle.rootfs().join("bin/tool");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(format!("/proc/self/fd/{fd}/{UP}/bin/sh"), &link).unwrap();
        let output = ctr.exec(&["tool", "-c", "echo escaped"]).run();
        assert!(output.code != 0 && !output.stdout.contains("escaped"), "{fd}: {output:#?}");
    }
}

/// A caller that promises more descriptors than it has must not make room for ours.
#[test]
fn preserved_descriptors_are_the_callers_alone() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.bundle("preserve", &["sh", "-c", "cat <&5; cd /proc/self/fd; echo *"]);
    let run = |bundle: &Bundle<'_>| {
        bundle.write();
        let runtime = crate::support::need::runtime().unwrap();
        let script = format!(
            "exec 5</etc/hostname 3<&- 4<&-; exec {} --root {} run --preserve-fds 6 --bundle {} {}",
            runtime.display(),
            env.dir.join("state").display(),
            bundle.dir.display(),
            bundle.id
        );
        env.tool("sh").arg("-c").arg(script).run()
    };
    let name = std::fs::read_to_string("/etc/hostname").unwrap();
    // 3 is the directory that the shell reads.
    assert_eq!(run(&bundle).ok(), format!("{name}0 1 2 3 5\n"));
    for fd in (3..24).filter(|fd| *fd != 5) {
        bundle.set("/process/args", json!([format!("/proc/self/fd/{fd}/.")]));
        let output = run(&bundle);
        assert!(output.code != 0 && !output.stderr.contains("is a directory"), "{fd}: {output:#?}");
    }
}

/// A bundle whose set-up goes through `/swap` in every way: bind target, tmpfs, masked and read-only paths; and the host's
/// directory that a swapped `/swap` leads to.
fn racing<'e>(env: &'e Env, name: &str) -> (Bundle<'e>, std::path::PathBuf) {
    let canary = env.dir.join("canary");
    std::fs::create_dir_all(canary.join("secret")).unwrap();
    std::fs::write(canary.join("secret/file"), "of the host").unwrap();
    std::fs::write(canary.join("null"), "of the host").unwrap();
    let script = "cat /swap/secret/file /swapped/secret/file; echo x >/swap/null; echo x >/swapped/null; echo x >/dev/null; true";
    let mut bundle = env.script(name, script);
    let source = env.dir.join("source");
    std::fs::write(&source, "s").unwrap();
    bundle.mount("/swap/new/file", "bind", &source, &["bind", "ro"]).mount(
        "/swap/deep/er",
        "tmpfs",
        std::path::Path::new("tmpfs"),
        &["size=1m"],
    );
    bundle.push("/linux/maskedPaths", json!("/swap/secret"));
    bundle.push("/linux/readonlyPaths", json!("/swap/secret"));
    let rootfs = bundle.rootfs();
    std::fs::create_dir_all(rootfs.join("swap/secret")).unwrap();
    (bundle, canary)
}

/// Runs the container again and again while `/swap` is exchanged for a link to the canary, until the host was changed or
/// its secret was read. How many times it was tried till then; `tries` when the attack failed.
#[track_caller]
pub fn tries_until_lost(tries: usize) -> usize {
    let env = Env::new();
    let (bundle, canary) = racing(&env, "race");
    let before = tree(&canary);
    let null = || std::fs::read_to_string(canary.join("null")).unwrap_or_default();
    let mut ran = 0;
    let found = swapping(&bundle.rootfs(), &canary, || {
        let lost = |_: &usize| {
            let output = bundle.run();
            ran += usize::from(output.code == 0);
            output.stdout.contains("of the host") || tree(&canary) != before || null() != "of the host"
        };
        (0..tries).find(lost)
    });
    // A container that cannot be made at all is no defence.
    assert!(found.is_some() || ran > tries / 10, "only {ran} of {tries} containers ran");
    found.unwrap_or(tries)
}

/// T12, T10, T7: somebody swaps a directory of the rootfs for a symlink to the host while the container is set up. That
/// the attack works is shown by `oci_weakened`, on a runtime that looks paths up twice.
#[test]
fn paths_that_change_while_the_container_is_made() {
    need!("userns", "busybox", "coracle-oci");
    let tries = if std::env::var("CORACLE_TEST_TIER").as_deref() == Ok("full") { 2000 } else { 100 };
    assert_eq!(tries_until_lost(tries), tries, "the host was reached");
}

/// How many containers were made until what hides a file was anything but the null device; `tries` when it never was. `/dev`
/// is a directory that a neighbour shares, and `null` in it a file or a link, exchanged all the time (CVE-2025-31133).
#[track_caller]
pub fn tries_until_uncovered(tries: usize) -> usize {
    let env = Env::new();
    let shared = env.dir.join("shared");
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::write(shared.join("swap"), "of a neighbour").unwrap();
    let covered =
        "stat -c %t:%T /etc/hidden; (: >>/proc/sys/kernel/core_pattern) 2>/tmp/why && echo writable; true";
    let mut bundle = env.script("nulls", covered);
    bundle.mount("/dev", "bind", &shared, &["bind", "rw"]);
    bundle.config["mounts"].as_array_mut().unwrap().retain(|mount| {
        !mount["destination"].as_str().unwrap().starts_with("/dev") || mount["type"] == "bind"
    });
    bundle.push("/linux/maskedPaths", json!("/etc/hidden"));
    std::fs::write(bundle.rootfs().join("etc/hidden"), "secret").unwrap();
    let mut ran = 0;
    let found = swapping(&shared, std::path::Path::new("/proc/sys/kernel/core_pattern"), || {
        // The name itself leads to what is exchanged, so that it is there at any time.
        let _ = std::os::unix::fs::symlink("swap", shared.join("null"));
        let lost = |_: &usize| {
            let output = bundle.run();
            ran += usize::from(output.code == 0);
            output.code == 0 && output.stdout != "1:3\n"
        };
        (0..tries).find(lost)
    });
    assert!(found.is_some() || ran == tries, "only {ran} of {tries} containers ran");
    found.unwrap_or(tries)
}

/// T7: a masked file is the null device, whatever `/dev/null` of the container is at that moment.
#[test]
fn t7_what_hides_a_file_is_not_the_containers() {
    need!("userns", "busybox", "coracle-oci");
    assert_eq!(tries_until_uncovered(100), 100, "a masked path was covered by a file of the container");
}

/// Exchanges `swap` and `swapped` (a link to `target`) all the time, while `work` works.
fn swapping<T>(rootfs: &std::path::Path, target: &std::path::Path, work: impl FnOnce() -> T) -> T {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, Ordering};
    let (a, b) = (rootfs.join("swap"), rootfs.join("swapped"));
    if b.is_symlink() {
        std::fs::remove_file(&b).unwrap();
    }
    std::os::unix::fs::symlink(target, &b).unwrap();
    let over = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE);
            }
        });
        let result = work();
        over.store(true, Ordering::Relaxed);
        result
    });
    if a.is_symlink() {
        renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
    }
    result
}

fn tree(dir: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(path) = pending.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        names.push(format!("{} {:o}", path.display(), std::os::unix::fs::MetadataExt::mode(&meta)));
        if meta.is_dir() {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    names.sort();
    names
}

/// T35: without --root the state is kept in a place of the user's own, or nowhere.
#[test]
fn a_state_directory_of_somebody_elses_is_refused() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let runtime = crate::support::need::runtime().unwrap();
    let root = env.dir.join("run/coracle-oci");
    let list = || env.tool("sh").args(["-c", &format!("exec {} list", runtime.display())]).run();
    list().ok();
    std::fs::create_dir(&root).unwrap();
    std::fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    assert!(list().fails().contains("others may write it"));
    std::fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    list().ok();
    std::fs::remove_dir(&root).unwrap();
    std::os::unix::fs::symlink(env.dir.join("home"), &root).unwrap();
    assert!(list().fails().contains("no directory"));
    std::fs::remove_file(&root).unwrap();
    std::os::unix::fs::symlink("/usr", &root).unwrap();
    assert!(list().fails().contains("no directory"));
    std::fs::remove_file(&root).unwrap();
}
