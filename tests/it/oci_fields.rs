//! Fields of config.json that few engines write, and all may: schedulers, memory policies, time, id maps of mounts, labels.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Env, need};

#[test]
fn a_container_without_a_user_namespace_gets_one_of_its_own() {
    need!("subid", "busybox", "runtime", "newuidmap");
    // runc asks for a user namespace in the configuration.
    if need::runtime().unwrap().ends_with("runc") {
        return;
    }
    let env = Env::new();
    let mut bundle = env.script(
        "auto",
        "id -u; wc -l </proc/self/uid_map; touch /made; stat -c %u /made; chown 7 /made && stat -c %u /made",
    );
    bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
    bundle.set(
        "/linux/namespaces",
        json!(["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({"type": kind}))),
    );
    // One line for the caller, and one for each range; a login may have several.
    let lines = bundle.run().ok();
    let lines: Vec<_> = lines.lines().collect();
    assert!(lines[1].parse::<u32>().unwrap() >= 2, "{lines:?}");
    assert_eq!([lines[0], lines[2], lines[3]], ["0", "0", "7"], "{lines:?}");
    // The payload's own id is the caller: files of the host are its own, whoever it is inside.
    bundle.set("/process/args", json!(["sh", "-c", "id -u; stat -c %u /etc/passwd"]));
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(bundle.run().ok(), "1000\n1000\n");
    env.tool("unshare")
        .args(["--user", "--map-root-user", "--map-auto", "rm", "-f"])
        .arg(bundle.rootfs().join("made"))
        .run();
}

/// config-linux.md: "The runtime MUST generate an error if `path` is not associated with a namespace of type `type`." Root of
/// a store may join all of these; one that is taken for another would leave the container in the runtime's own, or make
/// its root file system that of the host.
#[test]
fn a_path_to_a_namespace_of_another_type_is_refused() {
    need!("subid", "busybox", "runtime");
    let env = Env::in_store();
    let types = [
        ("pid", "user"),
        ("network", "uts"),
        ("ipc", "mnt"),
        ("uts", "cgroup"),
        ("mount", "net"),
        ("cgroup", "ipc"),
        ("user", "pid"),
    ];
    for (at, (typ, other)) in types.into_iter().enumerate() {
        let mut bundle = env.script(&format!("of-another-{typ}"), "echo ran");
        bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
        let mut all = types.map(|(typ, _)| json!({"type": typ}));
        all[at] = json!({"type": typ, "path": format!("/proc/self/ns/{other}")});
        let all: Vec<_> =
            all.into_iter().filter(|ns| ns["type"] != "user" || ns["path"] != Value::Null).collect();
        bundle.set("/linux/namespaces", json!(all));
        let output = bundle.run();
        assert_eq!(output.stdout, "", "{typ} {other}: {output:#?}");
        let words = output.fails();
        if need::runtime().unwrap().ends_with("coracle-oci") {
            let said = format!("/proc/self/ns/{other}: it is of type {other}, and linux.namespaces wants");
            assert!(words.contains(&said), "{typ}: {words}");
        }
    }
    let mut bundle = env.script("of-none", "echo ran");
    let of_none = json!({"type": "network", "path": "/etc/passwd"});
    bundle.set("/linux/namespaces", json!([of_none, {"type": "user"}, {"type": "mount"}, {"type": "pid"}]));
    let output = bundle.run();
    assert_eq!(output.stdout, "");
    output.fails();
}

#[test]
fn clocks_of_a_time_namespace_are_moved() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.script("time", "cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets");
    bundle.push("/linux/namespaces", json!({"type": "time"}));
    bundle.set(
        "/linux/timeOffsets",
        json!({"boottime": {"secs": 1_000_000}, "monotonic": {"secs": 5, "nanosecs": 7}}),
    );
    let out = bundle.run().ok();
    let uptime: u64 = out.lines().next().unwrap().parse().unwrap();
    assert!(uptime >= 1_000_000, "{out}");
    let words: Vec<&str> = out.split_whitespace().collect();
    assert!(words.windows(3).any(|w| w == ["monotonic", "5", "7"]), "{out}");
    bundle.set("/linux/timeOffsets", json!({"nosuch": {"secs": 1}}));
    bundle.run().fails();
}

#[test]
fn priorities_are_set() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.script("prio", "ionice -p $$; cut -d' ' -f19,41 /proc/self/stat");
    bundle.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 6}));
    bundle.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 9}));
    let out = bundle.run().ok();
    // Its nice value and its policy, SCHED_BATCH.
    assert_eq!(out, "best-effort: prio 6\n9 3\n");
    // runtime-spec, config.md: "SCHED_FLAG_RESET_ON_FORK" is one of `flags`.
    bundle.set("/process/scheduler/flags", json!(["SCHED_FLAG_RESET_ON_FORK"]));
    bundle.set("/process/args", json!(["sleep", "100"]));
    let ctr = bundle.start();
    let shown = env.tool("chrt").arg("-p").arg(ctr.state()["pid"].to_string()).ok();
    assert!(shown.contains("SCHED_BATCH|SCHED_RESET_ON_FORK"), "{shown}");
    drop(ctr);
    // Not for a user.
    bundle.set("/process/scheduler", json!({"policy": "SCHED_FIFO", "priority": 5}));
    let words = bundle.run().fails();
    assert!(words.contains("scheduler"), "{words}");
}

