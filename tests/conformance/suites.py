"""What the lanes of other people's suites share: Debian's pool, the lists of what is expected, and the verdict on a test.

A list is only ever too strict: a test that is listed as failing must fail, and one that is skipped must be listed with the
reason why it may be. So a list that has become too long fails too.
"""
import fnmatch
import glob
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request

POOL = "http://deb.debian.org/debian/pool/main"


def cache():
    return pathlib.Path(os.environ.get("CORACLE_TEST_CACHE") or "/var/tmp/coracle-tests")


def fetch(path, digest):
    """A file of Debian's pool."""
    with urllib.request.urlopen(f"{POOL}/{urllib.parse.quote(path)}", timeout=60) as answer:
        data = answer.read()
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit(f"{path} has the digest {hashlib.sha256(data).hexdigest()}, not {digest}")
    return data


def install(packages):
    """Of Debian's, those that are missing."""
    have = subprocess.run(["dpkg-query", "-W", "-f=${Package} ${db:Status-Abbrev}\n", *packages], capture_output=True, text=True).stdout
    missing = [name for name in packages if f"{name} ii" not in have]
    if missing:
        subprocess.run(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=600", "install", "-y", "--no-install-recommends", *missing], check=True, stdout=sys.stderr,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def tidy_cgroups(*patterns):
    """Cgroups outlive processes: removes those that a suite names, in every hierarchy."""
    for pattern in patterns:
        for top in glob.glob(f"/sys/fs/cgroup/*/{pattern}") + glob.glob(f"/sys/fs/cgroup/{pattern}"):
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass


def runtime_under_test():
    """CORACLE_TEST_RUNTIME, a name or a path; by default coracle-oci of CORACLE_TEST_BIN."""
    name = os.environ.get("CORACLE_TEST_RUNTIME") or "coracle-oci"
    own = pathlib.Path(os.environ.get("CORACLE_TEST_BIN", ""), name)
    found = str(own) if "/" in name or own.is_file() else shutil.which(name, path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/sbin:/bin")
    return pathlib.Path(found or sys.exit(f"there is no {name}"))


class Expectations:
    """`expected`: lines of OUTCOME MODES PATTERN -- REASON; comments and empty lines apart."""

    LINE = re.compile(r"(fail|skip) +(\S+) +(.+?) +-- +(.+)")

    def __init__(self, path):
        self.rules = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                match = self.LINE.fullmatch(line) or sys.exit(f"{path}:{number}: not OUTCOME MODES PATTERN -- REASON")
                self.rules.append(match.groups())

    def reason(self, outcome, mode, text):
        for rule in self.rules:
            if rule[0] == outcome and (rule[1] == "all" or mode in rule[1].split(",")) and fnmatch.fnmatchcase(text, rule[2]):
                return rule[3]
        return None


def judge(label, mode, name, test, expected):
    """One TAP line from one of the suite's, and whether it is well."""
    full = f"{name}: {test['name']}"
    listed = expected and expected.reason("fail", mode, full)
    if test["skip"] is not None:
        if expected and expected.reason("skip", mode, test["skip"]) is None:
            return f"not ok - {label} {full}: skipped, and `expected` does not say why it may be: {test['skip']}", False
        return f"ok - {label} {full} # SKIP {test['skip']}", True
    if test["ok"]:
        if listed:
            return f"not ok - {label} {full}: listed as failing, and passes: take it out of the list", False
        return f"ok - {label} {full}", True
    if listed:
        return f"ok - {label} {full} # SKIP fails: {listed}", True
    return f"not ok - {label} {full}", False
