//! `-t`: a real terminal on both sides.

use crate::need;
use crate::support::{World, wait_for};

/// ctrl-p, ctrl-q
const DETACH: &str = "\x10\x11";

#[test]
fn size_resize_and_exit_code() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let t = w.terminal("run --rm -it --network none bb sh");
    t.keys("stty size; test -t 0 && test -t 1 && test -t 2 && echo all-$((40+2))\n");
    t.sees("30 100");
    t.sees("all-42");
    assert!(t.is_raw());
    t.resize(44, 155);
    wait_for("the new size", || {
        t.keys("stty size\n");
        t.shown().contains("44 155")
    });
    t.keys("exit 5\n");
    assert_eq!(t.wait().0, 5);
}

#[test]
fn the_size_is_there_when_the_first_program_asks() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.start("on", "bb sleep 1000");
    for _ in 0..5 {
        for line in ["exec -it on stty size", "run --rm -it --network none bb stty size"] {
            let t = w.terminal(line);
            t.sees("30 100");
            assert_eq!(t.wait().0, 0);
        }
    }
    // Of the terminal that it is started from, not of the one that it was made in.
    w.c("create -t --name later --network none bb stty size").ok();
    let t = w.terminal("start --attach later");
    t.sees("30 100");
    t.wait();
}

#[test]
fn keys_are_the_payloads() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let t = w.terminal("run --rm -it --name k --network none bb sh");
    t.keys("echo up-$((40+2))\n");
    t.sees("up-42");
    t.keys("sleep 500; echo over-$((40+2))\n");
    wait_for("sleep", || w.c("exec k ps").ok().contains("sleep 500\n"));
    // The shell inside takes the interrupt: its sleep ends, not our command.
    t.keys("\x03");
    t.keys("echo still-$((40+2))\n");
    t.sees("still-42");
    t.keys("\x04");
    let (code, shown) = t.wait();
    assert!(code == 0 || code == 130, "{code}: {shown}");
    assert!(!shown.contains("over-42"), "{shown}");
}

#[test]
fn detach_and_attach() {
    need!("subid", "registry");
    let w = World::with_busybox();
    let t = w.terminal("run -it --name d --network none bb sh");
    t.keys("X=kept; echo up-$((40+2))\n");
    t.sees("up-42");
    t.keys(DETACH);
    t.wait();
    assert_eq!(w.status("d"), "running");
    let t = w.terminal("attach d");
    wait_for("the shell", || {
        t.keys("echo $X-$((40+2))\n");
        t.shown().contains("kept-42")
    });
    t.keys(DETACH);
    t.wait();
    // Other keys.
    let t = w.terminal("attach --detach-keys ctrl-a,b d");
    t.keys("echo again-$((40+2))\n");
    t.sees("again-42");
    t.keys("\x01b");
    t.wait();
    assert_eq!(w.status("d"), "running");
    assert!(w.logs("d").contains("again-42"));
}

#[test]
fn the_terminal_is_restored_on_every_way_out() {
    need!("subid", "registry");
    let w = World::with_busybox();
    // The container is killed from elsewhere.
    let t = w.terminal("run -it --name k --network none bb sh");
    t.keys("echo up-$((40+2))\n");
    t.sees("up-42");
    w.c("kill k").ok();
    assert_eq!(t.wait().0, 137);
    // The command is told to end.
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
        let t = w.terminal("run --rm -it --sig-proxy=false --network none bb sh");
        t.keys("echo up-$((40+2))\n");
        t.sees("up-42");
        rustix::process::kill_process(rustix::process::Pid::from_raw(t.pid() as i32).unwrap(), signal)
            .unwrap();
        t.wait();
    }
    // It never began.
    let t = w.terminal("run --rm -it --network none bb no-such-program");
    assert_eq!(t.wait().0, 127);
}

#[test]
fn a_terminal_without_stdin() {
    need!("subid", "registry");
    let w = World::with_busybox();
    // -t without our own terminal: lines end as terminals end them.
    assert_eq!(w.script("-t bb", "echo a; test -t 1 && echo tty").ok(), "a\r\ntty\r\n");
    let out = w.sh("echo 'echo $((40+2)); exit 3' | $C run --rm -i --network none bb sh").run().exits(3);
    assert_eq!(out.stdout, "42\n");
    assert_eq!(w.script("-t bb", "echo $TERM").ok(), "xterm\r\n");
}
