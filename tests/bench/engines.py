"""The figures of `coracle`, beside podman and the runtimes below it."""
import os
import pathlib
import re
import subprocess
import sys
import time

import measure
import runtimes
from measure import IMAGES, WORK, Failed, bound, commands, counted, crowd, find, interleaved, mebibytes, output, row

REGISTRY = os.environ["CORACLE_TEST_REGISTRY"]
IMAGE = f"{REGISTRY}/busybox:latest"
BIG = f"{REGISTRY}/big:latest"
ENGINES = {name: find(name) for name in ("coracle", "podman") if find(name)}
RUN = ("run", "--rm", "--network", "none", IMAGE, "true")


def engine(name, *arguments):
    return [ENGINES[name], *arguments]


def for_engines(*arguments):
    return {name: commands(engine(name, *arguments)) for name in ENGINES}


def own(*arguments):
    """Instructions of coracle; of podman too where that takes no minutes (a step of its Go runtime at a time does)."""
    return lambda: counted({name: [engine(name, *arguments)] for name in ENGINES if name == "coracle" or measure.PERF})


def prepare():
    for name in list(ENGINES):
        try:
            output(engine(name, "pull", "--quiet", "--tls-verify=false", IMAGE))
        except Failed as failure:
            print(f"bench: {name} left out: {failure}", file=sys.stderr)
            del ENGINES[name]


def compare_runs():
    small = {name: commands(argv) for name, argv in runtimes.small_programs().items()}
    times = interleaved({**for_engines(*RUN), **small})
    work = "run --rm --network none true"
    row(work, "coracle", times, "podman", 1 / 8, counts=own(*RUN), beside=small)
    row(work, "coracle", times, "podman", 1 / 12, goal=True)
    row(work, "coracle", times, "crun --systemd-cgroup run", 1, goal=True)
    with_network = ("run", "--rm", "--network", "slirp4netns", IMAGE, "true")
    row("run --rm --network slirp4netns true", "coracle", interleaved(for_engines(*with_network)), "podman", 1 / 5, counts=own(*with_network))


def compare_exec():
    for name in ENGINES:
        output(engine(name, "run", "--detach", "--name", "bench-exec", "--network", "none", IMAGE, "sleep", "10000"))
    arguments = ("exec", "bench-exec", "true")
    row("exec true", "coracle", interleaved(for_engines(*arguments)), "podman", 1 / 10, counts=own(*arguments))
    time.sleep(2)       # as they are for most of their life: at rest
    beside = f"conmon {mebibytes(resident('podman'))}" if "podman" in ENGINES else ""
    bound("monitor and guard of a container, PSS", resident("coracle") or None, 1024, mebibytes, beside)


def resident(name):
    """KiB of all that stays beside the payload: coracle's monitor and guard, podman's conmon. 0 where it cannot be read."""
    mine = re.compile(rb"--role\0(monitor|guard)" if name == "coracle" else rb"conmon")
    pids = [int(entry.name) for entry in pathlib.Path("/proc").iterdir()
            if entry.name.isdigit() and mine.search(pathlib.Path(entry, "cmdline").read_bytes())]
    try:
        return sum(measure.proportional(pid) for pid in pids)
    except PermissionError:
        print(f"bench: the memory of {name} is only for root to read", file=sys.stderr)
        return 0


def compare_lists():
    for name in ENGINES:
        for number in range(10):
            output(engine(name, "create", "--name", f"bench-{number}", "--network", "none", IMAGE, "true"))
            output(engine(name, "tag", IMAGE, f"localhost/bench:{number}"))
    row("ps --all, 10 containers", "coracle", interleaved(for_engines("ps", "--all")), "podman", 1 / 10, counts=own("ps", "--all"))
    row("images, 10 names", "coracle", interleaved(for_engines("images")), "podman", 1 / 10, counts=own("images"))


def finish():
    """What the counting of instructions still needed."""
    made = ["bench-exec", *(f"bench-{number}" for number in range(10))]
    for name in ENGINES:
        subprocess.run(engine(name, "rm", "--force", "--time", "0", *made), stdin=subprocess.DEVNULL, capture_output=True)


def compare_crowd():
    programs = {name: lambda number, name=name: crowd(engine(name, *RUN), 50) for name in ENGINES}
    show = lambda seconds: f"{50 / seconds:.1f}/s"
    row("50 x run --rm, 8 at a time", "coracle", interleaved(programs, rounds=3, warm_up=1, before=measure.rest), "podman", 1 / 6, show=show)


def compare_pull():
    peaks = {}

    def pull(name):
        file = WORK / "home/peak"
        seconds = measure.once([measure.METER, "peak", str(file), *engine(name, "pull", "--quiet", "--tls-verify=false", BIG)])
        peaks[name] = max(peaks.get(name, 0), int(file.read_text()))
        return seconds

    def forget(name):
        subprocess.run(engine(name, "rmi", "--force", BIG), stdin=subprocess.DEVNULL, capture_output=True)
        os.sync()

    times = interleaved({name: lambda number, name=name: pull(name) for name in ENGINES}, rounds=min(3, measure.ROUNDS), warm_up=0, before=forget)
    blobs = [str(path) for path in (IMAGES / "big/blobs/sha256").iterdir() if path.stat().st_size > 2**20]
    gunzip = "gunzip alone"
    times |= interleaved({gunzip: commands(["/bin/sh", "-c", f"zcat {' '.join(blobs)} >/dev/null"])}, rounds=1, warm_up=0)
    row("pull of 4 layers, 414 MB", "coracle", times, "podman", 1 / 2, beside=[gunzip])
    bound("peak memory of that pull", peaks.get("coracle"), 64 << 10, mebibytes, f"podman {mebibytes(peaks['podman'])}" if "podman" in peaks else "")
    for name in ENGINES:
        forget(name)
