"""The figures of `coracle-oci`, beside crun, runc and bubblewrap: the same bundle for all."""
import json
import pathlib
import shutil
import subprocess

import filters
import measure
from measure import IMAGES, METER, WORK, bound, commands, counted, crowd, find, interleaved, mebibytes, output, peak, row

BUNDLE = WORK / "home/bundle"
RUNTIMES = {name: find(name) for name in ("coracle-oci", "crun", "runc") if find(name)}
OWN = "coracle-oci"
NO_CGROUP = "--cgroup-manager=disabled"      # crun's word, and ours; runc goes on without where it may not


def make_bundle():
    """busybox unpacked with the user's own id, and the configuration that all runtimes get."""
    layout = IMAGES / "busybox"
    blob = lambda digest: layout / "blobs" / digest.replace(":", "/")
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    (BUNDLE / "rootfs").mkdir(parents=True)
    for layer in manifest["layers"]:
        subprocess.run(["tar", "-xf", str(blob(layer["digest"])), "-C", str(BUNDLE / "rootfs"), "--no-same-owner"], check=True)
    subprocess.run([find("runc") or find("crun") or find(OWN), "spec", "--rootless"], cwd=BUNDLE, check=True)
    config = json.loads((BUNDLE / "config.json").read_text())
    config["process"].update(terminal=False, args=["true"])
    config["linux"]["namespaces"] = [{"type": kind} for kind in ("user", "mount", "pid", "ipc", "uts", "cgroup", "network")]
    (BUNDLE / "config.json").write_text(json.dumps(config))


def bundle_of(name, args, **linux):
    """A second bundle on the same root file system."""
    config = json.loads((BUNDLE / "config.json").read_text())
    config["process"]["args"] = args
    config["root"]["path"] = str(BUNDLE / "rootfs")
    config["linux"].update(linux)
    folder = WORK / "home" / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def run_of(name, *flags, bundle=BUNDLE, mark="run"):
    return [RUNTIMES[name], *flags, "run", "--bundle", str(bundle), f"bench-{name}-{mark}-{{}}"]


def small_programs():
    """What runs `true` in the same root file system with less around it."""
    rootfs = str(BUNDLE / "rootfs")
    programs = {f"{name} run": run_of(name) for name in RUNTIMES}
    if "crun" in RUNTIMES:
        programs["crun --systemd-cgroup run"] = run_of("crun", "--systemd-cgroup", mark="scope")
    if bwrap := find("bwrap"):
        programs["bwrap"] = [bwrap, "--unshare-all", "--bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"]
    if unshare := find("unshare"):
        programs["unshare + newuidmap"] = [unshare, "--map-auto", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts",
                                           "--fork", "--root", rootfs, "/bin/true"]
    return programs


def numbered(argv, number):
    return [word.replace("{}", number) for word in argv]


def compare(work, programs, *limits, beside=(), before=None):
    """A row for each (peer, limit); `programs` has the commands of each program, timed together."""
    times = interleaved({name: commands(*argvs) for name, argvs in programs.items()}, before=before)
    wanted = {OWN, *(peer for peer, _ in limits)}
    steps = lambda: counted({name: [numbered(argv, "counted") for argv in argvs] for name, argvs in programs.items() if name in wanted})
    for peer, limit in limits:
        row(work, OWN, times, peer, limit, counts=steps, beside=beside)


def compare_runs():
    programs = {name: [run_of(name, *([] if name == "runc" else [NO_CGROUP]), mark="plain")] for name in RUNTIMES}
    small = small_programs()
    programs |= {name: [small[name]] for name in ("bwrap", "unshare + newuidmap") if name in small}
    compare("run true, no cgroup manager", programs, ("crun", 0.6), ("bwrap", 1.1), beside=("runc", "unshare + newuidmap"))
    programs = {name: [run_of(name, "--systemd-cgroup", mark="scope")] for name in RUNTIMES}
    compare("--systemd-cgroup run true", programs, ("crun", 0.7), beside=("runc",), before=measure.settle)


