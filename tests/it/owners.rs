//! Files of many owners for a user with one id: what chown and mknod said is what stat, later runs and `export` say, and what
//! setuid said is what getuid says.

use crate::need;
use crate::single_uid::alone_with;
use crate::support::{Cmd, World, wait_for};

/// A script as a user without subordinate ids, where `$C` is coracle and `$I` the image. All of it in one namespace: what
/// is started in one cannot be looked into from another.
fn alone(w: &World, image: &str, script: &str) -> Cmd {
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let id = alone_with(w, &program).args(["pull", "-q"]).arg(format!("oci:{}:latest", World::layout(image)));
    id.ok();
    let id = alone_with(w, &program).args(["images", "-q"]).ok();
    let env = format!("C={}; I={}\n", program.display(), id.trim());
    alone_with(w, std::path::Path::new("/bin/sh")).args(["-c", &(env + script)])
}

fn clear(w: &World) {
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    alone_with(w, &program).args(["rmi", "--all", "--force"]).ok();
}

#[test]
fn what_chown_said_stays_with_the_file() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r#"
        $C run -d -q --name o --network none $I sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' >/dev/null
        x() { $C exec o sh -c "$*"; }
        x 'mkdir /d; cd /d; echo x >f; chown 100:200 f; stat -c %u:%g f; chown :7 f; stat -c %u:%g f; ls -n f | tr -s " " | cut -d" " -f3,4'
        x 'cd /d; stat -c %u:%g f; ln f hard; mv f moved; ln -s moved link; chown -h 5:6 link'
        x 'cd /d; stat -c %u:%g hard moved link; stat -L -c %u:%g link; mv /d /e; cd /e; stat -c %u:%g hard'
        x 'cd /e; chown 8 /etc/passwd /etc; stat -c %u:%g /etc/passwd; chown root:root hard; stat -c %u:%g moved; chown 9:9 moved'
        # A file made anew, as often as it takes to have the inode of the old one.
        x 'cd /e; for i in 1 2 3 4 5; do : >n; chown 33:33 n; rm n; : >n; stat -c %u:%g n; rm n; done | sort -u'
        x 'cd /e; n=$(printf "a\nb"); : >"$n"; chown 12:13 "$n"; stat -c %u:%g "$n"; chown 1 none; echo $?' 2>/dev/null
        x 'cd /tmp; : >t; chown 3:4 t; exec 5<t; stat -L -c %u:%g /proc/self/fd/5 /dev/fd/5; chown 44 /proc/self/fd/5; stat -c %u t'
        x 'chown 1 /proc/version /sys/kernel; stat -c %u:%g /proc/self/status'
        $C stop -t 5 o >/dev/null
        $C start o >/dev/null
        x 'stat -c %u:%g /e/hard /e/link /etc/passwd /etc; find /e /etc -user 9 | sort'
        $C export o | tar --numeric-owner -tvf - e etc/passwd | awk '{print $2, $6}'
        $C stop -t 5 o >/dev/null
        $C export o | tar --numeric-owner -tvf - e/hard e/link etc/passwd | awk '{print $2, $6}'
        $C rm o >/dev/null"#;
    let out = alone(&w, "busybox", script).run();
    assert_eq!(
        out.stdout,
        "100:200\n100:7\n100 7\n100:7\n100:7\n100:7\n5:6\n100:7\n100:7\n8:0\n0:0\n0:0\n12:13\n1\n3:4\n3:4\n44\n0:0\n\
         9:9\n5:6\n8:0\n8:0\n/e/hard\n/e/moved\n\
         0/0 e/\n12/13 e/a\\nb\n9/9 e/hard\n5/6 e/link\n9/9 e/moved\n8/0 etc/passwd\n\
         9/9 e/hard\n5/6 e/link\n8/0 etc/passwd\n",
        "{out:#?}"
    );
    clear(&w);
}

