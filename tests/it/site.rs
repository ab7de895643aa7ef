//! /etc/coracle/site.toml: what the administrator says about everybody's containers.
//!
//! Each story has a file of its own there, in a namespace of mounts; in it one has no subordinate ids.

use std::path::Path;

use crate::need;
use crate::support::{Cmd, World};

/// `coracle LINE` on a machine with this file.
fn at_site(w: &World, rules: &str, line: &str) -> Cmd {
    let etc = w.dir.join("site");
    std::fs::create_dir_all(etc.join("coracle")).unwrap();
    std::fs::write(etc.join("coracle/site.toml"), rules).unwrap();
    std::fs::write(etc.join("subuid"), "").unwrap();
    std::fs::write(etc.join("subgid"), "").unwrap();
    with_etc(w, &etc).args(line.split_whitespace())
}

fn with_etc(w: &World, etc: &Path) -> Cmd {
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let script = "mount -t overlay -o lowerdir=\"$0\":/etc site /etc && \
                  exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all \"$@\"";
    w.tool("unshare")
        .args(["--user", "--map-current-user", "--keep-caps", "--mount", "--propagation", "private"])
        .args(["sh", "-c", script])
        .arg(etc)
        .arg(program)
}

/// A store with `localhost/bb` in it. Nothing of it needs the site's word.
fn with_image() -> (World, String) {
    let w = World::new();
    at_site(&w, "", "pull -q").arg(format!("oci:{}:latest", World::layout("busybox"))).ok();
    let id = at_site(&w, "", "images -q").ok().trim().to_owned();
    at_site(&w, "", "tag").args([&id, "localhost/bb"]).ok();
    (w, id)
}

#[test]
fn its_mounts_variables_and_network_are_the_defaults() {
    need!("subid", "overlay", "images", "setpriv");
    let (w, _) = with_image();
    let apps = w.dir.join("home/apps");
    std::fs::create_dir(&apps).unwrap();
    std::fs::write(apps.join("hello"), "of the site\n").unwrap();
    let rules = format!(
        "network = \"none\"\n[[mounts]]\nsource = {apps:?}\ntarget = \"/apps\"\noptions = [\"ro\"]\n\
         [[mounts]]\nsource = \"/no/such/scratch\"\noptional = true\n[env]\nSITE = \"here\"\nOTHER = \"too\"\n"
    );
    let script =
        "cat /apps/hello; echo x 2>&- >/apps/x || echo read-only; echo $SITE $OTHER; ls /sys/class/net";
    let out = at_site(&w, &rules, "run --rm bb sh -c").arg(script).ok();
    assert_eq!(out, "of the site\nread-only\nhere too\nlo\n");
    // What is not enforced gives way to what the user says.
    let out =
        at_site(&w, &rules, "run --rm --tmpfs /apps -e SITE=mine --unsetenv OTHER --network host bb sh -c")
            .arg("ls /apps; echo $SITE:$OTHER:; ls /sys/class/net | grep -c .")
            .ok();
    let host = std::fs::read_dir("/sys/class/net").unwrap().count();
    assert_eq!(out, format!("mine::\n{host}\n"));
    // All that is made has them, and the user can read what they are.
    let info = at_site(&w, &rules, "info").ok();
    for words in ["site:\n", "  file: /etc/coracle/site.toml\n", "    target: /apps\n", "    SITE: here\n"] {
        assert!(info.contains(words), "no {words:?} in {info}");
    }
    let json = at_site(&w, &rules, "info --format json").ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.pointer("/site/network").and_then(|n| n.as_str()), Some("none"));
    assert_eq!(json.pointer("/site/mounts/0/options/0").and_then(|n| n.as_str()), Some("ro"));
    let bundle = w.dir.join("home/bundle");
    at_site(&w, &rules, "bundle bb").arg(&bundle).ok();
    let config = std::fs::read_to_string(bundle.join("config.json")).unwrap();
    assert!(config.contains("SITE=here") && config.contains("/apps\""), "{config}");
    // A machine that has not what the file promises.
    at_site(&w, "[[mounts]]\nsource = \"/no/such\"\n", "run --rm bb true").run().says(
        125,
        &[
            "Error: cannot mount /no/such at /no/such, as /etc/coracle/site.toml says",
            "Caused by: ",
            "ENOENT",
            "Hint: ",
            "optional",
        ],
    );
    at_site(&w, "", "rmi --all --force").ok();
}

