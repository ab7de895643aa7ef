//! Older kernels, and seccomp filters of container engines around us: a system call that is not to be had is either done
//! without, or the error names it. The filter is real, set on the runtime from outside.

use std::path::Path;

use serde_json::json;

use crate::need;
use crate::support::{Env, wait_for};

const REFUSALS: [i32; 2] = [libc::ENOSYS, libc::EPERM];

#[test]
fn clone3_and_close_range_are_done_without() {
    need!("subid", "busybox", "coracle-oci");
    for env in [Env::new(), Env::in_store()] {
        let ctr = env.bundle("long", &["sleep", "1000"]).start();
        for (name, call) in [("clone3", libc::SYS_clone3), ("close_range", libc::SYS_close_range)] {
            for errno in REFUSALS {
                let bundle = env.script(&format!("{name}{errno}"), "echo hello; cd /proc/self/fd; echo *");
                bundle.write();
                let dir = bundle.dir.to_str().unwrap().to_owned();
                let out = env.oci_without(&[call], errno, &["run", "--bundle", &dir, &bundle.id]).ok();
                // 3 is the directory that the shell reads.
                assert!(out.ends_with("hello\n0 1 2 3\n"), "{name} {errno}: {out}");
                let out = env.oci_without(&[call], errno, &["exec", &ctr.id, "echo", "again"]).ok();
                assert!(out.ends_with("again\n"), "{name} {errno}: {out}");
            }
        }
    }
}

/// Without close_range, too, nothing that the caller left open comes in, and nothing of the runtime's own leads out.
#[test]
fn descriptors_are_closed_one_by_one() {
    need!("subid", "busybox", "coracle-oci");
    let env = Env::in_store();
    let mut bundle = env.bundle("fds", &["true"]);
    for fd in 3..30 {
        bundle.set("/process/args/0", serde_json::json!(format!("/proc/self/fd/{fd}/.")));
        bundle.write();
        let dir = bundle.dir.to_str().unwrap().to_owned();
        let args = ["run", "--bundle", &dir, &bundle.id];
        let words = env.oci_without(&[libc::SYS_close_range], libc::ENOSYS, &args).fails();
        assert!(!words.contains("is a directory"), "descriptor {fd}: {words}");
    }
}

/// Runs `args` of the runtime where `calls` fail with `errno`.
fn without(env: &Env, calls: &[i64], errno: i32, args: &[&str]) -> crate::support::Output {
    env.oci_without(calls, errno, args).run()
}