#[test]
fn packages_and_interpreters_see_the_owners() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r##"
        P=$HOME/of-the-host; echo x >$P; before=$(stat -c %z $P); sleep 0.1
        $C run --rm -q --network none -e P=$P $I sh -c '
        set -e; cd /tmp; mkdir -p p/DEBIAN p/usr/bin p/var/lib/story; cp /bin/true p/usr/bin/story
        printf "Package: story\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n" >p/DEBIAN/control
        printf "#!/bin/sh\nset -e\ngroupadd -r storyg\nuseradd -r -g storyg story\nchgrp storyg /usr/bin/story\n" >p/DEBIAN/postinst
        printf "chmod 2755 /usr/bin/story\nchown -R story:storyg /var/lib/story\n" >>p/DEBIAN/postinst
        chmod 755 p/DEBIAN/postinst; dpkg-deb -b p story.deb >/dev/null
        dpkg -i ./story.deb >/dev/null; stat -c "%a %U %G" /usr/bin/story /var/lib/story
        # tar keeps owners both ways; perl has the calls as they are.
        tar -C /var/lib -cf s.tar story; mkdir x; tar -C x -xf s.tar; stat -c "%U %G" x/story
        perl -e "open F, q(>), q(f) or die; chown 21, 22, *F or die; my @s = stat F; print qq(@s[4,5]\n)"
        perl -e "for (1..20000) { chown 1 + \$_ % 7, 5, q(f) or die }; my @s = stat q(f); print qq(@s[4,5]\n)"
        # The path becomes a link to a file of the host while it is looked up: an answer each time, and nothing outside.
        ln -s $P l; : >m
        perl -e "my \$c = fork; if (!\$c) { while (1) { rename qw(m k); rename qw(l m); rename qw(m l); rename qw(k m) } }
            for (1..3000) { chown 77, 77, q(m) } kill 9, \$c; print qq(raced\n)"'
        test "$before" = "$(stat -c %z $P)" && echo untouched"##;
    let out = alone(&w, "debian", script).run();
    let wanted = "2755 root storyg\n755 story storyg\nstory storyg\n21 22\n2 5\nraced\nuntouched\n";
    assert_eq!(out.stdout, wanted, "{out:#?}");
    clear(&w);
}

#[test]
fn a_device_is_what_mknod_said() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r#"
        $C run -d -q --name o --network none $I sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' >/dev/null
        x() { $C exec o sh -c "$*"; }
        x 'mkdir /d; cd /d; umask 027; mknod n c 1 3; stat -c %F,%t,%T,%a,%u n; mknod -m 606 b b 259 70000; stat -c %F,%t,%T,%a b'
        x 'cd /d; mknod p p; test -c n && test -b b && test -p p && echo kinds; mknod n c 1 5; echo $?; stat -c %T n' 2>/dev/null
        x 'cd /d; chown 5:6 n; chmod 600 n; ln n hard; mv n m; stat -c "%F %t:%T %a %u:%g" m hard; rm hard; : >n; stat -c %F n; rm n'
        x 'cd /d; mknod none/x c 1 3; mknod p/x c 1 3; mknod . c 1 3; mknod /proc/x c 1 3; cat m' 2>&1
        x 'cd /d; cp -a m copy; tar -cf /t.tar m b; mkdir x; tar -C x -xf /t.tar; stat -c "%F %t:%T %u:%g" copy x/m x/b; rm -r x copy'
        $C stop -t 5 o >/dev/null; $C start o >/dev/null
        x 'stat -c %F,%t,%T,%a /d/m /d/b'
        $C export o | tar --numeric-owner -tvf - d | awk '{print $1, $2, $3, $NF}' | sort -k 4
        $C rm -f -t 0 o >/dev/null"#;
    let out = alone(&w, "busybox", script).run();
    let refused = |name: &str, why: &str| format!("mknod: {name}: {why}\n");
    let wanted = [
        "character special file,1,3,640,0\nblock special file,103,11170,606\nkinds\n1\n3\n",
        "character special file 1:3 600 5:6\ncharacter special file 1:3 600 5:6\nregular empty file\n",
        &refused("none/x", "No such file or directory"),
        &refused("p/x", "Not a directory"),
        &refused(".", "File exists"),
        &refused("/proc/x", "No such file or directory"),
        "character special file 1:3 5:6\ncharacter special file 1:3 5:6\nblock special file 103:11170 0:0\n",
        "character special file,1,3,600\nblock special file,103,11170,606\n",
        "brw----rw- 0/0 259,70000 d/b\ncrw------- 5/6 1,3 d/m\n",
    ];
    // What else is there: the directory and the pipe.
    let seen: Vec<_> = out.stdout.lines().filter(|l| !l.ends_with(" d/") && !l.ends_with(" d/p")).collect();
    assert_eq!(seen.join("\n") + "\n", wanted.concat(), "{out:#?}");
    clear(&w);
}

