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
