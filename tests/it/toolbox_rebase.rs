//! `coracle toolbox upgrade`, `rebase` and `rollback`: boxes that grow older.

use crate::need;
use crate::support::World;
use crate::support::apt::Repository;

/// Two repositories and images of the same distribution, `v1` and `v2`. In both `story` needs another library.
fn world() -> (World, Repository, Repository) {
    let w = World::new();
    let (mut old, mut new) = (Repository::new(&w, "one"), Repository::new(&w, "two"));
    old.add("lib1", "1", "", "");
    old.add("story", "1", "lib1", "");
    old.add("gone", "1", "", "");
    new.add("lib2", "2", "", "");
    new.add("story", "2", "lib2", "");
    old.image(&w, "v1");
    new.image(&w, "v2");
    (w, old, new)
}

fn install(w: &World, name: &str, packages: &str) {
    let line = format!("sudo sh -c 'apt-get -qq update; apt-get -qq -y install {packages}'");
    w.c("toolbox run").args([name, "sh", "-c", &line]).run().exits(0);
}

#[test]
fn a_newer_image_with_the_packages_that_were_added() {
    need!("subid", "registry", "fuse-overlayfs");
    let (w, _old, _new) = world();
    w.c("toolbox create -i v1 --home own b").ok();
    install(&w, "b", "story");
    w.c("toolbox run b sh -c").arg("echo kept >~/kept; sudo touch /etc/mine").ok();
    w.c("toolbox stop b").ok();
    let rebased = w.c("toolbox rebase --image v2").run();
    assert_eq!((rebased.code, rebased.stdout.as_str()), (0, "b\n"), "{rebased:#?}");
    assert_eq!(w.names(), ["b", "b.old"]);
    assert_eq!((w.status("b"), w.status("b.old")), ("exited".to_owned(), "exited".to_owned()));
    // One does not name it: the former box is not one that one means.
    let all = "cat /etc/story; story; cat ~/kept; hostname; ls /etc/mine";
    let seen = w.c("toolbox enter -- sh -c").arg(all).run();
    assert_eq!(seen.stdout, "v2\nstory 2\nkept\nb\n", "{seen:#?}");
    // What it needs came along, and is not taken for asked for.
    assert_eq!(w.c("toolbox diff b").ok(), "added lib2 2\nadded story 2\n");
    w.c("toolbox run b sh -c").arg("echo more >>~/kept").ok();
    assert_eq!(w.c("toolbox rollback").ok(), "b\n");
    assert_eq!(w.names(), ["b", "b.old"]);
    let seen = w.c("toolbox run b sh -c").arg(all).run();
    assert_eq!(seen.stdout, "v1\nstory 1\nkept\nmore\nb\n/etc/mine\n", "{seen:#?}");
    // Forward again, and once more: the box before the former one goes.
    w.c("toolbox rollback b").ok();
    assert_eq!(w.c("toolbox run b sh -c").arg("story; cat ~/kept").ok(), "story 2\nkept\nmore\n");
    w.c("toolbox rebase --image v2 b").ok();
    assert_eq!(w.names(), ["b", "b.old"]);
    assert_eq!(w.c("toolbox run b.old cat /etc/story").ok(), "v2\n");
    w.c("toolbox rebase b.old").run().says(125, &["Error: cannot rebase box b.old", "Caused by: ", "Hint: "]);
    // Nobody has the name, as after a rebase that was killed at its end. It is no other box that is meant, whose id begins so.
    w.c("rename b other").ok();
    let name = w.get("other", "/Id").as_str().unwrap()[..6].to_owned();
    w.c("rename b.old").arg(format!("{name}.old")).ok();
    assert_eq!(w.c("toolbox rollback").arg(&name).ok(), format!("{name}\n"));
    assert_eq!(w.names(), [name.as_str(), "other"]);
    let cannot = format!("Error: cannot go back to the former box of {name}");
    w.c("toolbox rollback").arg(&name).run().says(125, &[&cannot, "Caused by: ", "Hint: "]);
}

