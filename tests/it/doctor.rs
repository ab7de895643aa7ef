//! `doctor` and `info`, and what still works on a machine that lacks things.

use serde_json::Value;

use crate::need;
use crate::support::World;

#[test]
fn doctor_and_info_as_json() {
    need!("subid");
    let w = World::new();
    let report: Value = serde_json::from_str(&w.c("info --format json").ok()).unwrap();
    let probes = report["probes"]["checks"].as_array().expect("a list of probes");
    assert!(probes.len() > 8, "{report:#}");
    for probe in probes {
        assert!(probe["name"].is_string() && probe["status"].is_string(), "{probe:#}");
        if probe["status"] == "fail" {
            assert!(probe["hint"].is_string(), "a failure without a fix: {probe:#}");
        }
    }
    let info: Value = serde_json::from_str(&w.c("info --format json").ok()).unwrap();
    for pointer in [
        "/host/arch",
        "/host/cgroupVersion",
        "/host/idMappings/uidmap",
        "/host/kernel",
        "/host/ociRuntime/name",
        "/host/security/rootless",
        "/store/graphDriverName",
        "/store/graphRoot",
        "/store/containerStore/number",
        "/store/imageStore/number",
        "/store/runRoot",
        "/version/Version",
    ] {
        assert!(info.pointer(pointer).is_some_and(|value| !value.is_null()), "no {pointer}: {info:#}");
    }
    assert_eq!(info["host"]["security"]["rootless"], true);
    assert!(!w.c("info --format {{.Host.Arch}}").ok().trim().is_empty());
    let cgroups = w.c("info --format {{.Host.CgroupsVersion}}").ok();
    assert_eq!(info["host"]["cgroupVersion"], cgroups.trim());
    let text = w.c("doctor").run();
    assert!(text.stdout.lines().count() >= probes.len(), "{text:?}");
    w.c("version").ok();
    let version: Value = serde_json::from_str(&w.c("version --format json").ok()).unwrap();
    assert!(version["Client"]["Version"].is_string(), "{version:#}");
}

#[test]
fn without_a_runtime_directory() {
    need!("subid");
    let w = World::new();
    let out = w.c("run --rm host: echo ran").env("XDG_RUNTIME_DIR", "").run().exits(0);
    assert_eq!(out.stdout, "ran\n");
    let out = w.c("run --rm host: echo ran").env("XDG_RUNTIME_DIR", "/root/not/mine").run().exits(0);
    assert_eq!(out.stdout, "ran\n");
}

#[test]
fn without_a_user_manager() {
    need!("subid");
    let w = World::new();
    let bus = |line: &str| w.c(line).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/not/there");
    let out = bus("run --rm host: echo ran").run().exits(0);
    assert_eq!(out.stdout, "ran\n");
    assert_eq!(out.stderr, "", "nobody needs a cgroup here");
    bus("run -d --name d host: sleep 1000").ok();
    assert_eq!(bus("exec d echo in").ok(), "in\n");
    bus("rm -f -t 0 d").ok();
    assert_eq!(bus("--cgroup-manager disabled run --rm host: echo none").ok(), "none\n");
    let doctor = bus("doctor").run();
    assert!(doctor.stdout.contains("systemd") || doctor.stdout.contains("cgroup"), "{doctor:?}");
}

#[test]
fn without_newuidmap() {
    need!("subid", "registry");
    let w = World::new();
    // An empty PATH hides no program at an absolute place; a user namespace of one id does.
    let alone = |line: &str| {
        let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
        w.tool("unshare")
            .args(["--user", "--map-user=12345", "--map-group=12345", "--"])
            .arg(program)
            .args(line.split_whitespace())
    };
    let out = alone("run --rm host: id -u").run().exits(0);
    assert_eq!(out.stdout, "0\n");
    assert!(out.stderr.contains("only your own user id"), "said once: {out:?}");
    assert_eq!(alone("run --rm host: id -u").run().stderr, "", "and only once");
    let image = World::reference("busybox");
    let out = alone("run --rm --network none").arg(&image).args(["echo", "image"]).run();
    assert_eq!(out.stdout, "image\n", "{out:?}");
    alone("run --rm -u 1000 --network none")
        .arg(&image)
        .arg("true")
        .run()
        .says(125, &["Error: ", "1000", "Hint: "]);
    alone("run --rm --userns keep-id host: id -u").ok();
    alone("rm -af").ok();
    alone("rmi -af").ok();
}

#[test]
fn unshare_and_system() {
    need!("subid", "registry");
    let w = World::with_busybox();
    assert_eq!(w.c("unshare id -u").ok(), "0\n");
    w.c("unshare sh -c").arg("exit 4").run().exits(4);
    w.c("unshare no-such-program").run().exits(127);
    w.c("system check").ok();
    w.c("system df").ok();
    w.start("c", "bb true");
    w.c("wait c").ok();
    w.c("system prune -f").ok();
    assert!(w.names().is_empty());
}