#[test]
fn a_signal_does_not_leave_half_a_device() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r#"
        $C run --rm -q --network none $I perl -e '
            my ($main, $number) = ($$, `uname -m` =~ /x86_64/ ? 259 : 33); $SIG{USR1} = sub { $seen++ }; mkdir "/d";
            my $child = fork; if (!$child) { select undef, undef, undef, 0.00005 while kill USR1 => $main; exit }
            for (1..1000) { my $name = "/d/n$_";
                # What a signal has cut short before anybody looked at it is tried again.
                while (syscall($number, -100, $name, 020600, 0x103) != 0) { $! == 4 or $bad{"$!"}++, last } }
            # perl gives up where more than 120 signals come in the middle of one of its steps.
            $SIG{USR1} = "IGNORE"; kill KILL => $child; print "signals\n" if $seen > 100; print "$_ $bad{$_}\n" for keys %bad;
            my @made = grep { -c } glob "/d/*"; print scalar @made, "\n"'"#;
    let out = alone(&w, "debian", script).run();
    assert_eq!(out.stdout, "signals\n1000\n", "{out:#?}");
    clear(&w);
}

#[test]
fn who_became_another_user_is_that_user() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r##"
        $C run --rm -q --network none $I sh -c '
        id; setpriv --reuid 100 --regid 101 --clear-groups sh -c "id -u; id -g; id -G; id -ru"
        setpriv --reuid 33 --regid 33 --groups 4,5 id
        su -s /bin/sh -c id www-data; su -s /bin/sh -c "id -un" games; id -u
        # A daemon, whose parents are gone when it asks.
        setpriv --reuid 100 --regid 100 --clear-groups sh -c "(sh -c \"sleep 0.5; id -u >/tmp/late\" &) & exit"; sleep 1; cat /tmp/late
        # There and back, and not back.
        perl -e "\$> = 5; print qq(\$< \$>\n); \$> = 0; print qq(\$< \$>\n); use POSIX; POSIX::setuid(5); print qq(\$< \$>\n); \$> = 0; print qq(\$> \$!\n)"
        perl -e "\$) = q(7 8 9); print \$), qq(\n); \$( = 7; print \$(, qq(\n)"
        # It can give away none of the files of root and of others, and its own to its groups.
        d="setpriv --reuid 100 --regid 101 --groups 102"; cd /tmp; : >f; : >g; chown 100:101 f; chown 1:1 g
        $d chown 1 /etc/passwd; $d chown 100 g; $d chown 1 f; $d chgrp 103 f; $d mknod n c 1 3; $d chgrp 102 f; stat -c "%u:%g" f g; ls n'
        "##;
    let out = alone(&w, "debian", script).run();
    let wanted = [
        "100\n101\n101\n100\n",
        "uid=33(www-data) gid=33(www-data) groups=33(www-data),4(adm),5(tty)\n",
        "uid=33(www-data) gid=33(www-data) groups=33(www-data)\n",
        "games\n0\n100\n",
        "0 5\n0 0\n5 5\n5 Operation not permitted\n7 8 9\n7 8 9\n",
        "100:102\n1:1\n",
    ];
    let (first, rest) = out.stdout.split_once('\n').unwrap();
    assert!(first.starts_with("uid=0(root) gid=0(root)"), "{out:#?}");
    assert_eq!(rest, wanted.concat(), "{out:#?}");
    let refused = out.stderr.lines().filter(|line| line.ends_with("Operation not permitted"));
    assert_eq!(refused.count(), 5, "{out:#?}");
    clear(&w);
}

#[test]
fn apt_drops_its_privileges_and_finds_that_it_has() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r##"
        $C run --rm -q --network none $I sh -c '
        set -e; mkdir -p /p/DEBIAN /p/usr/share/story /repo; cd /repo; chmod 755 /repo
        printf "Package: story\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n" >/p/DEBIAN/control
        mknod /p/usr/share/story/null c 1 3; chown 0:6 /p/usr/share/story/null; dpkg-deb -b /p story.deb >/dev/null
        { cat /p/DEBIAN/control; echo "Filename: ./story.deb"; stat -c "Size: %s" story.deb; sha256sum story.deb | sed "s/ .*//; s/^/SHA256: /"; echo; } >Packages
        rm -rf /etc/apt/sources.list*; echo "deb [trusted=yes] copy:/repo ./" >/etc/apt/sources.list
        printf "APT::Sandbox::User _apt;\nAPT::Sandbox::Verify true;\nAPT::Sandbox::Verify::Groups true;\nAPT::Sandbox::Verify::IDs true;\nAPT::Sandbox::Verify::Regain true;\n" >/etc/apt/apt.conf.d/z
        apt-get update >/dev/null; apt-get install -y story >/dev/null
        stat -c "%F %t:%T %u:%g" /usr/share/story/null; dpkg -s story | grep Status'
        "##;
    let out = alone(&w, "debian", script).run();
    let wanted = "character special file 1:3 0:6\nStatus: install ok installed\n";
    assert_eq!(out.stdout, wanted, "{out:#?}");
    assert!(!out.stderr.contains("unsandboxed") && !out.stderr.contains("E:"), "{out:#?}");
    clear(&w);
}