#[test]
fn a_rebase_that_fails_leaves_the_box_as_it_was() {
    need!("subid", "registry", "fuse-overlayfs");
    let (w, _old, mut new) = world();
    w.c("toolbox create -i v1 b").ok();
    install(&w, "b", "story gone");
    w.c("toolbox run b sudo touch /etc/mine").ok();
    let pid = w.pid("b");
    let is_as_it_was = || {
        assert_eq!(w.names(), ["b"]);
        assert_eq!(w.pid("b"), pid);
        assert_eq!(
            w.c("toolbox run b sh -c").arg("story; gone; ls /etc/mine").ok(),
            "story 1\ngone 1\n/etc/mine\n"
        );
    };
    // A package that is no more.
    w.c("toolbox rebase -i v2 b").run().says(
        100,
        &[
            "Unable to locate package gone",
            "Error: cannot rebase box b",
            "exit code 100",
            "Hint: The box is as it was.",
            "--without PACKAGE",
        ],
    );
    is_as_it_was();
    // A disk that is full in the middle of it.
    new.add("gone", "2", "", "dd if=/dev/zero of=/dev/full count=1");
    w.c("toolbox rebase -i v2 b")
        .run()
        .says(100, &["No space left on device", "Error: cannot rebase box b", "Hint: "]);
    is_as_it_was();
    // A network that is gone: no image, no packages.
    w.c("toolbox rebase -i 127.0.0.1:1/none b")
        .run()
        .says(125, &["Error: cannot pull 127.0.0.1:1/none", "Connection refused", "Hint: "]);
    is_as_it_was();
    let away = w.dir.join("home/away");
    std::fs::rename(w.dir.join("home/two"), &away).unwrap();
    w.c("toolbox rebase -i v2 b")
        .run()
        .says(100, &["Error: cannot rebase box b", "apt-get", "exit code 100"]);
    is_as_it_was();
    std::fs::rename(&away, w.dir.join("home/two")).unwrap();
    // Killed in the middle: the next one removes what is left.
    new.add("gone", "3", "", "sleep 1000");
    let half = w.c("toolbox rebase -i v2 b").spawn();
    crate::support::wait_for("the new box", || w.names().len() == 2);
    w.tool("kill").args(["-KILL", &half.inner_pid().to_string()]).ok();
    half.wait();
    w.c("toolbox rebase -i v2 --without gone b").ok();
    assert_eq!(w.names(), ["b", "b.old"]);
    assert_eq!(w.c("toolbox run b story").ok(), "story 2\n");
    // It was in use, and goes on.
    assert_eq!(w.pid("b.old"), pid);
    // The name that it needs is another's.
    w.c("toolbox rm --force b.old").ok();
    w.start("b.new", "v1 sleep 1000");
    w.c("toolbox rebase -i v2 b")
        .run()
        .says(125, &["Error: cannot rebase box b", "\"b.new\" is in use", "coracle rename b.new"]);
}

#[test]
fn packages_brought_up_to_date() {
    need!("subid", "registry", "fuse-overlayfs");
    let (w, mut old, _new) = world();
    w.c("toolbox create -i v1 b").ok();
    w.c("toolbox create -i v1 c").ok();
    install(&w, "b", "story");
    w.c("toolbox stop b").ok();
    old.add("lib1", "1.1", "", "");
    old.add("story", "1.1", "lib1", "");
    assert_eq!(w.c("toolbox upgrade --all").ok(), "b\nc\n");
    // Not one that ran before.
    assert_eq!((w.status("b"), w.status("c")), ("exited".to_owned(), "exited".to_owned()));
    assert_eq!(w.c("toolbox run b sh -c").arg("story; lib1").ok(), "story 1.1\nlib1 1.1\n");
    // A repository that is away is a failure, and the exit code apt's.
    std::fs::rename(w.dir.join("home/one"), w.dir.join("home/away")).unwrap();
    w.c("toolbox upgrade b")
        .run()
        .says(100, &["Error: cannot upgrade box b", "Caused by:", "apt-get -o", "exit code 100"]);
    assert_eq!(w.status("b"), "running");
    w.pull("busybox", "bb");
    w.c("toolbox create -i bb none").ok();
    w.c("toolbox upgrade none")
        .run()
        .says(125, &["Error: cannot upgrade box none", "box none has no package manager"]);
    w.c("toolbox upgrade").run().says(125, &["Error: there is more than one box", "Hint: "]);
    w.c("toolbox upgrade nobody").run().says(125, &["Error: no box \"nobody\""]);
}