/// A whole life of a container, every command of it on that kernel.
#[track_caller]
fn lives_without(env: &Env, name: &str, calls: &[i64], errno: i32) {
    let what = format!("without {name}, errno {errno}");
    let mut bundle = env.script(
        &format!("{name}{errno}"),
        "echo hello; cat /proc/mounts; cat /src/file; touch /src/x 2>/dev/null && echo writable; \
         ls /proc/acpi; cat /proc/timer_list; echo 1 >/proc/sys/kernel/pid_max && echo sysctl; cat /swapped/etc/passwd; \
         cat /proc/sys/net/ipv4/ip_forward; exec sleep 1000",
    );
    let source = env.dir.join(format!("source-{name}{errno}"));
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("file"), "of the source\n").unwrap();
    // Through a link of the rootfs: inside it, never on the host.
    let _ = std::os::unix::fs::symlink("/tmp", bundle.rootfs().join("link"));
    bundle
        .mount("/src", "bind", &source, &["rbind", "ro", "nosuid", "nodev", "rprivate"])
        .mount("/link/deep/er", "tmpfs", Path::new("tmpfs"), &["size=1m", "mode=750", "noexec"])
        .mount("/etc", "tmpfs", Path::new("tmpfs"), &["mode=755", "tmpcopyup"])
        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))
        .set("/linux/rootfsPropagation", json!("rslave"));
    bundle.write();
    let run = |args: &[&str]| without(env, calls, errno, args);
    let (dir, id) = (bundle.dir.to_str().unwrap(), bundle.id.as_str());
    let before = env.next_files();
    let number: u32 = before.file_name().unwrap().to_str().unwrap().parse().unwrap();
    run(&["create", "--bundle", dir, id]).ok();
    assert!(run(&["state", id]).ok().contains("created"), "{what}");
    run(&["start", id]).ok();
    let out = || crate::support::Running::written(&before.with_file_name((number + 1).to_string())).0;
    wait_for("the payload to say all it has to", || out().contains("\n1\n"));
    let out = out();
    for word in [
        "hello\n",
        "of the source\n",
        " /tmp/deep/er tmpfs ",
        " /etc tmpfs ",
        " /dev/pts devpts ",
        " /proc proc ",
    ] {
        assert!(out.contains(word), "{what}: no {word:?} in {out}");
    }
    for word in ["writable", "sysctl", "Timer List"] {
        assert!(!out.contains(word), "{what}: {word:?} in {out}");
    }
    let line =
        |at: &str| out.lines().find(|line| line.contains(&format!(" {at} "))).unwrap_or_default().to_owned();
    assert!(line("/src").contains("ro,nosuid,nodev"), "{what}: {}", line("/src"));
    assert!(line("/proc/sys").contains("ro,"), "{what}: {}", line("/proc/sys"));
    assert!(
        line("/proc/timer_list").contains("/dev/null") || !line("/proc/timer_list").is_empty(),
        "{what}: {out}"
    );
    assert!(line("/tmp/deep/er").contains("noexec"), "{what}: {}", line("/tmp/deep/er"));
    let read = run(&["exec", id, "cat", "/etc/passwd"]).ok();
    assert!(read.contains("root:x:0:0"), "{what}, tmpcopyup: {read}");
    run(&["kill", id, "KILL"]).ok();
    wait_for("the container to stop", || run(&["state", id]).ok().contains("stopped"));
    run(&["delete", id]).ok();
    assert!(!env.dir.join("state").join(id).exists(), "{what}");
    // And by force, while it runs.
    let sleeps = env.bundle(&format!("{name}{errno}s"), &["sleep", "1000"]);
    sleeps.write();
    run(&["create", "--bundle", sleeps.dir.to_str().unwrap(), &sleeps.id]).ok();
    run(&["start", &sleeps.id]).ok();
    run(&["delete", "--force", &sleeps.id]).ok();
    assert!(!env.dir.join("state").join(&sleeps.id).exists(), "{what}");
}

/// One after the other, in every mode that the caller may be in.
#[test]
fn a_life_without_each_newer_call() {
    need!("subid", "busybox", "coracle-oci");
    let calls: [(&str, &[i64]); 12] = [
        ("openat2", &[libc::SYS_openat2]),
        ("clone3", &[libc::SYS_clone3]),
        ("close_range", &[libc::SYS_close_range]),
        ("open_tree", &[libc::SYS_open_tree]),
        ("move_mount", &[libc::SYS_move_mount]),
        ("fsopen", &[libc::SYS_fsopen]),
        ("fsconfig", &[libc::SYS_fsconfig]),
        ("mount_setattr", &[libc::SYS_mount_setattr]),
        ("pidfd_open", &[libc::SYS_pidfd_open]),
        ("pidfd_send_signal", &[libc::SYS_pidfd_send_signal]),
        ("execveat", &[libc::SYS_execveat]),
        // Linux 4.18.
        (
            "all",
            &[
                libc::SYS_openat2,
                libc::SYS_clone3,
                libc::SYS_close_range,
                libc::SYS_open_tree,
                libc::SYS_move_mount,
                libc::SYS_fsopen,
                libc::SYS_fsconfig,
                libc::SYS_fsmount,
                libc::SYS_fspick,
                libc::SYS_mount_setattr,
                libc::SYS_pidfd_open,
                libc::SYS_pidfd_send_signal,
                libc::SYS_pidfd_getfd,
                libc::SYS_faccessat2,
            ],
        ),
    ];
    for env in [Env::new(), Env::in_store()] {
        for (name, calls) in calls {
            for errno in REFUSALS {
                lives_without(&env, name, calls, errno);
            }
        }
    }
}

