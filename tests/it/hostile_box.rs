//! A box whose files are made to start something on the host.

use crate::need;
use crate::support::World;

/// What is exported of a box starts its programs in it, however its menu entries and programs are written and called.
#[test]
fn what_is_exported_starts_nothing_on_the_host() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    w.c("toolbox create -i bb --home own b").ok();
    let touched = w.dir.join("touched");
    let touch = format!("touch {}", touched.display());
    let in_box = |script: &str, word: &str, stdin: &str| {
        w.c("toolbox run b sudo sh -c").args([script, "sh", word]).stdin(stdin).ok();
    };
    let write = "mkdir -p /usr/share/applications /opt; cat >/usr/share/applications/\"$1\"";
    let evil = format!(
        "[Desktop Entry]\nType=Application\nName=Evil\n Exec={touch}\nExec[$e]={touch}\nX-Exec={touch}\n\
         Icon[$e]=$({touch})\nExec=echo a; {touch}; `{touch}` \"b  c\" 'd $({touch})'\n[Other]\nExec={touch}\n"
    );
    in_box(write, "evil.desktop", &evil);
    let entry = w.c("toolbox export b Evil").ok();
    let text = std::fs::read_to_string(entry.trim_end()).unwrap();
    let lines = |key: &str| text.lines().filter(|line| line.contains(key)).collect::<Vec<_>>();
    let launcher = w.dir.join("data/coracle-boxes/b");
    let expected = format!(
        "Exec=\"{}\" echo \"a;\" touch \"{1};\" \"\\\\`touch\" \"{1}\\\\`\" \"b  c\" \"d \\\\$({touch})\"",
        launcher.display(),
        touched.display(),
    );
    // The first is another program of the box's, by an indented line.
    let first = format!("Exec=\"{}\" {touch}", launcher.display());
    assert_eq!(lines("Exec"), [&first, &expected], "{text}");
    assert!(lines("Icon").is_empty() && lines("Other").is_empty(), "{text}");
    // As a desktop does that leaves it to a shell.
    let typed = expected.strip_prefix("Exec=").unwrap().replace("\\\\", "\\");
    let said = w.tool("sh").arg("-c").arg(typed).run();
    assert!(said.stdout.starts_with("a; touch ") && said.stdout.contains("b  c d $(touch"), "{said:?}");
    assert!(!touched.exists(), "{said:?}");
    // Names are part of what is written.
    in_box(write, "x\nExec=touch hit\n.desktop", "[Desktop Entry]\nName=Named\n");
    w.c("toolbox export b Named").run().says(125, &["Error: box b has no application Named", "Hint: "]);
    in_box(write, "broken.desktop", "[Desktop Entry]\nName=Broken\nExec=a \"b\n");
    w.c("toolbox export b Broken").run().says(
        125,
        &["Error: cannot export Broken of box b", "Caused by: ", "broken.desktop", "Hint: ", "--bin"],
    );
    let program = format!("/opt/x\n{touch}");
    in_box("mkdir -p \"${1%/*}\"; cat >\"$1\"; chmod 755 \"$1\"", &program, "#!/bin/sh\n");
    w.c("toolbox export --bin b")
        .arg(&program)
        .run()
        .says(125, &["Error: box b has no program /opt/x", "Hint: "]);
}