#[test]
fn a_recorder_that_is_killed_hangs_nobody() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r#"
        $C run -d -q --name o --network none $I sh -c 'while :; do stat / >/dev/null 2>&1; echo went on; sleep 0.1; done' >/dev/null
        $C exec o sh -c 'echo >/f; chown 1:2 /f'
        monitor=$($C inspect -f '{{.State.ConmonPid}}' o)
        for child in $(cat /proc/$monitor/task/*/children); do
            test "$(cat /proc/$child/comm)" = coracle-owners && kill -9 $child
        done
        sleep 0.5; before=$($C logs o | wc -l); sleep 1; after=$($C logs o | wc -l)
        test $after -gt $before && echo goes on
        $C inspect -f '{{.State.Error}}' o
        $C exec o true; echo $?
        $C restart -t 0 o >/dev/null; $C exec o stat -c %u:%g /f; $C inspect -f '{{.State.Error}}' o
        # A record that cannot be read is no reason to lose it.
        $C stop -t 0 o >/dev/null; d=$(dirname $($C inspect -f '{{.OCIConfigPath}}' o)); mv $d/owners $d/saved
        printf 'coracle-owners 2\n' >$d/owners; $C start o; echo $?
        mv $d/saved $d/owners; printf '77 7' >>$d/owners; $C start o; $C exec o stat -c %u:%g /f
        $C rm -f -t 0 o >/dev/null"#;
    let out = alone(&w, "busybox", script).run();
    assert_eq!(out.stdout, "goes on\nowner recorder died\n125\n1:2\n\n125\no\n1:2\n", "{out:#?}");
    for words in [
        "Error: ",
        "the process that records the owners of its files was killed",
        "Hint: Start it anew with `coracle restart o`.",
        "cannot open the record of owners",
        "the record owners was written by a newer coracle",
        "Hint: Use the newer coracle that wrote it.",
    ] {
        assert!(out.stderr.contains(words), "{words}: {out:#?}");
    }
    clear(&w);
}

/// A directory of the host whose server has stopped: who asks for its files waits, and nobody else.
#[test]
fn a_file_server_that_does_not_answer_hangs_only_who_asks_it() {
    need!("subid", "images", "setpriv", "fuse", "squashfuse", "mksquashfs", "fusermount3");
    let w = World::new();
    let at = |name: &str| w.dir.join("home").join(name);
    std::fs::create_dir_all(at("files/d")).unwrap();
    std::fs::write(at("files/f"), "of the server\n").unwrap();
    std::fs::create_dir(at("mnt")).unwrap();
    w.tool("mksquashfs").arg(at("files")).arg(at("files.sqsh")).ok();
    let server = w.tool("squashfuse").arg("-f").arg(at("files.sqsh")).arg(at("mnt")).spawn();
    wait_for("the server", || at("mnt/f").exists());
    let script = format!("S={}\n", server.inner_pid())
        + r#"
        $C run -d -q --name o --network none -v $HOME/mnt:/m $I sh -c \
            'chown 5 /etc/group; while :; do stat /etc/group >/dev/null; echo tick; sleep 0.1; done' >/dev/null
        x() { timeout 10 $C exec o sh -c "$*"; }
        x 'cat /m/f; cd /m; stat -c %u f; chown 8 f; stat -c %n /m/d'
        kill -STOP $S
        for words in 'stat /m/none' 'chown 9 /m/none' 'cd /m/d; chown 9 ../no' 'mknod /m/null c 1 3' 'exec /m/none'; do
            $C exec -d o sh -c "$words" >/dev/null
        done
        sleep 1; before=$($C logs o | wc -l); sleep 1; after=$($C logs o | wc -l)
        test $after -gt $before && echo goes on
        x 'stat -c %u /etc/group; chown 7 /etc/group; ls -ld /etc/group | tr -s " " | cut -d" " -f3; test -e /none || echo none'
        kill -CONT $S
        x 'chown 9 /m/none; stat -c %n /m/f'
        kill -STOP $S
        $C exec -d o stat /m/nothing >/dev/null
        $C rm -f -t 0 o; echo $?
        kill -CONT $S"#;
    let out = alone(&w, "busybox", &script).run();
    w.tool("fusermount3").arg("-u").arg(at("mnt")).ok();
    server.wait();
    assert_eq!(out.stdout, "of the server\n0\n/m/d\ngoes on\n5\n7\nnone\n/m/f\no\n0\n", "{out:#?}");
    clear(&w);
}

/// The process that remembers who processes are is in no limit of the container's.
#[test]
fn identities_are_not_remembered_without_end() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r#"
        $C run -d -q --name o --network none $I perl -e \
            'my @g = (1 .. 65535); for my $n (1 .. 500) { $g[0] = 100000 + $n; $) = qq(0 @g) } $| = 1; print qq(done\n); sleep 100' >/dev/null
        until $C logs o | grep done; do sleep 0.1; done
        monitor=$($C inspect -f '{{.State.ConmonPid}}' o)
        for child in $(cat /proc/$monitor/task/*/children); do
            test "$(cat /proc/$child/comm)" = coracle-owners && grep VmRSS /proc/$child/status
        done
        $C exec o sh -c 'echo >/f; chown 1:2 /f; stat -c %u:%g /f'
        $C rm -f -t 0 o >/dev/null"#;
    let out = alone(&w, "debian", script).run();
    let (size, rest) = out
        .stdout
        .split_once("VmRSS:")
        .and_then(|(_, rest)| rest.split_once(" kB\n"))
        .unwrap_or_else(|| panic!("{out:?}"));
    assert!(size.trim().parse::<u32>().unwrap() < 64 << 10, "{out:?}");
    assert_eq!(rest, "1:2\n", "{out:?}");
    clear(&w);
}

