"""How a figure is measured, and the table of all of them.

Wall time is the median from posix_spawn to wait4, over rounds in which every program runs once, one after the other, so
that whatever else the machine does hits all of them alike; some rounds go before and do not count. Instructions are
those in user space of all processes that a command starts, itself included: perf's, where the processor lets us
(`perf stat`), else single steps (meter.c), which only root can take of another user's login.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

WORK = pathlib.Path(os.environ["CORACLE_BENCH_WORK"])
IMAGES = pathlib.Path(os.environ["CORACLE_BENCH_IMAGES"])
USER = os.environ["CORACLE_TEST_USER"]
ROUNDS = int(os.environ.get("CORACLE_BENCH_ROUNDS", "20"))
COUNTS = os.environ.get("CORACLE_BENCH_COUNTS", "yes") == "yes"
WARM_UP = 3
METER = str(WORK / "bin/meter")
NOTHING = os.open("/dev/null", os.O_RDWR)


class Failed(Exception):
    """A program that does not do what is measured; the rest of the table goes on."""


# --- running ---------------------------------------------------------------------------------------------------------

def find(name):
    own = WORK / "bin" / name
    return str(own) if own.exists() else shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")


def once(argv, stdin=NOTHING):
    """Seconds of one successful run."""
    log = os.memfd_create("log")
    try:
        actions = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        started = time.monotonic()
        _, status = os.waitpid(os.posix_spawn(argv[0], argv, os.environ, file_actions=actions), 0)
        seconds = time.monotonic() - started
        if status != 0:
            os.lseek(log, 0, os.SEEK_SET)
            said = os.read(log, 4000).decode(errors="replace").strip()[-500:]
            raise Failed(f"{' '.join(argv)}: exit code {os.waitstatus_to_exitcode(status)}: {said}")
        return seconds
    finally:
        os.close(log)


def crowd(argv, count, at_once=8):
    """Seconds of `count` runs, some at once; one that fails fails all. `{}` in the arguments is the number of the run."""
    numbers = os.memfd_create("numbers")
    os.write(numbers, "".join(f"{number}\n" for number in range(count)).encode())
    os.lseek(numbers, 0, os.SEEK_SET)
    try:
        return once([find("xargs"), f"-P{at_once}", "-I{}", *argv], stdin=numbers)
    finally:
        os.close(numbers)


def rest(_):
    """Before a crowd: what the last one left is the kernel's to clear away, a user's keys above all (200, then no more)."""
    time.sleep(1)


def settle(_):
    """Before what asks systemd for a scope: it still clears away the scope of the one before, whose time that is."""
    time.sleep(0.1)


def output(argv):
    # Not a pipe: what a command leaves running would hold it open.
    with open(WORK / "home/output", "w+") as out, open(WORK / "home/errors", "w+") as errors:
        code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=errors).returncode
        out.seek(0), errors.seek(0)
        if code != 0:
            raise Failed(f"{' '.join(argv)}: exit code {code}: {errors.read().strip()[-500:]}")
        return out.read()


def interleaved(programs, rounds=ROUNDS, warm_up=WARM_UP, before=None, of=statistics.median):
    """{program: seconds}; `programs` gives each a function of the round's number that runs it and returns seconds."""
    times = {name: [] for name in programs}
    for number in range(warm_up + rounds):
        for name in list(times):
            try:
                if before:
                    before(name)
                seconds = programs[name](number)
            except Failed as failure:
                print(f"bench: {name} left out: {failure}", file=sys.stderr)
                del times[name]
                continue
            if number >= warm_up:
                times[name].append(seconds)
    return {name: of(taken) for name, taken in times.items()}


def commands(*argvs):
    """A program of `interleaved`: these commands, each given the number of the round for its `{}`, timed together."""
    return lambda number: sum(once([word.replace("{}", str(number)) for word in argv]) for argv in argvs)


def peak(argv):
    """KiB of the largest process, of those that the command waits for."""
    once([METER, "peak", str(WORK / "home/peak"), *argv])
    return int((WORK / "home/peak").read_text())


# --- instructions ------------------------------------------------------------------------------------------------------

root = None         # a socket to a process that is still root, where there is one


def ask(what, **more):
    if root is None:
        return None
    root.send(json.dumps({"what": what, **more}).encode())
    answer = json.loads(root.recv(1 << 16))
    if "error" in answer:
        raise Failed(answer["error"])
    return answer["is"]


def serve(channel, uid, gid):
    """The side of `ask` that is root: memory of a process that is closed to its own user, single steps, filters."""
    file = str(WORK / "answer")
    while question := channel.recv(1 << 16):
        asked = json.loads(question)
        try:
            if asked["what"] == "pss":
                answer = {"is": read_pss(asked["pid"])}
            else:
                arguments = [str(uid), str(gid), *asked["argv"]] if asked["what"] == "steps" else []
                target = [file] if arguments else [str(asked["pid"]), asked["file"]]
                # Not a pipe: the container that `create` leaves would hold it open.
                with open(WORK / "errors", "w+") as errors:
                    done = subprocess.run([METER, asked["what"], *target, *arguments], cwd=WORK / "home", stdin=NOTHING,
                                          stdout=subprocess.DEVNULL, stderr=errors)
                    errors.seek(0)
                    said = errors.read()[-300:]
                answer = {"error": f"{asked}: {done.returncode}: {said}"} if done.returncode else \
                    {"is": int(pathlib.Path(file).read_text().split()[0]) if arguments else True}
        except (OSError, ValueError) as error:
            answer = {"error": f"{asked}: {error}"}
        channel.send(json.dumps(answer).encode())


