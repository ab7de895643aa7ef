//! Older kernels, and seccomp filters of container engines around us: a system call that is not to be had is either done
//! without, or the error names it. The filter is real, set on the runtime from outside.

use crate::need;
use crate::support::Env;

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

#[test]
fn what_cannot_be_done_without_is_named() {
    need!("subid", "busybox", "coracle-oci");
    let calls = [
        ("openat2", libc::SYS_openat2),
        ("open_tree", libc::SYS_open_tree),
        ("move_mount", libc::SYS_move_mount),
        ("fsopen", libc::SYS_fsopen),
        ("fsconfig", libc::SYS_fsconfig),
        ("mount_setattr", libc::SYS_mount_setattr),
    ];
    for env in [Env::new(), Env::in_store()] {
        for (name, call) in calls {
            for errno in REFUSALS {
                let bundle = env.script(&format!("{name}{errno}"), "echo it ran");
                bundle.write();
                let dir = bundle.dir.to_str().unwrap().to_owned();
                let output = env.oci_without(&[call], errno, &["run", "--bundle", &dir, &bundle.id]).run();
                assert!(!output.stdout.contains("it ran"), "{name} {errno}: {output:#?}");
                let words = output.fails();
                assert!(words.contains(name), "{name} {errno}: {words}");
                assert!(!env.dir.join("state").join(&bundle.id).exists(), "{name} {errno} left its state");
            }
        }
        // Signals go by pidfd alone: a pid may be another process by now.
        let ctr = env.bundle("kill", &["sleep", "1000"]).start();
        let args = ["kill", &ctr.id, "TERM"];
        let words = env.oci_without(&[libc::SYS_pidfd_open], libc::ENOSYS, &args).fails();
        assert!(words.contains("pidfd_open"), "{words}");
        let args = ["kill", &ctr.id, "KILL"];
        env.oci_without(&[libc::SYS_pidfd_open], libc::ENOSYS, &args).run();
    }
}