/// Who has built coracle at home may write the runtime; it then executes a protected copy of itself.
#[test]
fn a_runtime_of_the_users_own_protects_itself_without_execveat() {
    need!("subid", "busybox", "coracle-oci");
    for env in [Env::new(), Env::in_store()] {
        let own = env.dir.join("coracle-oci");
        std::fs::copy(crate::support::need::runtime().unwrap(), &own).unwrap();
        for (name, denied) in [("none", &[][..]), ("execveat", &[libc::SYS_execveat][..])] {
            for errno in REFUSALS {
                let bundle = env.script(&format!("{name}{errno}"), "echo hello");
                bundle.write();
                let args = ["run", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id];
                let out = env.runtime_without(&own, denied, errno, &args).ok();
                assert!(out.ends_with("hello\n"), "{name} {errno}: {out}");
            }
        }
    }
}

/// The walk that stands in for openat2 keeps to the rootfs as well: links and races of `oci_escape`, without the call.
#[test]
fn without_openat2_nothing_leads_out() {
    need!("subid", "busybox", "coracle-oci");
    let env = Env::new();
    let canary = env.dir.join("canary");
    std::fs::create_dir_all(&canary).unwrap();
    std::fs::write(canary.join("file"), "of the host").unwrap();
    let source = env.dir.join("source");
    std::fs::write(&source, "s").unwrap();
    let before = std::fs::metadata(&canary).unwrap().modified().unwrap();
    for (n, link) in [canary.to_str().unwrap(), "../../../../../../../canary", "/proc/self/root", "loop"]
        .iter()
        .enumerate()
    {
        let mut bundle = env.script(&format!("walk{n}"), "cat /etc/link/file; true");
        let _ = std::os::unix::fs::symlink(link, bundle.rootfs().join("etc/link"));
        let _ = std::os::unix::fs::symlink("loop", bundle.rootfs().join("etc/loop"));
        bundle.mount("/etc/link/new", "bind", &source, &["bind", "ro"]);
        bundle.write();
        let args = ["run", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id];
        let output = without(&env, &[libc::SYS_openat2], libc::ENOSYS, &args);
        assert!(!output.stdout.contains("of the host"), "{link}: {output:#?}");
        assert!(!canary.join("new").exists(), "{link}: {output:#?}");
    }
    assert_eq!(std::fs::metadata(&canary).unwrap().modified().unwrap(), before);
    // A /proc that is a link is refused by the walk as by the kernel.
    let bundle = env.bundle("proc", &["true"]);
    std::fs::remove_dir(bundle.rootfs().join("proc")).unwrap();
    std::os::unix::fs::symlink("/tmp", bundle.rootfs().join("proc")).unwrap();
    bundle.write();
    let args = ["run", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id];
    let words = without(&env, &[libc::SYS_openat2], libc::ENOSYS, &args).fails();
    assert!(words.contains("must be mounted on ordinary directory"), "{words}");
}

/// What an older kernel cannot do at all is named.
#[test]
fn what_cannot_be_done_without_is_named() {
    need!("subid", "busybox", "coracle-oci");
    for env in [Env::new(), Env::in_store()] {
        for errno in REFUSALS {
            let mut bundle = env.script(&format!("rro{errno}"), "echo it ran");
            bundle.mount("/src", "bind", &env.dir, &["rbind", "rro"]);
            bundle.write();
            let args = ["run", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id];
            let output = without(&env, &[libc::SYS_mount_setattr], errno, &args);
            assert!(!output.stdout.contains("it ran"), "{errno}: {output:#?}");
            let words = output.fails();
            assert!(words.contains("mount_setattr"), "{errno}: {words}");
            assert!(!env.dir.join("state").join(&bundle.id).exists(), "{errno} left its state");
        }
    }
}
