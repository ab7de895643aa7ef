//! Boxes that grow older by the package managers that are not apt: dnf, zypper and pacman. The same story for each.

use crate::need;
use crate::support::World;
use crate::support::managers::{Distribution, Manager};

/// What a manager says, and ends with.
struct Words {
    /// A repository is away.
    away: (u8, &'static str),
    /// A package is in no repository.
    unknown: (u8, &'static str),
}

fn grows_older<'w>(w: &'w World, manager: Manager, words: &Words) -> Distribution<'w> {
    let d = Distribution::new(w, manager);
    let old = [("base", "1", ""), ("lib1", "1", ""), ("story", "1", "lib1"), ("gone", "1", "")];
    let later = [("base", "1.1", ""), ("lib1", "1.1", ""), ("story", "1.1", "lib1"), ("gone", "1", "")];
    d.publish("one", &old);
    d.publish("two", &[("base", "2", ""), ("lib2", "2", ""), ("story", "2", "lib2")]);
    d.image("v1", "one", "1");
    d.image("v2", "two", "2");
    w.c("toolbox create -i v1 b").ok();
    assert_eq!(w.c("toolbox diff b").ok(), "");
    w.c("toolbox run b sh -c").arg(d.install("story gone")).run().exits(0);
    assert_eq!(w.c("toolbox diff b").ok(), "added gone 1-1\nadded lib1 1-1\nadded story 1-1\n");
    // Up to date, though the lists of a moment ago are there.
    w.c("stop --time 0 b").ok();
    d.publish("one", &later);
    let upgraded = w.c("toolbox upgrade b").run();
    assert_eq!((upgraded.code, upgraded.stdout.as_str()), (0, "b\n"), "{upgraded:#?}");
    assert_eq!(w.status("b"), "exited");
    let newer = "changed base 1-1 -> 1.1-1\nadded gone 1-1\nadded lib1 1.1-1\nadded story 1.1-1\n";
    assert_eq!(w.c("toolbox diff b").ok(), newer, "{upgraded:#?}");
    let all = "cat /etc/story; base; story; gone; lib1";
    let as_it_was = "v1\nbase 1.1\nstory 1.1\ngone 1\nlib1 1.1\n";
    let seen = || w.c("toolbox run b sh -c").arg(all).run().stdout;
    assert_eq!(seen(), as_it_was);
    // Not up to date, where a repository is away.
    d.take_away("one", true);
    let (code, says) = words.away;
    w.c("toolbox upgrade b").run().says(
        code.into(),
        &[
            says,
            "Error: cannot upgrade box b",
            "Caused by:",
            &format!("exit code {code}"),
            "Hint: Put right what it says",
        ],
    );
    d.take_away("one", false);
    // A package that is no more: the box stays.
    let (code, says) = words.unknown;
    let pid = w.pid("b");
    let hint = "Hint: The box is as it was. A package that is no more can be left out: `--without PACKAGE`";
    w.c("toolbox rebase -i v2 b")
        .run()
        .says(code.into(), &[says, "Error: cannot rebase box b", &format!("exit code {code}"), hint]);
    assert_eq!((w.names(), w.pid("b")), (vec!["b".to_owned(), "server".to_owned()], pid));
    assert_eq!(seen(), as_it_was);
    // What was needed only by another package is not asked for again.
    let rebased = w.c("toolbox rebase -i v2 --without gone b").run();
    assert_eq!((rebased.code, rebased.stdout.as_str()), (0, "b\n"), "{rebased:#?}");
    assert_eq!(w.names(), ["b", "b.old", "server"]);
    assert_eq!(w.c("toolbox diff b").ok(), "added lib2 2-1\nadded story 2-1\n");
    assert_eq!(seen(), "v2\nbase 2\nstory 2\n");
    assert_eq!(w.c("toolbox rollback b").ok(), "b\n");
    assert_eq!(seen(), as_it_was);
    assert_eq!(w.c("toolbox diff b").ok(), newer);
    d
}

#[test]
fn by_dnf() {
    need!("subid", "registry", "fuse-overlayfs");
    let words = Words {
        away: (1, "Failed to download metadata for repo 'one'"),
        unknown: (1, "Unable to find a match: gone"),
    };
    let w = World::new();
    grows_older(&w, Manager::Dnf, &words);
    // Who knows what was asked for cannot say so; then nobody is there who knows, and it is all of them.
    w.c("toolbox run b sudo sh -c")
        .arg("rm /usr/bin/dnf; printf '#!/bin/sh\nexit 3\n' >/usr/bin/dnf; chmod 755 /usr/bin/dnf")
        .ok();
    let rebase = || w.c("toolbox rebase -i v2 --without gone b").run();
    rebase().says(
        125,
        &[
            "Error: cannot rebase box b",
            "cannot tell which packages of box b were asked for",
            "its dnf ended with exit code 3",
            "Hint: Ask it: `coracle toolbox run b sudo dnf repoquery --userinstalled`.",
        ],
    );
    w.c("toolbox run b sudo rm /usr/bin/dnf").ok();
    rebase().says(1, &["Unable to find a match: lib1", "Error: cannot rebase box b"]);
    assert_eq!(w.names(), ["b", "b.old", "server"]);
}

#[test]
fn by_zypper() {
    need!("subid", "registry", "fuse-overlayfs");
    let words = Words {
        away: (4, "Could not refresh the repositories because of errors."),
        unknown: (104, "'gone' not found in package names"),
    };
    let w = World::new();
    let d = grows_older(&w, Manager::Zypper, &words);
    // A package goes back, which only a distribution without releases follows.
    d.publish(
        "one",
        &[("base", "1.0", ""), ("lib1", "1.1", ""), ("story", "1.1", "lib1"), ("gone", "1", "")],
    );
    w.c("toolbox upgrade b").ok();
    assert_eq!(w.c("toolbox run b base").ok(), "base 1.1\n");
    w.c("toolbox run b sudo sed -i s/^ID=.*/ID=\"opensuse-tumbleweed\"/ /etc/os-release").ok();
    assert_eq!(w.c("toolbox upgrade b").ok(), "b\n");
    assert_eq!(w.c("toolbox run b base").ok(), "base 1.0\n");
}

#[test]
fn by_pacman() {
    need!("subid", "registry", "fuse-overlayfs");
    let words =
        Words { away: (1, "failed to synchronize all databases"), unknown: (1, "target not found: gone") };
    grows_older(&World::new(), Manager::Pacman, &words);
}
