//! `volume`: create, ls, inspect, rm, prune.

use crate::need;
use crate::support::World;

#[test]
fn create_list_inspect_remove() {
    need!("subid");
    let w = World::new();
    assert_eq!(w.c("volume create --label tier=db v").ok(), "v\n");
    let anonymous = w.c("volume create").ok();
    assert_eq!(anonymous.trim().len(), 64);
    let list = w.c("volume ls").ok();
    assert!(list.starts_with("DRIVER") && list.contains("local"), "{list}");
    assert_eq!(w.c("volume ls -q --filter label=tier=db").ok(), "v\n");
    let all: serde_json::Value = serde_json::from_str(&w.c("volume inspect v").ok()).unwrap();
    assert_eq!(all[0]["Name"], "v");
    assert_eq!(all[0]["Labels"]["tier"], "db");
    assert!(std::path::Path::new(all[0]["Mountpoint"].as_str().unwrap()).is_dir());
    w.c("volume create v").run().says(125, &["Error: ", "exists", "Hint: "]);
    w.c("volume exists v").ok();
    assert_eq!(w.c("volume rm v").ok(), "v\n");
    w.c("volume exists v").run().exits(1);
    w.c("volume rm v").run().says(1, &["Error: ", "v"]);
    w.c("volume inspect v").run().says(125, &["Error: ", "v"]);
    for bad in ["../x", "a/b", ".x", "-x", "a b"] {
        w.c("volume create --").arg(bad).run().exits(125);
    }
    assert!(!w.dir.join("data/x").exists());
}

#[test]
fn in_use_and_prune() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.c("create --name c -v used:/data bb true").ok();
    w.c("volume create idle").ok();
    w.c("volume rm used").run().says(2, &["Error: ", "in use", "Hint: "]);
    assert_eq!(w.c("volume prune -f").ok().trim(), "idle");
    assert_eq!(w.c("volume ls -q").ok(), "used\n");
    // rm -v takes anonymous ones only.
    w.c("rm -v c").ok();
    assert_eq!(w.c("volume ls -q").ok(), "used\n");
    w.c("volume rm used").ok();
}

#[test]
fn what_root_and_others_wrote_is_removed() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.script(
        "-v v:/data bb",
        "mkdir -p /data/a/b; chown -R 1000:1000 /data/a; chmod 000 /data/a/b; touch /data/.x",
    )
    .ok();
    w.c("volume rm v").ok();
    assert!(!w.dir.join("data/coracle/volumes/v").exists());
}

#[test]
fn a_new_volume_belongs_to_the_containers_user() {
    need!("subid", "registry");
    let w = World::with_busybox();
    assert_eq!(w.run("-u 1000:10 -v a:/nowhere bb stat -c %u:%g /nowhere").ok(), "1000:10\n");
    w.run("-u 1000:10 -v a:/nowhere bb touch /nowhere/f").ok();
    // Where the image has a directory, that one's owner and mode count.
    assert_eq!(w.run("-u 1000 -v b:/tmp bb stat -c %u:%a /tmp").ok(), "0:1777\n");
    // The second user changes nothing.
    assert_eq!(w.run("-v a:/x bb stat -c %u:%g /x").ok(), "1000:10\n");
}

#[test]
fn the_option_u_is_refused_and_its_hint_works() {
    need!("subid", "registry");
    let w = World::with_busybox();
    for mount in ["-v v:/d:U", "--mount type=volume,src=v,dst=/d,U=true", "--tmpfs /d:U"] {
        w.run(&format!("{mount} bb true"))
            .run()
            .says(125, &["Error: ", "option U", "not supported", "Hint: "]);
    }
    assert_eq!(w.c("volume ls -q").ok(), "");
    let dir = w.dir.join("shared");
    std::fs::create_dir(&dir).unwrap();
    let dir = dir.to_str().unwrap();
    std::fs::write(format!("{dir}/f"), "x").unwrap();
    w.c(&format!("unshare chown -R 1000:1000 {dir}")).ok();
    let line = format!("-u 1000:1000 -v {dir}:/d --mount type=volume,dst=/v,U=false bb");
    assert_eq!(w.script(&line, "echo y >>/d/f; stat -c %u:%g /d /d/f /v").ok(), "1000:1000\n".repeat(3));
    // Not the test's to remove otherwise.
    w.c(&format!("unshare rm -r {dir}")).ok();
}

#[test]
fn shared_by_containers() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("writer", "-v v:/data bb sleep 1000");
    w.start("reader", "-v v:/data:ro bb sleep 1000");
    w.c("exec writer sh -c").arg("echo seen >/data/f").ok();
    assert_eq!(w.c("exec reader cat /data/f").ok(), "seen\n");
    w.c("exec reader touch /data/g").run().exits(1);
}