#[test]
fn what_it_enforces_no_flag_loosens() {
    need!("subid", "overlay", "images", "setpriv");
    let (w, _) = with_image();
    let apps = w.dir.join("home/apps");
    std::fs::create_dir(&apps).unwrap();
    let rules = format!(
        "enforce = [\"mounts\", \"env\", \"network\", \"hpc\"]\nnetwork = \"none\"\nhpc = false\n\
         [[mounts]]\nsource = {apps:?}\ntarget = \"/apps\"\n[env]\nSITE = \"here\"\n"
    );
    at_site(&w, &rules, "run --rm -e SITE=here --network none --hpc=false bb true").ok();
    for (flags, what) in [
        ("--tmpfs /apps", "cannot mount something at /apps"),
        ("-v /etc:/apps/x", "cannot mount something at /apps/x"),
        ("-e SITE=mine", "cannot give the container another SITE"),
        ("--unsetenv SITE", "cannot give the container another SITE"),
        ("--network host", "cannot give the container another network"),
        ("--hpc", "cannot use --hpc"),
    ] {
        at_site(&w, &rules, &format!("run --rm {flags} bb true"))
            .run()
            .says(125, &["Error: ", what, "Caused by: /etc/coracle/site.toml enforces it", "Hint: "]);
    }
    // Boxes have the host's network.
    at_site(&w, &rules, "toolbox create -i bb box")
        .run()
        .says(125, &["Error: ", "another network", "Caused by: ", "its network is none", "Hint: "]);
    assert_eq!(at_site(&w, "", "ps -aq").ok(), "");
    at_site(&w, "", "rmi --all --force").ok();
}

/// Nor a link in the image, a device's own mounts, or a process that joins later.
#[test]
fn what_it_enforces_is_not_hidden_by_other_ways() {
    need!("subid", "busybox", "setpriv");
    let w = World::new();
    let home = w.dir.join("home");
    let at = |name: &str| home.join(name).display().to_string();
    for (dir, text) in [("apps", "of the site\n"), ("mine", "of the user\n")] {
        std::fs::create_dir(home.join(dir)).unwrap();
        std::fs::write(home.join(dir).join("f"), text).unwrap();
    }
    std::fs::create_dir_all(home.join("root/bin")).unwrap();
    std::fs::create_dir_all(home.join("root/a")).unwrap();
    std::os::unix::fs::symlink("/apps", home.join("root/a/way")).unwrap();
    std::fs::copy(crate::support::need::busybox().unwrap(), home.join("root/bin/busybox")).unwrap();
    let mount = |path: &str, target: &str| serde_json::json!({"hostPath": path, "containerPath": target, "options": ["bind"]});
    let mounts = [mount(&at("mine"), "/apps"), mount(&at("mine/f"), "/apps/f")];
    let edits = serde_json::json!({"env": ["SITE=mine"], "mounts": mounts});
    let device = serde_json::json!({"cdiVersion": "0.6.0", "kind": "my.com/x", "devices": [{"name": "y", "containerEdits": edits}]});
    std::fs::create_dir_all(w.dir.join("config/cdi")).unwrap();
    std::fs::write(w.dir.join("config/cdi/x.json"), device.to_string()).unwrap();
    let rules = format!(
        "enforce = [\"mounts\", \"env\"]\n[[mounts]]\nsource = \"{}\"\ntarget = \"/apps\"\n[env]\nSITE = \"here\"\n",
        at("apps")
    );
    let script = "/bin/busybox cat /apps/f; echo $SITE";
    for flags in [
        format!("-v {}:/a/way", at("mine")),
        format!("-v {}:/a/way/f", at("mine/f")),
        "--device my.com/x=y".to_owned(),
        "--device /dev/null:/apps/f".to_owned(),
    ] {
        let line = format!("run --rm {flags} --rootfs {} /bin/busybox sh -c", at("root"));
        assert_eq!(at_site(&w, &rules, &line).arg(script).ok(), "of the site\nhere\n", "{flags}");
    }
    at_site(&w, &rules, &format!("run -d --name c --rootfs {} /bin/busybox sleep 1000", at("root"))).ok();
    at_site(&w, &rules, "exec -e SITE=mine c /bin/busybox true").run().says(
        125,
        &[
            "Error: cannot give the container another SITE",
            "Caused by: /etc/coracle/site.toml enforces it",
            "Hint: ",
        ],
    );
    assert_eq!(
        at_site(&w, &rules, "exec -e SITE=here c /bin/busybox sh -c").arg(script).ok(),
        "of the site\nhere\n"
    );
}