#[test]
fn what_another_user_makes_is_theirs() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r##"
        $C run -d -q --name o --network none $I sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' >/dev/null
        $C exec o sh -c '
        d() { su -s /bin/sh -c "umask 027; cd /d; $*" www-data; }
        mkdir -m 777 /d; cd /d
        d "echo x >f; echo y >>f; cp f c; mkdir m m/n/; ln -s f l; mkfifo p; stat -c \"%n %u:%g %a\" f c m m/n l p; cat f"
        # What is there already stays whose it is, and root'"'"'s own is root'"'"'s.
        echo >r; d "echo x >r; echo y >>/dev/null"; echo >>f; stat -c "%n %u" r f; wc -c <f
        # A directory that gives its group to what is made in it.
        mkdir g; chown 0:50 g; chmod 2777 g; d "echo >g/n; mkdir g/m; stat -c \"%n %u:%g %a\" g/n g/m"
        d "perl -MFcntl -e '"'"'
            sysopen F, q(x), O_WRONLY|O_CREAT|O_EXCL, 0444 or die; print F qq(written\n); close F; print((stat q(x))[4], qq(\n));
            sysopen F, q(x), O_WRONLY|O_CREAT|O_EXCL or print qq(\$!\n); sysopen F, q(no/x), O_CREAT or print qq(\$!\n);
            open F, q(>), q(y); print fcntl(F, F_GETFD, 0), q( ), fcntl(F, F_GETFL, 0) & O_ACCMODE, qq(\n)'"'"'"
        cat x; d "mkdir m; mkdir /proc/x; ln -s x l; echo >m; : >no/x"; stat -c "%U:%G" $(d "mktemp /tmp/XXXXXX")
        d "for i in 1 2 3 4 5 6 7 8 9; do (for n in 1 2 3 4 5 6 7 8 9; do echo >q; mkdir v\$i\$n; done) & done; wait"; find /d/q /d/v* ! -user 33 | wc -l
        ' 2>&1
        $C stop -t 5 o >/dev/null; $C start o >/dev/null
        $C exec o stat -c '%n %u:%g' /d/f /d/m/n /d/g/n
        $C export o | tar --numeric-owner -tvf - d/f d/m/n d/l | awk '{print $2, $6}'
        $C rm -f -t 0 o >/dev/null"##;
    let out = alone(&w, "debian", script).run();
    let wanted = [
        "f 33:33 640\nc 33:33 640\nm 33:33 750\nm/n 33:33 750\nl 33:33 777\np 33:33 640\nx\ny\n",
        "r 0\nf 33\n5\n",
        "g/n 33:50 640\ng/m 33:50 2750\n",
        "33\nFile exists\nNo such file or directory\n1 1\nwritten\n",
        "mkdir: cannot create directory 'm': File exists\nmkdir: cannot create directory '/proc/x': No such file or directory\n",
        "ln: failed to create symbolic link 'l': File exists\n",
        "www-data:www-data\n0\n",
        "/d/f 33:33\n/d/m/n 33:33\n/d/g/n 33:50\n33/33 d/f\n33/33 d/l\n33/33 d/m/n/\n",
    ];
    let seen: Vec<_> = out
        .stdout
        .lines()
        .filter(|line| !line.contains("cannot create ") || line.starts_with("mkdir"))
        .collect();
    assert_eq!(seen.join("\n") + "\n", wanted.concat(), "{out:#?}");
    clear(&w);
}

