//! `coracle toolbox assemble`: boxes that a file declares.

use crate::need;
use crate::support::World;
use crate::support::apt::Repository;

/// Writes a file into the home, from which the commands are said.
fn write(w: &World, name: &str, text: &str) {
    std::fs::create_dir_all(w.dir.join("home")).unwrap();
    std::fs::write(w.dir.join("home").join(name), text).unwrap();
}

fn assemble(w: &World, line: &str) -> crate::support::Cmd {
    w.c("toolbox assemble").args(line.split_whitespace()).cwd(&w.dir.join("home"))
}

#[test]
fn the_boxes_of_a_distrobox_manifest() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    std::fs::create_dir_all(w.dir.join("home/shared")).unwrap();
    write(
        &w,
        "distrobox.ini",
        "# two boxes\n[one]\nimage=bb # the small one\nvolume=\"~/shared:/srv/shared\"\ninit_hooks=\"echo made >/etc/made\"\n\
         init_hooks=id -u >>/etc/made;\nstart_now=true\nexported_bins=/bin/ls\nroot=false\n\n\
         [two]\ninclude=one\nhome=own\nstart_now=false\nexported_bins_path=\"~/.local/bin\"\n",
    );
    assert_eq!(assemble(&w, "create --name one").ok(), "one\n");
    assert_eq!(w.status("one"), "running");
    assert_eq!(w.c("toolbox run one cat /etc/made").ok(), "made\n0\n");
    w.c("toolbox run one touch /srv/shared/seen").ok();
    assert!(w.dir.join("home/shared/seen").exists());
    let script = w.dir.join("home/.local/bin/ls");
    assert_eq!(w.tool("sh").args(["-c", "\"$0\" -d /usr"]).arg(&script).ok(), "/usr\n");
    // What is there is left as it is, and the rest is made.
    w.c("toolbox run one sudo touch /etc/mine").ok();
    std::fs::remove_file(&script).unwrap();
    let again = assemble(&w, "").run();
    assert_eq!((again.code, again.stdout.as_str()), (0, "two\n"), "{again:#?}");
    assert!(
        again.stderr.contains("Warning: box one is there already; --replace makes it anew"),
        "{again:#?}"
    );
    w.c("toolbox run one test -e /etc/mine").ok();
    assert_eq!(w.status("two"), "exited");
    // Replaced: what was in it is gone, what was in its own home is not.
    w.c("toolbox run two sh -c").arg("echo kept >~/kept; sudo touch /etc/mine").ok();
    assert_eq!(assemble(&w, "create --replace --file distrobox.ini -n two").ok(), "two\n");
    assert_eq!(
        w.c("toolbox run two sh -c").arg("cat ~/kept; cat /etc/hostname; ls /etc/mine").run().stdout,
        "kept\ntwo\n"
    );
    assert_eq!(w.names(), ["one", "two"]);
    assert_eq!(assemble(&w, "rm").ok(), "one\ntwo\n");
    assert!(w.names().is_empty());
    assert_eq!(assemble(&w, "rm").ok(), "");
}

#[test]
fn packages_and_our_own_file() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::new();
    let mut repository = Repository::new(&w, "repository");
    repository.add("needed", "1", "", "");
    repository.add("story", "1", "needed", "");
    repository.image(&w, "deb");
    write(
        &w,
        "toolbox.toml",
        "[dev]\nimage = \"deb\"\npackages = [\"story\"]\nsetup-before = [\"test ! -e /usr/bin/story\"]\n\
         setup = [\"story >/etc/found\"]\nexport-bin = [\"story\"]\n\n\
         [lone]\nimage = \"deb\"\nisolate = true\n",
    );
    let made = assemble(&w, "create").run();
    assert_eq!((made.code, made.stdout.lines().last()), (0, Some("lone")), "{made:#?}");
    assert!(made.stdout.starts_with("dev\n"), "{made:#?}");
    assert_eq!(w.c("toolbox run dev cat /etc/found").ok(), "story 1\n");
    let script = w.dir.join("home/.local/bin/story");
    assert_eq!(w.tool("sh").arg("-c").arg("\"$0\"").arg(&script).ok(), "story 1\n");
    w.c("toolbox run lone test -e /run/host").run().exits(1);

    // A box that cannot be completed is not left half made, nor does it keep the others from being made.
    write(
        &w,
        "bad.toml",
        "[a]\nimage = \"deb\"\npackages = [\"no-such-package\"]\n[b]\nimage = \"deb\"\n[dev]\nimage = \"deb\"\nreplace = true\n\
         setup = [\"exit 3\"]\n",
    );
    let bad = assemble(&w, "create bad.toml").run();
    assert_eq!(bad.stdout, "b\n", "{bad:#?}");
    bad.says(
        125,
        &[
            "Error: cannot assemble box a",
            "apt-get -y install -- no-such-package` failed",
            "exit code 100",
            "Hint: No half-made box is left",
            "Error: cannot assemble box dev",
            "a script of its setup failed: \"exit 3\"",
            "exit code 3",
        ],
    );
    assert_eq!(w.names(), ["b", "dev", "lone"]);
    assert_eq!(w.c("toolbox run dev story").ok(), "story 1\n");
}

