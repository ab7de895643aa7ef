//! `coracle toolbox upgrade`, `rebase` and `rollback`: boxes that grow older.

use crate::need;
use crate::support::apt::{Repository, derive};
use crate::support::registry::{Entry, tar_of};
use crate::support::{World, wait_for};
use std::path::Path;

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
    wait_for("the new box", || w.names().len() == 2);
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
    w.c("toolbox upgrade b").run().says(
        100,
        &["Error: cannot upgrade box b", "Caused by:", "apt-get -o", "exit code 100", "Hint: Put right"],
    );
    assert_eq!(w.status("b"), "running");
    w.pull("busybox", "bb");
    w.c("toolbox create -i bb none").ok();
    w.c("toolbox upgrade none")
        .run()
        .says(125, &["Error: cannot upgrade box none", "box none has no package manager"]);
    w.c("toolbox upgrade").run().says(125, &["Error: there is more than one box", "Hint: "]);
    w.c("toolbox upgrade nobody").run().says(125, &["Error: no box \"nobody\""]);
}

/// The fixture without its list of dpkg's, as a distribution that has rpm alone, with these files.
fn of_rpm(w: &World, name: &str, files: &[Entry<'_>]) {
    let mut all = vec![Entry::file("var/lib/dpkg/.wh.status", b"")];
    all.extend(files.iter().cloned());
    let dir = w.dir.join("home").join(format!("image-{name}"));
    derive(Path::new(&World::layout("managers")), &dir, &tar_of(&all), serde_json::json!({}));
    let id = w.c("pull -q").arg(format!("oci:{}", dir.display())).ok();
    w.c("tag").arg(id.trim()).arg(name).ok();
}

/// Builds a package and installs it; `how` is -i or -U.
fn rpm(w: &World, name: &str, package: &str, version: &str, how: &str) {
    let script = format!(
        "set -e; cd /root; printf 'Name: {package}\nVersion: {version}\nRelease: 1\nSummary: x\nLicense: x\n\
         BuildArch: noarch\n%%description\nx\n%%files\n' >{package}.spec
         rpmbuild --quiet --define '_topdir /root/b' -bb {package}.spec >&2
         rpm --nodeps {how} b/RPMS/noarch/{package}-{version}-1.noarch.rpm"
    );
    w.c("toolbox run").args([name, "sudo", "sh", "-c", &script]).run().exits(0);
}

#[test]
fn packages_that_rpm_knows() {
    need!("subid", "registry", "fuse-overlayfs");
    let w = World::new();
    of_rpm(&w, "plain", &[]);
    w.c("toolbox create -i plain a").ok();
    assert_eq!(w.c("toolbox diff a").ok(), "");
    rpm(&w, "a", "base", "1", "-i");
    rpm(&w, "a", "gone", "1", "-i");
    assert_eq!(w.c("toolbox diff a").ok(), "added base 1-1\nadded gone 1-1\n");
    // An image that has packages: with the database that is there now.
    w.c("cp a:/var/lib/rpm/rpmdb.sqlite").arg(w.dir.join("home/rpmdb")).ok();
    let database = std::fs::read(w.dir.join("home/rpmdb")).unwrap();
    of_rpm(&w, "full", &[Entry::file("var/lib/rpm/rpmdb.sqlite", &database)]);
    w.c("toolbox create -i full b").ok();
    assert_eq!(w.c("toolbox diff b").ok(), "");
    rpm(&w, "b", "base", "2", "-U");
    rpm(&w, "b", "story", "1", "-i");
    w.c("toolbox run b sudo rpm -e gone").ok();
    assert_eq!(w.c("toolbox diff b").ok(), "changed base 1-1 -> 2-1\nadded story 1-1\nremoved gone 1-1\n");
    // Nothing is left of the question.
    let left = "ls -d /tmp/tmp.* 2>/dev/null | xargs -r ls | grep -c rpmdb";
    assert_eq!(w.c("toolbox run b sh -c").arg(left).run().stdout, "0\n");
    w.c("toolbox run b sudo sh -c").arg("echo '#!/bin/sh\nexit 3' >/usr/bin/rpm").ok();
    w.c("toolbox diff b").run().says(
        125,
        &[
            "Error: cannot tell the packages of box b",
            "Caused by: its rpm ended with exit code 3",
            "Hint: Ask it: `coracle toolbox run b rpm -qa`.",
        ],
    );
}

#[test]
fn a_full_disk_in_the_middle_of_an_upgrade_leaves_the_way_back() {
    need!("registry", "setpriv");
    let (w, _old, mut new) = world();
    let script = format!(
        "for v in v1 v2; do c tag $(c pull -q oci:{home}/image-$v 2>/dev/null) $v; done
         c toolbox create -i v1 b
         c toolbox run b sudo sh -c 'apt-get -qq update; apt-get -qq -y install story' >/dev/null 2>&1
         c toolbox stop b; c toolbox rebase --image v2 b 2>/dev/null; c toolbox run b story
         touch {home}/ready; until test -e {home}/go; do sleep 0.1; done; mount -o remount,size=$(($(used) + 8192))k $D
         c toolbox upgrade b; echo upgrade $? >&2
         c toolbox rollback b || {{ room; c toolbox rollback b; }}; c ps --all --format '{{{{.Names}}}}' | sort
         room; c toolbox run b story; c rm --all --force --time 0 >/dev/null; c system check",
        home = w.dir.join("home").display(),
    );
    let half = crate::resilience::on_a_small_disk(&w, &script).spawn();
    wait_for("the rebased box", || w.dir.join("home/ready").exists());
    new.add("story", "3", "lib2", "cat /dev/zero >/var/fill");
    std::fs::write(w.dir.join("home/go"), "").unwrap();
    let out = half.wait();
    let words = [
        "No space left on device",
        "Error: cannot upgrade box b",
        "exit code 100",
        "Hint: Put right what it says",
        "coracle toolbox rollback b",
        "upgrade 100\n",
    ];
    let out = out.says(0, &words);
    assert_eq!(out.stdout, "b\nb\nb\nstory 2\nb\nb\nb.old\nstory 1\nno problems found\n", "{out:#?}");
}