#[test]
fn a_program_with_a_setuid_bit_makes_another_user() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r##"
        $C run --rm -q --network none $I sh -c '
        useradd -m builder; echo "builder ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/b; chmod 440 /etc/sudoers.d/b
        sudo -u builder id -un; sudo -u builder sh -c "cd; echo >f; stat -c %U:%G f"; runuser -u builder -- id -un; su - builder -c "pwd; sudo id -u"
        su builder -c "sudo -u games id -un; sudo sh -c \"echo >/root/r; stat -c %U /root/r\"; id -un"
        # One of another user and another group, a script, and without privileges to gain.
        cp /usr/bin/id /usr/bin/perl /tmp; cd /tmp; chown games:staff id; chmod 6755 id; su builder -c "./id"; ./id -un; su builder -c "setpriv --no-new-privs ./id -un"
        ln -s id link; su builder -c "./link -un; exec ./link -gn"
        printf "#!/bin/sh\nid -un\n" >script; chmod 4755 script; su builder -c "./script"
        chown games perl; chmod 4755 perl; su builder -c "./perl -e \"\\\$> = \\\$<; print qq(\\\$< \\\$>\n); \\\$> = 5; print qq(\\\$>\n)\""
        # What it makes of root is not for ever.
        su builder -c "/usr/bin/setpriv --reuid 5 true; id -un; ./none; sudo true; id -un" 2>/dev/null'
        "##;
    let out = alone(&w, "devshell", script).run();
    let wanted = [
        "builder\nbuilder:builder\nbuilder\n/home/builder\n0\ngames\nroot\nbuilder\n",
        "uid=1000(builder) gid=1000(builder) euid=5(games) egid=50(staff) groups=50(staff),1000(builder)\ngames\nbuilder\n",
        "games\nstaff\nbuilder\n1000 1000\n5\nbuilder\nbuilder\n",
    ];
    assert_eq!(out.stdout, wanted.concat(), "{out:#?}");
    clear(&w);
}

#[test]
fn who_may_serve_files_has_no_recorder_to_wait_for() {
    need!("subid", "images", "setpriv", "fuse");
    let w = World::new();
    let script = r#"
        x() { $C run --rm -q --network none "$@" $I sh -c ': >/f; chown 5 /f; stat -c %u /f'; }
        x; x --cap-add SYS_ADMIN; x --device /dev/fuse; x --cap-add SYS_ADMIN --device /dev/fuse"#;
    let out = alone(&w, "busybox", script).run();
    assert_eq!(out.stdout, "5\n5\n5\n0\n", "{out:#?}");
    clear(&w);
}