def compare_lives():
    create = lambda name, mark="life": [RUNTIMES[name], "create", "--bundle", str(BUNDLE), f"bench-{mark}-{name}-{{}}"]
    on = lambda name, verb, *more: [RUNTIMES[name], *verb.split(), f"bench-life-{name}-{{}}", *more]
    programs = {name: [create(name), on(name, "start"), on(name, "delete --force")] for name in RUNTIMES}
    compare("create + start + delete", programs, ("crun", 0.7), beside=("runc",))

    peaks = {}
    for name in RUNTIMES:
        peaks[name] = peak(numbered(create(name, "peak"), "0"))
        output([RUNTIMES[name], "delete", "--force", f"bench-peak-{name}-0"])
    row("create, peak memory of the largest process", OWN, peaks, "crun", 1, show=mebibytes, beside=("runc",))


def compare_verbs():
    sleeping = bundle_of("sleeping", ["sleep", "10000"])
    for name, program in RUNTIMES.items():
        output([program, "run", "--detach", "--bundle", str(sleeping), f"bench-sleep-{name}"])
    verbs = {"exec": ("true",), "state": (), "kill": ("CONT",)}
    for verb, more in verbs.items():
        programs = {name: [[program, verb, f"bench-sleep-{name}", *more]] for name, program in RUNTIMES.items()}
        compare(f"{verb} {' '.join(more)}".strip(), programs, ("crun", 0.7), beside=("runc",))


def finish():
    """What the counting of instructions still needed."""
    for name, program in RUNTIMES.items():
        subprocess.run([program, "delete", "--force", f"bench-sleep-{name}"], stdin=subprocess.DEVNULL, capture_output=True)


def compare_crowd():
    def all_at_once(name):
        return lambda number: crowd([word.replace("{}", f"{number}-{{}}") for word in run_of(name, mark="crowd")], 100)

    times = interleaved({name: all_at_once(name) for name in RUNTIMES}, rounds=3, warm_up=1, before=measure.rest)
    row("100 x run true, 8 at a time", OWN, times, "crun", 0.7, beside=("runc",))


def compare_seccomp():
    """The default profile's filter, as the container got it, and libseccomp's of the same profile; both loaded alike."""
    profile = filters.default_profile(find("coracle"))
    guarded = bundle_of("guarded", ["sleep", "10000"], seccomp=profile)
    output([RUNTIMES[OWN], "run", "--detach", "--bundle", str(guarded), "bench-guarded"])
    pid = json.loads(output([RUNTIMES[OWN], "state", "bench-guarded"]))["pid"]
    ours, theirs = WORK / "home/own.bpf", WORK / "home/tree.bpf"
    have = measure.ask("filter", pid=pid, file=str(ours))
    output([RUNTIMES[OWN], "delete", "--force", "bench-guarded"])
    if not have:
        return
    tree = "libseccomp, binary tree"
    filters.by_libseccomp(profile, theirs)
    loop = lambda file: lambda number: float(output([METER, "loop", "2000000", *file]))
    programs = {OWN: loop([str(ours)]), tree: loop([str(theirs)]), "no filter": loop([])}
    nanoseconds = lambda value: f"{value:.1f} ns"
    row("seccomp default profile, getppid()", OWN, interleaved(programs, of=min), tree, 1, show=nanoseconds, beside=("no filter",), tolerance=1.02)
    steps = {OWN: filters.steps(ours, filters.GETPPID), tree: filters.steps(theirs, filters.GETPPID)}
    row("  the same in BPF instructions", OWN, steps, tree, 1, show=lambda count: f"{count:.1f}")
    all_calls = {OWN: filters.mean_steps(ours), tree: filters.mean_steps(theirs)}
    row("  mean of all system calls, BPF instructions", OWN, all_calls, tree, 1, show=lambda count: f"{count:.1f}")


def compare_size():
    size = pathlib.Path(RUNTIMES[OWN]).stat().st_size / 1024
    bound("size of coracle-oci", size, 1536, mebibytes, f"crun {mebibytes(pathlib.Path(RUNTIMES['crun']).stat().st_size / 1024)} and its libraries" if "crun" in RUNTIMES else "")