#[test]
fn the_domain_name_and_the_personality_are_set() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.script("uts", "cat /proc/sys/kernel/domainname; uname -m");
    bundle.set("/domainname", json!("example.org")).set("/linux/personality", json!({"domain": "LINUX32"}));
    let out = bundle.run().ok();
    assert!(["example.org\ni686\n", "example.org\narmv8l\n"].contains(&out.as_str()), "{out}");
    bundle.set("/linux/personality", json!({"domain": "LINUX", "flags": ["NOSUCH"]}));
    assert!(bundle.run().fails().contains("personality"));
}

#[test]
fn a_memory_policy_is_set() {
    need!("userns", "busybox", "coracle-oci");
    if !Path::new("/proc/self/numa_maps").exists() {
        return need::skip("a kernel without NUMA");
    }
    let env = Env::new();
    let mut bundle = env.script("numa", "grep -c ' bind:0' /proc/self/numa_maps");
    bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0"}));
    assert!(bundle.run().ok().trim().parse::<u32>().unwrap() > 0);
    let ctr = {
        bundle.set("/process/args", json!(["sleep", "1000"]));
        bundle.start()
    };
    assert!(
        ctr.exec(&["grep", "-c", " bind:0", "/proc/self/numa_maps"]).ok().trim().parse::<u32>().unwrap() > 0
    );
    drop(ctr);
    for wrong in [
        json!({"mode": "MPOL_BIND"}),
        json!({"mode": "MPOL_BIND", "nodes": "x"}),
        json!({"mode": "MPOL_NOSUCH"}),
        json!({"mode": "MPOL_DEFAULT", "nodes": "0"}),
        json!({"mode": "MPOL_BIND", "nodes": "0-99999"}),
    ] {
        bundle.set("/linux/memoryPolicy", wrong.clone());
        bundle.run().fails();
    }
}

#[test]
fn cpus_of_an_exec_are_chosen() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let mut bundle = env.bundle("cpus", &["sleep", "1000"]);
    bundle.set("/process/execCPUAffinity", json!({"initial": "0", "final": "0"}));
    let ctr = bundle.start();
    let allowed = ["grep", "Cpus_allowed_list", "/proc/self/status"];
    // Of the first process the specification says that it is not meant.
    let init = std::fs::read_to_string(format!("/proc/{}/status", ctr.state()["pid"])).unwrap();
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let line =
        |text: &str| text.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap().to_owned();
    assert_eq!(line(&init), line(&own));
    assert_eq!(ctr.exec(&allowed).ok(), "Cpus_allowed_list:\t0\n");
    let process = env.dir.join("process.json");
    let mut document =
        json!({"user": {"uid": 0, "gid": 0}, "args": allowed, "env": ["PATH=/bin"], "cwd": "/"});
    document["execCPUAffinity"] = json!({"final": "0-0"});
    std::fs::write(&process, document.to_string()).unwrap();
    let exec = || env.oci().args(["exec", "--process"]).arg(&process).arg(&ctr.id);
    assert_eq!(exec().ok(), "Cpus_allowed_list:\t0\n");
    for wrong in ["x", "3-1", "99999"] {
        document["execCPUAffinity"] = json!({"final": wrong});
        std::fs::write(&process, document.to_string()).unwrap();
        exec().fails();
    }
}