#[test]
fn hpc_can_be_the_default() {
    need!("subid", "overlay", "images", "setpriv");
    let (w, _) = with_image();
    let me = crate::support::user::ids().0;
    let uid = |rules: &str, flags: &str| at_site(&w, rules, &format!("run --rm {flags} bb id -u")).ok();
    assert_eq!(uid("hpc = true\n", ""), format!("{me}\n"));
    assert_eq!(uid("hpc = true\n", "--hpc=false"), "0\n");
    assert_eq!(uid("hpc = true\n", "--user 0"), "0\n");
    let enforced = "enforce = [\"hpc\"]\nhpc = true\n";
    assert_eq!(uid(enforced, ""), format!("{me}\n"));
    for flag in ["--hpc=false", "--user 0"] {
        let first = flag.split(' ').next().unwrap();
        at_site(&w, enforced, &format!("run --rm {flag} bb id -u")).run().says(
            125,
            &["Error: cannot use ", first, "Caused by: /etc/coracle/site.toml enforces it", "Hint: "],
        );
    }
    at_site(&w, "", "rmi --all --force").ok();
}

#[test]
fn its_modules_are_in_every_container() {
    need!("subid", "overlay", "images", "setpriv");
    let (w, _) = with_image();
    let modules = w.dir.join("site/coracle/modules.d");
    std::fs::create_dir_all(&modules).unwrap();
    std::fs::write(modules.join("a.yaml"), "name: apps\nenv: APPS\nbind: [/usr/share:/apps]\n").unwrap();
    std::fs::write(modules.join("b.yaml"), "name: more\nenv: MORE\n").unwrap();
    let rules = "modules = [\"apps\"]\n";
    let script = "ls /apps | grep -c -x doc; echo $APPS:$MORE";
    assert_eq!(at_site(&w, rules, "run --rm bb sh -c").arg(script).ok(), "1\n1:\n");
    assert_eq!(at_site(&w, rules, "run --rm --module more bb sh -c").arg(script).ok(), "1\n1:1\n");
    let info = at_site(&w, rules, "info").ok();
    assert!(info.contains("modules:\n") && info.contains("apps"), "{info}");
    // A user's own of the same name stands in its place.
    let own = w.dir.join("config/coracle/modules.d");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("x.yaml"), "name: more\nenv: MINE\n").unwrap();
    let out = at_site(&w, "", "run --rm --module more bb sh -c").arg("echo $MORE:$MINE").ok();
    assert_eq!(out, ":1\n");
    at_site(&w, "modules = [\"no-such\"]\n", "run --rm bb true").run().says(
        125,
        &["Error: there is no module no-such", "Caused by: ", "Hint: Take one that is there: apps, more"],
    );
    at_site(&w, "", "rmi --all --force").ok();
}

