//! `linux.netDevices`: devices of the runtime's network namespace that a container gets.
//!
//! The runtime's namespace here is one of a root of the store's: its devices are its own to give, and none is the machine's.

use serde_json::{Value, json};

use crate::support::{Bundle, Cmd, Env, need};

/// `before`, the container with the words of its output on one line, and `after`, all in a network namespace of its own with
/// a veth pair: a0 (10.9.0.1/24, fd00::1/64, 127.0.0.33/8) and b0.
fn run(env: &Env, bundle: &Bundle<'_>, before: &str, after: &str) -> Cmd {
    bundle.write();
    let script = format!(
        "set -e; ip link add a0 type veth peer name b0; ip link set a0 mtu 1789 address 02:00:00:00:00:07
         ip link set b0 up; ip link set a0 up; ip addr add 10.9.0.1/24 dev a0; ip addr add 127.0.0.33/8 scope host dev a0
         ip -6 addr add fd00::1/64 dev a0 nodad
         {before}
         $OCI --root $STATE run --bundle $BUNDLE $ID; {after}"
    );
    env.tool("unshare")
        .args(["--net", "sh", "-c", &script])
        .env("OCI", need::runtime().unwrap())
        .env("STATE", env.dir.join("state"))
        .env("BUNDLE", &bundle.dir)
        .env("ID", &bundle.id)
}

/// Without a user namespace, as for root.
fn as_root<'e>(env: &'e Env, name: &str, devices: Value) -> Bundle<'e> {
    let mut bundle = env.script(name, "ip addr");
    bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({"type": kind}));
    bundle.set("/linux/namespaces", json!(namespaces)).set("/linux/netDevices", devices);
    bundle
}

#[test]
fn a_device_moves_into_the_container_with_what_it_is() {
    need!("subid", "busybox", "coracle-oci", "ip");
    let env = Env::in_store();
    let mut bundle = as_root(&env, "moved", json!({"a0": {"name": "eth7"}}));
    // A sysctl and a hook find it there.
    bundle.set("/linux/sysctl", json!({"net.ipv4.conf.eth7.forwarding": "1"}));
    let hook = format!("ip link >{}", env.dir.join("hook").display());
    bundle.set("/hooks/createRuntime", json!([{"path": "/bin/sh", "args": ["sh", "-c", hook], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}]));
    bundle.set("/process/args", json!(["sh", "-c", "ip addr; cat /proc/sys/net/ipv4/conf/eth7/forwarding"]));
    let out = run(&env, &bundle, "", "echo; ip -o link").ok();
    let (inside, outside) = out.split_once("\n\n").unwrap();
    for fact in [" eth7", "mtu 1789", "02:00:00:00:00:07", "inet 10.9.0.1/24", "inet6 fd00::1/64", ",UP,"] {
        assert!(inside.contains(fact), "{fact}: {out}");
    }
    assert!(!inside.contains("127.0.0.33"), "an address of the host's own stays: {out}");
    assert!(inside.ends_with("\n1"), "the sysctl of the device: {out}");
    // The namespace ended, and the pair with it.
    assert!(!outside.contains("a0"), "{out}");
    let seen = std::fs::read_to_string(env.dir.join("hook")).unwrap();
    assert!(seen.contains(" b0"), "a hook runs outside: {seen}");
    assert!(!seen.contains(" a0"), "after the move: {seen}");
}

#[test]
fn a_device_moves_into_a_user_namespace_and_gets_the_next_number() {
    need!("subid", "busybox", "coracle-oci", "ip");
    let env = Env::in_store();
    let mut bundle = env.script("numbered", "ip addr");
    bundle.set("/linux/netDevices", json!({"a0": {"name": "net%d"}, "b0": {"name": "net%d"}}));
    let out = run(&env, &bundle, "", "").ok();
    for fact in [" net0", " net1", "inet 10.9.0.1/24"] {
        assert!(out.contains(fact), "{fact}: {out}");
    }
    assert!(!out.contains("oci"), "{out}");
}

#[test]
fn a_device_stays_in_a_namespace_that_outlives_the_container() {
    need!("subid", "busybox", "coracle-oci", "ip");
    let env = Env::in_store();
    let mut bundle = as_root(&env, "joined", json!({"a0": {}}));
    let ns = env.dir.join("netns");
    bundle.set("/linux/namespaces/1/path", json!(ns));
    let before = format!("touch {0}; unshare --net={0} true", ns.display());
    let after = format!("echo; nsenter --net={0} ip addr; umount {0}", ns.display());
    let out = run(&env, &bundle, &before, &after).ok();
    let (inside, later) = out.split_once("\n\n").unwrap();
    for seen in [inside, later] {
        assert!(seen.contains(" a0") && seen.contains("inet 10.9.0.1/24"), "{out}");
    }
}

#[test]
fn when_one_device_cannot_go_none_goes() {
    need!("subid", "busybox", "coracle-oci", "ip");
    let env = Env::in_store();
    let after = "code=$?; ip addr; exit $code";
    let refused = |name: &str, devices: Value, words: &[&str]| {
        let bundle = as_root(&env, name, devices);
        let output = run(&env, &bundle, "set +e", after).run().says(1, words);
        for fact in [" a0@b0", " b0@a0", "inet 10.9.0.1/24", "inet 127.0.0.33/8", "inet6 fd00::1/64"] {
            assert!(output.stdout.contains(fact), "{fact}: {output:#?}");
        }
        assert!(!env.dir.join("state").join(&bundle.id).exists(), "{output:#?}");
    };
    // The container's own lo is there already: a0 has gone before, and comes back.
    refused(
        "taken",
        json!({"a0": {"name": "eth0"}, "b0": {"name": "lo"}}),
        &["cannot move network device b0 to the container as lo", "EEXIST"],
    );
    refused("missing", json!({"a0": {}, "nosuch": {}}), &["cannot find network device nosuch", "ENODEV"]);
    refused("fixed", json!({"a0": {}, "lo": {"name": "lo2"}}), &["cannot move network device lo", "EINVAL"]);
    refused("invalid", json!({"a0": {"name": "a/b"}}), &["invalid network device name \"a/b\"", "no space"]);
    refused(
        "twice",
        json!({"a0": {"name": "x"}, "b0": {"name": "x"}}),
        &["two of linux.netDevices", "a0 and b0"],
    );
}

#[test]
fn devices_need_a_namespace_to_go_to_and_the_right_to_give_them() {
    need!("subid", "busybox", "coracle-oci", "ip");
    let env = Env::in_store();
    let mut bundle = as_root(&env, "nowhere", json!({"a0": {}}));
    bundle.set("/linux/namespaces/1/path", json!("/proc/self/ns/net"));
    run(&env, &bundle, "", "")
        .run()
        .says(1, &["unable to move network devices without a NET namespace", "the runtime's own"]);
    bundle.remove("/linux/namespaces/1/path");
    // The machine's own devices are not this root's.
    bundle.set("/linux/netDevices", json!({"lo": {"name": "lo2"}}));
    bundle.run().says(1, &["cannot move network devices to the container", "EPERM"]);
    bundle.set("/linux/namespaces", json!(["pid", "ipc", "uts", "mount"].map(|kind| json!({"type": kind}))));
    bundle
        .run()
        .says(1, &["unable to move network devices without a NET namespace", "no entry of type network"]);
}