/// The file system must be of our own user namespace: a tmpfs that is mounted in it.
#[test]
fn ids_of_a_mount_are_mapped() {
    need!("subid", "busybox", "runtime");
    // Debian's runc 1.1 leaves the maps out.
    if need::runtime().unwrap().ends_with("runc") {
        return;
    }
    let env = Env::in_store();
    let source = env.dir.join("mapped");
    std::fs::create_dir(&source).unwrap();
    let tmpfs = format!(
        "mount -t tmpfs tmpfs {0} && mkdir {0}/d && touch {0}/f && chown 100:200 {0}/f {0}/d",
        source.display()
    );
    env.tool("sh").args(["-c", &tmpfs]).ok();
    let mut bundle = env.script(
        "idmap",
        "stat -c %u:%g /plain/f /mapped/f /mapped/d; touch /mapped/new; stat -c %u:%g /mapped/new",
    );
    bundle.mount("/plain", "bind", &source, &["bind"]);
    bundle.mount("/mapped", "bind", &source, &["bind", "rw"]);
    let at = bundle.config["mounts"].as_array().unwrap().len() - 1;
    // What is 100 on the file system is 1000 in the container's parent, and so on.
    let maps = |from: u32, to: u32| json!([{"containerID": from, "hostID": to, "size": 1}, {"containerID": 0, "hostID": 0, "size": 1}]);
    bundle
        .set(&format!("/mounts/{at}/uidMappings"), maps(100, 1000))
        .set(&format!("/mounts/{at}/gidMappings"), maps(200, 2000));
    let out = bundle.run().ok();
    assert_eq!(out, "100:200\n1000:2000\n1000:2000\n0:0\n");
    let made = env.tool("stat").args(["-c", "%u:%g"]).arg(source.join("new")).ok();
    assert_eq!(made, "0:0\n");
    env.tool("umount").arg(&source).ok();
}

#[test]
fn ids_of_a_mount_are_refused_to_a_user() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let source = env.dir.join("source");
    std::fs::create_dir(&source).unwrap();
    let mut bundle = env.script("idmap", "echo ran");
    bundle.mount("/mapped", "bind", &source, &["bind", "idmap"]);
    let output = bundle.run();
    assert_eq!(output.stdout, "");
    let words = output.fails();
    assert!(words.contains("idmapped mounts are for root") && words.contains("/mapped"), "{words}");
}

#[test]
fn recursive_attributes_reach_the_mounts_below() {
    need!("subid", "busybox", "coracle-oci");
    let env = Env::in_store();
    let source = env.dir.join("tree");
    std::fs::create_dir(&source).unwrap();
    let below = format!("mkdir {0}/below && mount -t tmpfs tmpfs {0}/below", source.display());
    env.tool("sh").args(["-c", &below]).ok();
    let script = "for d in plain deep; do touch /$d/f 2>/dev/null; echo $?; touch /$d/below/f 2>/dev/null; echo $?; done; \
         grep ' /deep' /proc/self/mountinfo | cut -d' ' -f6 | grep -c noexec";
    let mut bundle = env.script("recursive", script);
    bundle.mount("/plain", "bind", &source, &["rbind", "ro"]);
    bundle.mount("/deep", "bind", &source, &["rbind", "rro", "rnoexec"]);
    assert_eq!(bundle.run().ok(), "1\n0\n1\n1\n2\n");
    env.tool("umount").arg(source.join("below")).ok();
}

#[test]
fn a_new_tmpfs_takes_over_what_was_there() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle =
        env.script("copyup", "cat /data/f; readlink /data/l; ls /data/d; touch /data/new && echo written");
    let data = bundle.rootfs().join("data");
    std::fs::create_dir_all(data.join("d/e")).unwrap();
    std::fs::write(data.join("f"), "content\n").unwrap();
    std::os::unix::fs::symlink("f", data.join("l")).unwrap();
    bundle.mount("/data", "tmpfs", Path::new("tmpfs"), &["tmpcopyup", ""]); // the empty word is podman 5's
    assert_eq!(bundle.run().ok(), "content\nf\ne\nwritten\n");
    assert!(!data.join("new").exists());
}

#[test]
fn a_link_can_be_copied_instead_of_bound() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let link = env.dir.join("localtime");
    std::os::unix::fs::symlink("../zone/Here", &link).unwrap();
    let mut bundle = env.script("link", "readlink /etc/localtime; grep -c localtime /proc/mounts");
    bundle.mount("/etc/localtime", "bind", &link, &["bind", "ro", "copy-symlink"]);
    assert_eq!(bundle.run().stdout, "../zone/Here\n0\n");
    // Again: it is there already.
    assert_eq!(bundle.run().stdout, "../zone/Here\n0\n");
    std::fs::remove_file(&link).unwrap();
    std::fs::write(&link, "file\n").unwrap();
    let mut bundle = env.script("file", "cat /etc/localtime; grep -c localtime /proc/mounts");
    bundle.mount("/etc/localtime", "bind", &link, &["bind", "ro", "copy-symlink"]);
    assert_eq!(bundle.run().ok(), "file\n1\n");
}