#[test]
fn only_images_of_its_list_are_used() {
    need!("subid", "overlay", "images", "registry", "setpriv");
    let (w, id) = with_image();
    let denied = |cmd: Cmd, name: &str| {
        cmd.run()
            .says(125, &["Error: cannot ", name, "Caused by: /etc/coracle/site.toml enforces it", "Hint: "])
    };
    let registry = World::reference("");
    let rules =
        format!("enforce = [\"images\"]\nimages = [\"{registry}config\", \"/apps/*.sqsh\", \"host:\"]\n");
    // From a registry.
    at_site(&w, &rules, "pull -q").arg(format!("{registry}config")).ok();
    let out = at_site(&w, &rules, "run --rm --user 0").args([&format!("{registry}config"), "id -u"]).ok();
    assert_eq!(out, "0\n");
    at_site(&w, &rules, "run --rm host: true").ok();
    denied(at_site(&w, &rules, "pull -q").arg(format!("{registry}busybox")), "busybox");
    denied(at_site(&w, &rules, "run --rm").arg(format!("{registry}busybox")).arg("true"), "busybox");
    // What is here already, under whatever name.
    denied(at_site(&w, &rules, "run --rm bb true"), "localhost/bb");
    denied(at_site(&w, &rules, &format!("run --rm {id} true")), "localhost/bb");
    denied(at_site(&w, &rules, "bundle bb").arg(w.dir.join("home/b")), "localhost/bb");
    denied(at_site(&w, &rules, "toolbox create -i bb box"), "localhost/bb");
    denied(at_site(&w, &rules, "tag bb").arg(format!("{registry}config:x")), "config:x");
    // Files, directories and archives.
    let layout = World::layout("busybox");
    denied(at_site(&w, &rules, "run --rm").args([&format!("oci:{layout}:latest"), "true"]), "oci:/");
    denied(
        at_site(&w, &rules, "run --rm --rootfs").args([w.dir.join("home").to_str().unwrap(), "true"]),
        "/home",
    );
    denied(at_site(&w, &rules, "load -i /dev/null"), "/dev/null");
    if crate::support::need::find("mksquashfs").is_some() {
        let file = w.dir.join("home/bb.sqsh");
        at_site(&w, &rules, "image squash bb").arg(&file).ok();
        denied(at_site(&w, &rules, "run --rm").arg(&file).arg("true"), "bb.sqsh");
    }
    // A list that is not enforced is advice.
    let advice = at_site(&w, "images = [\"docker.io/library/*\"]\n", "run --rm bb echo ran").run().exits(0);
    assert_eq!(advice.stdout, "ran\n");
    assert!(
        advice.stderr.contains("Warning: localhost/bb:latest is not one of the images that"),
        "{advice:?}"
    );
    at_site(&w, "", "rmi --all --force").ok();
}

