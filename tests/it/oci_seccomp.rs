//! Seccomp in a running container (T22 of the security rules): what the kernel answers under our filter.

use serde_json::json;

use crate::need;
use crate::support::Env;

fn default_profile() -> serde_json::Value {
    let caps: Vec<String> = Vec::new();
    serde_json::to_value(coracle::seccomp::default_profile(&caps)).unwrap()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_default_profile_refuses_sixty_calls() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("refused", &[]);
    bundle.set("/linux/seccomp", default_profile()).probe("refused");
    let output = bundle.run().exits(0);
    let tried: Vec<(&str, i32)> = output
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("probe ")?.rsplit_once(' '))
        .map(|(name, errno)| (name, errno.parse().unwrap()))
        .collect();
    assert!(tried.len() >= 60, "{output:#?}");
    let through: Vec<_> =
        tried.iter().filter(|(_, errno)| ![libc::EPERM, libc::ENOSYS].contains(errno)).collect();
    assert!(through.is_empty(), "{through:?}");
}

#[test]
fn the_filter_is_seen_in_proc() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("status", &["grep", "-E", "^(Seccomp|NoNewPrivs):", "/proc/self/status"]);
    bundle.set("/linux/seccomp", default_profile());
    assert_eq!(bundle.run().ok(), "NoNewPrivs:\t1\nSeccomp:\t2\n");
}

#[test]
fn exec_is_filtered_like_the_first_process() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("exec", &["sleep", "1000"]);
    bundle.set("/linux/seccomp", default_profile());
    let ctr = bundle.start();
    assert_eq!(ctr.exec(&["grep", "^Seccomp:", "/proc/self/status"]).ok(), "Seccomp:\t2\n");
    let refused = ctr.exec(&["unshare", "-U", "true"]).run();
    assert!(refused.code != 0 && refused.stderr.contains("Operation not permitted"), "{refused:#?}");
}

#[test]
fn errno_and_kill_do_what_they_say() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let rule = |name: &str, action: &str, errno: Option<u32>| {
        let mut entry = json!({"names": [name], "action": action});
        if let Some(errno) = errno {
            entry["errnoRet"] = json!(errno);
        }
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [entry]})
    };
    let mut bundle = env.bundle("errno", &["mkdir", "/tmp/d"]);
    bundle.set("/linux/seccomp", rule("mkdir", "SCMP_ACT_ERRNO", Some(122)));
    let output = bundle.run();
    assert_eq!(
        (output.code, output.stderr.trim()),
        (1, "mkdir: can't create directory '/tmp/d': Disk quota exceeded")
    );

    let mut bundle = env.bundle("kill", &["mkdir", "/tmp/d"]);
    bundle.set("/linux/seccomp", rule("mkdir", "SCMP_ACT_KILL_PROCESS", None));
    assert_eq!(bundle.run().code, 128 + libc::SIGSYS);
}

#[test]
fn a_wrong_profile_is_an_error_before_anything_runs() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.bundle("wrong", &["echo", "ran"]);
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_MAYBE"}));
    let output = bundle.run();
    assert_eq!(output.stdout, "");
    output.fails();
}

/// Package managers, threads, pipes and sockets under the default profile: what an ordinary payload does.
#[test]
fn ordinary_work_is_not_hindered() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let script = "set -e; cd /tmp; mkdir a; echo x >a/b; ln -s b a/c; ln a/b a/d; chmod 600 a/b; mv a z; tar cf - z | tar tf - >/dev/null; \
         (sleep 0 & wait); nc -l -p 4000 </dev/null >/dev/null & mkfifo p; (echo y >p &); cat p; chroot / true; \
         date >/dev/null; ps >/dev/null; df >/dev/null; kill $!";
    let mut bundle = env.script("ordinary", script);
    let caps = ["CAP_SYS_CHROOT".to_owned()];
    bundle.set("/linux/seccomp", serde_json::to_value(coracle::seccomp::default_profile(&caps)).unwrap());
    assert_eq!(bundle.run().ok(), "y\n");
}

/// Without no_new_privs the filter is in place before the last steps of the runtime, which do without what it refuses.
#[test]
fn a_filter_need_not_allow_getcwd() {
    need!("subid", "busybox", "coracle-oci");
    for (env, sealed) in [(Env::in_store(), false), (Env::new(), true)] {
        let mut bundle = env.bundle("getcwd", &["readlink", "/proc/self/cwd"]);
        let rule = json!({"names": ["getcwd"], "action": "SCMP_ACT_ERRNO"});
        bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}));
        bundle.set("/process/noNewPrivileges", json!(sealed)).set("/process/cwd", json!("/tmp"));
        assert_eq!(bundle.run().ok(), "/tmp\n");
        let args = bundle.set("/process/args", json!(["sleep", "1000"])).start();
        assert_eq!(args.exec(&["readlink", "/proc/self/cwd"]).ok(), "/tmp\n");
    }
}
