"""The figures of images in one file, beside Charliecloud, podman and what squashfuse and mksquashfs do alone.

Charliecloud's `ch-run` mounts a squashfs itself (libsquashfuse). It makes no places for its mounts, so the tree has them.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import engines
import measure
import runtimes
from measure import IMAGES, WORK, Failed, bound, commands, find, interleaved, output, row

HOME = WORK / "home"
FILE = HOME / "app.sqsh"
MANY = HOME / "many.sqsh"
PLACES = "dev etc home media mnt opt proc root run srv sys tmp usr var/tmp".split()
RANKS, SMALL_FILES, LEVEL = 128, 20_000, 9
QUIET = ("-noappend", "-no-progress", "-quiet", "-comp", "zstd", "-Xcompression-level", str(LEVEL))
# Prints the clock before and after. What it reads is in one folder, and it is busybox that reads, whoever has mounted it.
READ = "cut -d' ' -f1 /proc/uptime; find {}/many -type f -exec cat {{}} + | wc -c; cut -d' ' -f1 /proc/uptime"


def squash(tree, file, *more):
    output([find("mksquashfs"), str(tree), str(file), *QUIET, *more])


def make_files():
    """The bundle's tree as one file, and the same with many small files in it."""
    tree = HOME / "app"
    shutil.copytree(runtimes.BUNDLE / "rootfs", tree, symlinks=True)
    for place in PLACES:
        (tree / place).mkdir(parents=True, exist_ok=True)
    for name in ("hosts", "resolv.conf"):
        (tree / "etc" / name).touch()
    squash(tree, FILE, "-all-root")
    for number in range(SMALL_FILES):
        folder = tree / "many" / f"{number // 100:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05}").write_text(f"{number} " * (number % 300))
    squash(tree, MANY, "-all-root")
    shutil.rmtree(tree)


def run_file(*options, command="true"):
    return engines.engine("coracle", "run", "--rm", *options, str(FILE), command)


def ch_run():
    return [find("ch-run"), str(FILE), "--", "true"] if find("ch-run") else None


def compare_runs():
    make_files()
    compare_first_runs()
    compare_next_runs()


def compare_first_runs():
    programs = {"coracle": commands(run_file("--network", "none")), "coracle --network slirp4netns": commands(run_file("--network", "slirp4netns")),
                "coracle --hpc": commands(run_file("--hpc"))}
    if ch_run():
        programs["ch-run"] = commands(ch_run())
    if "podman" in engines.ENGINES:
        programs["podman"] = commands(engines.engine("podman", *engines.RUN))
    times = interleaved(programs, before=rest)
    # As ch-run does it: the host's network and processes, and nobody who looks after it.
    row("run --rm --hpc app.sqsh true", "coracle --hpc", times, "ch-run", 1, goal=True, beside=("coracle", "coracle --network slirp4netns"))
    row("  podman from its store", "coracle --hpc", times, "podman", 1 / 20, goal=True)
    row("  with a monitor, --network none", "coracle", times, "podman", 1 / 10, goal=True)


def compare_next_runs():
    """The mount of the one before is there still, as where a script's commands follow each other."""
    programs = {"coracle --hpc": commands(run_file("--hpc")), "coracle": commands(run_file("--network", "none"))}
    if ch_run():
        programs["ch-run"] = commands(ch_run())
    if "podman" in engines.ENGINES:
        programs["podman"] = commands(engines.engine("podman", *engines.RUN))
    times = interleaved(programs)
    row("the same again within a second", "coracle --hpc", times, "ch-run", 1, goal=True, beside=("coracle",))
    row("  podman from its store", "coracle --hpc", times, "podman", 1 / 20, goal=True)


