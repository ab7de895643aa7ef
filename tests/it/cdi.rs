//! Devices by their CDI names: specs of the machine and of the user, `--gpus`, and a GPU that nobody has written a spec for.

use crate::need;
use crate::support::World;

/// A spec of `story.org/dev`, with these members of the device `a`.
fn spec(edits: &str) -> String {
    format!(
        r#"{{"cdiVersion":"0.6.0","kind":"story.org/dev","devices":[{{"name":"a","containerEdits":{{{edits}}}}}]}}"#
    )
}

fn put(w: &World, path: &str, text: &str) {
    let path = w.dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_spec_gives_nodes_files_variables_and_hooks() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let home = w.dir.join("home");
    put(&w, "home/driver.txt", "of the driver\n");
    put(&w, "home/hook", "#!/bin/sh\ncat > $1.state; echo \"$A\" > $1\n");
    w.tool("chmod").arg("755").arg(home.join("hook")).ok();
    let home = home.display();
    let yaml = format!(
        "# made by hand
cdiVersion: 1.0.0
kind: story.org/dev
containerEdits:
  env: [FROM_SPEC=yes, LD_LIBRARY_PATH=/vendor]
devices:
- name: a
  containerEdits:
    deviceNodes:
    - path: /dev/story/a
      hostPath: /dev/zero
      permissions: r
    mounts:
    - hostPath: {home}/driver.txt
      containerPath: /made/by/start/driver.txt
      options: [ro, nosuid, nodev, bind]
    hooks:
    - hookName: createRuntime
      path: {home}/hook
      args: [hook, {home}/said]
      env: [A=once]
- name: b
  containerEdits:
    env: [\"SECOND=b\"]
"
    );
    put(&w, "config/cdi/story.yaml", &yaml);
    let script = "head -c 3 /dev/story/a | wc -c; cat /made/by/start/driver.txt; echo $FROM_SPEC $SECOND $LD_LIBRARY_PATH";
    let line = "--device story.org/dev=a --device story.org/dev=b -e SECOND=mine bb";
    assert_eq!(w.script(line, script).ok(), "3\nof the driver\nyes mine /vendor\n");
    assert_eq!(std::fs::read_to_string(w.dir.join("home/said")).unwrap(), "once\n");
    let state = std::fs::read_to_string(w.dir.join("home/said.state")).unwrap();
    assert!(state.contains("\"status\""), "{state}");
    // On a read-only root, too; and what the user mounts there stands in its place.
    assert_eq!(w.script(&format!("--read-only {line}"), script).ok(), "3\nof the driver\nyes mine /vendor\n");
    let mine = w.dir.join("home/hook");
    let out = w.run("-v").arg(format!("{}:/made/by/start/driver.txt", mine.display()));
    let out = out.args(line.split(' ')).args(["head", "-n", "1", "/made/by/start/driver.txt"]).ok();
    assert_eq!(out, "#!/bin/sh\n");
}

#[test]
fn the_strongest_directory_has_the_word() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let say = |where_: &str| spec(&format!(r#""env":["WHERE={where_}"]"#));
    let asked = |w: &World| w.script("--device story.org/dev=a bb", "echo $WHERE").ok();
    put(&w, "config/cdi/one.json", &say("config"));
    assert_eq!(asked(&w), "config\n");
    put(&w, "run/cdi/one.json", &say("run"));
    assert_eq!(asked(&w), "run\n");
    // containers.conf moves the machine's directories; the user's own stay the stronger ones.
    std::fs::remove_dir_all(w.dir.join("run/cdi")).unwrap();
    std::fs::remove_dir_all(w.dir.join("config/cdi")).unwrap();
    let site = w.dir.join("home/site");
    put(&w, "home/site/any.json", &say("site"));
    put(&w, "config/containers/containers.conf", &format!("[engine]\ncdi_spec_dirs = [{site:?}]\n"));
    assert_eq!(asked(&w), "site\n");
}

#[test]
fn what_cannot_be_given_is_named() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let ask = |name: &str| w.run("--device").args([name, "bb", "true"]).run();
    ask("story.org/dev=a").says(
        125,
        &[
            "Error: cannot give the device story.org/dev=a",
            "Caused by: no CDI spec in /etc/cdi, /var/run/cdi, ",
            "is one of story.org/dev",
            "Hint: ",
        ],
    );
    ask("dev=a").says(125, &["Error: invalid device \"dev=a\"", "Hint: "]);
    put(&w, "config/cdi/bad.json", "{\"cdiVersion\": \"0.2.0\", \"kind\": \"story.org/dev\"}");
    put(&w, "config/cdi/worse.yaml", "a: [\n");
    ask("story.org/dev=a").says(
        125,
        &[
            "Error: cannot",
            "bad.json: it is not a valid CDI spec: cdiVersion",
            "worse.yaml: it is not",
            "Hint: Mend",
        ],
    );
    put(&w, "config/cdi/good.json", &spec("\"env\":[\"A=1\"]"));
    ask("story.org/dev=a").exits(0);
    ask("story.org/dev=b")
        .says(125, &["Error: ", "the CDI specs of story.org/dev know only a", "Hint: ", "story.org/dev=a"]);
    put(&w, "config/cdi/twin.json", &spec("\"env\":[\"A=2\"]"));
    ask("story.org/dev=a").says(125, &["Error: ", "good.json and ", "twin.json define it", "Hint: Remove"]);
    std::fs::remove_file(w.dir.join("config/cdi/twin.json")).unwrap();
    for (edits, words) in [
        (r#""deviceNodes":[{"path":"/dev/no-such"}]"#, "names /dev/no-such, and there is no such device"),
        (r#""mounts":[{"hostPath":"/no/such","containerPath":"/x"}]"#, "mounts /no/such, which is not there"),
        (r#""netDevices":[{"hostInterfaceName":"eth0","name":"eth0"}]"#, "netDevices"),
        (r#""intelRdt":{"closID":"x"}"#, "intelRdt"),
    ] {
        put(&w, "config/cdi/good.json", &spec(edits));
        ask("story.org/dev=a").says(125, &["Error: cannot give the device story.org/dev=a", words, "Hint: "]);
    }
    // A group that one is not in cannot be had, and what is left works.
    put(&w, "config/cdi/good.json", &spec("\"additionalGids\":[4242]"));
    ask("story.org/dev=a").says(0, &["the group 4242, which you are not in"]);
    put(&w, "config/containers/containers.conf", "[engine]\ncdi_spec_dirs = 5\n");
    ask("story.org/dev=a").says(125, &["Error: cannot use ", "containers.conf", "Caused by: "]);
}

#[test]
fn gpus_are_what_the_spec_of_their_vendor_knows() {
    need!("subid", "registry");
    let w = World::with_busybox();
    if !std::path::Path::new("/dev/nvidiactl").exists() && !std::path::Path::new("/dev/kfd").exists() {
        w.run("--gpus all bb true")
            .run()
            .says(125, &["Error: cannot give the GPU all", "neither /dev/nvidiactl nor /dev/kfd", "Hint: "]);
    }
    let device = |name: &str| format!(r#"{{"name":"{name}","containerEdits":{{"env":["GPU_{name}=yes"]}}}}"#);
    let devices = ["all", "0", "1"].map(device).join(",");
    put(
        &w,
        "config/cdi/nvidia.json",
        &format!(r#"{{"cdiVersion":"0.5.0","kind":"nvidia.com/gpu","devices":[{devices}]}}"#),
    );
    for (asked, seen) in [("all", "GPU_all"), ("0,1", "GPU_0 GPU_1"), ("device=1", "GPU_1")] {
        let out =
            w.script(&format!("--gpus {asked} bb"), "env | grep ^GPU_ | cut -d= -f1 | sort | xargs").ok();
        assert_eq!(out.trim(), seen, "{asked}");
    }
    w.run("--gpus 7 bb true")
        .run()
        .says(125, &["Error: cannot give the device nvidia.com/gpu=7", "all, 0, 1"]);
}

/// A machine with a driver and no spec, made of mounts over the real one's: nodes in /dev, libraries in ld.so.cache.
const MACHINE: &str = r#"set -e; cd "$1"; shift
mkdir -p real driver; mount --rbind /dev real; mount -t tmpfs -o mode=755 dev /dev
for n in null zero full random urandom tty fuse; do touch /dev/$n; mount --bind real/$n /dev/$n; done
for n in nvidiactl nvidia0 nvidia1 nvidia-uvm; do touch /dev/$n; mount --bind real/null /dev/$n; done
ln -s /proc/self/fd /dev/fd; mkdir /dev/shm
echo 'int f(void); int g(void) { return f(); }' > g.c; echo 'int f(void) { return 1; }' > f.c
printf 'GLIBC_2.99 { global: f; };' > v
gcc -shared -fPIC -nostdlib -Wl,--version-script=v,-soname,libc.so.6 -o libc.so.6 f.c
gcc -shared -fPIC -nostdlib -Wl,-soname,libcuda.so.1 -o driver/libcuda.so.1 f.c
gcc -shared -fPIC -nostdlib -Wl,-soname,libnvidia-new.so.1 -o driver/libnvidia-new.so.1 g.c libc.so.6
gcc -shared -fPIC -nostdlib -Wl,-soname,libnvidia-on-new.so.1 -Wl,--no-as-needed -o driver/libnvidia-on-new.so.1 f.c driver/libnvidia-new.so.1
gcc -shared -fPIC -nostdlib -Wl,-soname,libnvidia-container.so.1 -o driver/libnvidia-container.so.1 f.c
gcc -shared -fPIC -nostdlib -Wl,-soname,libGL.so.1 -o driver/libGL.so.1 f.c
echo "$PWD/driver" > conf; /sbin/ldconfig -f conf -C cache; mount --bind cache /etc/ld.so.cache
mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid
exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all "$@""#;

#[test]
fn a_gpu_without_a_spec_is_given_from_the_drivers_own_files() {
    need!("subid", "images", "setpriv", "gcc");
    let w = World::new();
    std::fs::create_dir(w.dir.join("machine")).unwrap();
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let on_it = |line: &str| {
        w.tool("unshare")
            .args(["--user", "--map-current-user", "--keep-caps", "--mount", "--propagation", "private"])
            .args(["sh", "-c", MACHINE, "sh"])
            .arg(w.dir.join("machine"))
            .arg(&program)
            .args(line.split_whitespace())
    };
    on_it("pull -q").arg(format!("oci:{}:latest", World::layout("debian"))).ok();
    let image = on_it("images -q").ok();
    let script = "ls /usr/local/nvidia/lib64 /dev | grep -E 'nvidia|cuda|GL'; echo $LD_LIBRARY_PATH";
    let out = on_it("run --rm --network none --gpus 0").args([image.trim(), "sh", "-c", script]).run();
    let note = "needs GLIBC_2.99, and the image has 2.";
    let out = out.says(0, &["libnvidia-new.so.1", note, "left out libnvidia-new.so.1 libnvidia-on-new.so.1"]);
    let seen: Vec<&str> = out.stdout.lines().collect();
    let want =
        ["/usr/local/nvidia/lib64:", "libcuda.so", "libcuda.so.1", "nvidia-uvm", "nvidia0", "nvidiactl"];
    let mut files: Vec<&str> =
        seen.iter().copied().filter(|line| *line != "/usr/local/nvidia/lib64").collect();
    files.sort_unstable();
    assert_eq!(files, want, "{out:?}");
    assert_eq!(seen.last(), Some(&"/usr/local/nvidia/lib64"), "{out:?}");
    let spec = std::fs::read_to_string(w.dir.join("run/coracle/cdi/nvidia.com-gpu.json")).unwrap();
    assert!(spec.contains("\"kind\": \"nvidia.com/gpu\"") && spec.contains("/dev/nvidia1"), "{spec}");
    on_it("run --rm --network none --device nvidia.com/gpu=5")
        .args([image.trim(), "true"])
        .run()
        .says(125, &["Error: cannot give the device nvidia.com/gpu=5", "know only 0, 1, all", "Hint: "]);
    on_it("rmi --all --force").ok();
}

#[test]
fn a_box_has_its_devices_as_they_are_at_each_start() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    let home = w.dir.join("home");
    let give = |file: &str, version: &str| {
        put(&w, &format!("home/{file}"), &format!("driver {version}\n"));
        let mount = format!(
            r#""env":["DRIVER={version}"],"mounts":[{{"hostPath":"{}/{file}","containerPath":"/usr/lib/story/{file}","options":["ro","bind"]}}]"#,
            home.display()
        );
        put(&w, "config/cdi/story.json", &spec(&mount));
    };
    give("libone", "1");
    w.c("toolbox create -i bb --device story.org/dev=a --device /dev/zero b").ok();
    let script = "cat /usr/lib/story/*; echo $DRIVER; test -c /dev/zero && echo zero";
    let inside = |name: &str| w.c("toolbox run").arg(name).args(["sh", "-c", script]).cwd(&home).run();
    assert_eq!(inside("b").ok(), "driver 1\n1\nzero\n");
    // Another driver on the host: other files at the next start.
    std::fs::remove_file(home.join("libone")).unwrap();
    give("libtwo", "2");
    w.c("toolbox stop b").ok();
    let seen = inside("b");
    assert_eq!(seen.stdout, "driver 2\n2\nzero\n", "{seen:#?}");
    assert!(seen.stderr.is_empty(), "{seen:#?}");
    // None at all: said, and the box starts.
    std::fs::remove_file(w.dir.join("config/cdi/story.json")).unwrap();
    w.c("toolbox stop b").ok();
    let seen = inside("b");
    assert!(seen.stdout.ends_with("\n\nzero\n") || seen.stdout.ends_with("\nzero\n"), "{seen:#?}");
    assert!(!seen.stdout.contains("driver"), "{seen:#?}");
    let said = "Warning: cannot give the device story.org/dev=a: no CDI spec in ";
    assert!(seen.stderr.contains(said) && seen.stderr.contains("box b starts without it"), "{seen:#?}");
    // By another name where /dev is the box's own.
    w.c("toolbox create -i bb --isolate --device /dev/zero:/dev/story i").ok();
    assert_eq!(w.c("toolbox run i sh -c").arg("head -c 3 /dev/story | wc -c").ok(), "3\n");

    let create = |device: &str| w.c("toolbox create -i bb --device").arg(device).arg("n").run();
    create("/dev/zero:/dev/story").says(
        125,
        &[
            "Error: cannot give the device /dev/zero as /dev/story",
            "Caused by: a box has the host's /dev",
            "Hint: ",
            "--isolate",
        ],
    );
    create("/dev/no-such")
        .says(125, &["Error: cannot give the device /dev/no-such", "Caused by: it is not there", "Hint: "]);
    create("story.org/dev=a")
        .says(125, &["Error: cannot give the device story.org/dev=a", "no CDI spec in ", "Hint: "]);
    if !std::path::Path::new("/dev/nvidiactl").exists() && !std::path::Path::new("/dev/kfd").exists() {
        w.c("toolbox create -i bb --gpus all n")
            .run()
            .says(125, &["Error: cannot give the GPU all", "Hint: "]);
    }
    assert_eq!(w.names(), ["b", "i"]);
}