#[test]
fn an_rpm_keeps_its_owners() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    // Debian's rpm unshares the file system of each script, which no container may.
    let script = r##"
        $C run --rm -q --network none $I sh -c '
        mkdir /r; cd /r; printf "%s\n" "Name: story" "Version: 1" "Release: 1" "Summary: x" "License: x" "%description" x "%install"             "mkdir -p %{buildroot}/usr/bin %{buildroot}/var/lib/story" "cp /bin/true %{buildroot}/usr/bin/story" "cp /bin/true %{buildroot}/usr/bin/capped"             "ln -s x %{buildroot}/usr/bin/link" "%pre" "groupadd -r storyg" "useradd -r -g storyg story" "%files" "%attr(2755,root,storyg) /usr/bin/story"             "%caps(cap_net_bind_service=ep) /usr/bin/capped" "%attr(750,story,storyg) %dir /var/lib/story" "%attr(-,story,storyg) /usr/bin/link" >story.spec
        rpmbuild -bb --define "_topdir /r/top" story.spec >log 2>&1 || cat log
        rpm --noplugins --nodeps -i top/RPMS/*/story*.rpm; stat -c "%n %U:%G %a" /usr/bin/story /var/lib/story /usr/bin/link; capped && echo capped
        rpm --noplugins --nodeps -V story; echo $?; rpm --noplugins -e story; echo $?'
        "##;
    let out = alone(&w, "managers", script).run();
    let wanted = "/usr/bin/story root:storyg 2755\n/var/lib/story story:storyg 750\n/usr/bin/link story:storyg 777\ncapped\n0\n0\n";
    assert_eq!(out.stdout, wanted, "{out:#?}");
    clear(&w);
}

#[test]
fn what_the_image_says_of_its_files() {
    need!("subid", "images", "setpriv");
    let w = World::new();
    let script = r#"
        $C run -d -q --name o --network none --tmpfs /var/cache/apt/archives/partial $I sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' >/dev/null
        x() { $C exec o sh -c "$*"; }
        x 'stat -c "%n %U:%G %a" /etc/shadow /usr/bin/su /tmp /var/mail /var/cache/apt/archives/partial /usr/bin/passwd; stat -L -c %G /proc/self/fd/0 </etc/shadow'
        # A file that the container changes is still whose it was; its permissions are what the container makes of them.
        x 'echo >>/etc/shadow; chmod u-s /usr/bin/su; chown 0:0 /etc/gshadow; touch /tmp/x; stat -c "%n %U:%G %a" /etc/shadow /usr/bin/su /etc/gshadow /tmp'
        x 'mkdir /c; cp /etc/shadow /c; mv /c/shadow /c/moved; cp -p /etc/shadow /c/kept; stat -c "%n %U:%G" /c/moved /c/kept; cat /usr/bin/passwd >/c/p; stat -c %a /usr/bin/passwd'
        # Another root has other files at the same paths.
        x 'mkdir /c/etc; cp /etc/passwd /c/etc/shadow; perl -e "chroot q(/c); print join(q(:), (stat q(/etc/shadow))[4, 5]), qq(\n)"'
        $C stop -t 5 o >/dev/null; $C start o >/dev/null
        x 'stat -c "%n %U:%G %a" /etc/shadow /usr/bin/su /etc/gshadow /tmp /c/kept'
        list() { tar --numeric-owner -tvf - $* | awk '{print $1, $2, $6}'; }
        $C export o | list etc/shadow etc/gshadow usr/bin/su usr/bin/passwd; $C export o | list c/kept
        $C cp o:/etc/shadow - | list
        $C stop -t 5 o >/dev/null; $C export o | list etc/shadow usr/bin/passwd
        $C rm o >/dev/null"#;
    let out = alone(&w, "debian", script).run();
    let shadow = "/etc/shadow root:shadow 640\n";
    let wanted = [
        shadow,
        "/usr/bin/su root:root 4755\n/tmp root:root 1777\n/var/mail root:mail 2775\n/var/cache/apt/archives/partial root:root 700\n",
        "/usr/bin/passwd root:root 4755\nshadow\n",
        shadow,
        "/usr/bin/su root:root 755\n/etc/gshadow root:root 640\n/tmp root:root 1777\n",
        "/c/moved root:root\n/c/kept root:shadow\n4755\n0:0\n",
        shadow,
        "/usr/bin/su root:root 755\n/etc/gshadow root:root 640\n/tmp root:root 1777\n/c/kept root:shadow 640\n",
        "-rw-r----- 0/0 etc/gshadow\n-rw-r----- 0/42 etc/shadow\n-rwsr-xr-x 0/0 usr/bin/passwd\n-rwxr-xr-x 0/0 usr/bin/su\n",
        "-rw-r----- 0/42 c/kept\n-rw-r----- 0/42 shadow\n-rw-r----- 0/42 etc/shadow\n-rwsr-xr-x 0/0 usr/bin/passwd\n",
    ];
    assert_eq!(out.stdout, wanted.concat(), "{out:#?}");
    clear(&w);
}