#[test]
fn labels_that_the_host_does_not_know_are_refused() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        let mut bundle = env.script("selinux", "echo ran");
        bundle.set("/process/selinuxLabel", json!("system_u:system_r:container_t:s0"));
        let output = bundle.run();
        assert_eq!(output.stdout, "");
        let words = output.fails();
        assert!(
            words.contains("selinux label is specified in config, but selinux is disabled or not supported"),
            "{words}"
        );
        bundle.remove("/process/selinuxLabel");
        bundle.set("/linux/mountLabel", json!("system_u:object_r:container_file_t:s0:c1,c2"));
        let words = ["selinux mount label is specified in config, but selinux is disabled", "c1,c2"];
        assert_eq!(bundle.run().says(1, &words).stdout, "");
        bundle.remove("/linux/mountLabel");
        bundle.set("/annotations", json!({"run.oci.mount_context_type": "kontext"}));
        bundle.run().says(1, &["invalid value \"kontext\" of the annotation run.oci.mount_context_type"]);
        bundle.set("/annotations", json!({"run.oci.mount_context_type": "rootcontext"}));
        assert_eq!(bundle.run().ok(), "ran\n");
        let ctr = env.bundle("exec", &["sleep", "1000"]).start();
        let exec = |flag: &str| env.oci().args(["exec", flag, "nosuch", &ctr.id, "echo", "ran"]).run();
        assert!(exec("--process-label").fails().contains("selinux"));
    }
    if !Path::new("/sys/kernel/security/apparmor").exists() {
        let mut bundle = env.script("apparmor", "echo ran");
        bundle.set("/process/apparmorProfile", json!("nosuch"));
        let output = bundle.run();
        assert_eq!(output.stdout, "");
        let words = output.fails();
        assert!(words.contains("apparmor") || words.contains("security label"), "{words}");
    }
}

#[test]
fn what_is_not_there_or_not_supported_is_an_error() {
    need!("userns", "busybox", "coracle-oci");
    let env = Env::new();
    let has_rdt = std::fs::read_to_string("/proc/mounts").unwrap().contains(" resctrl ");
    if !has_rdt {
        let mut bundle = env.script("rdt", "echo ran");
        bundle.set("/linux/intelRdt", json!({"l3CacheSchema": "L3:0=f"}));
        let output = bundle.run();
        assert_eq!(output.stdout, "");
        let words = output.fails();
        assert!(words.contains("intelRdt is specified in config, but Intel RDT is not enabled"), "{words}");
    }
    let mut bundle = env.script("net", "echo ran");
    bundle.set("/linux/netDevices", json!({"eth0": {"name": "inside"}}));
    let output = bundle.run();
    assert_eq!(output.stdout, "");
    output.says(
        1,
        &["linux.netDevices is not supported for rootless containers", "are root's, and the caller is user"],
    );
}

#[test]
fn unknown_fields_are_ignored_and_wrong_types_are_named() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let mut bundle = env.script("unknown", "echo ran");
    for pointer in [
        "/nosuch",
        "/process/nosuch",
        "/linux/nosuch",
        "/root/nosuch",
        "/mounts/0/nosuch",
        "/linux/seccomp_nosuch",
    ] {
        bundle.set(pointer, json!({"a": [1, null]}));
    }
    assert_eq!(bundle.run().ok(), "ran\n");
    for (pointer, value) in
        [("/process/args", json!("sh")), ("/mounts", json!({})), ("/linux/namespaces", json!([7]))]
    {
        let mut bundle = env.script("wrong", "echo ran");
        bundle.set(pointer, value);
        let output = bundle.run();
        assert_eq!(output.stdout, "", "{pointer}");
        output.fails();
    }
}

#[test]
fn the_state_names_what_the_specification_says() {
    need!("userns", "busybox", "runtime");
    let env = Env::new();
    let ctr = env.bundle("state", &["sleep", "1000"]).start();
    let state: Value = ctr.state();
    for key in ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"] {
        assert!(state.get(key).is_some(), "{key}: {state}");
    }
    let created = state["created"].as_str().unwrap();
    assert!(created.len() >= 20 && created.contains('T') && created.ends_with('Z'), "{created}");
}