/// What a name of the list means is the administrator's, too: not the user's registries.conf, and not who gave the name.
#[test]
fn a_name_of_its_list_is_what_was_pulled_by_it() {
    need!("subid", "overlay", "images", "registry", "setpriv");
    let (w, id) = with_image();
    let registry = World::reference("");
    let (good, other) = (format!("{registry}config"), format!("{registry}busybox"));
    let rules = format!("enforce = [\"images\"]\nimages = [\"{good}\"]\n");
    let denied = |cmd: Cmd, words: &[&str]| {
        let words = [&["Error: cannot "], words, &["/etc/coracle/site.toml enforces it", "Hint: "]].concat();
        cmd.run().says(125, &words)
    };
    let inside = |rules: &str| at_site(&w, rules, "run --rm --user 0").args([&good, "ls", "/srv"]).run();
    // The list's name leads to another image: by the user's word, before the list is enforced.
    let conf = w.dir.join("config/containers/registries.conf");
    std::fs::create_dir_all(conf.parent().unwrap()).unwrap();
    std::fs::write(&conf, format!("[[registry]]\nprefix = {good:?}\nlocation = {other:?}\n")).unwrap();
    at_site(&w, "", "pull -q").arg(&good).ok();
    assert!(at_site(&w, "", "images -q").arg(&good).ok().starts_with(&id[..12]));
    at_site(&w, "", "create --name old").args([&good, "true"]).ok();
    denied(at_site(&w, &rules, "run --rm").args([&good, "true"]), &[&other]);
    denied(at_site(&w, &rules, "start old"), &["start container old", &other]);
    at_site(&w, "", "start old").ok();
    // Pulled again, it is the list's.
    let pulled = at_site(&w, &rules, "pull -q").arg(&good).ok();
    assert_ne!(pulled.trim(), id);
    assert_eq!(inside(&rules).code, 0);
    denied(at_site(&w, &rules, "start old"), &["start container old"]);
    // A mirror is as much another place.
    std::fs::write(
        &conf,
        format!("[[registry]]\nprefix = {good:?}\n[[registry.mirror]]\nlocation = {other:?}\n"),
    )
    .unwrap();
    assert_eq!(at_site(&w, &rules, "pull -q").arg(&good).ok(), pulled);
    std::fs::remove_file(&conf).unwrap();
    // Nor does an image get the name without a pull.
    at_site(&w, "", "untag").arg(&good).ok();
    at_site(&w, "", "tag").args([&id, &good]).ok();
    denied(at_site(&w, &rules, "run --rm").args([&good, "true"]), &[]);
    denied(
        at_site(&w, &rules, "pull --tls-verify=false").arg(&good),
        &["pull without a check of certificates"],
    );
    at_site(&w, "", "rm old").ok();
    at_site(&w, "", "rmi --all --force").ok();
}

#[test]
fn a_file_that_cannot_be_used_lets_nothing_start() {
    need!("subid", "overlay", "images", "setpriv");
    let (w, _) = with_image();
    at_site(&w, "", "create --name c bb true").ok();
    for (rules, line, why) in [
        ("network = \"none\"\nimage = []\n", 2, "unknown field `image`"),
        ("enforce = [\"images\"]\n", 1, "`images` is enforced"),
        ("\nimages = \"all\"\n", 2, "invalid type"),
        ("images = [\n", 1, ""),
    ] {
        let words = [
            "Error: ",
            "this site's rules for containers",
            &format!("/etc/coracle/site.toml:{line}: "),
            why,
            "Hint: Ask the administrator to correct line",
        ];
        for command in
            ["run --rm bb true", "create bb true", "start c", "run --rm host: true", "toolbox create -i bb x"]
        {
            at_site(&w, rules, command).run().says(125, &words);
        }
        let info = at_site(&w, rules, "info").ok();
        assert!(
            info.contains(&format!("error: \"/etc/coracle/site.toml:{line}: "))
                || info.contains(&format!("site.toml:{line}: {why}")),
            "{info}"
        );
        let doctor = at_site(&w, rules, "doctor").run();
        assert!(
            doctor.stdout.contains(&format!("FAIL  site: /etc/coracle/site.toml:{line}: ")),
            "{doctor:?}"
        );
    }
    // One that is closed to the user says as little.
    use std::os::unix::fs::PermissionsExt;
    let file = w.dir.join("site/coracle/site.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o0)).unwrap();
    with_etc(&w, &w.dir.join("site"))
        .args(["run", "--rm", "bb", "true"])
        .run()
        .says(125, &["Error: ", "this site's rules", "Caused by: ", "EACCES", "Hint: ", "chmod 644"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    // What is there can be looked at and removed all the same.
    let broken = "image = []\n";
    assert!(at_site(&w, broken, "ps -a").ok().contains("localhost/bb"));
    at_site(&w, broken, "rm c").ok();
    at_site(&w, "", "rmi --all --force").ok();
}