#[test]
fn files_that_cannot_be_assembled() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::with_busybox();
    write(&w, "note", "");
    assemble(&w, "").run().says(125, &["Error: no file with boxes given", "toolbox.toml", "Hint: "]);
    assemble(&w, "rm gone.ini").run().says(125, &["Error: cannot read boxes from gone.ini", "ENOENT"]);
    assemble(&w, "create a b").run().says(125, &["Error: more than one file", "Hint: "]);
    for (text, words) in [
        ("", ["no box is declared", "[dev]"]),
        ("[a]\nimage=bb\nroot=true\n", ["line 3: root=true is not supported", "Leave the line out"]),
        ("[a]\nimage=bb\ncolour=red\n", ["line 3: there is no key \"colour\"", "additional_packages"]),
        ("[a]\nimage=bb\nunshare_all=true\n", ["line 3: unshare_all=true", "isolate = true"]),
        ("[a]\npull=true\n", ["box a has no image", "image=debian"]),
        ("[a]\nimage=bb\nadditional_packages=--force\n", ["\"--force\" of box a is not", "Leave it out"]),
        ("[a]\nimage=bb\nvolume=x/y:/z\n", [": box a\n", "--volume"]),
        ("[../a]\nimage=bb\n", [": box ../a\n", "invalid container name"]),
    ] {
        write(&w, "distrobox.ini", text);
        let all: Vec<&str> = ["Error: cannot read boxes from "].into_iter().chain(words).collect();
        assemble(&w, "").run().says(125, &all);
        assert!(w.names().is_empty());
    }
    for (text, words) in [
        ("[a]\nimage = \"bb\"\ncolour = 1\n", ["line 3: unknown field `colour`", "setup-before"]),
        ("[a]\nimage = \"bb\"\nrelease = \"1\"\n", ["has an image and a distribution", "Hint: Leave one"]),
        ("[a]\nimage = \"bb\"\nhome = \"none\"\n", [": box a\n", "--home own"]),
        ("[a]\ndistro = \"beos\"\nrelease = \"5\"\n", [": box a\n", "none of alpine"]),
    ] {
        write(&w, "x.toml", text);
        let all: Vec<&str> = ["Error: cannot read boxes from x.toml"].into_iter().chain(words).collect();
        assemble(&w, "x.toml").run().says(125, &all);
    }
    write(
        &w,
        "x.toml",
        "[a]\nimage = \"bb\"\npackages = [\"git\"]\n[plain]\nimage = \"bb\"\n\
         [q]\nimage = \"127.0.0.1:1/none\"\n",
    );
    assemble(&w, "-n c x.toml").run().says(125, &["Error: no box \"c\" in x.toml", "There are a, plain, q"]);
    w.start("plain", "bb sleep 1000");
    assemble(&w, "x.toml").run().says(
        125,
        &[
            "Error: cannot assemble box a",
            "box a has no package manager",
            "apt-get, apk, dnf",
            "Hint: Make the box from an image of a distribution.",
            "Error: cannot assemble box plain",
            "container plain is not a box",
            "Error: cannot pull 127.0.0.1:1/none",
        ],
    );
    assemble(&w, "rm x.toml").run().says(125, &["Error: container plain is not a box"]);
    assert_eq!(w.names(), ["plain"]);
}