def read_pss(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])


def proportional(pid):
    """KiB of proportional set size."""
    return read_pss(pid) if root is None else ask("pss", pid=pid)


def perf_counts():
    if not find("perf"):
        return False
    done = subprocess.run([find("perf"), "stat", "-x,", "-e", "instructions:u", "/bin/true"], capture_output=True, text=True)
    return done.returncode == 0 and "not supported" not in done.stderr and "not counted" not in done.stderr


PERF = perf_counts()


def instructions(*argvs):
    """Of these commands, one after the other; None where they cannot be counted."""
    if not COUNTS or not (PERF or root):
        return None
    total = 0
    for argv in argvs:
        if PERF:
            file = str(WORK / "home/counted")
            once([find("perf"), "stat", "-x,", "-o", file, "-e", "instructions:u", *argv])
            total += int(re.search(r"^(\d+),", pathlib.Path(file).read_text(), re.MULTILINE)[1])
        else:
            total += ask("steps", argv=argv)
    return total


def counted(programs):
    """{program: instructions} of {program: [argv ...]}."""
    counts = {}
    for name, argvs in programs.items():
        with contextlib.suppress(Failed):
            counts[name] = instructions(*argvs)
    return {name: count for name, count in counts.items() if count}


# --- the table -----------------------------------------------------------------------------------------------------------

rows = []
to_count = []       # (row, what counts, own, peer): after all wall times, and no quiet machine is needed for it


def time_of(seconds):
    return f"{seconds * 1000:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"


def mebibytes(kib):
    return f"{kib / 1024:.2f} MiB"


def part(number):
    return f"{number:.2f}" if number > 0.4 else f"1/{1 / number:.1f}"


def row(work, own, values, peer, limit, *, goal=False, show=time_of, counts=None, beside=(), tolerance=1.0):
    """One line: the value of `own` in `values` over that of `peer`, which is to be `limit` at most.

    A goal is not yet a promise: when it is missed, the table says so and nothing fails. `tolerance` is for two values that
    the kernel makes equal, and only noise tells apart.
    """
    ratio = values[own] / values[peer] if own in values and peer in values else None
    reached = "" if ratio is None else "yes" if ratio <= limit * tolerance else "NO"
    if own not in values:
        reached = "NO"
    if counts:
        to_count.append((len(rows), counts, own, peer))
    add(work, show(values[own]) if own in values else "-", f"{peer} {show(values[peer])}" if peer in values else f"{peer} -",
        "" if ratio is None else part(ratio), f"<= {part(limit) if limit != 1 else 1}{' goal' if goal else ''}", reached, "",
        "; ".join(f"{name} {show(values[name])}" for name in beside if name in values))


def bound(work, value, most, show, beside=""):
    """One line: a value that is to be `most` at most, whatever the peers do."""
    known = value is not None
    add(work, show(value) if known else "-", "", f"{value / most:.2f}" if known else "", f"<= {show(most)}",
        ("yes" if value <= most else "NO") if known else "", "", beside)


def count_all():
    """Fills in the instructions: of ours, of the peer, and their ratio."""
    known = {}
    for at, counts, own, peer in to_count:
        if counts not in known:
            known[counts] = counts()
        found = known[counts]
        if own not in found:
            continue
        rows[at][6] = f"{found[own] / 1e6:.2f} M"
        if peer in found:
            rows[at][6] += f" : {found[peer] / 1e6:.2f} M = {part(found[own] / found[peer])}"
        print(f"{rows[at][0]}: {rows[at][6]}", file=sys.stderr, flush=True)


def add(*cells):
    rows.append(list(cells))
    print(" | ".join(cells), file=sys.stderr, flush=True)


def table():
    header = ("work", "coracle", "peer", "ratio", "target", "reached", "instructions", "beside")
    widths = [max(len(line[column]) for line in [header, *rows]) for column in range(len(header))]
    for line in [header, tuple("-" * width for width in widths), *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")


def verdicts():
    """A test result for every promise (TAP, for tests/run); how many were missed."""
    missed = 0
    for work, _, peer, ratio, target, reached, _, _ in rows:
        if target.endswith("goal"):
            continue
        what = f"{work}: {ratio or '?'} {target} {peer}".strip()
        if reached == "":
            print(f"ok - {what} # SKIP the peer is not here")
        else:
            missed += reached == "NO"
            print(f"{'ok' if reached == 'yes' else 'not ok'} - {what}")
    return missed