def processes(is_one):
    """Numbers of this user's processes whose directories in /proc are so."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == os.getuid() and is_one(entry):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def servers():
    return processes(lambda entry: (entry / "comm").read_text().startswith("squashfuse"))


def rest(_):
    """Each start is the first of its image: the mount of the one before has gone. A signal ends its waiting for the next."""
    for holder in processes(lambda entry: b"\0hold-image\0" in (entry / "cmdline").read_bytes()):
        try:
            os.kill(holder, signal.SIGTERM)
        except ProcessLookupError:
            pass
    until = time.monotonic() + 10
    while servers() and time.monotonic() < until:
        time.sleep(0.01)


def compare_ranks():
    fanout = engines.engine("coracle", "fanout", "-n", str(RANKS), str(FILE), "--", "true")
    programs = {"coracle": commands(fanout)}
    if ch_run():
        shell = f"for rank in $(seq {RANKS}); do {' '.join(ch_run())} & jobs=\"$jobs $!\"; done; for job in $jobs; do wait $job || exit 1; done"
        programs["ch-run"] = commands(["/bin/sh", "-c", shell])
    times = interleaved(programs, rounds=min(5, measure.ROUNDS), warm_up=1, before=rest)
    row(f"fanout -n {RANKS} app.sqsh true", "coracle", times, "ch-run", 1 / 2, goal=True)
    bound(f"  squashfuse processes of {RANKS} ranks", servers_of_ranks(), 1, str)


def servers_of_ranks():
    """How many serve while all ranks run."""
    rest(None)
    at_work = HOME / "ranks"
    at_work.mkdir()
    script = f"echo >{at_work}/$PMI_RANK; while test -e {at_work}/go; do sleep 0.1; done"
    (at_work / "go").touch()
    ranks = subprocess.Popen(engines.engine("coracle", "fanout", "-n", str(RANKS), "--volume", f"{at_work}:{at_work}", str(FILE), "--", "sh", "-c", script),
                             stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while len(list(at_work.iterdir())) <= RANKS:
            if ranks.poll() is not None or time.monotonic() > until:
                raise Failed(f"fanout -n {RANKS}: not all ranks came up")
            time.sleep(0.05)
        found = len(servers())
    finally:
        (at_work / "go").unlink()
        ranks.wait()
    if found == 0:
        raise Failed("no squashfuse was found")
    return found


def seconds_of(argv):
    begin, size, end = output(argv).split()
    if int(size) == 0:
        raise Failed(f"{argv}: nothing was read")
    return float(end) - float(begin)


def read_alone():
    """squashfuse without a container; the reader is the same program."""
    mount = HOME / "mount"
    mount.mkdir(exist_ok=True)
    output([find("squashfuse_ll") or find("squashfuse"), str(MANY), str(mount)])
    try:
        shell = str(runtimes.BUNDLE / "rootfs/bin")
        return seconds_of(["/usr/bin/env", f"PATH={shell}", f"{shell}/sh", "-c", READ.format(mount)])
    finally:
        output([find("fusermount3"), "-u", str(mount)])


def compare_reads():
    """Each round through a mount of its own, so that no name and no page is known from the last one."""
    inside = engines.engine("coracle", "run", "--rm", "--network", "none", str(MANY), "sh", "-c", READ.format(""))
    programs = {"coracle": lambda number: seconds_of(inside), "squashfuse alone": lambda number: read_alone()}
    times = interleaved(programs, rounds=min(7, measure.ROUNDS), warm_up=1, before=rest)
    row(f"reading {SMALL_FILES} small files of a squashfs", "coracle", times, "squashfuse alone", 1.1)


def compare_squash():
    output(engines.engine("coracle", "pull", "--quiet", "--tls-verify=false", engines.BIG))
    tree, target = HOME / "big", HOME / "big.sqsh"
    tree.mkdir()
    layout = IMAGES / "big"
    blob = lambda digest: layout / "blobs" / digest.replace(":", "/")
    manifest = json.loads(blob(json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]).read_text())
    for layer in manifest["layers"]:
        subprocess.run(["tar", "-xf", str(blob(layer["digest"])), "-C", str(tree), "--no-same-owner"], check=True)
    programs = {"coracle": commands(engines.engine("coracle", "image", "squash", engines.BIG, str(target))),
                "mksquashfs": commands([find("mksquashfs"), str(tree), str(target), *QUIET])}
    times = interleaved(programs, rounds=min(3, measure.ROUNDS), warm_up=0, before=lambda _: target.unlink(missing_ok=True))
    row("image squash of 990 MB", "coracle", times, "mksquashfs", 1.2, goal=True)
    shutil.rmtree(tree)
    target.unlink(missing_ok=True)
    output(engines.engine("coracle", "rmi", "--force", engines.BIG))
