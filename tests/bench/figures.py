"""Measures and prints the table; started by tests/bench/run, which prepares everything. How: measure.py."""
import os
import pwd
import socket
import sys

import boxes
import engines
import files
import measure
import runtimes
from measure import Failed

PARTS = {
    "runtime": (runtimes.compare_runs, runtimes.compare_lives, runtimes.compare_verbs, runtimes.compare_seccomp, runtimes.compare_size),
    "engine": (engines.compare_runs, engines.compare_exec, engines.compare_lists),
    "crowd": (runtimes.compare_crowd, engines.compare_crowd),
    "box": (boxes.compare_enter,),
    "pull": (engines.compare_pull,),
    "files": (files.compare_runs, files.compare_ranks, files.compare_reads),
    "squash": (files.compare_squash,),
}


def figures():
    runtimes.make_bundle()
    engines.prepare()
    parts = [name for name in PARTS if name in os.environ.get("CORACLE_BENCH_PARTS", " ".join(PARTS)).split()]
    if "box" in parts:
        boxes.migrate()
    for name in parts:
        for part in PARTS[name]:
            try:
                part()
            except Failed as failure:
                print(f"bench: {part.__module__}.{part.__name__} ends early: {failure}", file=sys.stderr)
    if measure.COUNTS:
        print("bench: all wall times are taken; now the instructions are counted", file=sys.stderr, flush=True)
        measure.count_all()
    engines.finish()
    runtimes.finish()
    measure.table()
    return measure.verdicts()


def become(entry):
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)


def main():
    os.environ.update(HOME=str(measure.WORK / "home"), STORAGE_DRIVER="overlay")
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        os.environ.pop(variable, None)
    os.chdir(measure.WORK / "home")
    if os.geteuid() != 0:
        return figures()
    entry = pwd.getpwnam(measure.USER)
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        ours.close()
        become(entry)
        measure.root = theirs
        return figures()
    theirs.close()
    measure.serve(ours, entry.pw_uid, entry.pw_gid)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
