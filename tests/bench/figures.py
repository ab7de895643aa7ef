"""Measures and prints the table; started by tests/bench/run, which prepares everything.

A figure is the median of the wall time from posix_spawn to wait4, over rounds in which every program runs once, one
after the other, so that whatever else the machine does hits all of them alike; three rounds go before and do not count.
Peak memory is wait4's ru_maxrss: the largest process of the command and of the children it waited for (never less
than this interpreter's own, a dozen MiB, which the kernel counts until exec).
"""
import concurrent.futures
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

WORK = pathlib.Path(os.environ["CORACLE_BENCH_WORK"])
IMAGES = pathlib.Path(os.environ["CORACLE_BENCH_IMAGES"])
REGISTRY = os.environ["CORACLE_TEST_REGISTRY"]
ROUNDS = int(os.environ.get("CORACLE_BENCH_ROUNDS", "20"))
WARM_UP = 3
USER = os.environ["CORACLE_TEST_USER"]
IMAGE = f"{REGISTRY}/busybox:latest"
BIG = f"{REGISTRY}/big:latest"
BUNDLE = WORK / "home/bundle"
NOTHING = os.open("/dev/null", os.O_RDWR)


class Failed(Exception):
    """A program that does not do what is measured; the rest of the table goes on."""


def spawn(argv, log):
    actions = [(os.POSIX_SPAWN_DUP2, NOTHING, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    return os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)


def once(argv):
    """(seconds, peak KiB) of one successful run."""
    log = os.memfd_create("log")
    try:
        started = time.monotonic()
        _, status, usage = os.wait4(spawn(argv, log), 0)
        seconds = time.monotonic() - started
        if status != 0:
            os.lseek(log, 0, os.SEEK_SET)
            raise Failed(f"{' '.join(argv)}: exit code {os.waitstatus_to_exitcode(status)}: {os.read(log, 2000).decode(errors='replace').strip()}")
        return seconds, usage.ru_maxrss
    finally:
        os.close(log)


def output(argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def interleaved(programs, rounds=ROUNDS, warm_up=WARM_UP, before=None):
    """{program: (median seconds, peak KiB)}; `programs` gives each its argv by round number."""
    times = {name: [] for name in programs}
    peaks = dict.fromkeys(programs, 0)
    for number in range(warm_up + rounds):
        for name in list(times):
            try:
                if before:
                    before(name)
                seconds, peak = once(programs[name](number))
            except Failed as failure:
                print(f"bench: {name} left out: {failure}", file=sys.stderr)
                del times[name]
                continue
            peaks[name] = max(peaks[name], peak)
            if number >= warm_up:
                times[name].append(seconds)
    return {name: (statistics.median(taken), peaks[name]) for name, taken in times.items()}


# --- the programs ------------------------------------------------------------------------------------------------

def find(name):
    own = WORK / "bin" / name
    return str(own) if own.exists() else shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")


ENGINES = {name: find(name) for name in ("coracle", "podman") if find(name)}
RUNTIMES = {name: find(name) for name in ("coracle-oci", "crun", "runc") if find(name)}


def engine(name, *arguments):
    return [ENGINES[name], *arguments]


def for_engines(*arguments):
    return {name: lambda number, name=name: engine(name, *arguments) for name in ENGINES}


def make_bundle():
    """busybox unpacked with the user's own id, and the configuration that all runtimes get."""
    layout = IMAGES / "busybox"
    blob = lambda digest: layout / "blobs" / digest.replace(":", "/")
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    (BUNDLE / "rootfs").mkdir(parents=True)
    for layer in manifest["layers"]:
        subprocess.run(["tar", "-xf", str(blob(layer["digest"])), "-C", str(BUNDLE / "rootfs"), "--no-same-owner"], check=True)
    subprocess.run([find("runc") or find("crun") or find("coracle-oci"), "spec", "--rootless"], cwd=BUNDLE, check=True)
    config = json.loads((BUNDLE / "config.json").read_text())
    config["process"].update(terminal=False, args=["true"])
    config["linux"]["namespaces"] = [{"type": kind} for kind in ("user", "mount", "pid", "ipc", "uts", "cgroup", "network")]
    (BUNDLE / "config.json").write_text(json.dumps(config))


def small_programs():
    """What runs `true` in the same root file system with less around it."""
    rootfs = str(BUNDLE / "rootfs")
    programs = {name: lambda number, name=name: [RUNTIMES[name], "run", "--bundle", str(BUNDLE), f"bench-{name}-{number}"] for name in RUNTIMES}
    if crun := RUNTIMES.get("crun"):
        programs["crun --systemd-cgroup"] = lambda number: [crun, "--systemd-cgroup", "run", "--bundle", str(BUNDLE), f"bench-scope-{number}"]
    if bwrap := find("bwrap"):
        programs["bwrap"] = lambda number: [bwrap, "--unshare-all", "--bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"]
    if unshare := find("unshare"):
        programs["unshare + newuidmap"] = lambda number: [unshare, "--map-auto", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts",
                                                          "--fork", "--root", rootfs, "/bin/true"]
    return programs


# --- the figures ---------------------------------------------------------------------------------------------------

rows = []


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"


def row(work, goal, measured, show=milliseconds):
    """One line: every program's figure and podman's multiple of coracle's, against the goal (a factor), if there is one."""
    cells = "; ".join(f"{name} {show(value)}" for name, value in measured.items() if name not in ("coracle", "podman"))
    ratio = verdict = ""
    if "coracle" in measured and "podman" in measured:
        factor = measured["podman"] / measured["coracle"]
        ratio = f"{factor:.1f}"
        verdict = "" if goal is None else "yes" if factor >= goal else "NO"
    rows.append((work, "" if goal is None else f"{goal}", *(show(measured[name]) if name in measured else "-" for name in ("coracle", "podman")),
                 ratio, verdict, cells))
    print(" | ".join(rows[-1]), file=sys.stderr)


def medians(results):
    return {name: median for name, (median, _) in results.items()}


def compare_runs():
    programs = {**for_engines("run", "--rm", "--network", "none", IMAGE, "true"), **small_programs()}
    row("run --rm --network none true", 8, medians(interleaved(programs)))
    row("run --rm --network slirp4netns true", 5, medians(interleaved(for_engines("run", "--rm", "--network", "slirp4netns", IMAGE, "true"))))


def compare_exec():
    for name in ENGINES:
        output(engine(name, "run", "--detach", "--name", "bench-exec", "--network", "none", IMAGE, "sleep", "10000"))
    row("exec true", 10, medians(interleaved(for_engines("exec", "bench-exec", "true"))))
    time.sleep(2)       # as they are for most of their life: at rest
    memory = {name: resident(name) for name in ENGINES}
    row("memory beside a container (PSS)", None, {name: kib for name, kib in memory.items() if kib}, show=lambda kib: f"{kib / 1024:.2f} MiB")
    if memory.get("coracle", 0) > 1024:
        print("bench: monitor and guard take more than 1 MiB", file=sys.stderr)
    for name in ENGINES:
        output(engine(name, "rm", "--force", "--time", "0", "bench-exec"))


def resident(name):
    """KiB of all that stays beside the payload: coracle's monitor and guard, podman's conmon."""
    mine = re.compile(rb"--role\0(monitor|guard)" if name == "coracle" else rb"conmon")
    pids = [int(entry.name) for entry in pathlib.Path("/proc").iterdir()
            if entry.name.isdigit() and mine.search(pathlib.Path(entry, "cmdline").read_bytes())]
    try:
        return sum(proportional(pid) for pid in pids)
    except PermissionError:
        print(f"bench: the memory of {name} is only for root to read", file=sys.stderr)
        return 0


def compare_lists():
    for name in ENGINES:
        for number in range(10):
            output(engine(name, "create", "--name", f"bench-{number}", "--network", "none", IMAGE, "true"))
            output(engine(name, "tag", IMAGE, f"localhost/bench:{number}"))
    row("ps --all, 10 containers", 10, medians(interleaved(for_engines("ps", "--all"))))
    row("images, 10 names", 10, medians(interleaved(for_engines("images"))))
    for name in ENGINES:
        output(engine(name, "rm", "--force", *(f"bench-{number}" for number in range(10))))


def compare_pull():
    def forget(name):
        subprocess.run(engine(name, "rmi", "--force", BIG), stdin=subprocess.DEVNULL, capture_output=True)
        os.sync()

    programs = for_engines("pull", "--quiet", "--tls-verify=false", BIG)
    results = interleaved(programs, rounds=3, warm_up=0, before=forget)
    blobs = [str(path) for path in (IMAGES / "big/blobs/sha256").iterdir() if path.stat().st_size > 2**20]
    alone = {"gunzip alone": lambda number: ["/bin/sh", "-c", f"zcat {' '.join(blobs)} >/dev/null"]}
    row("pull of 4 layers, 414 MB", 2, {**medians(results), **medians(interleaved(alone, rounds=1, warm_up=0))})
    row("peak memory of the pull", None, {name: peak for name, (_, peak) in results.items()}, show=lambda kib: f"{kib / 1024:.0f} MiB")
    for name in ENGINES:
        forget(name)


def compare_crowd():
    rates = {}
    for name in ENGINES:
        argv = engine(name, "run", "--rm", "--network", "none", IMAGE, "true")
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            done = [future for future in [pool.submit(once, argv) for _ in range(50)]]
        failures = [str(future.exception()) for future in done if future.exception()]
        rates[name] = 50 / (time.monotonic() - started)
        if failures:
            print(f"bench: {name}: {len(failures)} of 50 failed: {failures[0]}", file=sys.stderr)
    work = "50 x run --rm, 8 at a time"
    if len(rates) == 2:
        factor = rates["coracle"] / rates["podman"]
        rows.append((work, "6", f"{rates['coracle']:.1f}/s", f"{rates['podman']:.1f}/s", f"{factor:.1f}", "yes" if factor >= 6 else "NO", ""))
    else:
        rows.append((work, "6", *(f"{rates[name]:.1f}/s" if name in rates else "-" for name in ("coracle", "podman")), "", "", ""))


def table():
    header = ("work", "goal", "coracle", "podman", "podman/coracle", "met", "others")
    widths = [max(len(line[column]) for line in [header, *rows]) for column in range(len(header))]
    for line in [header, tuple("-" * width for width in widths), *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")


def measure():
    make_bundle()
    for name in list(ENGINES):
        try:
            output(engine(name, "pull", "--quiet", "--tls-verify=false", IMAGE))
        except Failed as failure:
            print(f"bench: {name} left out: {failure}", file=sys.stderr)
            del ENGINES[name]
    for part in (compare_runs, compare_exec, compare_lists, compare_crowd, compare_pull):
        try:
            part()
        except Failed as failure:
            print(f"bench: {part.__name__} ends early: {failure}", file=sys.stderr)
    table()


# --- who measures -----------------------------------------------------------------------------------------------------

def proportional(pid):
    """KiB of proportional set size. A monitor is closed to its own user (it is not dumpable), so root reads it."""
    if helper:
        helper.send(str(pid).encode())
        return int(helper.recv(64))
    return read_pss(pid)


def read_pss(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])


def become(user):
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)


helper = None
if __name__ == "__main__":
    os.environ.update(HOME=str(WORK / "home"), STORAGE_DRIVER="overlay")
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        os.environ.pop(variable, None)
    child = 0
    if os.geteuid() == 0:
        helper, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = os.fork()
    if child == 0:
        if helper:
            asked.close()
            become(USER)
        os.chdir(WORK / "home")
        measure()
    else:
        helper.close()
        while question := asked.recv(64):
            asked.send(str(read_pss(int(question))).encode())
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
