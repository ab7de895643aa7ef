//! Images and containers as archives: `load`, `export`, and what an image is made of (`history`).

use crate::need;
use crate::support::World;

#[test]
fn load_what_others_saved() {
    need!("subid", "images", "skopeo");
    let w = World::new();
    let layout = World::layout("busybox");
    for kind in ["oci-archive", "docker-archive"] {
        let file = w.dir.join("home").join(kind);
        let name = format!("example.com/{kind}:v1");
        w.tool("skopeo")
            .args(["--insecure-policy", "copy", "-q"])
            .args([format!("oci:{layout}:latest"), format!("{kind}:{}:{name}", file.display())])
            .ok();
        let said = format!("Loaded image: {name}\n");
        assert_eq!(w.c("load -q -i").arg(&file).ok(), said);
        assert_eq!(w.run("").args([&name, "echo", kind]).ok(), format!("{kind}\n"));
        // From a pipe, compressed.
        let piped = w.sh(&format!("gzip -c {} | $C load -q", file.display())).ok();
        assert_eq!(piped, said);
        assert_eq!(w.sh(&format!("$C image load --quiet <{}", file.display())).ok(), said);
    }
    w.c("load -i /nonexistent").run().says(125, &["Error: cannot load /nonexistent"]);
    w.c("load -q -i /etc/passwd").run().says(125, &["Error: cannot load /etc/passwd"]);
    w.c("load -q").stdin("no archive").run().says(125, &["Error: cannot load the archive on stdin"]);
    let t = w.terminal("load");
    assert_eq!(t.wait().0, 125);
}

#[test]
fn export_is_the_root_file_system_alone() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let make = "mkdir -p /made/private; echo kept >/made/f; chown 1000:1000 /made/f; chmod 700 /made/private; \
                rm -rf /home/user; echo volume >/data/v; echo memory >/tmp/t; echo up; exec sleep 1000";
    w.c("run -d --name e --network none -v vol:/data --tmpfs /tmp bb sh -c").arg(make).ok();
    w.wait_log("e", "up");
    let file = w.dir.join("home/e.tar");
    w.c("export -o").arg(&file).arg("e").ok();
    let running = listing(&w, &file);
    w.c("kill e").ok();
    w.c("wait e").ok();
    w.sh(&format!("$C container export e >{}", file.display())).ok();
    let stopped = listing(&w, &file);
    for list in [&running, &stopped] {
        let has = |entry: &str| list.iter().any(|line| line == entry);
        assert!(has("-rw-r--r-- 1000/1000 5 made/f"), "{list:#?}");
        assert!(has("drwx------ 0/0 0 made/private/"), "{list:#?}");
        assert!(has("drwxr-xr-x 0/0 0 proc/"), "a mount point is root's and empty: {list:#?}");
        let under = |dir: &str| {
            list.iter().any(|l| l.split(' ').nth(3).is_some_and(|p| p.starts_with(dir) && p != dir))
        };
        assert!(!under("proc/") && !under("data/") && !under("tmp/") && !under("home/user"), "{list:#?}");
    }
    w.c("export nobody").run().says(125, &["Error: ", "nobody"]);
    w.c("export -o /nonexistent/f e").run().says(125, &["Error: cannot export container e"]);
}

/// Mode, owner, size and name of every entry; symlinks without their targets.
fn listing(w: &World, file: &std::path::Path) -> Vec<String> {
    let text = w.tool("tar").args(["--numeric-owner", "-tvf"]).arg(file).ok();
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let size = if words[0].starts_with('d') { "0" } else { words[2] };
            let mode = words[0];
            // The kernel's /proc is r-x for all.
            let mode = if words[5] == "proc/" { "drwxr-xr-x" } else { mode };
            format!("{mode} {} {size} {}", words[1], words[5])
        })
        .collect();
    lines.retain(|line| !line.contains(" bin/") || line.ends_with(" bin/"));
    lines.sort();
    lines
}

#[test]
fn history_names_every_step() {
    need!("subid", "registry");
    let w = World::new();
    w.pull("layers", "l");
    let text = w.c("history l").ok();
    assert!(text.starts_with("ID            CREATED"), "{text}");
    assert!(text.contains("<missing>") && text.contains("tests/images/make"), "{text}");
    let all: serde_json::Value = serde_json::from_str(&w.c("image history --format json l").ok()).unwrap();
    let all = all.as_array().unwrap();
    assert_eq!(text.lines().count(), all.len() + 1);
    let id = w.c("image inspect --format {{.Id}} l").ok();
    assert_eq!(all[0]["id"].as_str().unwrap(), id.trim());
    assert_eq!(w.c("history --no-trunc -q l").ok().lines().next().unwrap(), id.trim());
    let sum: u64 = all.iter().map(|step| step["size"].as_u64().unwrap()).sum();
    assert_eq!(w.c("image inspect --format {{.Size}} l").ok().trim(), sum.to_string());
    w.c("history nosuch").run().says(125, &["Error: nosuch: image not known"]);
}
