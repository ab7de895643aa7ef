"""The figures of boxes: coracle's beside distrobox and toolbox, both on podman, of the same image."""
import os
import pathlib
import pwd
import re
import subprocess
import time

import measure
from engines import ENGINES, engine
from measure import Failed, bound, commands, find, interleaved, mebibytes, output, row, time_of

SHELL = os.environ.get("CORACLE_BENCH_SHELL", "")
IMAGE = "localhost/devshell:latest"
# What a box leaves running for itself: monitor and guard, its first process, the server of `coracle host`.
OWN = re.compile(rb"--role\0(monitor|host)|coracle-oci\0pause")

PEERS = {name: find(name) for name in ("distrobox", "toolbox") if find(name)}


def migrate():
    """toolbox's first command lets podman migrate, which takes no container that runs: before there is any."""
    if "toolbox" in PEERS and "podman" in ENGINES:
        own_bus()
        subprocess.run([PEERS["toolbox"], "list"], stdin=subprocess.DEVNULL, capture_output=True)


def own_bus():
    """toolbox asks the system bus which sockets there are; where there is none the user's own answers."""
    if not os.path.exists("/run/dbus/system_bus_socket") and "DBUS_SESSION_BUS_ADDRESS" in os.environ:
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = os.environ["DBUS_SESSION_BUS_ADDRESS"]


def create(name, box):
    return {"coracle": lambda: [*engine("coracle", "toolbox", "create", "--image", IMAGE), box],
            "distrobox": lambda: [PEERS[name], "create", "--yes", "--image", IMAGE, "--name", box],
            "toolbox": lambda: [PEERS[name], "create", "--image", IMAGE, box]}[name]()


def enter(name, box):
    return {"coracle": lambda: engine("coracle", "toolbox", "enter", box, "--", "true"),
            "distrobox": lambda: [PEERS[name], "enter", "--no-tty", "--name", box, "--", "true"],
            "toolbox": lambda: [PEERS[name], "run", "--container", box, "true"]}[name]()


def remove(*boxes):
    for name in ENGINES:
        subprocess.run(engine(name, "rm", "--force", "--time", "0", *boxes), stdin=subprocess.DEVNULL, capture_output=True)


def prepare():
    """The image for both, and a login that all three take for one. Returns who is measured."""
    if not SHELL:
        raise Failed("there is no image of a dev shell")
    entry = pwd.getpwuid(os.getuid())
    os.environ.update(USER=entry.pw_name, SHELL="/bin/bash", TERM="xterm")
    own_bus()
    for name in ENGINES:
        image = output(engine(name, "pull", "--quiet", f"oci:{SHELL}:latest")).split()[-1]
        output(engine(name, "tag", image, IMAGE))
    return [name for name in ("coracle", *PEERS) if name in ENGINES or "podman" in ENGINES]


def compare_enter():
    who = prepare()
    # toolbox refuses a home that it does not know.
    os.chdir(pwd.getpwuid(os.getuid()).pw_dir)
    try:
        ready = []
        for name in who:
            try:
                output(create(name, f"bench-{name}"))
                output(enter(name, f"bench-{name}"))
                ready.append(name)
            except Failed as failure:
                print(f"bench: {name} left out: {failure}", flush=True)
        times = interleaved({name: commands(enter(name, f"bench-{name}")) for name in ready})
        for peer in PEERS:
            row("box: enter -- true, warm", "coracle", times, peer, 1 / 10)
        bound("box: enter -- true, warm", times.get("coracle"), 0.06, time_of)

        def make(name, number):
            box = f"bench-{name}-{number}"
            seconds = measure.once(create(name, box))
            remove(box)
            return seconds

        made = interleaved({name: lambda number, name=name: make(name, number) for name in ready}, rounds=min(5, measure.ROUNDS), warm_up=1)
        for peer in PEERS:
            row("box: create, image here", "coracle", made, peer, 1 / 10)

        def first(number):
            output(create("coracle", "bench-first"))
            seconds = measure.once(enter("coracle", "bench-first"))
            remove("bench-first")
            return seconds

        cold = interleaved({"coracle": first}, rounds=min(10, measure.ROUNDS), warm_up=1, before=measure.settle)
        bound("box: first enter -- true", cold.get("coracle"), 0.3, time_of)
        remember_memory()
    finally:
        remove("bench-first", *(f"bench-{name}" for name in who))
        os.chdir(measure.WORK / "home")


def remember_memory():
    """Of a box with everything that it can leave running."""
    before = own_processes()
    output([*engine("coracle", "toolbox", "create", "--host-exec", "--image", IMAGE), "bench-first"])
    output(enter("coracle", "bench-first"))
    time.sleep(2)       # as it is for most of its life: at rest
    try:
        pids = own_processes() - before
        bound("box at rest with --host-exec, PSS of all that is ours", sum(map(measure.proportional, pids)) or None, 2048, mebibytes,
              f"{len(pids)} processes")
    except PermissionError:
        print("bench: the memory of a box is only for root to read", flush=True)


def own_processes():
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and OWN.search(pathlib.Path(entry, "cmdline").read_bytes()):
                found.add(int(entry.name))
        except OSError:
            pass
    return found
